"""SSE: what becomes of messages that are posted to a session."""

import json
import logging
from urllib.parse import urlsplit

import anyio
import pytest
from starlette.types import Message, Scope

from pegboard.serving.app import HubApp
from pegboard.testing import hub_of

PING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()


def scope_of(method: str, url: str) -> Scope:
    path, query = urlsplit(url).path, urlsplit(url).query.encode()
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    return {"type": "http", "method": method, "path": path, "query_string": query, "headers": headers}


async def test_a_message_whose_session_ends_while_it_is_accepted_is_no_mishap(caplog: pytest.LogCaptureFixture) -> None:
    """F-25: its stream has ended, which tells the client enough; nothing is wrong with the hub."""
    caplog.set_level(logging.INFO)
    told, opened, leaves, over = list[bytes](), anyio.Event(), anyio.Event(), anyio.Event()
    statuses: list[int] = []

    async def stay() -> Message:
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def to_stream(message: Message) -> None:
        if message.get("body"):
            told.append(message["body"])
            opened.set()

    async def body() -> Message:
        return {"type": "http.request", "body": PING}

    async def to_poster(message: Message) -> None:
        statuses.append(message.get("status", 0))
        leaves.set()
        await over.wait()

    async with hub_of() as hub:
        app = HubApp(hub)

        async def stream() -> None:
            await app.asgi(scope_of("GET", "/sse"), stay, to_stream)
            over.set()

        with anyio.fail_after(5):
            async with app.run(), anyio.create_task_group() as tasks:
                tasks.start_soon(stream)
                await opened.wait()
                url = told[0].decode().partition("data: ")[2].split()[0]
                await app.asgi(scope_of("POST", url), body, to_poster)

    assert statuses[0] == 202
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []
