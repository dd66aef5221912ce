"""The supervisor: starts workers, starts those anew that die, and passes signals on; it serves nothing itself."""

import json
import logging
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import DEVNULL
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from anyio.abc import Process, TaskStatus

from pegboard.errors import ConfigError
from pegboard.serving.signals import reload_on_hangup, stop_on_signal
from pegboard.serving.workers.assignment import Assignment, line_of, names_of
from pegboard.settings import HubSettings, ServerSettings

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "pegboard.cli", "serve")

Report = Mapping[str, Any]
"""What a worker says when it is ready."""


@dataclass(slots=True)
class Patience:
    """How long to wait before a worker is started anew: longer for each that died young, and then no more."""

    young: float = 10.0
    first: float = 0.1
    most: int = 5
    deaths: int = 0

    def after(self, lived: float) -> float | None:
        """Seconds to wait after one that has lived this long; `None` when too many in a row died young."""
        self.deaths = self.deaths + 1 if lived < self.young else 0
        return None if self.deaths >= self.most else self.first * 2**self.deaths


@dataclass(slots=True)
class _Running:
    """A worker's process. Before it is ready it knows no SIGHUP, which would end it."""

    process: Process
    is_ready: bool = False
    shall_reload: bool = False

    def reload(self) -> None:
        if self.is_ready:
            self.process.send_signal(signal.SIGHUP)
        self.shall_reload = not self.is_ready

    def ready(self) -> None:
        self.is_ready = True
        if self.shall_reload:
            self.reload()


class Supervisor:
    """Runs the workers of one hub, until a signal comes or one of them cannot be kept alive.

    A worker ends by itself when the supervisor does: it holds the other end of a socket, which closes then.
    """

    def __init__(
        self, assignments: Sequence[Assignment], options: Mapping[str, Any], command: Sequence[str] = COMMAND
    ) -> None:
        self.status = 0
        """What the process should exit with."""
        self._assignments = assignments
        self._options = options
        self._command = command
        self._running: dict[int, _Running] = {}
        self._stopping = anyio.Event()

    async def run(self, on_ready: Callable[[Report], None]) -> None:
        """Run the workers; `on_ready` hears what the first one says, when all listen.

        The first is started alone, so that what is wrong with the configuration is said once.
        """
        async with anyio.create_task_group() as signals:
            signals.start_soon(stop_on_signal, self.stop)
            signals.start_soon(reload_on_hangup, self.reload)
            async with anyio.create_task_group() as workers:
                first, *others = self._assignments
                report: Report | None = await workers.start(self._keep, first)
                async with anyio.create_task_group() as starting:
                    for assignment in others:
                        starting.start_soon(workers.start, self._keep, assignment)
                if report is not None and not self._stopping.is_set():
                    on_ready(report)
            signals.cancel_scope.cancel()

    async def stop(self) -> None:
        """Have every worker drain and end."""
        self._stopping.set()
        for running in self._running.values():
            running.process.terminate()

    async def reload(self) -> None:
        """Have every worker read its configuration again; those that just start do so when they are ready."""
        for running in self._running.values():
            running.reload()

    async def _keep(self, assignment: Assignment, *, task_status: TaskStatus[Report | None]) -> None:
        """Keep one worker alive. The first report, or nothing if there is none, is its start."""
        patience, has_started = Patience(), False

        def ready(report: Report) -> None:
            nonlocal has_started
            if not has_started:
                has_started = True
                task_status.started(report)

        while not self._stopping.is_set():
            began = time.monotonic()
            status = await self._life_of(assignment, ready)
            if self._stopping.is_set():
                break
            delay = patience.after(time.monotonic() - began) if has_started else None
            if delay is None:
                await self._give_up(assignment, status, was_ready=has_started)
                break
            log.warning("worker %s ended %s; it is started again", assignment.name, _how(status))
            with anyio.move_on_after(delay):
                await self._stopping.wait()
        if not has_started:
            task_status.started(None)

    async def _life_of(self, assignment: Assignment, ready: Callable[[Report], None]) -> int:
        """Run one process to its end; returns its status."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            # In a session of its own: Ctrl-C is for the supervisor, which tells the workers.
            process = await anyio.open_process(
                [*self._command, "--worker", str(theirs.fileno())],
                stdin=DEVNULL,
                stdout=None,
                stderr=None,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
            theirs.close()
            running = self._running[assignment.number] = _Running(process)
            try:
                return await self._listen(running, assignment, ours, ready)
            finally:
                del self._running[assignment.number]
                if process.returncode is None:
                    process.kill()

    async def _listen(
        self, running: _Running, assignment: Assignment, ours: socket.socket, ready: Callable[[Report], None]
    ) -> int:
        ours.sendall(assignment.line(self._options))
        line = await line_of(ours)
        if line:
            log.info("worker %s is ready, process %d", assignment.name, running.process.pid)
            running.ready()
            ready(json.loads(line))
        return await running.process.wait()

    async def _give_up(self, assignment: Assignment, status: int, *, was_ready: bool) -> None:
        self.status = max(status, 1)
        if was_ready:
            log.error("worker %s ended %s, again and again; the hub stops", assignment.name, _how(status))
        await self.stop()


async def supervise(
    settings: HubSettings, options: Mapping[str, Any], on_ready: Callable[[Report], None], command: Sequence[str]
) -> int:
    """Serve by as many workers as `[server] workers` says until a signal comes; returns the exit status.

    Raises `ConfigError` for a port that is taken.
    """
    with _reserved(settings.server) as port, TemporaryDirectory(prefix="pegboard-") as folder:
        names, secret = names_of(settings), secrets.token_urlsafe(32)
        assignments = [Assignment(number, names, port, folder, secret) for number in range(len(names))]
        supervisor = Supervisor(assignments, options, command)
        await supervisor.run(on_ready)
        return supervisor.status


@contextmanager
def _reserved(settings: ServerSettings) -> Generator[int]:
    """The port, held for the workers, so that it stays theirs while one of them is started anew."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as held:
        try:
            # Alone first: another hub of workers would share its port with these without a word.
            with socket.create_server((settings.host, settings.port), family=family):
                pass
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind((settings.host, settings.port))
        except OSError as error:
            at = f"{settings.host}:{settings.port}"
            raise ConfigError(f"cannot listen on {at}: {error.strerror}; choose another with --port") from error
        yield held.getsockname()[1]


def _how(status: int) -> str:
    return f"by signal {-status}" if status < 0 else f"with status {status}"
