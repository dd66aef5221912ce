"""A PostgreSQL of another major version: the one of the system's packages, run as a private server."""

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.conftest import UNSAFE, open_folder

from pegboard_postgres.binaries import Account, unprivileged
from pegboard_postgres.cluster import environment
from pegboard_postgres.embedded import LEASH

PACKAGES = Path("/usr/lib/postgresql")
EMBEDDED = 18
"""The major version that the other tests run on."""

MISSING = (
    "no PostgreSQL server of another major version is installed; Debian and Ubuntu have one: "
    "apt-get install postgresql-15 (any version but 18 will do)"
)

OPTIONS = {**UNSAFE, "listen_addresses": "", "unix_socket_permissions": "0700", "timezone": "UTC"}


@dataclass(frozen=True, slots=True)
class Debian:
    """A running server; only its own user and root can reach its socket, so everybody there is the superuser."""

    major: int
    sockets: Path

    def url(self, role: str = "postgres", *, database: str = "postgres") -> str:
        return f"postgresql://{quote(role)}@/{quote(database)}?host={quote(str(self.sockets))}"


def binaries() -> Path | None:
    """Where the newest installed server is that is not of the version the other tests run on."""
    found = [path.parent for path in PACKAGES.glob("*/bin/postgres") if int(path.parts[-3]) != EMBEDDED]
    return max(found, key=lambda path: int(path.parts[-2]), default=None)


@contextmanager
def running(programs: Path, folder: Path) -> Generator[Debian]:
    """Make a server in `folder` and run it until the block ends, or this process."""
    home, data = folder / "server", folder / "server" / "data"
    home.mkdir(mode=0o700)
    account = unprivileged()
    if account is not None:
        os.chown(home, account.uid, account.gid)
    run = _Runner(programs, account, folder)
    run("initdb", f"--pgdata={data}", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
    options = " ".join(f"--{name}={value}" for name, value in OPTIONS.items())
    control = ("-D", str(data), "-w", "-t", "60")
    leash = run.later("pg_ctl", "stop", *control, "-m", "immediate")
    try:
        run("pg_ctl", "start", *control, "-l", str(home / "log"), "-o", f"--unix_socket_directories={home} {options}")
        yield Debian(int(programs.parts[-2]), home)
    finally:
        leash.communicate(timeout=60)


@dataclass(frozen=True, slots=True)
class _Runner:
    """Runs PostgreSQL's programs as the user of the server."""

    programs: Path
    account: Account | None
    folder: Path

    def __call__(self, program: str, *arguments: str) -> None:
        # The server inherits what we have open, and a pipe would never end.
        log = self.folder / "commands"
        with log.open("ab") as out:
            done = subprocess.run(
                self._command(program, *arguments),
                check=False,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                env=environment(),
            )
        assert done.returncode == 0, log.read_text(errors="replace")

    def later(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Run it when our end of its input is closed, even by a kill."""
        return subprocess.Popen(
            ["/bin/sh", "-c", LEASH, "sh", *self._command(program, *arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env=environment(),
            start_new_session=True,
        )

    def _command(self, program: str, *arguments: str) -> list[str]:
        command = [str(self.programs / program), *arguments]
        return command if self.account is None else self.account.command(command)


@pytest.fixture(scope="session")
def debian() -> Generator[Debian]:
    """The server of the whole session. On a user's machine without one its tests are left out; in CI they fail."""
    programs = binaries()
    if programs is None and os.environ.get("CI"):
        pytest.fail(MISSING)
    if programs is None:
        pytest.skip(MISSING)
    with open_folder() as folder, running(programs, folder) as server:
        yield server
