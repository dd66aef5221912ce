"""API keys: what they look like, how they are kept (hashed), and how one is recognized."""

import hashlib
import hmac
import re
import secrets
import string
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

from pegboard.errors import ConfigError
from pegboard.security.principal import Principal
from pegboard.security.scopes import Scopes

KEY = re.compile(r"peg_([a-z0-9]{4,32})_[A-Za-z0-9]{43}")
ALPHABET = string.ascii_letters + string.digits
ID_ALPHABET = string.ascii_lowercase + string.digits
ID_LENGTH = 12
SECRET_LENGTH = 43
"""Of 62 characters: 256 bits, which nobody guesses, so that a plain hash of it is enough."""

State = Literal["live", "expired", "revoked"]


@dataclass(frozen=True)
class Key:
    """A key as it is kept: everything about it but the key itself."""

    id: str
    name: str
    sha256: str
    scopes: Scopes
    tenant: str | None = None
    created_at: float | None = None
    expires_at: float | None = None
    revoked_at: float | None = None

    @classmethod
    def create(
        cls, name: str, scopes: Scopes, *, tenant: str | None = None, expires_at: float | None = None
    ) -> tuple[Self, str]:
        """A new key, and its text, which is shown once and kept nowhere."""
        key_id = "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))
        text = f"peg_{key_id}_{''.join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))}"
        key = cls(key_id, name, hash_of(text), scopes, tenant, created_at=time.time(), expires_at=expires_at)
        return key, text

    @property
    def is_live(self) -> bool:
        """Whether it counts now."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > time.time())

    @property
    def state(self) -> State:
        """Whether it counts now, and why not, in a word."""
        if self.is_live:
            return "live"
        return "expired" if self.revoked_at is None else "revoked"

    @cached_property
    def principal(self) -> Principal:
        """Who shows this key."""
        return Principal(self.id, self.scopes, self.name, self.tenant, self.expires_at)

    def revoked(self) -> Self:
        """This key, which does not count from now on."""
        return replace(self, revoked_at=time.time())

    def ending(self, at: float) -> Self:
        """This key, which ends then, if not before."""
        return replace(self, expires_at=at if self.expires_at is None else min(at, self.expires_at))


class Keyring:
    """Keys by id; a value, made anew when the keys change. Raises `ConfigError` when two have the same id."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys: dict[str, Key] = {}
        for key in keys:
            if key.id in self._keys:
                raise ConfigError(f"the keys {self._keys[key.id].name!r} and {key.name!r} have the same id; remove one")
            self._keys[key.id] = key

    def find(self, text: str) -> Key | None:
        """The live key of this text. Takes as long for an id that nobody has as for a wrong secret."""
        match = KEY.fullmatch(text)
        key = self._keys.get(match[1]) if match is not None else None
        fits = hmac.compare_digest(hash_of(text), key.sha256 if key is not None else UNKNOWN)
        return key if key is not None and fits and key.is_live else None

    def is_live(self, key_id: str) -> bool:
        """Whether there is a live key of that id."""
        key = self._keys.get(key_id)
        return key is not None and key.is_live


def hash_of(text: str) -> str:
    """The SHA-256 of a key in hexadecimal."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


UNKNOWN = hash_of("")
