"""A spare: a process that has started before a worker is needed, since most of a worker's start is to import."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from subprocess import DEVNULL
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import Process

from pegboard.serving.workers.line import Line, opened


@dataclass(frozen=True, slots=True)
class Started:
    """A process that waits on its line to be told which worker it is. It ends by itself when nobody is there."""

    process: Process
    line: Line

    @property
    def is_alive(self) -> bool:
        """Whether it runs, as far as is known."""
        return self.process.returncode is None

    def drop(self) -> None:
        """Hang up, and end it if it has not ended."""
        self.line.close()
        if self.is_alive:
            self.process.kill()


class Spares:
    """The processes that wait; those nobody has taken end with the block."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._waiting: list[Started] = []
        self._filling = anyio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            for started in self._waiting:
                started.drop()
                await started.process.wait()

    async def fill(self, count: int) -> None:
        """See that `count` processes wait."""
        async with self._filling:
            self._waiting = [started for started in self._waiting if started.is_alive]
            while len(self._waiting) < count:
                self._waiting.append(await start(self._command))

    async def take(self) -> Started:
        """One that waits, or a new one; it belongs to who has taken it."""
        while self._waiting:
            started = self._waiting.pop(0)
            if started.is_alive:
                return started
            started.drop()
        return await start(self._command)


async def start(command: Sequence[str]) -> Started:
    """Start a process that can be a worker. It is in a session of its own: Ctrl-C is for the supervisor."""
    ours, theirs = socket.socketpair()
    line = await opened(ours)
    with theirs:
        try:
            process = await anyio.open_process(
                [*command, "--worker", str(theirs.fileno())],
                stdin=DEVNULL,
                stdout=None,
                stderr=None,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except BaseException:
            line.close()
            raise
    return Started(process, line)
