"""Leaks: a task that outlives its call is named and counted once, and ends with its plugin."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.lowlevel import checkpoint

from pegboard import Plugin, leaks, tool
from pegboard.hub import Hub
from pegboard.rows import Reading, Rows
from pegboard.testing import client_of, hub_of


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "EVERY", 0.001)


class Forgetful:
    """A plugin that starts tasks and forgets them."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.released = anyio.Event()

    async def swallow(self) -> None:
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                pass

    @property
    def plugin(self) -> Plugin:
        @tool(read_only=True)
        async def forget() -> str:
            """Start a task and forget it."""
            self.tasks.append(asyncio.create_task(anyio.sleep_forever()))
            return "done"

        @tool(read_only=True)
        async def stubborn() -> str:
            """Start one that cannot be cancelled."""
            self.tasks.append(asyncio.create_task(self.swallow()))
            return "done"

        @tool(read_only=True)
        async def tidy() -> str:
            """Wait for what it starts."""
            await asyncio.create_task(checkpoint())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(checkpoint)
            return "done"

        return Plugin(name="x", tools=[forget, stubborn, tidy])


async def counted(hub: Hub, count: int) -> None:
    while hub.metrics.left["x", "task"] != count:
        await anyio.sleep(0.001)


async def test_a_task_that_outlives_its_call_is_named_once_for_its_tool(caplog: pytest.LogCaptureFixture) -> None:
    """F-10: each is counted, and all end when the hub does."""
    forgetful = Forgetful()
    with anyio.fail_after(5):
        async with hub_of(forgetful.plugin) as hub, client_of(hub) as client:
            for name in ("x_forget", "x_forget", "x_tidy"):
                await client.call_tool(name)
            await counted(hub, 2)
            assert not any(task.done() for task in forgetful.tasks)

    assert all(task.cancelled() for task in forgetful.tasks)
    (record,) = [record for record in caplog.records if record.name == leaks.log.name]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("x_forget has left a task behind, in ")
    assert "sleep_forever (" in record.getMessage()
    assert vars(record)["plugin"] == "x"


async def test_a_task_ends_when_its_plugin_is_unloaded() -> None:
    """F-10."""
    forgetful = Forgetful()
    with anyio.fail_after(5):
        async with hub_of(forgetful.plugin) as hub, client_of(hub) as client:
            await client.call_tool("x_forget")
            await hub.reload(
                hub.settings.model_copy(update={"trust": hub.settings.trust.model_copy(update={"allow": []})})
            )
            assert forgetful.tasks[0].cancelled()


async def test_a_task_that_ignores_that_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """F-10."""
    monkeypatch.setattr(leaks, "HEED", 0.01)
    forgetful = Forgetful()
    with anyio.fail_after(5):
        async with hub_of(forgetful.plugin) as hub, client_of(hub) as client:
            await client.call_tool("x_stubborn")
        assert not forgetful.tasks[0].done()
        assert "a task that x_stubborn has left behind ignores its cancellation" in caplog.messages
        forgetful.released.set()
        await asyncio.wait(forgetful.tasks)


async def test_the_factory_of_tasks_is_the_one_before_when_the_hub_has_closed() -> None:
    """Also one that somebody else has set, which is used meanwhile."""
    loop, made = asyncio.get_running_loop(), list[str]()
    before = loop.get_task_factory()

    def factory(loop: asyncio.AbstractEventLoop, work: object, **options: object) -> "asyncio.Task[object]":
        made.append("task")
        return asyncio.Task(work, loop=loop, **options)  # pyright: ignore

    loop.set_task_factory(factory)  # pyright: ignore
    try:
        async with hub_of(Forgetful().plugin) as hub, client_of(hub) as client:
            await client.call_tool("x_forget")
        assert loop.get_task_factory() is factory
    finally:
        loop.set_task_factory(before)
    assert made


async def test_a_hub_that_closes_leaves_the_watch_of_another_one_alone(caplog: pytest.LogCaptureFixture) -> None:
    forgetful, loop = Forgetful(), asyncio.get_running_loop()
    before = loop.get_task_factory()
    first = hub_of(Plugin(name="y"))
    try:
        with anyio.fail_after(5):
            await first.__aenter__()
            async with hub_of(forgetful.plugin) as hub, client_of(hub) as client:
                await first.__aexit__(None, None, None)
                await client.call_tool("x_forget")
                await counted(hub, 1)
        assert forgetful.tasks[0].cancelled()
    finally:
        loop.set_task_factory(before)


async def test_rows_that_wait_to_be_read_on_are_no_leak(caplog: pytest.LogCaptureFixture) -> None:
    closed = anyio.Event()

    @asynccontextmanager
    async def source() -> AsyncGenerator[Reading]:
        async def read(count: int) -> list[str]:
            return ["x" * 1000] * count

        try:
            yield Reading(read)
        finally:
            closed.set()

    @tool(read_only=True)
    async def endless() -> Rows:
        """Rows without end."""
        return Rows(source)

    async with hub_of(Plugin(name="x", tools=[endless])) as hub, client_of(hub) as client:
        answer = await client.call_tool("x_endless", {})
        hub._leaks.look()  # pyright: ignore[reportPrivateUsage]
        hub._leaks.look()  # pyright: ignore[reportPrivateUsage]

        assert answer.structured_content is not None
        assert answer.structured_content["has_more"]
        assert not hub.metrics.left["x", "task"]
        assert not closed.is_set()
    assert closed.is_set()
    assert "left a task behind" not in caplog.text
