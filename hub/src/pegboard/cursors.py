"""Cursors: short names for a place in an answer, signed for whoever it was given to. Pure but for its key."""

import hashlib
import hmac
import re
import secrets

from pegboard.fitting import dump

CURSOR = re.compile(r"([0-9a-f]{8})-(0|[1-9][0-9]{0,14})-([0-9a-f]{16})")


class Cursors:
    """Writes and reads cursors; those of another hub, or from before a restart, are none of its own."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def write(self, name: str, position: int, principal: str | None) -> str:
        """The cursor of a place in the answer of that name."""
        return f"{name}-{position}-{self._sign(name, position, principal)}"

    def read(self, cursor: str, principal: str | None) -> tuple[str, int] | None:
        """Name and position, or `None` for what is no cursor of this principal."""
        match = CURSOR.fullmatch(cursor.strip())
        if match is None:
            return None
        name, position = match[1], int(match[2])
        return (name, position) if hmac.compare_digest(match[3], self._sign(name, position, principal)) else None

    def _sign(self, name: str, position: int, principal: str | None) -> str:
        message = dump([name, position, principal]).encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:16]
