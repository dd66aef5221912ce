"""Children: programs that run for one call, with little in their hands, and end with it."""

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE

import anyio
import anyio.to_thread
from anyio.abc import ByteReceiveStream, Process

from pegboard import ToolError

KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "SSH_AUTH_SOCK")
"""Variables of the hub that a child sees. None of the hub's own is among them, nor any other that may be secret."""
MARK = "PEGBOARD_CHILD"
"""The variable by which a child's own children are found: Ansible's workers leave the group they were started in."""
MOST_OUTPUT = 4 * 1024 * 1024
"""Bytes of output that are kept, the last ones."""
MOST_LINE = 4096
LINGERING = 1.0
"""Seconds to read on after a child's end, when something it left behind still holds its output."""
ROUNDS = 3

Watch = Callable[[str], Awaitable[None]]
"""Is told each line of output as it comes."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is installed: where it is, and the folder it works in."""

    path: str
    folder: Path

    @classmethod
    def find(cls, name: str, folder: Path, bin_folder: Path | None, remedy: str) -> "Program":
        """Look for a program, in one folder or on the PATH; raises `ToolError` with the remedy if it is not there."""
        path = find(name, bin_folder)
        if path is None:
            where = f"in {bin_folder} (local_bin)" if bin_folder else "on the hub's PATH"
            raise ToolError(f"{name} is not installed {where}; {remedy}")
        return cls(path, folder)


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended: its status, `None` if it was stopped at its time, and the last part of what it said."""

    status: int | None
    output: str
    errors: str
    is_cut: bool = False


def find(name: str, bin_folder: Path | None = None) -> str | None:
    """Where a program is; `None` if it is not installed."""
    return shutil.which(name, path=None if bin_folder is None else str(bin_folder))


async def run(
    program: Program,
    arguments: Sequence[str],
    seconds: float,
    *,
    environ: Mapping[str, str] | None = None,
    watch: Watch | None = None,
) -> Done:
    """Run a program to its end, or for so many seconds; when it is stopped or the call is cancelled, nothing of it
    is left running. There is no shell, no terminal and no input.
    """
    mark = secrets.token_hex(16)
    given = {**_kept(), **(environ or {}), MARK: mark}
    out, err = _Tail(watch), _Tail()
    status: int | None = None
    async with _running([program.path, *arguments], program.folder, given, mark) as process:
        with anyio.move_on_after(max(seconds, 0)):
            status = await _ended(process, out, err)
    return Done(status, out.text, err.text, out.is_cut)


@asynccontextmanager
async def scratch() -> AsyncGenerator[Path]:
    """A folder for one run that nobody else can look into; it goes with the run."""
    path = Path(await anyio.to_thread.run_sync(lambda: tempfile.mkdtemp(prefix="pegboard-")))
    try:
        yield path
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(path, ignore_errors=True))


@dataclass(slots=True)
class _Tail:
    """The last bytes of a stream."""

    watch: Watch | None = None
    is_cut: bool = False
    _kept: bytearray = field(default_factory=bytearray)
    _line: bytes = b""

    @property
    def text(self) -> str:
        return self._kept.decode(errors="replace")

    async def read(self, stream: ByteReceiveStream) -> None:
        async for piece in stream:
            self._kept += piece
            if len(self._kept) > MOST_OUTPUT:
                del self._kept[:-MOST_OUTPUT]
                self.is_cut = True
            await self._tell(piece)

    async def _tell(self, piece: bytes) -> None:
        if self.watch is None:
            return
        *lines, self._line = (self._line + piece).split(b"\n")
        self._line = self._line[-MOST_LINE:]
        for line in lines:
            await self.watch(line.decode(errors="replace"))


async def _ended(process: Process, out: _Tail, err: _Tail) -> int:
    assert process.stdout is not None
    assert process.stderr is not None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(out.read, process.stdout)
        tasks.start_soon(err.read, process.stderr)
        await process.wait()
        tasks.cancel_scope.deadline = anyio.current_time() + LINGERING
    assert process.returncode is not None
    return process.returncode


@asynccontextmanager
async def _running(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], mark: str
) -> AsyncGenerator[Process]:
    """Start a program in a group of its own; whatever of it still runs at the end is killed, unless it ended itself."""
    try:
        process = await anyio.open_process(
            list(command), stdin=DEVNULL, stdout=PIPE, stderr=PIPE, cwd=folder, env=environ, start_new_session=True
        )
    except OSError as error:
        raise ToolError(f"{Path(command[0]).name} could not be started: {error.strerror}") from error
    try:
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                await anyio.to_thread.run_sync(_kill, process.pid, mark)
            await process.aclose()


def _kill(group: int, mark: str) -> None:
    """Kill a group and all that bear the mark; again, until none is left that was just being started."""
    for _ in range(ROUNDS):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        found = _marked(mark)
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            return


def _marked(mark: str) -> list[int]:
    """The processes that bear the mark; none where there is no /proc, and the group has to do."""
    wanted, found = f"{MARK}={mark}".encode(), list[int]()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def _kept() -> dict[str, str]:
    return {"LC_ALL": "C.UTF-8", **{name: os.environ[name] for name in KEPT if name in os.environ}}
