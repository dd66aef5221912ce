"""Keeping: a context manager entered and left by a task of its own, whoever asked for it."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio
from opentelemetry import context as trace_context

from pegboard.apart import Apart
from pegboard.running import RUNNING

log = logging.getLogger(__name__)

P = TypeVar("P")

ITS_OWN_WAY = 0.8
"""The part of its time to close in which nothing cancels it; the rest is for heeding the cancellation."""


@dataclass(eq=False, slots=True)
class Kept(Generic[P]):
    """What one task keeps open: its name, its value, and whether it is still there."""

    name: str
    value: P = field(init=False)
    task: Apart[None] = field(init=False, repr=False)
    is_open: bool = False
    entered: anyio.Event = field(default_factory=anyio.Event)
    """Set when it is open, or will never be."""
    release: anyio.Event = field(default_factory=anyio.Event)
    closed: anyio.Event = field(default_factory=anyio.Event)


class Keepers:
    """Opens context managers, each in a task of its own; an async context manager that closes them all.

    What holds a cancel scope must be left by the task that entered it, and the call that happens to open a pool ends
    long before the pool. Leaving closes in reverse order of opening, also while the hub itself is being cancelled, and
    takes `close_timeout` seconds at most: what needs more is cancelled, and what ignores that is left behind; `left`
    gets its name.
    """

    def __init__(
        self,
        *,
        open_timeout: float = 10.0,
        close_timeout: float = 5.0,
        left: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.open_timeout = open_timeout
        self.close_timeout = close_timeout
        self._left = left
        self._kept: list[Kept[Any]] = []
        self._tasks: set[Apart[None]] = set()
        self._is_open = False

    async def __aenter__(self) -> Self:
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        by = anyio.current_time() + self.close_timeout
        for other in self._tasks - {kept.task for kept in self._kept}:
            other.cancel()
        with anyio.CancelScope(shield=True):
            await self._close_all(by)
            for other in tuple(self._tasks):
                await self._end(other, by)

    @property
    def closing(self) -> bool:
        """Whether nothing can be opened any more, or not yet."""
        return not self._is_open

    async def keep(self, name: str, manager: AbstractAsyncContextManager[P]) -> Kept[P]:
        """Enter `manager` in a new task and return what it yields; it stays open until the keepers are left.

        Raises `TimeoutError` when it does not open in time, and whatever entering raises. Neither leaves anything
        behind, nor does being cancelled. A manager that fails later is logged, closed and forgotten: `closed` is set.
        """
        assert self._is_open
        kept: Kept[P] = Kept(name)
        kept.task = self._start(name, partial(self._hold, kept, manager))
        try:
            with anyio.fail_after(self.open_timeout):
                await kept.entered.wait()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._give_up(kept)
            raise
        if not kept.is_open:
            await kept.task.ended()
            kept.task.result()
            raise RuntimeError(f"{name} was cancelled as it opened")
        return kept

    def later(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` after a while, unless the keepers are left before."""

        async def wait_and_work() -> None:
            await anyio.sleep(seconds)
            await work()

        if self._is_open:
            self._start("what was to be done later", wait_and_work)

    async def close(self, kept: Kept[Any]) -> None:
        """Close what is kept, within its time; returns when it is closed, or left behind."""
        await self._close(kept, anyio.current_time() + self.close_timeout)

    def _start(self, name: str, work: Callable[[], Awaitable[None]]) -> Apart[None]:
        """A task that belongs to no call: the one that happens to start it ends, and its trace."""
        context = copy_context()
        context.run(RUNNING.set, None)
        context.run(trace_context.attach, trace_context.Context())
        task = context.run(lambda: Apart(name, work))
        self._tasks.add(task)
        task.when_ended(lambda _: self._tasks.discard(task))
        return task

    async def _hold(self, kept: Kept[P], manager: AbstractAsyncContextManager[P]) -> None:
        try:
            async with manager as kept.value:
                kept.is_open = True
                self._kept.append(kept)
                kept.entered.set()
                await kept.release.wait()
        except (Exception, SystemExit) as error:  # the crash of one must not reach the others
            if kept.is_open:
                log.exception("%s crashed", kept.name)
            elif isinstance(error, SystemExit):  # it would end the event loop and everything in it
                raise RuntimeError(repr(error)) from error
            else:  # its opener hears of it
                raise
        finally:
            if kept in self._kept:
                self._kept.remove(kept)
            kept.entered.set()
            kept.closed.set()

    async def _give_up(self, kept: Kept[Any]) -> None:
        """Close what nobody wants any more, whether it is open yet or not."""
        if kept.is_open:
            await self.close(kept)
        else:
            kept.task.cancel()
            await self._end(kept.task, anyio.current_time() + self.close_timeout)

    async def _close_all(self, by: float) -> None:
        """Close one after the other, the last opened first; one that is slow does not take the time of the others."""
        kept = self._kept[::-1]
        patience = self.close_timeout / 2 / max(1, len(kept))
        async with anyio.create_task_group() as tasks:
            for one in kept:
                tasks.start_soon(self._close, one, by)
                with anyio.move_on_after(patience):
                    await one.closed.wait()

    async def _close(self, kept: Kept[Any], by: float) -> None:
        kept.release.set()
        now = anyio.current_time()
        kept.task.cancel_at(now + (by - now) * ITS_OWN_WAY)
        with anyio.CancelScope(shield=True):
            await self._end(kept.task, by)
        if kept.task.was_cancelled:
            log.warning("%s did not close in time and was cancelled", kept.name)
        if kept in self._kept:
            self._kept.remove(kept)

    async def _end(self, task: Apart[None], by: float) -> None:
        """Wait for a task that is to end, and leave it behind at that time."""
        with anyio.CancelScope(deadline=by):
            await task.ended()
        if not task.has_ended and not task.is_left:
            task.leave()
            log.error("%s ignores its cancellation and is left behind, in %s", task.name, task.place)
            self._left(task.name)
