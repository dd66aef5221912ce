"""What the server said about a statement a moment ago, so that asking the same again saves a round trip."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import anyio

LIFE = 5.0
"""Seconds a description is trusted: a column renamed meanwhile keeps its old name in an answer for so long."""
MOST = 200


@dataclass(eq=False, slots=True)
class Descriptions:
    """Descriptions by statement, the most recently used of the last seconds."""

    clock: Callable[[], float] = anyio.current_time
    _entries: OrderedDict[Hashable, tuple[float, Any]] = field(default_factory=OrderedDict[Hashable, tuple[float, Any]])

    def get(self, key: Hashable) -> Any:
        """The description, or `None` if there is none that can be trusted."""
        until, description = self._entries.get(key, (0.0, None))
        return description if until > self.clock() else None

    def put(self, key: Hashable, description: Any) -> None:
        """Keep a description for a few seconds."""
        self._entries.pop(key, None)
        self._entries[key] = (self.clock() + LIFE, description)
        if len(self._entries) > MOST:
            self._entries.popitem(last=False)

    def forget(self, key: Hashable) -> None:
        """It turned out wrong."""
        self._entries.pop(key, None)
