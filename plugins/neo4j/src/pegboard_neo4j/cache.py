"""What is known about a graph, for a short while."""

from collections.abc import Hashable
from time import monotonic
from typing import Any

LIFE = 60.0
MOST = 64


class Cache:
    """Keeps at most `MOST` answers, each for `LIFE` seconds."""

    def __init__(self, life: float = LIFE) -> None:
        self._life = life
        self._kept: dict[Hashable, tuple[float, Any]] = {}

    def get(self, key: Hashable) -> Any | None:
        """What was put under the key, or `None` when that is too long ago."""
        until, value = self._kept.get(key, (0.0, None))
        return value if until > monotonic() else None

    def put(self, key: Hashable, value: Any) -> None:
        """Keep the value; the oldest makes room."""
        self._kept.pop(key, None)
        if len(self._kept) >= MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (monotonic() + self._life, value)
