"""The event loop's lag: how late it wakes up, and what held it up while it did not."""

import logging
import threading
import time
from collections.abc import Generator

import anyio
import pytest

from pegboard.lag import watching_the_loop


async def test_a_loop_that_is_free_is_hardly_late() -> None:
    late: list[float] = []
    two = anyio.Event()

    def lagged(seconds: float) -> None:
        late.append(seconds)
        if len(late) == 2:
            two.set()

    with anyio.fail_after(5):
        async with watching_the_loop(lagged, too_late=5):
            await two.wait()

    assert all(0 <= seconds < 5 for seconds in late)


class Told(logging.Handler):
    """Waits, from any thread, until the log says that the loop is held up."""

    def __init__(self) -> None:
        super().__init__()
        self.event = threading.Event()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        if "is held up" in record.getMessage():
            self.event.set()


@pytest.fixture
def told() -> Generator[Told]:
    handler, logger = Told(), logging.getLogger("pegboard.lag")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


async def test_who_holds_up_the_loop_is_told_while_it_does(told: Told) -> None:
    """F-09: a plugin blocks the event loop; the log says where, and the lag is counted."""
    late: list[float] = []
    counted = anyio.Event()

    def lagged(seconds: float) -> None:
        late.append(seconds)
        if seconds > 0.01:
            counted.set()

    def a_plugin_that_blocks() -> None:
        assert told.event.wait(5)  # until the thread beside the loop has seen it
        deadline = time.monotonic() + 0.05
        while time.monotonic() < deadline:
            pass

    with anyio.fail_after(10):
        async with watching_the_loop(lagged, too_late=0.01):
            a_plugin_that_blocks()
            await counted.wait()

    first = told.messages[0]
    assert "the event loop is held up, for " in first
    assert "a_plugin_that_blocks (test_lag.py:" in first
    assert "\n" not in first
    assert any("was held up for" in message for message in told.messages)
    assert max(late) > 0.01


async def test_it_is_told_once_for_each_time(told: Told) -> None:
    async with watching_the_loop(lambda _: None, too_late=0.001):
        assert told.event.wait(5)
        threading.Event().wait(0.25)  # held up for two looks more

    assert sum("is held up" in message for message in told.messages) == 1


async def test_nothing_is_left_when_the_block_ends() -> None:
    async with watching_the_loop(lambda _: None):
        (watcher,) = [thread for thread in threading.enumerate() if thread.name == "pegboard lag"]

    watcher.join(5)
    assert not watcher.is_alive()
