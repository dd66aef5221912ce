"""Keeping: each context manager is entered and left by one task, in order, within its time."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import pytest
from anyio.lowlevel import checkpoint
from opentelemetry import context as trace_context

from pegboard.keeper import Keepers


@asynccontextmanager
async def recorded(name: str, events: list[str]) -> AsyncGenerator[str]:
    events.append(f"open {name}")
    try:
        yield name
    finally:
        await checkpoint()
        events.append(f"close {name}")


async def test_what_was_opened_last_is_closed_first() -> None:
    events: list[str] = []

    with anyio.fail_after(5):
        async with Keepers() as keepers:
            for name in "abc":
                kept = await keepers.keep(name, recorded(name, events))
                assert (kept.name, kept.value) == (name, name)

    assert events == ["open a", "open b", "open c", "close c", "close b", "close a"]


async def test_the_order_holds_when_the_hub_is_cancelled() -> None:
    events: list[str] = []

    with anyio.fail_after(5):
        with anyio.CancelScope() as hub:
            async with Keepers() as keepers:
                for name in "abc":
                    await keepers.keep(name, recorded(name, events))
                hub.cancel()
                await anyio.sleep_forever()

    assert events[3:] == ["close c", "close b", "close a"]


async def test_one_task_enters_and_leaves() -> None:
    tasks: list[object] = []

    @asynccontextmanager
    async def manager() -> AsyncGenerator[None]:
        tasks.append(asyncio.current_task())
        async with anyio.create_task_group():  # would raise if it were left by another task
            yield
        tasks.append(asyncio.current_task())

    async with Keepers() as keepers:
        async with anyio.create_task_group() as callers:
            callers.start_soon(keepers.keep, "x", manager())

    assert tasks[0] is tasks[1]
    assert tasks[0] is not asyncio.current_task()


async def test_the_error_of_the_block_comes_out_as_it_is() -> None:
    async def fail() -> None:
        async with Keepers() as keepers:
            await keepers.keep("a", recorded("a", []))
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await fail()


async def test_what_does_not_open_in_time_is_cancelled_and_closed() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def slow() -> AsyncGenerator[None]:
        try:
            await anyio.sleep_forever()
            yield
        finally:
            events.append("cleaned")

    with anyio.fail_after(5):
        async with Keepers(open_timeout=0.01) as keepers:
            with pytest.raises(TimeoutError):
                await keepers.keep("slow", slow())
            assert events == ["cleaned"]


async def test_what_fails_to_open_reaches_its_opener_only() -> None:
    @asynccontextmanager
    async def broken() -> AsyncGenerator[None]:
        raise LookupError("no such host")
        yield

    events: list[str] = []
    async with Keepers() as keepers:
        await keepers.keep("a", recorded("a", events))
        with pytest.raises(LookupError, match="no such host"):
            await keepers.keep("broken", broken())
        assert events == ["open a"]


async def test_an_opener_that_gives_up_leaves_nothing_behind() -> None:
    events: list[str] = []

    async with Keepers() as keepers:
        with anyio.CancelScope() as opener:

            @asynccontextmanager
            async def slow() -> AsyncGenerator[None]:
                try:
                    opener.cancel()
                    await anyio.sleep_forever()
                    yield
                finally:
                    events.append("cleaned")

            await keepers.keep("slow", slow())

        assert opener.cancelled_caught
        assert events == ["cleaned"]


async def test_an_opener_that_gives_up_as_it_opens_leaves_nothing_behind() -> None:
    events: list[str] = []

    async with Keepers() as keepers:
        with anyio.CancelScope() as opener:

            @asynccontextmanager
            async def quick() -> AsyncGenerator[None]:
                async with recorded("quick", events):
                    opener.cancel()
                    yield

            await keepers.keep("quick", quick())

        assert events == ["open quick", "close quick"]


@asynccontextmanager
async def hanging() -> AsyncGenerator[None]:
    yield
    await anyio.sleep_forever()


@asynccontextmanager
async def swallowing() -> AsyncGenerator[None]:
    yield
    for _ in range(3):
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            pass


async def test_what_does_not_close_is_cancelled_after_its_time(caplog: pytest.LogCaptureFixture) -> None:
    events: list[str] = []

    with anyio.fail_after(5):
        async with Keepers(close_timeout=0.5) as keepers:
            await keepers.keep("a", recorded("a", events))
            await keepers.keep("the stuck one", hanging())

    assert events == ["open a", "close a"]
    assert caplog.messages == ["the stuck one did not close in time and was cancelled"]


@pytest.mark.parametrize("manager", [hanging, swallowing])
async def test_the_time_counts_while_the_hub_is_cancelled_too(
    manager: Callable[[], AbstractAsyncContextManager[None]],
) -> None:
    with anyio.fail_after(5):
        with anyio.CancelScope() as hub:
            async with Keepers(close_timeout=0.01) as keepers:
                await keepers.keep("stuck", manager())
                hub.cancel()
                await anyio.sleep_forever()


TOO_LONG = 6.0
"""Seconds; longer than any test here waits."""


class Stubborn:
    """A context manager that ignores its cancellation as it is entered, or left, until it is released."""

    def __init__(self) -> None:
        self.released = anyio.Event()
        asyncio.get_running_loop().call_later(TOO_LONG, self.released.set)  # so that a test which fails comes to an end
        self.swallowed = 0

    async def swallow(self) -> None:
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                self.swallowed += 1

    @asynccontextmanager
    async def leaving(self) -> AsyncGenerator[None]:
        yield
        await self.swallow()

    @asynccontextmanager
    async def entering(self) -> AsyncGenerator[None]:
        await self.swallow()
        yield


async def test_what_ignores_its_cancellation_is_left_behind_and_the_others_close(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """F-10."""
    events, left, stubborn = list[str](), list[str](), Stubborn()

    with anyio.fail_after(5):
        async with Keepers(close_timeout=0.5, left=left.append) as keepers:
            await keepers.keep("other", recorded("other", events))
            kept = await keepers.keep("stubborn", stubborn.leaving())
        assert events == ["open other", "close other"]
        assert left == ["stubborn"]
        (told,) = caplog.messages
        assert told.startswith("stubborn ignores its cancellation and is left behind, in wait ")
        assert "swallow (test_keeper.py:" in told

        before = stubborn.swallowed
        for _ in range(20):
            await checkpoint()
        assert stubborn.swallowed <= before + 1  # it is not cancelled anew in every round of the loop
        stubborn.released.set()
        await kept.closed.wait()


async def test_many_that_are_stuck_close_in_the_time_of_one(caplog: pytest.LogCaptureFixture) -> None:
    """F-10: and the order holds for those that are not."""
    events, stubborn = list[str](), Stubborn()

    with anyio.fail_after(5):
        keepers = Keepers(close_timeout=0.5)
        async with keepers:
            await keepers.keep("a", recorded("a", events))
            for number in range(4):
                await keepers.keep(f"stuck {number}", stubborn.leaving())
            await keepers.keep("b", recorded("b", events))
            began = anyio.current_time()
        assert anyio.current_time() - began < 2  # one after the other it would be
        stubborn.released.set()

    assert events == ["open a", "open b", "close b", "close a"]
    assert sum("is left behind" in message for message in caplog.messages) == 4


async def test_what_ignores_its_cancellation_as_it_opens_is_left_behind() -> None:
    """F-10: who wants it hears that it did not open, and a stop does not wait for it."""
    stubborn, left = Stubborn(), list[str]()

    with anyio.fail_after(5):
        async with Keepers(open_timeout=0.01, close_timeout=0.01, left=left.append) as keepers:
            with pytest.raises(TimeoutError):
                await keepers.keep("stubborn", stubborn.entering())
            assert left == ["stubborn"]
        stubborn.released.set()


async def test_what_opens_as_the_keepers_are_left_is_cancelled() -> None:
    opening, left = anyio.Event(), list[str]()

    @asynccontextmanager
    async def slow() -> AsyncGenerator[None]:
        opening.set()
        await anyio.sleep_forever()
        yield

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            async with Keepers(left=left.append) as keepers:

                async def keep() -> None:
                    with pytest.raises(RuntimeError, match="slow was cancelled as it opened"):
                        await keepers.keep("slow", slow())

                tasks.start_soon(keep)
                await opening.wait()
    assert left == []


async def test_nothing_is_done_later_once_they_are_left() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("it")

    async with Keepers() as keepers:
        keepers.later(60, work)
    keepers.later(0, work)
    await checkpoint()

    assert done == []


async def test_what_crashes_later_is_logged_and_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    crash = anyio.Event()
    events: list[str] = []

    @asynccontextmanager
    async def fragile() -> AsyncGenerator[None]:
        async def watch() -> None:
            await crash.wait()
            raise LookupError("connection lost")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            yield

    with anyio.fail_after(5):
        async with Keepers() as keepers:
            await keepers.keep("a", recorded("a", events))
            kept = await keepers.keep("fragile", fragile())
            crash.set()
            await kept.closed.wait()
            assert events == ["open a"]

    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "fragile crashed")
    assert record.exc_info


async def test_what_fails_to_close_does_not_keep_the_others_open(caplog: pytest.LogCaptureFixture) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def failing() -> AsyncGenerator[None]:
        yield
        raise LookupError("already closed")

    async with Keepers() as keepers:
        await keepers.keep("a", recorded("a", events))
        await keepers.keep("failing", failing())

    assert events == ["open a", "close a"]
    assert caplog.messages == ["failing crashed"]


async def test_what_is_kept_does_not_belong_to_the_trace_of_its_opener() -> None:
    seen: list[object] = []

    @asynccontextmanager
    async def manager() -> AsyncGenerator[None]:
        seen.append(trace_context.get_value("span"))
        yield
        seen.append(trace_context.get_value("span"))

    token = trace_context.attach(trace_context.set_value("span", "the first call's"))
    try:
        async with Keepers() as keepers:
            await keepers.keep("x", manager())
            assert trace_context.get_value("span") == "the first call's"
    finally:
        trace_context.detach(token)

    assert seen == [None, None]


def test_a_manager_that_exits_the_process_fails_to_open_like_any_other() -> None:
    @asynccontextmanager
    async def exiting() -> AsyncGenerator[None]:
        raise SystemExit(3)
        yield

    async def main() -> None:
        async with Keepers() as keepers:
            with pytest.raises(RuntimeError, match="SystemExit"):
                await keepers.keep("x", exiting())

    anyio.run(main)


async def test_keepers_are_closing_before_and_after() -> None:
    keepers = Keepers()
    assert keepers.closing

    async with keepers:
        assert not keepers.closing

    assert keepers.closing
