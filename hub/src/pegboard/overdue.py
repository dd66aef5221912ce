"""Overdue: calls that go on long after their deadline are named, since nothing can end what ignores its end."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from pegboard.call import Call

log = logging.getLogger(__name__)

LATE = 5.0
"""Seconds a call has to clean up, after it was cancelled."""

EVERY = 1.0


class Overdue:
    """Knows the calls that run. A call that is `LATE` stands in the log once, with its plugin and tool.

    asyncio has no way to end a task that swallows its cancellation or shields itself from it: such a call keeps its
    place among those of its plugin and its key, and nothing else.
    """

    def __init__(self) -> None:
        self._told: dict[Call[Any], bool] = {}

    def began(self, call: "Call[Any]") -> None:
        """Watch a call, until it has `ended`."""
        self._told[call] = False

    def ended(self, call: "Call[Any]") -> None:
        """A call is over."""
        del self._told[call]

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Look every second, while the block runs."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._look_on)
            yield
            tasks.cancel_scope.cancel()

    async def _look_on(self) -> None:
        while True:
            await anyio.sleep(EVERY)
            self.look()

    def look(self) -> None:
        """Name the calls that are late, each once."""
        for call in [call for call, told in self._told.items() if not told and is_late(call)]:
            self._told[call] = True
            about = {"plugin": call.plugin, "tool": call.tool}
            log.error("%s ignores its cancellation: its time was over %g s ago", call.tool, LATE, extra=about)


def is_late(call: "Call[Any]") -> bool:
    return anyio.current_time() - call.deadline > LATE
