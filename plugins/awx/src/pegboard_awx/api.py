"""The way of one call to AWX: reads are retried, writes are sent once, and all of it ends with the call."""

import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self, cast

import anyio

from pegboard import Call, ToolError
from pegboard_awx.discovery import Place
from pegboard_awx.exchange import ANY, Answer, Params, Request, bounded
from pegboard_awx.failures import AwxError
from pegboard_awx.paths import Segment, below, join
from pegboard_awx.pool import AWX, Server
from pegboard_awx.settings import CALLERS_TOKEN, Settings

MARGIN = 0.5
"""Seconds before the call's deadline at which a request ends, so that the client still gets the reason."""
MIN_SECONDS = 0.05
ATTEMPTS = 4
FIRST_PAUSE = 0.25
MAX_PAUSE = 8.0
MAX_PAGE_SIZE = 200
"""More AWX does not give, and does not say so."""

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: the raw objects, how many there are in all, and whether more follow."""

    items: list[Object]
    total: int | None
    number: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class Api:
    """AWX for one call. Paths are given as segments: `api.get("jobs", 5, "cancel")`.

    Every method raises `AwxError`. Reads are repeated when AWX is busy or the connection breaks, within the
    hub's budget of retries; writes never.
    """

    server: Server
    deadline: float | None = None
    """On the clock of `anyio.current_time()`; without one each request has the time of the settings."""
    take_retry: Callable[[], bool] = field(default=lambda: True, repr=False)
    """Whether the hub grants one more attempt; it takes it from the budget of this AWX."""

    @classmethod
    async def of(cls, call: Call[Settings]) -> Self:
        """The way of this call."""
        if not call.settings.has_login:
            raise ToolError(f"the hub has no login of its own at this AWX; send your token as {CALLERS_TOKEN}")
        target = call.settings.target
        return cls(await call.pool(AWX, target), call.deadline - MARGIN, partial(call.take_retry, target))

    def ending(self, seconds: float) -> "Api":
        """The same, but its requests end some seconds before the call, which are left for something else."""
        return self if self.deadline is None else replace(self, deadline=self.deadline - seconds)

    async def place(self) -> Place:
        """The prefix of the API, the product and its version."""
        with self._noted():
            return await self.server.place(self.seconds)

    async def get(self, *segments: Segment, params: Params | None = None) -> Any:
        """Read one thing."""
        return (await self.answer(Request("GET", join(*segments), params))).json()

    async def follow(self, link: str) -> Any:
        """Read what a `next` or a `related` link leads to; only within this API."""
        path = below(self.server.target, (await self.place()).prefix, link)
        return (await self.answer(Request("GET", path))).json()

    async def post(self, *segments: Segment, json: Any = None) -> Any:
        """Create or do something, once; the answer, or `None` where AWX gives none."""
        return (await self.answer(Request("POST", join(*segments), json={} if json is None else json))).json()

    async def patch(self, *segments: Segment, json: Mapping[str, Any]) -> Any:
        """Change some fields."""
        return (await self.answer(Request("PATCH", join(*segments), json=json))).json()

    async def delete(self, *segments: Segment) -> int:
        """Delete one thing; the status, since 202 means that AWX does it later."""
        return (await self.answer(Request("DELETE", join(*segments)))).status

    async def associate(self, *segments: Segment, id: int, remove: bool = False) -> None:  # noqa: A002 # AWX's word
        """Put a thing into a list of another one, or take it out; doing it again changes nothing."""
        await self.post(*segments, json={"id": id, "disassociate": True} if remove else {"id": id})

    async def page(
        self, *segments: Segment, params: Mapping[str, Any] | None = None, number: int = 1, size: int = 20
    ) -> Page:
        """Read one page of a list. A page after the last one is empty."""
        asked = {**(params or {}), "page": number, "page_size": min(size, MAX_PAGE_SIZE)}
        try:
            told = await self.get(*segments, params=asked)
        except AwxError as error:
            if number > 1 and error.status == 400 and "Invalid page" in error.message:
                return Page([], None, number, has_more=False)
            raise
        return Page(told["results"], told.get("count"), number, told.get("next") is not None)

    async def all(
        self, *segments: Segment, params: Mapping[str, Any] | None = None, most: int = 1000
    ) -> AsyncGenerator[Object]:
        """The objects of a list, page after page, at most `most`."""
        number, left = 1, most
        while left > 0:
            page = await self.page(*segments, params=params, number=number, size=MAX_PAGE_SIZE)
            for item in page.items[:left]:
                yield item
            number, left = number + 1, left - len(page.items)
            if not page.has_more:
                return

    async def first(self, *segments: Segment, params: Mapping[str, Any] | None = None) -> Object | None:
        """The first object of a list, if there is one."""
        items = (await self.page(*segments, params=params, size=1)).items
        return items[0] if items else None

    async def text(self, *segments: Segment, params: Params | None = None) -> str:
        """Read a text: output, metrics."""
        answer = await self.answer(Request("GET", join(*segments), params, accept=ANY))
        return answer.body.decode(errors="replace")

    @asynccontextmanager
    async def chunks(self, *segments: Segment, params: Params | None = None) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Read a long text piece by piece, without holding it; not retried."""
        request = Request("GET", join(*segments), params, accept=ANY)
        with self._noted():
            async with self.server.opened(request, self.seconds) as response:
                if response.status_code >= 300:
                    body = b"".join([piece async for piece in bounded(response, request, self.server.target.max_bytes)])
                    Answer(request, response.status_code, response.headers, body).checked()
                self.server.note(True)
                yield response.aiter_bytes()

    async def answer(self, request: Request) -> Answer:
        """Send a request, a read again where that helps, and return an answer that is no refusal."""
        with self._noted():
            attempt = 0
            while True:
                attempt += 1
                try:
                    answer = (await self.server.exchange(request, self.seconds)).checked()
                    self.server.note(True)
                    return answer
                except AwxError as error:
                    pause = _pause(attempt, error.retry_after)
                    is_last = request.writes or attempt == ATTEMPTS or not error.passes
                    if is_last or pause > self.seconds - MIN_SECONDS or not self.take_retry():
                        raise
                await anyio.sleep(pause)

    @contextmanager
    def _noted(self) -> Generator[None]:
        """Tell the hub when nobody answers in the block; a refusal is an answer, and one that is slow may be there."""
        try:
            yield
        except AwxError as error:
            if error.is_away or error.status is not None:
                self.server.note(not error.is_away)
            raise

    @property
    def seconds(self) -> float:
        """How long the next request may take."""
        most = self.server.target.read_timeout
        return most if self.deadline is None else min(most, max(MIN_SECONDS, self.deadline - anyio.current_time()))


def _pause(attempt: int, asked: float | None) -> float:
    """Seconds until the next attempt: as long as the server asks, else longer each time and never quite the same."""
    pause = min(MAX_PAUSE, FIRST_PAUSE * 2**attempt / 2) if asked is None else asked
    return pause + random.uniform(0, FIRST_PAUSE)  # noqa: S311 # spreads attempts, keeps no secret


def named(item: Mapping[str, Any], field: str, key: str = "name") -> Any:
    """The name of a related object out of `summary_fields`, or `None`."""
    summary = cast(Mapping[str, Any], item.get("summary_fields", {}).get(field) or {})
    return summary.get(key)
