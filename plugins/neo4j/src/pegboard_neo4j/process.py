"""A server in a process of its own: started, waited for, stopped, and gone when we are."""

import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
import anyio.abc

STOPPING = ((signal.SIGTERM, 8.0), (signal.SIGKILL, 5.0))
"""Politely, then by force."""

LEASH = 'read _; kill -CONT "$1"; kill "$1" && sleep 3 && kill -KILL "$1"'
"""A shell that waits for the end of its input, which comes when the process that holds the other end is gone."""


class ServerError(RuntimeError):
    """The server cannot be had; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and where, and how to ask whether it answers.

    That may take some `seconds`; once its log has the words `gave_up`, it is waited for no longer.
    """

    name: str
    command: Sequence[str]
    folder: Path
    log: Path
    answers: Callable[[], Awaitable[bool]]
    seconds: float = 60.0
    gave_up: bytes | None = None


class ServerProcess:
    """One server; use it in the event loop that started it, and stop it in the end."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._process: anyio.abc.Process | None = None
        self._leash: anyio.abc.Process | None = None

    @property
    def pid(self) -> int:
        """The process id of the server, also of one that was killed."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start the server and return when it answers; raises `ServerError` with its last words if it does not."""
        self._process = await self._open(self._program.command, subprocess.DEVNULL, "wb")
        self._leash = await self._open(["/bin/sh", "-c", LEASH, "sh", str(self.pid)], subprocess.PIPE, "ab")
        with anyio.move_on_after(self._program.seconds):
            # The server tells nobody when it is ready, so ask.
            while not self._gave_up():
                if await self._program.answers():
                    return
                await anyio.sleep(0.05)
            raise ServerError(f"{self._program.name} did not start{self._last_words()}")
        seconds = f"{self._program.seconds:g}"
        raise ServerError(f"{self._program.name} was not ready within {seconds} s{self._last_words()}")

    async def stop(self) -> None:
        """Have the server write its data and end; takes its time even when cancelled, but not long."""
        with anyio.CancelScope(shield=True):
            for number, seconds in STOPPING:
                if await self._ended(number, seconds):
                    break
            await self._unleash()

    async def kill(self) -> None:
        """End the server as a crash would."""
        with anyio.CancelScope(shield=True):
            await self._ended(signal.SIGKILL, 5.0)
            await self._unleash()

    async def restart(self) -> None:
        """Stop the server if it runs and start it again; data, passwords and URL stay."""
        await self.stop()
        await self.start()

    def freeze(self) -> None:
        """Let the server do nothing until `thaw()`: it keeps its connections and answers none."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        os.kill(self.pid, signal.SIGCONT)

    async def _open(self, command: Sequence[str], stdin: int, mode: Literal["ab", "wb"]) -> anyio.abc.Process:
        with self._program.log.open(mode) as log:
            # A session of its own: Ctrl-C in the terminal is for the hub, which stops the server in its turn.
            return await anyio.open_process(
                command,
                stdin=stdin,
                stdout=log,
                stderr=log,
                cwd=self._program.folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )

    def _gave_up(self) -> bool:
        program = self._program
        ended = self._process is None or self._process.returncode is not None
        return ended or (program.gave_up is not None and program.gave_up in program.log.read_bytes())

    async def _ended(self, number: signal.Signals, seconds: float) -> bool:
        if self._process is None:
            return True
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
            self._process.send_signal(signal.SIGCONT)  # a frozen process reacts to nothing else
        with anyio.move_on_after(seconds):
            await self._process.wait()
        return self._process.returncode is not None

    async def _unleash(self) -> None:
        leash, self._leash = self._leash, None
        if leash is not None:
            with suppress(ProcessLookupError):
                leash.kill()
            await leash.aclose()

    def _last_words(self) -> str:
        lines = self._program.log.read_text(errors="replace").splitlines()
        told = [line for line in lines if line and not line.startswith("\t")][-5:]  # without Java's stack frames
        return "\n  ".join([f"; its log, {self._program.log}, ends with:", *told]) if told else ""
