"""Apart: work in a task of its own, which whoever waits for it can leave behind."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from contextvars import copy_context
from typing import Any, Generic, TypeVar

import anyio

from pegboard.running import RUNNING
from pegboard.stacks import place_of_task

log = logging.getLogger(__name__)

T = TypeVar("T")


class Apart(Generic[T]):
    """Runs `work` in a task of its own from now on; at `deadline` it is cancelled, and let go `patience` seconds later.

    A task group waits for ever for a task that swallows its cancellation, and cancels it anew in every round of the
    loop meanwhile. So this is a task of asyncio's own, and its work stands in two scopes: the outer one is cancelled;
    the inner one is shielded from that when the work is left behind, which ends those rounds.
    """

    def __init__(
        self, name: str, work: Callable[[], Awaitable[T]], deadline: float = math.inf, patience: float = math.inf
    ) -> None:
        self.name = name
        self.is_left = False
        """Whether nobody waits for it any more."""
        self._patience = patience
        self._scope = anyio.CancelScope()
        self._grip = anyio.CancelScope()
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        # A deadline of a scope costs twice what the scope does, and each call pays for it.
        self._timer = self._loop.call_at(deadline, self._end) if deadline < math.inf else None
        self._task = self._loop.create_task(self._run(work), name=name)
        self._task.add_done_callback(self._over)

    async def _run(self, work: Callable[[], Awaitable[T]]) -> T | None:
        try:
            with self._scope, self._grip:
                return await work()
        except SystemExit as error:  # asyncio would end the event loop, and everything in it
            raise RuntimeError(repr(error)) from error
        return None

    def _end(self) -> None:
        self.cancel()
        if self._patience < math.inf:
            self._timer = self._loop.call_later(self._patience, self.let_go)

    def _over(self, task: "asyncio.Task[T | None]") -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not task.cancelled():
            task.exception()  # or asyncio logs those that nobody has asked for
        self._ended.set()

    @property
    def has_ended(self) -> bool:
        """Whether the work is over, however it ended."""
        return self._task.done()

    @property
    def was_cancelled(self) -> bool:
        """Whether the work is over because it was asked to end."""
        return self._scope.cancelled_caught

    @property
    def place(self) -> str:
        """Where the work waits now."""
        return place_of_task(self._task)

    def cancel(self) -> None:
        """Ask the work to end now."""
        self._scope.cancel()

    def cancel_at(self, deadline: float) -> None:
        """Ask the work to end at that time, if it has not ended before."""
        self._timer = self._loop.call_at(deadline, self._end)

    async def ended(self) -> None:
        """Wait until the work is over, or let go; what it raises stays in `result`."""
        await self._ended.wait()

    def result(self) -> T | None:
        """What the work has returned, `None` if it was cancelled; raises what it has raised."""
        return None if self._task.cancelled() else self._task.result()

    def when_ended(self, then: Callable[[BaseException | None], None]) -> None:
        """Have `then` called when the work is over, with what it has raised, if it has."""
        self._task.add_done_callback(lambda task: then(None if task.cancelled() else task.exception()))

    def let_go(self) -> None:
        """Have whoever waits wait no longer; the work may not be over."""
        self._ended.set()

    def leave(self) -> None:
        """Wait for it no longer."""
        self.is_left = True
        self._grip.shield = True


class Aparts:
    """Work that belongs to no call, though one may have begun it; `left` gets the name of what is left behind."""

    def __init__(self, left: Callable[[str], None] = lambda _: None) -> None:
        self._left = left
        self._tasks: set[Apart[Any]] = set()

    def start(self, name: str, work: Callable[[], Awaitable[T]]) -> Apart[T]:
        """Run `work` from now on."""
        context = copy_context()
        context.run(RUNNING.set, None)  # or it would count as a task that the call has left behind
        task: Apart[T] = context.run(lambda: Apart(name, work))
        self._tasks.add(task)
        task.when_ended(lambda _: self._tasks.discard(task))
        return task

    def cancel(self, but: Iterable[Apart[Any]] = ()) -> None:
        """Ask all of it to end now, `but` these."""
        for task in self._tasks.difference(but):
            task.cancel()

    async def end(self, by: float, *tasks: Apart[Any]) -> None:
        """Wait until that time for these, or for all there are, and leave behind what has not ended then."""
        for task in tasks or tuple(self._tasks):
            with anyio.CancelScope(deadline=by):
                await task.ended()
            if not task.has_ended and not task.is_left:
                task.leave()
                log.error("%s ignores its cancellation and is left behind, in %s", task.name, task.place)
                self._left(task.name)
