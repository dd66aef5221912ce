"""The end of the process: it comes in time, names what is left, and can be called off."""

import asyncio
import logging
import os
import threading
from collections.abc import Generator
from contextlib import suppress

import anyio
import anyio.to_thread
import pytest

from pegboard.cli.starting import run
from pegboard.ending import Ending, busy_threads, ending, what_is_left


class Exit:
    """Stands in for `os._exit`, and for the flush of the log before it."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.status: int | None = None

    def __call__(self, status: int) -> None:
        self.status = status
        self.came.set()


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> Exit:
    found = Exit()
    monkeypatch.setattr(os, "_exit", found)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    return found


@pytest.fixture
def stuck() -> Generator[threading.Event]:
    """A thread that the interpreter would wait for."""
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="stuck")
    thread.start()
    yield release
    release.set()
    thread.join()


def test_what_a_command_has_found_out_is_there_whatever_it_has_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """F-10: a task that ignores its cancellation, and a thread."""
    release, tasks = threading.Event(), list[asyncio.Task[None]]()

    async def stubborn() -> None:
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    async def work() -> str:
        tasks.append(asyncio.create_task(stubborn()))
        asyncio.get_running_loop().run_in_executor(None, release.wait)
        await asyncio.sleep(0)
        return "the answer"

    try:
        assert run(work) == "the answer"
    finally:
        release.set()
    assert "without waiting any longer for the task 'Task-" in caplog.text
    assert "stubborn (test_ending.py" in caplog.text


async def test_the_process_ends_in_time_and_names_what_is_left(
    exits: Exit, stuck: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """F-10."""
    assert not stuck.is_set()
    waiting = [2, 1, 0]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep_forever, name="forgotten")
        end = Ending(asyncio.get_running_loop())
        end.unwritten = lambda: waiting.pop(0)
        end.within(0.01, 3)
        assert await anyio.to_thread.run_sync(exits.came.wait, 5)
        tasks.cancel_scope.cancel()

    assert exits.status == 3
    assert waiting == []
    told = "the process ends without waiting any longer for "
    assert any(f"{told}the task 'forgotten', in sleep " in message for message in caplog.messages)
    assert any(f"{told}the thread 'stuck', in wait (threading.py" in message for message in caplog.messages)


async def test_what_cannot_be_written_is_not_waited_for(exits: Exit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pegboard.ending.FLUSH", 0.01)
    end = Ending()
    end.unwritten = lambda: 1
    end.within(0)
    assert await anyio.to_thread.run_sync(exits.came.wait, 5)


async def test_it_waits_for_no_lock_of_the_log(exits: Exit, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-10: somebody may be stuck who has it, and what asks for what is left may fail."""
    held = threading.Event()
    monkeypatch.setattr("pegboard.ending.FLUSH", 0.01)
    monkeypatch.setattr(logging, "shutdown", lambda: held.wait(5))
    Ending().within(0, 3)
    assert await anyio.to_thread.run_sync(exits.came.wait, 4)
    held.set()
    assert exits.status == 3


async def test_it_is_called_off_when_its_block_is_left(exits: Exit) -> None:
    with ending() as end:
        end.within(60)
        (thread,) = [thread for thread in threading.enumerate() if thread.name == "pegboard end"]
    thread.join(5)
    assert not thread.is_alive()
    assert exits.status is None


async def test_a_thread_that_waits_for_work_is_not_left() -> None:
    await anyio.to_thread.run_sync(lambda: None)
    await asyncio.to_thread(lambda: None)
    with anyio.fail_after(5):
        while list(busy_threads()):  # until they wait
            await anyio.sleep(0.001)
    assert what_is_left() == []
