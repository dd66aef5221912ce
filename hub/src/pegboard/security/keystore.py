"""The keys that count: those of a file, which may change at any time, and those of the settings."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pegboard.errors import ConfigError
from pegboard.security.keys import Key, Keyring
from pegboard.security.principal import Principal
from pegboard.security.scopes import Scopes
from pegboard.settings import KeySettings


class KeyStore:
    """Recognizes API keys. Raises `ConfigError` for a file that cannot be read, also later: then nobody is let in."""

    def __init__(self, file: Path | None, named: Mapping[str, KeySettings]) -> None:
        self._file = file
        self._named = [_of_settings(name, settings) for name, settings in named.items()]
        self._stamp: object = None
        self._ring = Keyring()
        self.refresh()

    def refresh(self) -> None:
        """Read the file anew if it is another one than before."""
        stamp = _stamp(self._file)
        if stamp != self._stamp or stamp is None:
            self._ring = Keyring([*self._named, *_read(self._file)])
            self._stamp = stamp

    def recognizes(self, credential: str) -> bool:
        return credential.startswith("peg_")

    async def verify(self, credential: str, resource: str) -> Principal | None:  # noqa: ARG002 # keys count everywhere
        self.refresh()
        key = self._ring.find(credential)
        return key.principal if key is not None else None

    def owns(self, principal: Principal) -> bool:
        return principal.issuer is None

    def is_live(self, principal: Principal) -> bool:
        self.refresh()
        return self._ring.is_live(principal.id)


def _stamp(file: Path | None) -> object:
    if file is None:
        return "none"
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _read(file: Path | None) -> Iterable[Key]:
    if file is None:
        return
    try:
        entries: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["keys"]
        for entry in entries:
            fields: dict[str, Any] = {**entry, "scopes": Scopes.of(entry["scopes"])}
            yield Key(**fields)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file}: the keys cannot be read ({type(error).__name__}); nobody is let in") from error


def _of_settings(name: str, settings: KeySettings) -> Key:
    return Key(
        settings.id,
        name,
        settings.sha256.get_secret_value().lower(),
        Scopes.of(settings.scopes),
        settings.tenant,
        expires_at=settings.expires.timestamp() if settings.expires is not None else None,
    )
