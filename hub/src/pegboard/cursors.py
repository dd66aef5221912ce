"""Cursors: short names for a place in an answer, signed for whoever it was given to."""

import re

from pegboard.seal import Seal

CURSOR = re.compile(r"([0-9a-f]{8})-(0|[1-9][0-9]{0,14})-([0-9a-f]{16})")


class Cursors:
    """Writes and reads cursors; those of another hub, or from before a restart, are none of its own."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def write(self, name: str, position: int, principal: str | None) -> str:
        """The cursor of a place in the answer of that name."""
        return f"{name}-{position}-{self._seal.sign(name, position, principal)}"

    def read(self, cursor: str, principal: str | None) -> tuple[str, int] | None:
        """Name and position, or `None` for what is no cursor of this principal."""
        match = CURSOR.fullmatch(cursor.strip())
        if match is None:
            return None
        name, position = match[1], int(match[2])
        return (name, position) if self._seal.fits(match[3], name, position, principal) else None
