"""Keeping: a context manager entered and left by a task of its own, whoever asked for it."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio
from opentelemetry import context as trace_context

from pegboard.apart import Apart, Aparts

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
        self._kept: list[Kept[Any]] = []
        self._tasks = Aparts(left)
        self._is_open = False

    async def __aenter__(self) -> Self:
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        by = anyio.current_time() + self.close_timeout
        self._tasks.cancel(but=[kept.task for kept in self._kept])
        with anyio.CancelScope(shield=True):
            await self._close_all(by)
            await self._tasks.end(by)

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
        kept.task = self._tasks.start(name, partial(self._hold, kept, manager))
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
            self._tasks.start("what was to be done later", wait_and_work)

    async def close(self, kept: Kept[Any]) -> None:
        """Close what is kept, within its time; returns when it is closed, or left behind."""
        await self._close(kept, anyio.current_time() + self.close_timeout)

    async def _hold(self, kept: Kept[P], manager: AbstractAsyncContextManager[P]) -> None:
        trace_context.attach(
            trace_context.Context()
        )  # the call that opens it ends, and its trace; what is kept lives on
        try:
            async with manager as kept.value:
                kept.is_open = True
                self._kept.append(kept)
                kept.entered.set()
                await kept.release.wait()
        except (Exception, SystemExit):  # the crash of one must not reach the others
            if kept.is_open:
                log.exception("%s crashed", kept.name)
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
            await self._tasks.end(anyio.current_time() + self.close_timeout, kept.task)

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
            await self._tasks.end(by, kept.task)
        if kept.task.was_cancelled:
            log.warning("%s did not close in time and was cancelled", kept.name)
        if kept in self._kept:
            self._kept.remove(kept)
