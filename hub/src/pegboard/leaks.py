"""Leaks: tasks that a call has started and that outlive it, named, counted and ended with their plugin."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from pegboard.metrics import Metrics
from pegboard.running import RUNNING
from pegboard.stacks import place_of_task

if TYPE_CHECKING:
    from pegboard.call import Call

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks; a task that ends with its call, or soon after, is none."""

HEED = 1.0
"""Seconds a leaked task has to end, when it is cancelled."""

Task = asyncio.Future[Any]


class Leaks:
    """Knows the tasks that were started inside of calls, by `asyncio.create_task` or by a library.

    A task that is there after its call is a leak: its plugin should own it by its lifespan. The hub lets it run, since
    it may be of use, tells of it once for each tool, and cancels it when the plugin is unloaded or the hub stops.
    `goes_on` says whether a call still runs.
    """

    def __init__(self, goes_on: "Callable[[Call[Any]], bool]", metrics: Metrics | None = None) -> None:
        self._goes_on = goes_on
        self._metrics = metrics or Metrics()
        self._started: dict[Task, Call[Any]] = {}
        self._late: set[Task] = set()
        self._leaked: set[Task] = set()
        self._told: set[tuple[str, str]] = set()
        self._is_watching = True

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Watch the tasks of this event loop, while the block runs."""
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()
        factory = self._factory(before)
        loop.set_task_factory(factory)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._look_on)
                yield
                tasks.cancel_scope.cancel()
        finally:
            self._is_watching = False
            if loop.get_task_factory() is factory:  # or it is in use by another hub, which was opened later
                loop.set_task_factory(before)

    def _factory(self, before: Any) -> Any:
        # Behind ours anyio would not know an eager one again, which its cancel scopes have to.
        make: Callable[..., Task] = _make if before in (None, getattr(asyncio, "eager_task_factory", None)) else before

        def factory(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any) -> Task:
            task, call = make(loop, work, **options), RUNNING.get()
            if call is not None and self._is_watching:
                self._started[task] = call
                task.add_done_callback(self._forget)
            return task

        return factory

    def _forget(self, task: Task) -> None:
        self._started.pop(task, None)
        self._late.discard(task)
        self._leaked.discard(task)

    async def _look_on(self) -> None:
        while True:
            await anyio.sleep(EVERY)
            self.look()

    def look(self) -> None:
        """Name the tasks whose call was over at the last look already."""
        late = {task for task, call in self._started.items() if not self._goes_on(call)}
        for task in (late & self._late) - self._leaked:
            self._tell(task, self._started[task])
        self._late = late

    def _tell(self, task: Task, call: "Call[Any]") -> None:
        self._leaked.add(task)
        self._metrics.abandoned(call.plugin, "task")
        if (call.plugin, call.tool) not in self._told:
            self._told.add((call.plugin, call.tool))
            where = place_of_task(task) if isinstance(task, asyncio.Task) else "a task of its own kind"
            about = {"plugin": call.plugin, "tool": call.tool}
            log.warning("%s has left a task behind, in %s; a lifespan should own it", call.tool, where, extra=about)

    async def cancel(self, plugin: str | None = None) -> None:
        """End the tasks that this plugin's calls, or those of all, have left behind, and wait a second for that."""
        ending = [task for task, call in self._started.items() if plugin in (None, call.plugin)]
        ending = [task for task in ending if not self._goes_on(self._started[task])]
        for task in ending:
            task.cancel()
        if ending:
            with anyio.CancelScope(shield=True):
                await asyncio.wait(ending, timeout=HEED)
        for task in ending:
            if not task.done():
                log.error("a task that %s has left behind ignores its cancellation", self._started[task].tool)


def _make(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any) -> Task:
    return asyncio.Task(work, loop=loop, **options)
