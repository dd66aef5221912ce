"""Keeping: a context manager entered and left by a task of its own, whoever asked for it."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio
import anyio.abc
from opentelemetry import context as trace_context

from pegboard.running import RUNNING

log = logging.getLogger(__name__)

P = TypeVar("P")


@dataclass(eq=False, slots=True)
class Kept(Generic[P]):
    """What one task keeps open: its name, its value, and whether it is still there."""

    name: str
    value: P
    scope: anyio.CancelScope = field(repr=False)
    release: anyio.Event = field(default_factory=anyio.Event)
    closed: anyio.Event = field(default_factory=anyio.Event)


class Keepers:
    """Opens context managers, each in a task of its own; an async context manager that closes them all.

    What holds a cancel scope must be left by the task that entered it, and the call that happens to open a pool ends
    long before the pool. Leaving closes in reverse order of opening. Each has `close_timeout` seconds to close, also
    while the hub itself is being cancelled; then it is cancelled.
    """

    def __init__(self, *, open_timeout: float = 10.0, close_timeout: float = 5.0) -> None:
        self.open_timeout = open_timeout
        self.close_timeout = close_timeout
        self._kept: list[Kept[Any]] = []
        self._tasks: anyio.abc.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks, self._tasks = self._tasks, None
        assert tasks is not None
        for kept in reversed(list(self._kept)):
            await self.close(kept)
        tasks.cancel_scope.cancel()
        # The error of the block is none of the keepers' own: handed to the group it would come back wrapped in one.
        await tasks.__aexit__(None, None, None)

    @property
    def closing(self) -> bool:
        """Whether nothing can be opened any more, or not yet."""
        return self._tasks is None

    async def keep(self, name: str, manager: AbstractAsyncContextManager[P]) -> Kept[P]:
        """Enter `manager` in a new task and return what it yields; it stays open until the keepers are left.

        Raises `TimeoutError` when it does not open in time, and whatever entering raises. Neither leaves anything
        behind, nor does being cancelled. A manager that fails later is logged, closed and forgotten: `closed` is set.
        """
        assert self._tasks is not None
        with anyio.fail_after(self.open_timeout):
            kept: Kept[P] = await self._tasks.start(self._hold, name, manager)
        # From now on only `release` ends it: a hub that is cancelled, too, closes the last opened first.
        kept.scope.shield = True
        return kept

    async def _hold(
        self, name: str, manager: AbstractAsyncContextManager[P], *, task_status: anyio.abc.TaskStatus[Kept[P]]
    ) -> None:
        # The call that opens it ends, and its trace; what is kept lives on.
        trace_context.attach(trace_context.Context())
        RUNNING.set(None)
        kept: Kept[P] | None = None
        try:
            with anyio.CancelScope() as scope:
                async with manager as value:
                    kept = Kept(name, value, scope)
                    self._kept.append(kept)
                    task_status.started(kept)
                    try:
                        await kept.release.wait()
                    finally:
                        scope.deadline = anyio.current_time() + self.close_timeout
                        scope.shield = True
            if scope.cancelled_caught:
                log.warning("%s did not close within %g s", name, self.close_timeout)
        except (Exception, SystemExit) as error:  # the crash of one must not reach the others
            if kept is not None:
                log.exception("%s crashed", name)
            elif isinstance(error, SystemExit):  # it would end the event loop and everything in it
                raise RuntimeError(repr(error)) from error
            else:  # its opener hears of it
                raise
        finally:
            if kept is not None:
                self._kept.remove(kept)
                kept.closed.set()

    def later(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` after a while, unless the keepers are left before."""

        async def wait_and_work() -> None:
            await anyio.sleep(seconds)
            await work()

        if self._tasks is not None:
            self._tasks.start_soon(wait_and_work)

    async def close(self, kept: Kept[Any]) -> None:
        """Close what is kept, within its time; returns when it is closed, or left behind."""
        kept.release.set()
        with anyio.move_on_after(self.close_timeout * 2, shield=True) as scope:
            await kept.closed.wait()
        if scope.cancelled_caught:
            log.error("%s ignores its cancellation and is left behind", kept.name)
