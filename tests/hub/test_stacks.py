"""Stacks: where a thread or a task is, in one line."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from types import coroutine
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from pegboard.stacks import place_of, place_of_task


def test_a_place_is_the_innermost_calls_without_values() -> None:
    password = "hunter2"

    place = place_of(inspect.currentframe())

    assert place.startswith("test_a_place_is_the_innermost_calls_without_values (test_stacks.py:")
    assert password not in place


def test_a_thread_may_be_gone() -> None:
    assert place_of(None) == "a thread that is gone"


async def place_in(work: Any) -> list[str]:
    """The names of the functions in which a task waits."""
    task = asyncio.get_running_loop().create_task(work)
    for _ in range(3):
        await checkpoint()
    place = place_of_task(task)
    task.cancel()
    await asyncio.wait([task])
    assert place_of_task(task) == "a task that is gone"
    return [call.partition(" ")[0] for call in place.split(" < ")]


async def sleeping() -> None:
    await anyio.Event().wait()


async def test_the_place_of_a_task_is_where_it_waits() -> None:
    """F-10: and not only where it began."""

    async def outer() -> None:
        await sleeping()

    assert (await place_in(outer()))[-2:] == ["sleeping", "outer"]


async def test_a_context_manager_is_seen_through() -> None:
    """F-10: what waits for the next step of a generator does not say whose it is."""

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        yield
        await sleeping()

    async def outer() -> None:
        async with lifespan():
            pass

    assert (await place_in(outer()))[-4:] == ["sleeping", "lifespan", "__aexit__", "outer"]


async def test_generators_are_seen_through() -> None:
    @coroutine
    def old() -> Generator[Any, Any, None]:
        yield from sleeping().__await__()

    async def outer() -> None:
        await old()

    assert (await place_in(outer()))[-2:] == ["old", "outer"]


async def test_what_seems_to_wait_for_itself_has_a_place_as_well() -> None:
    """F-10: what a generator waits in is guessed, by a name that others use, too."""

    class Feed:
        def __init__(self) -> None:
            self.gen = self.lines()

        async def lines(self) -> AsyncGenerator[str]:
            async for line in self.source():
                yield line

        async def source(self) -> AsyncGenerator[str]:
            await sleeping()
            yield ""

        async def read(self) -> None:
            async for _ in self.gen:
                pass

    assert set(await place_in(Feed().read())) == {"lines"}
