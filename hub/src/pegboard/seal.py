"""A seal: short signatures by which the hub knows again what it gave out itself."""

import hashlib
import hmac
import secrets
from typing import Self

from pydantic_core import to_json


class Seal:
    """Signs values that JSON can carry; with a key of its own, nothing from before a restart bears it."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(32)

    @classmethod
    def of(cls, secret: str) -> Self:
        """One that knows again what another hub with the same secret gave out."""
        return cls(hashlib.sha256(b"pegboard seal\0" + secret.encode()).digest())

    def sign(self, *parts: object) -> str:
        """The signature of these parts: 16 hexadecimal digits."""
        return hmac.new(self._key, to_json(parts), hashlib.sha256).hexdigest()[:16]

    def fits(self, signature: str, *parts: object) -> bool:
        """Whether the signature is that of these parts; takes as long for a wrong one."""
        return hmac.compare_digest(signature.encode(errors="replace"), self.sign(*parts).encode())
