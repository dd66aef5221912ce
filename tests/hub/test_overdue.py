"""Overdue: a call that ignores its cancellation is given up, and nobody but its plugin notices."""

import asyncio
import logging

import anyio
import pytest
from anyio.lowlevel import checkpoint
from mcp import Client, MCPError
from mcp_types import CallToolResult, TextContent

from pegboard import Plugin, overdue, tool
from pegboard.testing import client_of, connect, hub_of

TOO_LONG = 6.0
"""Seconds; longer than any test here waits."""


class Stubborn:
    """A plugin with tools that do not let themselves be cancelled, until they are released."""

    def __init__(self) -> None:
        self.released = anyio.Event()
        self.began = anyio.Event()
        self.ended = anyio.Event()
        asyncio.get_running_loop().call_later(TOO_LONG, self.released.set)  # so that a test which fails comes to an end

    async def swallow(self) -> str:
        self.began.set()
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                pass
        self.ended.set()
        raise LookupError("at last")

    @property
    def plugin(self) -> Plugin:
        @tool(timeout=0.01, read_only=True)
        async def forever() -> str:
            """Ignore the deadline."""
            return await self.swallow()

        @tool(read_only=True)
        async def patient() -> str:
            """Ignore that the client has left."""
            return await self.swallow()

        @tool(timeout=0.01, read_only=True)
        async def obedient() -> str:
            """Be cancelled at the deadline."""
            await anyio.sleep_forever()
            return "never"

        return Plugin(name="x", tools=[forever, patient, obedient])


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overdue, "LATE", 0.01)


def text_of(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


GIVEN_UP = "x_forever did not finish in 0.01 s and cannot be cancelled; it was given up and may still run"


async def test_a_call_that_ignores_its_deadline_is_given_up_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    """F-10: its client has an answer, and its turn lasts until it ends."""
    stubborn = Stubborn()
    caplog.set_level(logging.INFO, overdue.log.name)
    with anyio.fail_after(5):
        async with hub_of(stubborn.plugin) as hub, client_of(hub) as client:
            assert text_of(await client.call_tool("x_forever")) == GIVEN_UP
            assert text_of(await client.call_tool("x_forever")) == GIVEN_UP
            assert hub.limits.in_turn["x"] == (2, 0)
            assert hub.metrics.running == 0
            assert hub.metrics.left["x", "call"] == 2
            assert hub.metrics.calls["x", "x_forever", "timeout"] == 2
            stubborn.released.set()
            await stubborn.ended.wait()
            while hub.limits.in_turn["x"] != (0, 0):
                await checkpoint()

    told = [record for record in caplog.records if record.name == overdue.log.name]
    assert [record.levelno for record in told] == [logging.ERROR, logging.INFO, logging.INFO]
    assert (
        told[0]
        .getMessage()
        .startswith(
            "x_forever ignores its cancellation: its time was over 0.01 s ago, nobody waits for it any more; it is in "
        )
    )
    assert "swallow (test_overdue.py:" in told[0].getMessage()
    assert told[1].getMessage() == "x_forever has ended at last"
    assert vars(told[0])["plugin"] == "x"


async def test_a_broken_plugin_is_busy_and_no_other_is_harmed() -> None:
    """F-10: its turns are taken by what still runs; the place of the key is free."""
    stubborn = Stubborn()

    @tool(read_only=True)
    async def hello() -> str:
        """Say hello."""
        return "hello"

    settings = {"limits": {"calls_per_plugin": 1, "queue_timeout": 0.01}}
    with anyio.fail_after(5):
        async with connect(stubborn.plugin, Plugin(name="y", tools=[hello]), settings=settings) as client:
            assert text_of(await client.call_tool("x_forever")) == GIVEN_UP
            assert "x is busy" in text_of(await client.call_tool("x_obedient"))
            assert text_of(await client.call_tool("y_hello")) == "hello"
            stubborn.released.set()
            await stubborn.ended.wait()


async def test_a_client_that_leaves_waits_for_no_call_that_ignores_it(caplog: pytest.LogCaptureFixture) -> None:
    """F-10."""
    stubborn = Stubborn()
    with anyio.fail_after(5):
        async with hub_of(stubborn.plugin) as hub:
            async with client_of(hub) as client, anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "x_patient")
                await stubborn.began.wait()
                tasks.cancel_scope.cancel()
            while hub.metrics.left["x", "call"] != 1:
                await anyio.sleep(0)
            assert hub.metrics.running == 0
            stubborn.released.set()
            await stubborn.ended.wait()
    assert "x_patient ignores its cancellation" in caplog.text


async def test_what_is_given_up_is_not_cancelled_round_after_round() -> None:
    """F-10: a cancelled scope would try again in every round of the loop, and the hub be never idle."""
    stubborn, swallowed = Stubborn(), 0

    @tool(timeout=0.01, read_only=True)
    async def count() -> None:
        """Count its cancellations."""
        nonlocal swallowed
        while not stubborn.released.is_set():
            try:
                await stubborn.released.wait()
            except asyncio.CancelledError:
                swallowed += 1

    with anyio.fail_after(5):
        async with connect(Plugin(name="x", tools=[count])) as client:
            await client.call_tool("x_count")
            before = swallowed
            for _ in range(100):
                await checkpoint()
            after = swallowed
            stubborn.released.set()
    assert after <= before + 1


async def test_a_hub_that_is_about_to_be_left_waits_no_longer() -> None:
    """F-10: also for a call that has time."""
    stubborn, answers = Stubborn(), list[str]()

    async def ask(client: Client) -> None:
        answers.append(text_of(await client.call_tool("x_patient")))

    with anyio.fail_after(5):
        async with hub_of(stubborn.plugin) as hub, client_of(hub) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(ask, client)
            await stubborn.began.wait()
            hub.cut_off(after=0.01)
        stubborn.released.set()
        await stubborn.ended.wait()
    assert "cannot be cancelled" in answers[0]


async def test_a_resource_that_ignores_its_deadline_is_given_up() -> None:
    """F-10."""
    stubborn = Stubborn()

    async def read() -> str:
        """Never come back."""
        return await stubborn.swallow()

    settings = {"calls": {"deadline": 0.01}}
    plugin = Plugin(name="x", resources={"x://forever": read})
    with anyio.fail_after(5):
        async with connect(plugin, settings=settings) as client:
            with pytest.raises(MCPError, match="cannot be cancelled; it was given up"):
                await client.read_resource("x://forever")
            stubborn.released.set()
            await stubborn.ended.wait()
