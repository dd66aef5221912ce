"""Seats: a key opens as many sessions as it may, over all endpoints and transports, and the others have room."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from starlette.types import Message, Scope
from tests.hub.callers import somebody
from tests.hub.serving.test_app import WEATHER, Browser, browser
from tests.hub.serving.test_denials import records

from pegboard.endpoint import PRINCIPAL
from pegboard.metrics import Metrics
from pegboard.security.audit import Audit
from pegboard.security.keys import Key
from pegboard.security.limits import Limits, TooMuch
from pegboard.security.scopes import Scopes
from pegboard.serving.denials import Denials
from pegboard.serving.seats import Seats
from pegboard.settings import LimitSettings

ANN, ANNS = Key.create("ann", Scopes.of(["*"]))
BEN, BENS = Key.create("ben", Scopes.of(["*"]))
KEYS = {key.name: {"id": key.id, "sha256": key.sha256, "scopes": ["*"]} for key in (ANN, BEN)}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
BOTH = {"accept": "application/json, text/event-stream"}


@asynccontextmanager
async def hub_with(most: int, **settings: Any) -> AsyncGenerator[Browser]:
    async with browser(WEATHER, keys=KEYS, limits={"sessions_per_key": most}, **settings) as page:
        yield page


async def open_session(page: Browser, key: str, path: str = "/mcp") -> httpx.Response:
    """Open a session over `/mcp`."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
    return await page.http.post(path, json=message, headers={**BOTH, "authorization": f"Bearer {key}"})


async def end(page: Browser, key: str, session: str) -> None:
    await page.http.delete("/mcp", headers={"authorization": f"Bearer {key}", "mcp-session-id": session})


class Stream:
    """A client of SSE in this process, which stays until it leaves."""

    def __init__(self, page: Browser, key: str, path: str) -> None:
        headers = [(b"host", b"localhost:8000"), (b"authorization", f"Bearer {key}".encode())]
        about = {"method": "GET", "path": path, "query_string": b"", "client": ("127.0.0.1", 1)}
        self._scope: Scope = {"type": "http", "headers": headers, **about}
        self._page = page
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.answered, self.left = anyio.Event(), anyio.Event()

    async def run(self) -> None:
        await self._page.app.asgi(self._scope, self._receive, self._send)

    async def _receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
            self.answered.set()


@asynccontextmanager
async def stream(page: Browser, key: str, path: str = "/sse") -> AsyncGenerator[Stream]:
    """A stream while the block runs."""
    opened = Stream(page, key, path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(opened.run)
        with anyio.fail_after(5):
            await opened.answered.wait()
            yield opened
        opened.left.set()


async def test_a_key_has_so_many_sessions_of_all_kinds_and_another_key_has_its_own(tmp_path: Path) -> None:
    """F-37 and F-14."""
    file = tmp_path / "audit.jsonl"
    async with hub_with(2, audit={"file": str(file)}) as page, stream(page, ANNS, "/weather/sse") as first:
        second = await open_session(page, ANNS)
        refused = await open_session(page, ANNS, "/hub/mcp")
        async with stream(page, ANNS) as no_stream, stream(page, BENS) as others:
            assert (first.status, second.status_code, others.status) == (200, 200, 200)
        metrics = (await page.http.get("/metrics", headers={"authorization": f"Bearer {ANNS}"})).text

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert refused.json()["error"]["message"] == "this key has 2 sessions open, as many as it may; close some of them"
    assert refused.json()["error"]["data"] == {"retryAfter": 5}
    assert refused.json()["id"] == 1
    assert (no_stream.status, no_stream.headers[b"retry-after"]) == (429, b"5")
    assert 'limit="key_sessions"} 2' in metrics
    denied = [record for record in records(file) if record.get("reason") == "key_sessions"]
    assert [(record["principal"], record["times"]) for record in denied] == [(ANN.id, 2)]


async def test_a_session_that_has_ended_makes_room() -> None:
    async with hub_with(1) as page:
        async with stream(page, ANNS):
            assert (await open_session(page, ANNS)).status_code == 429
        opened = await open_session(page, ANNS)
        async with stream(page, ANNS) as refused:
            assert refused.status == 429
        await end(page, ANNS, opened.headers["mcp-session-id"])
        async with stream(page, ANNS) as again:
            assert again.status == 200


async def test_many_that_come_at_once_get_no_more() -> None:
    """F-37: what is being opened counts already."""
    answers: list[int] = []

    async with hub_with(3) as page:

        async def one() -> None:
            answers.append((await open_session(page, ANNS)).status_code)

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for _ in range(12):
                    tasks.start_soon(one)

    assert sorted(answers) == [200] * 3 + [429] * 9


async def test_what_opens_no_session_takes_no_seat() -> None:
    async with hub_with(1) as page:
        bearer = {**BOTH, "authorization": f"Bearer {ANNS}"}
        for _ in range(3):
            message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
            assert (await page.http.post("/mcp", json=message, headers=bearer)).status_code == 400
        assert (await open_session(page, ANNS)).status_code == 200


async def test_a_session_that_was_abandoned_is_forgotten_when_another_one_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F-37: the SDK closes it; what the endpoint knew of it, its way back among others, goes as well."""
    async with hub_with(1, server={"session_idle_timeout": 0.01}) as page:
        opened = await open_session(page, ANNS)
        headers = {**BOTH, "authorization": f"Bearer {ANNS}", "mcp-session-id": opened.headers["mcp-session-id"]}
        initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        await page.http.post("/mcp", json=initialized, headers=headers)
        endpoint = page.app.hub.endpoints[""]
        forgotten: list[str] = []

        async def forget(session: str) -> None:
            forgotten.append(session)

        monkeypatch.setattr(endpoint, "forget", forget)
        with anyio.fail_after(5):
            while (await open_session(page, ANNS)).status_code == 429:
                await anyio.sleep(0.001)  # the SDK has no event for it

    assert forgotten == [opened.headers["mcp-session-id"]]


async def test_without_sessions_there_are_no_seats() -> None:
    async with hub_with(1, server={"stateless": True}) as page:
        assert [(await open_session(page, ANNS)).status_code for _ in range(3)] == [200] * 3


async def test_without_keys_nobody_is_counted() -> None:
    async with browser(WEATHER, limits={"sessions_per_key": 1}) as page:
        assert all([await page.initialize() for _ in range(3)])


@pytest.fixture
def seats() -> Seats:
    return Seats(Denials(Limits(LimitSettings(sessions_per_key=1)), Audit(), Metrics()))


def scope(name: str) -> Scope:
    return {"type": "http", "client": ("127.0.0.1", 1), PRINCIPAL: somebody("*", id=name)}


def test_a_seat_is_kept_for_as_long_as_its_session_is_open(seats: Seats) -> None:
    sessions = {"s"}
    with seats.one(scope("ann")) as seat:
        seat.kept = lambda: "s" in sessions

    with pytest.raises(TooMuch), seats.one(scope("ann")):
        pass
    sessions.clear()
    with seats.one(scope("ann")):
        pass


def test_nothing_stays_of_those_who_have_left(seats: Seats) -> None:
    for number in range(100):
        with seats.one(scope(f"user {number}")):
            pass

    assert len(vars(seats)["_seats"]) == 1
