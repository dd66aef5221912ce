"""Lists of AWX as rows of the hub: read page by page, as far as somebody asks."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pegboard import Call, Reading, Rows
from pegboard_awx.api import MAX_PAGE_SIZE, Api, Object, Page
from pegboard_awx.paths import Segment
from pegboard_awx.settings import Settings

Summarize = Callable[[Object], Any]
SMALLEST_PAGE = 20


def listing(
    call: Call[Settings],
    *segments: Segment,
    summarize: Summarize,
    params: Mapping[str, Any] | None = None,
    limit: int = 20,
    notice: str | None = None,
) -> Rows:
    """The rows of a list, each object made small by `summarize`; nothing is held between two pages."""
    return Rows(partial(_opened, call, segments, dict(params or {}), summarize, limit, notice), limit=limit)


@asynccontextmanager
async def _opened(
    call: Call[Settings],
    segments: Sequence[Segment],
    params: Mapping[str, Any],
    summarize: Summarize,
    limit: int,
    notice: str | None,
) -> AsyncGenerator[Reading]:
    api = await Api.of(call)
    reader = _Reader(api.lasting(), segments, params, summarize, min(max(limit, SMALLEST_PAGE), MAX_PAGE_SIZE))
    first = await reader.turn(api)
    yield Reading(reader.read, total=first.total, notice=notice)


@dataclass(slots=True)
class _Reader:
    """Where a reading stands: the page it is at, and what of it has not been handed out."""

    api: Api
    segments: Sequence[Segment]
    params: Mapping[str, Any]
    summarize: Summarize
    size: int
    number: int = 0
    has_more: bool = True
    waiting: list[Any] = field(default_factory=list[Any])

    async def turn(self, api: Api) -> Page:
        """Read the next page."""
        page = await api.page(*self.segments, params=self.params, number=self.number + 1, size=self.size)
        self.number, self.has_more = page.number, page.has_more
        self.waiting += [self.summarize(item) for item in page.items]
        return page

    async def read(self, count: int) -> Sequence[Any]:
        """Up to `count` more rows."""
        if not self.waiting and self.has_more:
            await self.turn(self.api)
        rows, self.waiting = self.waiting[:count], self.waiting[count:]
        return rows
