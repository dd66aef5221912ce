"""Overdue: a call that goes on after its end is cut off from whoever waits for it, named and counted."""

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from pegboard.apart import Apart
from pegboard.metrics import Metrics
from pegboard.running import RUNNING
from pegboard.security.turns import Turn

if TYPE_CHECKING:
    from pegboard.call import Call

log = logging.getLogger(__name__)

T = TypeVar("T")

LATE = 5.0
"""Seconds a call has to clean up, after it was cancelled."""


class Abandoned(Exception):  # noqa: N818 # an answer, not a failure
    """A call ignores that its time is over; nobody waits for it any more."""


class Overdue:
    """Runs calls, each in a task of its own, and gives up those that ignore their cancellation.

    asyncio has no way to end a task that swallows its cancellation or shields itself from it. `LATE` seconds after
    its end such a call keeps its turn among those of its plugin, and nothing else: its client has an answer, its key,
    its session and a hub that stops do not wait for it. So a broken plugin is busy, and no other is harmed.
    """

    def __init__(self, metrics: Metrics | None = None) -> None:
        self._metrics = metrics or Metrics()
        self._told: set[tuple[str, str]] = set()
        self._running: dict[Apart[Any], Call[Any]] = {}
        self._calls: set[Call[Any]] = set()

    async def run(self, call: "Call[Any]", turn: Turn, work: Callable[[], Awaitable[T]]) -> T | None:
        """Run the work of a call until its deadline, and return or raise what it does.

        Returns `None` when it was cancelled, and raises `Abandoned` when it ignores that. Cancelling whoever waits
        cancels the work, which has `LATE` seconds to clean up as well.
        """

        async def run() -> T:
            RUNNING.set(call)
            return await work()

        task = Apart(call.tool, run, call.deadline, LATE)
        self._running[task] = call
        self._calls.add(call)
        try:
            await task.ended()
        except BaseException:
            task.cancel()
            with anyio.move_on_after(LATE, shield=True):
                await task.ended()
            raise
        finally:
            if task.has_ended:
                self._over(task)
            else:
                self._abandon(task, call, turn)
        if not task.has_ended:
            raise Abandoned
        return task.result()

    def _abandon(self, task: Apart[Any], call: "Call[Any]", turn: Turn) -> None:
        """Let go of everything but its turn; the log names a tool once."""
        task.leave()
        turn.is_kept = True
        self._metrics.abandoned(call.plugin, "call")
        first = (call.plugin, call.tool) not in self._told
        self._told.add((call.plugin, call.tool))
        about = {"plugin": call.plugin, "tool": call.tool}
        told = "%s ignores its cancellation: its time was over %g s ago, nobody waits for it any more; it is in %s"
        log.log(logging.ERROR if first else logging.DEBUG, told, call.tool, LATE, task.place, extra=about)

        def end(_: BaseException | None) -> None:
            self._over(task)
            turn.end()
            log.info("%s has ended at last", call.tool, extra=about)

        task.when_ended(end)

    def _over(self, task: Apart[Any]) -> None:
        self._calls.discard(self._running.pop(task))

    async def give_up(self) -> None:
        """Wait for no call any longer."""
        for task in self._running:
            task.let_go()

    def goes_on(self, call: "Call[Any]") -> bool:
        """Whether a call still runs, given up or not."""
        return call in self._calls
