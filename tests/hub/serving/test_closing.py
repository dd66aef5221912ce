"""What ends a stream calls off whoever waits, and keeps nothing of those who do not."""

import anyio
import anyio.lowlevel
import pytest
from starlette.types import Message

from pegboard.serving.closing import DISCONNECT, Closing, until

REQUEST: Message = {"type": "http.request"}


async def request() -> Message:
    return REQUEST


async def never() -> Message:
    await anyio.sleep_forever()
    raise AssertionError


async def test_without_a_closing_everything_is_received() -> None:
    assert await until([Closing(), Closing()], request)() == REQUEST


@pytest.mark.parametrize("which", [0, 1])
async def test_after_one_of_the_closings_nothing_is_received(which: int) -> None:
    closings = [Closing(), Closing()]
    closings[which].set()

    assert [closing.is_set() for closing in closings].index(True) == which
    assert await until(closings, request)() == DISCONNECT


@pytest.mark.parametrize("which", [0, 1])
async def test_one_closing_calls_off_all_who_wait(which: int) -> None:
    closings = [Closing(), Closing()]
    received: list[Message] = []

    async def wait() -> None:
        received.append(await until(closings, never)())

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            closings[which].set()

    assert received == [DISCONNECT] * 3


async def test_who_received_something_is_not_called_off_afterwards() -> None:
    closing = Closing()
    with anyio.fail_after(5):
        await until([closing], request)()
        closing.set()
        await anyio.lowlevel.checkpoint()


async def test_a_wait_that_is_cancelled_is_forgotten() -> None:
    closing, received = Closing(), list[Message]()

    with anyio.move_on_after(0):
        received.append(await until([closing], never)())
    closing.set()

    assert received == []
    assert not closing._waiting  # pyright: ignore[reportPrivateUsage] # what stays would be a leak
