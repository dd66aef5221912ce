"""The keys that count: those of a file, which may change at any time, and those of the settings."""

import logging
import time
from collections.abc import Container, Mapping
from pathlib import Path

import anyio
import anyio.to_thread

from pegboard.errors import ConfigError
from pegboard.security.keyfile import exposure, read_keys
from pegboard.security.keys import Key, Keyring
from pegboard.security.principal import Principal
from pegboard.security.scopes import Scopes
from pegboard.settings import KeySettings

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks at the file."""

GRACE = 3.0
"""Seconds a file may be broken, while somebody writes it by hand, say, until what its keys have opened ends."""


class KeyStore:
    """Recognizes API keys. Raises `ConfigError` for a file that cannot be read, also later: then nobody is let in.

    The file is looked at once a second, in a thread; a look that does not come back lets nobody in, either. A key whose
    id is in `revoked` does not count, whatever the file says.
    """

    def __init__(
        self,
        file: Path | None,
        named: Mapping[str, KeySettings],
        *,
        look_every: float = LOOK_EVERY,
        grace: float = GRACE,
        revoked: Container[str] = (),
    ) -> None:
        self._file = file
        self._named = keys_of(named)
        self._look_every = look_every
        self._grace = grace
        self._revoked = revoked
        self._stamp: object = None
        self._ring = Keyring(self._named)
        self._problem: str | None = None
        self._looking = False
        self._looked_at = self._sound_at = 0.0
        self._lock = anyio.Lock()
        self._thread = anyio.CapacityLimiter(1)  # of its own: plugins may have taken all that there are for everybody
        if file is not None:
            self._look(file)
            self._raise()
            _warn(file)

    def recognizes(self, credential: str) -> bool:
        return credential.startswith("peg_")

    def known(self, credential: str, path: str) -> Principal | None:  # noqa: ARG002 # keys count everywhere
        if self._problem is not None or self._is_due:
            return None
        return self._find(credential)

    async def verify(self, credential: str, path: str) -> Principal | None:  # noqa: ARG002 # as above
        await self.refresh()
        return self._find(credential)

    async def refresh(self) -> None:
        """Read the file anew if it is another one than before. Raises `ConfigError` while it cannot be read."""
        async with self._lock:
            if self._file is not None and self._is_due:
                if self._looking:
                    raise ConfigError(f"{self._file}: reading the keys takes too long; nobody is let in meanwhile")
                await anyio.to_thread.run_sync(self._look, self._file, abandon_on_cancel=True, limiter=self._thread)
        self._raise()

    def owns(self, principal: Principal) -> bool:
        return principal.issuer is None

    def is_live(self, principal: Principal) -> bool:
        return self._is_sound and self._ring.is_live(principal.id) and principal.id not in self._revoked

    def _find(self, credential: str) -> Principal | None:
        key = self._ring.find(credential)
        return key.principal if key is not None and key.id not in self._revoked else None

    @property
    def _is_due(self) -> bool:
        return self._file is not None and time.monotonic() - self._looked_at >= self._look_every

    @property
    def _is_sound(self) -> bool:
        return self._file is None or time.monotonic() - self._sound_at < self._grace

    def _look(self, file: Path) -> None:
        self._looking = True
        try:
            stamp = _stamp(file)
            if stamp is None or stamp != self._stamp:
                self._ring = Keyring([*self._named, *read_keys(file)])
                self._stamp = stamp
            self._problem, self._sound_at = None, time.monotonic()
        except ConfigError as error:
            self._problem, self._stamp = str(error), None
        finally:
            self._looking, self._looked_at = False, time.monotonic()

    def _raise(self) -> None:
        if self._problem is not None:
            raise ConfigError(self._problem)


def keys_of(named: Mapping[str, KeySettings]) -> list[Key]:
    """The keys of the settings. Raises `ConfigError` for scopes that are none."""
    return [_of_settings(name, settings) for name, settings in named.items()]


def _of_settings(name: str, settings: KeySettings) -> Key:
    try:
        scopes = Scopes.of(settings.scopes)
    except ConfigError as error:
        raise ConfigError(f"[keys.{name}] scopes: {error}") from error
    expires_at = settings.expires.timestamp() if settings.expires is not None else None
    sha256 = settings.sha256.get_secret_value().lower()
    return Key(settings.id, name, sha256, scopes, settings.tenant, expires_at=expires_at)


def _stamp(file: Path) -> object:
    """What changes when the file does; `None` where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_dev, found.st_ino)


def _warn(file: Path) -> None:
    problem = exposure(file)
    if problem is not None:
        log.warning("%s", problem)
