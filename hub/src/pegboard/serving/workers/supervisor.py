"""The supervisor: starts workers, starts those anew that die, and passes signals on; it serves nothing itself."""

import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from anyio.abc import TaskStatus

from pegboard.errors import ConfigError
from pegboard.serving.signals import reload_on_hangup, stop_on_signal
from pegboard.serving.workers.assignment import Assignment, Configuration, names_of
from pegboard.serving.workers.spare import Spares, Started
from pegboard.settings import HubSettings, ServerSettings

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "pegboard.cli", "serve")

Report = Mapping[str, Any]
"""What a worker says when it is ready."""

LOOK_EVERY = 5.0
"""Seconds between two looks whether a worker answers, and of one such wait."""

MOST_WAITS = 6
"""So many times in a row it may give no answer: then its event loop is blocked, or it is frozen, and so are its
clients. Several waits, since a machine that slept wakes the supervisor first."""

RELOADING = 120.0
"""Seconds a worker has to reload; it answers nothing else meanwhile, so nobody would notice that it never ends."""


NOBODY = "no worker is ready that could try it; reload again in a moment"


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


class _Running:
    """A worker's process, from the moment it was told what it is."""

    def __init__(self, started: Started) -> None:
        self.process = started.process
        self.is_ready = False
        self._line = started.line
        self._asking = anyio.Lock()

    async def report(self) -> Report | None:
        """Wait until it is ready; `None` when it has ended before."""
        return await self._line.hear()

    async def reload(self, configuration: Configuration) -> str | None:
        """Have it serve by this; returns what is wrong with that. One that ends meanwhile has nothing against it.

        One that does not come back from it is killed.
        """
        async with self._asking:
            self._line.tell({"reload": asdict(configuration)})
            with anyio.move_on_after(RELOADING):
                said = await self._line.hear()
                return None if said is None else said["problem"]
            log.error("process %d has not reloaded within %g s and is killed", self.process.pid, RELOADING)
            self.process.kill()
        return f"a worker that tried it did not answer for {RELOADING:g} s"

    async def ended(self) -> int:
        """Wait until it has ended, or kill it when it does not answer any more; returns its status."""
        async with anyio.create_task_group() as watching:
            watching.start_soon(self._watch)
            await self.process.wait()
            watching.cancel_scope.cancel()
        return self.process.returncode or 0

    async def _watch(self) -> None:
        """Ask it now and then whether it still answers, and kill it when it does not."""
        while await self._answers():
            await anyio.sleep(LOOK_EVERY)
        seconds = LOOK_EVERY * MOST_WAITS
        log.error("process %d has not answered for %g s and is killed", self.process.pid, seconds)
        self.process.kill()

    async def _answers(self) -> bool:
        async with self._asking:
            self._line.tell({"ask": "still there?"})
            for _ in range(MOST_WAITS):
                with anyio.move_on_after(LOOK_EVERY):
                    await self._line.hear()
                    return True
        return False

    def note(self, configuration: Configuration) -> None:
        """Tell it that the hub has refused another configuration than this."""
        self._line.tell({"note": asdict(configuration)})


