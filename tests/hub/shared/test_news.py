"""News of other replicas: what is taken in of them, and how often it is passed on."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.lowlevel import checkpoint
from pydantic import SecretStr

from pegboard.shared import news
from pegboard.shared.link import Link
from pegboard.shared.news import LONGEST, Changed, News

KNOWN = {"", "/shop"}


class Listener:
    """News that are passed on at once, and what came of them."""

    def __init__(self, failing: int = 0) -> None:
        self.heard: list[Changed] = []
        self.came = anyio.Event()
        self._failing = failing
        link = Link(SecretStr("redis://127.0.0.1:1/0"))
        self.news = News(link, self._hear, lambda path, kind: path in KNOWN and kind.endswith("_list"))

    async def _hear(self, changed: Changed) -> None:
        self._failing -= 1
        if self._failing >= 0:
            raise LookupError
        self.heard.append(changed)
        self.came.set()

    @asynccontextmanager
    async def passing_on(self) -> AsyncGenerator[None]:
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.news.pass_on)
                yield
                tasks.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "GATHER", 0)


def message(**changed: object) -> bytes:
    paths = {"" if path == "root" else f"/{path}": kinds for path, kinds in changed.items()}
    return json.dumps({"source": "other", "changed": paths, "of a later version": 1}).encode()


async def test_what_many_replicas_say_at_once_is_heard_once() -> None:
    listener = Listener()
    for _ in range(50):
        listener.news.take(message(root=["tool_list"], shop=["prompt_list", "tool_list"]))
    async with listener.passing_on():
        await listener.came.wait()

    assert listener.heard == [{"": {"tool_list"}, "/shop": {"prompt_list", "tool_list"}}]


async def test_what_is_announced_here_meanwhile_is_not_announced_again() -> None:
    listener = Listener()
    listener.news.take(message(root=["tool_list"], shop=["prompt_list", "tool_list"]))
    await listener.news.tell({"": ["tool_list"], "/shop": ["tool_list"], "/new": []})
    async with listener.passing_on():
        await listener.came.wait()

    assert listener.heard == [{"": set(), "/shop": {"prompt_list"}}]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no json",
        b"\xff",
        b"[]",
        b'{"source": "x"}',
        b'{"source": 7, "changed": {}}',
        b'{"source": "x", "changed": {"": "tool_list"}}',
        b'{"source": "x", "changed": {"": [7]}}',
        b'{"source": "' + b"x" * 201 + b'", "changed": {}}',
        message(**{f"p{number}": ["tool_list"] for number in range(101)}),
        message(root=["tool_list"] * 9),
        message(root=["tool_list"]) + b" " * LONGEST,
    ],
)
async def test_what_no_replica_would_say_is_nothing_and_logged_once(
    text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener()
    listener.news.take(text)
    listener.news.take(text)
    async with listener.passing_on():
        await checkpoint()

    assert listener.heard == []
    assert [record.getMessage() for record in caplog.records] == [
        "a message in Redis was none of a replica; this and others like it count for nothing"
    ]


async def test_endpoints_and_lists_that_are_not_here_are_nothing() -> None:
    listener = Listener()
    listener.news.take(message(elsewhere=["tool_list"]))
    listener.news.take(message(shop=["rm -rf"]))
    listener.news.take(message(shop=["rm -rf", "tool_list"]))
    async with listener.passing_on():
        await listener.came.wait()

    assert listener.heard == [{"/shop": {"tool_list"}}]


async def test_one_that_cannot_be_told_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener(failing=1)
    async with listener.passing_on():
        listener.news.take(message(root=["tool_list"]))
        while not caplog.records:
            await checkpoint()
        listener.news.take(message(shop=["tool_list"]))
        await listener.came.wait()

    assert listener.heard == [{"/shop": {"tool_list"}}]
