"""A worker: one of several processes behind a port, with a door for the others and a line to its supervisor."""

import json
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from starlette.types import ASGIApp

from pegboard.serving.workers.assignment import Assignment, line_of
from pegboard.serving.workers.door import answer_at
from pegboard.serving.workers.handover import Handover
from pegboard.serving.workers.together import Together

log = logging.getLogger(__name__)

AT_ONCE = 128 + signal.SIGTERM


class Worker:
    """This process, as one of several: what stands before its app, and how it hears of its end.

    Signals of the system drain it, however often they come, since a service manager sends them to the whole group.
    When the supervisor is gone it drains, too; at once it ends when that goes while it drains.
    """

    def __init__(self, assignment: Assignment, line: socket.socket) -> None:
        self.assignment = assignment
        self._line = line
        self._handover: Handover | None = None
        self._stopping = False

    def before(self, app: ASGIApp) -> ASGIApp:
        """The app, as it is served at the shared port."""
        self._handover = Handover(self.assignment, app)
        return Together(self.assignment, self._handover)

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Answer what the others hand to this worker inside the block."""
        assert self._handover is not None
        opened = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer_at, self.assignment.door_of(self.assignment.name), self._handover.own, opened.set)
            await opened.wait()
            tasks.start_soon(self._watch)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await self._handover.close()

    def ready(self, report: Mapping[str, Any]) -> None:
        """Tell the supervisor that this worker listens."""
        self._line.setblocking(True)
        self._line.sendall(json.dumps(report).encode() + b"\n")

    async def drained(self, grace: float) -> None:
        """Wait until the others have answered what this worker has handed to them, at most `grace` seconds."""
        self._stopping = True
        assert self._handover is not None
        with anyio.move_on_after(grace):
            await self._handover.handed.none()

    async def _watch(self) -> None:
        await line_of(self._line)  # nothing comes from it any more but its end
        if self._stopping:
            log.warning("stopped at once with the supervisor")
            logging.shutdown()
            os._exit(AT_ONCE)
        log.warning("the supervisor has ended, and this worker with it")
        signal.raise_signal(signal.SIGTERM)
