"""The folder of an embedded PostgreSQL server: how it is laid out, made, locked and tidied up.

    <folder>/lock       held while somebody runs the server; freed by the system when that process is gone
    <folder>/secret     what the passwords are made from, for the eyes of its owner
    <folder>/log        what the server said since its last start
    <folder>/postgres/  the data and the socket, 0700 and owned by the user the server runs as

Root writes no plain file below `postgres/`: whoever owns that folder could put a link there instead.
"""

import hashlib
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio

from pegboard_postgres.binaries import Account, EmbeddedError, reachable

ADMIN = "postgres"

UNFINISHED = "new-"

MAX_SOCKET_PATH = 103
"""Bytes; macOS takes 103, Linux 107."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One folder, the programs that work on it, and the user they run as if we are root."""

    folder: Path
    binaries: Path
    account: Account | None

    @property
    def private(self) -> Path:
        return self.folder / "postgres"

    @property
    def data(self) -> Path:
        return self.private / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def password(self, role: str) -> str:
        """The password of one of our own roles, the same at every start."""
        secret = (self.folder / "secret").read_text()
        return hashlib.sha256(f"{secret}:{role}".encode()).hexdigest()

    def command(self, program: str, *arguments: str) -> list[str]:
        """The command line of a program, ours or the system's, for the user the server runs as."""
        command = [str(self.binaries / program), *arguments]
        return self.account.command(command) if self.account else command


def environment() -> dict[str, str]:
    """The environment of the server's processes: none of the user's PG* variables, and messages in English."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


@contextmanager
def claimed(cluster: Cluster) -> Generator[None]:
    """Make the folder and keep it from others; raises `EmbeddedError` if it cannot be used."""
    import fcntl  # not on Windows, which has been refused by now

    _make(cluster.folder)
    if cluster.account is not None and not reachable(cluster.folder):
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and the user it runs as instead cannot enter {cluster.folder}; "
            f"choose a folder that everybody may enter, like one below /var/lib, or run pegboard as another user"
        )
    with (cluster.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise EmbeddedError(
                f"another process runs the database in {cluster.folder}; stop that one, or choose another folder"
            ) from error
        with suppress(FileExistsError):
            cluster.private.mkdir(mode=0o700)
            _give(cluster.private, cluster.account)
        for unfinished in cluster.folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        if not (cluster.folder / "secret").exists():
            _write(cluster.folder / "secret", secrets.token_hex(32))
        yield


@contextmanager
def socket_folder(cluster: Cluster, port: int) -> Generator[Path]:
    """Where the socket goes: beside the data or, if that path is too long for a socket, in a temporary folder."""
    if len(os.fsencode(cluster.private / f".s.PGSQL.{port}")) <= MAX_SOCKET_PATH:
        yield cluster.private
        return
    # Not below $TMPDIR, since on macOS that is long too; the new folder is 0700.
    with tempfile.TemporaryDirectory(prefix="pegboard-", dir="/tmp") as folder:
        _give(Path(folder), cluster.account)
        yield Path(folder)


async def create(cluster: Cluster) -> None:
    """Make the data, all or nothing.

    Elsewhere, under a new name each time, since children of an `initdb` that was killed write on for a while.
    """
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=cluster.folder, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        data, password = folder / "data", folder / "password"
        data.mkdir(mode=0o700)
        _write(password, cluster.password(ADMIN))
        _give(data, cluster.account)
        _give(password, cluster.account)
        options = [f"--pgdata={data}", f"--username={ADMIN}", f"--pwfile={password}", "--auth=scram-sha-256"]
        options += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # One iteration, since our passwords are random: the driver would block the loop for 10 ms on each connection.
        options += ["--set=scram_iterations=1", "--no-instructions", "--no-sync"]
        await _run(cluster.command("initdb", *options), cluster.folder)
        data.rename(cluster.data)


async def stop_leftover(cluster: Cluster, say: Callable[[str], None]) -> None:
    """Stop the server of a process that was killed; the folder is ours, so nobody else uses it."""
    pid_file = cluster.data / "postmaster.pid"
    if not pid_file.exists():
        return
    if _answers(pid_file):
        say("stopping the database an earlier run left behind")
        # By `pg_ctl` and its user, so that root signals nothing on the word of a file it does not own.
        stop = ("stop", f"--pgdata={cluster.data}")
        try:
            await _run(cluster.command("pg_ctl", *stop, "--mode=fast", "--timeout=5"), cluster.folder)
        except EmbeddedError:
            await _run(cluster.command("pg_ctl", *stop, "--mode=immediate", "--timeout=10"), cluster.folder)
    # Nobody listens, so the process id in it may be anybody's by now and would keep the new server from starting.
    # Children of a dead server are still found, by their shared memory.
    pid_file.unlink(missing_ok=True)


def _answers(pid_file: Path) -> bool:
    """Whether a server, even a frozen one, holds the socket named in its pid file."""
    lines = pid_file.read_text().splitlines()
    if len(lines) < 5:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(f"{lines[4]}/.s.PGSQL.{lines[3]}")
        except OSError:
            return False
    return True


def _make(folder: Path) -> None:
    """Make the folder and the missing ones above it so that others may enter, whatever the umask says."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(exist_ok=True)
        missing.chmod(0o755)


def _give(path: Path, account: Account | None) -> None:
    if account is not None:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _write(path: Path, text: str) -> None:
    """Write a new file for its owner only."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


async def _run(command: Sequence[str], folder: Path) -> None:
    result = await anyio.run_process(command, check=False, cwd=folder, env=environment(), start_new_session=True)
    if result.returncode:
        raise EmbeddedError(f"PostgreSQL could not be set up: {result.stderr.decode(errors='replace').strip()}")
