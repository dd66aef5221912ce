"""A worker: one of several processes behind a port, with a door for the others and a line to its supervisor."""

import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from starlette.types import ASGIApp

from pegboard.hub import Hub
from pegboard.serving.workers.assignment import Assignment, Configuration
from pegboard.serving.workers.door import answer_at
from pegboard.serving.workers.handover import Handover
from pegboard.serving.workers.line import Line, line_over
from pegboard.serving.workers.together import Together

log = logging.getLogger(__name__)

AT_ONCE = 128 + signal.SIGTERM


class Worker:
    """This process, as one of several: what stands before its app, and how it hears of its end.

    Signals of the system drain it, however often they come, since a service manager sends them to the whole group.
    When the supervisor is gone it drains, too; at once it ends when that goes while it drains.
    """

    def __init__(self, assignment: Assignment, configuration: Configuration, stream: socket.socket) -> None:
        self.assignment = assignment
        self.configuration = configuration
        """What to serve by, or to try."""
        self._stream = stream
        self._line: Line | None = None
        self._handover: Handover | None = None
        self._stopping = False
        self.is_alone = False
        """Whether the supervisor has ended before this worker. Nobody is to come any more: the port may be taken."""

    def before(self, app: ASGIApp) -> ASGIApp:
        """The app, as it is served at the shared port."""
        self._handover = Handover(self.assignment, app)
        return Together(self.assignment, self._handover)

    @asynccontextmanager
    async def run(self, hub: Hub, reload: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
        """Answer what the others hand to this worker, and reload the hub when the supervisor says so, in the block."""
        assert self._handover is not None
        opened = anyio.Event()
        self._note(hub)
        async with line_over(self._stream) as self._line, anyio.create_task_group() as tasks:
            tasks.start_soon(answer_at, self.assignment.door_of(self.assignment.name), self._handover.own, opened.set)
            await opened.wait()
            tasks.start_soon(self._listen, self._line, hub, reload)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await self._handover.close()

    def ready(self, report: Mapping[str, Any]) -> None:
        """Tell the supervisor that this worker listens."""
        assert self._line is not None
        self._line.tell(report)

    def leaves(self, delay: float) -> float:
        """Begin to stop; returns for how long to go on first: the `delay`, or not at all without a supervisor."""
        self._stopping = True
        return 0 if self.is_alone else delay

    async def drained(self, grace: float) -> None:
        """Wait until the others have answered what this worker has handed to them, at most `grace` seconds."""
        assert self._handover is not None
        with anyio.move_on_after(grace):
            await self._handover.handed.none()

    async def _listen(self, line: Line, hub: Hub, reload: Callable[[], Awaitable[None]]) -> None:
        while (said := await line.hear()) is not None:
            if "ask" in said:
                line.tell({"answer": "still here"})
                continue
            if "reload" in said:
                self.configuration = Configuration(**said["reload"])
                await reload()
                line.tell({"problem": hub.reload_problem})
            else:
                self.configuration = Configuration(**said["note"])
            if hub.reload_problem is None or "note" in said:
                self._note(hub)
        self._end_alone()

    def _note(self, hub: Hub) -> None:
        """Count as all workers do, also what came before this one was there, or without it."""
        hub.generation, hub.reload_attempts = self.configuration.generation, self.configuration.attempts
        hub.reload_problem = self.configuration.problem

    def _end_alone(self) -> None:
        if self._stopping:
            log.warning("stopped at once with the supervisor")
            logging.shutdown()
            os._exit(AT_ONCE)
        self.is_alone = True
        log.warning("the supervisor has ended, and this worker with it")
        signal.raise_signal(signal.SIGTERM)
