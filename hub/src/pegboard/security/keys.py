"""API keys: what they look like, how they are kept (hashed), and how one is recognized."""

import hashlib
import hmac
import re
import secrets
import string
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from pegboard.security.principal import Principal
from pegboard.security.scopes import Scopes

KEY = re.compile(r"peg_([a-z0-9]{4,32})_[A-Za-z0-9]{43}")
ALPHABET = string.ascii_letters + string.digits
ID_ALPHABET = string.ascii_lowercase + string.digits
ID_LENGTH = 12
SECRET_LENGTH = 43
"""Of 62 characters: 256 bits, which nobody guesses, so that a plain hash of it is enough."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept: everything about it but the key itself."""

    id: str
    name: str
    sha256: str
    scopes: Scopes
    tenant: str | None = None
    created_at: float | None = None
    expires_at: float | None = None
    disabled: bool = False

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
        return not self.disabled and (self.expires_at is None or self.expires_at > time.time())

    @property
    def principal(self) -> Principal:
        """Who shows this key."""
        return Principal(self.id, self.scopes, self.name, self.tenant, self.expires_at)


class Keyring:
    """Keys by id; a value, made anew when the keys change."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = {key.id: key for key in keys}

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

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys.values())


def hash_of(text: str) -> str:
    """The SHA-256 of a key in hexadecimal."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


UNKNOWN = hash_of("")