class Supervisor:
    """Runs the workers of one hub, until a signal comes or one of them cannot be kept alive.

    A worker ends by itself when the supervisor does: it holds the other end of a line, which closes then.
    """

    def __init__(
        self,
        assignments: Sequence[Assignment],
        options: Mapping[str, Any],
        read: Callable[[], Configuration],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.status = 0
        """What the process should exit with."""
        self._assignments = assignments
        self._options = options
        self._read = read
        self._configuration = read()
        self._spares = Spares(command)
        self._running: dict[int, _Running] = {}
        self._is_open = False
        self._stopping = anyio.Event()

    async def run(self, on_ready: Callable[[Report], None]) -> None:
        """Run the workers; `on_ready` hears what the first one says, when all listen.

        The first is told alone what to do, so that what is wrong with the configuration is said once.
        """
        async with self._spares, anyio.create_task_group() as signals:
            signals.start_soon(stop_on_signal, self.stop)
            signals.start_soon(reload_on_hangup, self.reload)
            async with anyio.create_task_group() as workers:
                await self._spares.fill(len(self._assignments))
                first, *others = self._assignments
                report: Report | None = await workers.start(self._keep, first)
                async with anyio.create_task_group() as starting:
                    for assignment in others:
                        starting.start_soon(workers.start, self._keep, assignment)
                if report is not None and not self._stopping.is_set():
                    on_ready(report)
                    self._is_open = True
                    await self._fill()
            signals.cancel_scope.cancel()

    async def stop(self) -> None:
        """Have every worker drain and end."""
        self._stopping.set()
        for running in self._running.values():
            with suppress(ProcessLookupError):  # it has just ended
                running.process.terminate()

    async def reload(self) -> None:
        """Have every worker serve by the configuration as it is now, or none: the first to answer is the judge.

        Those that just start do so when they are ready. While none is, later than at the start, nothing is taken.
        """
        try:
            new = self._configuration.taken(self._read())
        except ConfigError as error:
            log.error("the configuration was not reloaded, the old one stays: %s", error)
            self._refuse(str(error), self._ready())
            return
        judge, *others = self._ready() or [None]
        problem = await judge.reload(new) if judge is not None else NOBODY if self._is_open else None
        if problem is not None:
            self._refuse(problem, others)
            return
        self._configuration = new
        async with anyio.create_task_group() as reloading:
            for running in [running for running in self._ready() if running is not judge]:
                reloading.start_soon(running.reload, new)

    def _ready(self) -> "list[_Running]":
        return [running for running in self._running.values() if running.is_ready]

    def _refuse(self, problem: str, others: "Iterable[_Running | None]") -> None:
        self._configuration = self._configuration.refused(problem)
        for running in others:
            if running is not None:
                running.note(self._configuration)

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
        try:
            started = await self._spares.take()
        except OSError as error:  # no memory for it at the moment, say: no reason to end the other workers
            log.error("worker %s cannot be started: %s", assignment.name, error.strerror)
            return os.EX_OSERR
        running = self._running[assignment.number] = _Running(started)
        try:
            if self._stopping.is_set():
                return 0
            told = self._configuration
            started.line.tell(assignment.told(self._options, told))
            report = await running.report()
            if report is not None:
                await self._welcome(running, told)
                log.info("worker %s is ready, process %d", assignment.name, running.process.pid)
                ready(report)
            if self._is_open:
                await self._fill()
            return await running.ended()
        finally:
            del self._running[assignment.number]
            started.drop()

    async def _fill(self) -> None:
        """Have one process wait, which only saves time."""
        try:
            await self._spares.fill(1)
        except OSError as error:
            log.warning("no process waits to take the place of a worker: %s", error.strerror)

    async def _welcome(self, running: _Running, told: Configuration) -> None:
        """Let it take part, with what has become of the configuration while it started."""
        while told is not self._configuration:
            told = self._configuration
            await running.reload(told)
        running.is_ready = True

    async def _give_up(self, assignment: Assignment, status: int, *, was_ready: bool) -> None:
        self.status = max(status, 1)
        if was_ready:
            log.error("worker %s ended %s, again and again; the hub stops", assignment.name, _how(status))
        await self.stop()


async def supervise(
    settings: HubSettings,
    options: Mapping[str, Any],
    read: Callable[[], Configuration],
    on_ready: Callable[[Report], None],
    command: Sequence[str],
) -> int:
    """Serve by as many workers as `[server] workers` says until a signal comes; returns the exit status.

    What `read` gives is what they serve by, from SIGHUP on what it gives then. Raises `ConfigError` for a port that is
    taken.
    """
    with _reserved(settings.server) as port, TemporaryDirectory(prefix="pegboard-") as folder:
        names, secret = names_of(settings), secrets.token_urlsafe(32)
        assignments = [Assignment(number, names, port, folder, secret) for number in range(len(names))]
        supervisor = Supervisor(assignments, options, read, command)
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
