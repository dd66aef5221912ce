"""Overdue: a call that ignores its cancellation is named in the log, and the others do not notice."""

import logging

import anyio
import pytest

from pegboard import Plugin, overdue, tool
from pegboard.testing import connect


def stubborn(released: anyio.Event) -> Plugin:
    """A plugin with a tool that does not let itself be cancelled, and one that does."""

    @tool(timeout=0.01, read_only=True)
    async def forever() -> str:
        """Ignore the deadline."""
        with anyio.CancelScope(shield=True):
            await released.wait()
        return "at last"

    @tool(timeout=0.01, read_only=True)
    async def obedient() -> str:
        """Be cancelled at the deadline."""
        await anyio.sleep_forever()
        return "never"

    return Plugin(name="x", tools=[forever, obedient])


async def test_a_call_that_ignores_its_cancellation_is_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """F-10."""
    monkeypatch.setattr(overdue, "LATE", 0.01)
    monkeypatch.setattr(overdue, "EVERY", 0.001)
    released, told = anyio.Event(), anyio.Event()

    def tell(_: logging.LogRecord) -> bool:
        told.set()
        return True

    overdue.log.addFilter(tell)
    try:
        with anyio.fail_after(5):
            async with connect(stubborn(released)) as client, anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "x_forever")
                await told.wait()
                assert (await client.call_tool("x_obedient")).is_error
                released.set()
    finally:
        overdue.log.removeFilter(tell)

    (record,) = [record for record in caplog.records if record.name == overdue.log.name]
    assert record.getMessage() == "x_forever ignores its cancellation: its time was over 0.01 s ago"
    assert (record.levelno, vars(record)["plugin"]) == (logging.ERROR, "x")
