"""The file of keys: readable, versioned, and changed whole or not at all."""

import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from pegboard.configuration import validate
from pegboard.errors import ConfigError
from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
"""What a key may be called: something that is a user name in HTTP Basic, too."""

OTHERS_MAY_READ = stat.S_IRGRP | stat.S_IROTH
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Unwritable(ConfigError):  # noqa: N818 # a state of the file
    """A file of keys that cannot be changed, such as a Secret that is mounted."""


class StoredKey(BaseModel):
    """One key as the file has it."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern="^[a-z0-9]{4,32}$")]
    name: Annotated[str, Field(pattern=NAME)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    scopes: list[str]
    tenant: str | None = None
    created: AwareDatetime | None = None
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None


class StoredKeys(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1]
    keys: list[StoredKey]


def read_keys(file: Path) -> list[Key]:
    """The keys of a file. Raises `ConfigError` that says what is wrong with it, and no value."""
    try:
        given: Any = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{file}: there is no such file; `pegboard keys create NAME --scope SCOPE` makes it"
        ) from error
    except OSError as error:
        raise ConfigError(f"{file}: the keys cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{file}: the keys cannot be read: this is no JSON") from error
    stored = validate(StoredKeys, given, str(file), lambda _: "")
    return [_key(file, entry) for entry in stored.keys]


@contextmanager
def changing(file: Path) -> Generator[list[Key]]:
    """The keys of a file, to be changed; they are written when the block ends without an error.

    Others who change the file wait until then. Raises `Unwritable` when it cannot be written, and `ConfigError` when it
    cannot be read.
    """
    file = file.resolve()  # what stands behind a link is replaced, not the link
    try:
        with _locked(file.parent):
            keys = read_keys(file) if file.exists() else []
            yield keys
            _write(file, keys)
    except OSError as error:
        raise Unwritable(f"{file}: the keys cannot be changed: {error.strerror}") from error


def exposure(file: Path) -> str | None:
    """A sentence about who beside its owner can read or change a file of keys, if anybody can."""
    mode = file.stat().st_mode
    if not mode & (OTHERS_MAY_READ | OTHERS_MAY_WRITE):
        return None
    can = "can change" if mode & OTHERS_MAY_WRITE else "can read"
    return f"{file}: others than its owner {can} the keys; chmod 600 {file}"


def moment(seconds: float | None) -> str | None:
    """A time as the file writes it: in UTC, to the second."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _key(file: Path, entry: StoredKey) -> Key:
    try:
        scopes = Scopes.of(entry.scopes)
    except ConfigError as error:
        raise ConfigError(f"{file}: the key {entry.name!r}: {error}") from error
    times = [_seconds(time) for time in (entry.created, entry.expires, entry.revoked)]
    return Key(entry.id, entry.name, entry.sha256, scopes, entry.tenant, *times)


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    """Keep everybody else who does so from changing what is in a folder. Needs no file, so that none stays."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(file: Path, keys: Iterable[Key]) -> None:
    text = json.dumps({"version": 1, "keys": [_entry(key) for key in keys]}, indent=2) + "\n"
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as output:
            output.write(text)
            output.flush()
            os.fsync(descriptor)
            if file.exists():
                _take_after(output, file.stat())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _take_after(output: IO[str], before: os.stat_result) -> None:
    """Give a file the owner and mode of the one it replaces: root may change the keys of a hub that is not root."""
    if (os.geteuid(), os.getegid()) != (before.st_uid, before.st_gid):
        os.fchown(output.fileno(), before.st_uid, before.st_gid)
    os.fchmod(output.fileno(), stat.S_IMODE(before.st_mode))


def _entry(key: Key) -> dict[str, Any]:
    times = {"created": key.created_at, "expires": key.expires_at, "revoked": key.revoked_at}
    entry: dict[str, Any] = {
        "id": key.id,
        "name": key.name,
        "sha256": key.sha256,
        "scopes": str(key.scopes).split(),
        "tenant": key.tenant,
        **{name: moment(seconds) for name, seconds in times.items()},
    }
    return {name: value for name, value in entry.items() if value is not None}
