"""Cursors: where a paged answer goes on, signed so that only an unchanged request can use one.

A cursor holds no connection and no snapshot; it is an offset with a signature over the request it belongs to.
"""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import Any

from pegboard import ToolError

CURSOR = re.compile(r"([1-9][0-9]{0,17})-([0-9a-f]{24})")


@dataclass(frozen=True, slots=True)
class Paging:
    """The pages of one request: `key` is the pool's, `request` whatever must not change between pages."""

    key: bytes
    request: tuple[Any, ...]

    def cursor(self, offset: int) -> str:
        """The cursor of the page that begins after `offset` rows."""
        return f"{offset}-{self._signature(offset)}"

    def offset(self, cursor: str | None) -> int:
        """How many rows to skip; raises `ToolError` for a cursor that does not belong to the request."""
        if not cursor:
            return 0
        match = CURSOR.fullmatch(cursor.strip())
        if match is None or not hmac.compare_digest(match[2], self._signature(int(match[1]))):
            raise ToolError(
                "this cursor does not belong to this request, or has expired; repeat all other arguments of the call "
                "that returned it, or leave cursor out to begin again"
            )
        return int(match[1])

    def _signature(self, offset: int) -> str:
        message = json.dumps([self.request, offset], sort_keys=True).encode()
        return hmac.new(self.key, message, hashlib.sha256).hexdigest()[:24]
