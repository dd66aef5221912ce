"""Launches of the last moments: so that the same one, sent twice, starts one job."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

MOST = 1000


@dataclass(slots=True)
class Launch:
    """One launch and what is known of it: when it was sent, the newest job before it, and the one it started."""

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    at: float = 0.0
    after: int | None = None
    job: int | None = None

    def sent(self, after: int) -> None:
        """It goes out now. Until more is known, AWX may or may not have it."""
        self.at, self.after, self.job = anyio.current_time(), after, None

    def refused(self) -> None:
        """AWX has said no, so nothing was started."""
        self.after = self.job = None

    @property
    def age(self) -> float:
        """Seconds since it was sent."""
        return anyio.current_time() - self.at


class Launches:
    """What was launched through one pool, by a key that says what; the oldest are forgotten."""

    def __init__(self) -> None:
        self._launches: dict[str, Launch] = {}

    @asynccontextmanager
    async def turn(self, key: str, window: float) -> AsyncGenerator[Launch]:
        """Be alone with a launch; one sent more than `window` seconds ago counts as never sent."""
        launch = self._launches.pop(key, None) or Launch()
        self._launches[key] = launch
        self._forget()
        async with launch.lock:  # of two equal launches at once the second waits for the first
            if launch.age >= window:
                launch.refused()
            yield launch

    def _forget(self) -> None:
        while len(self._launches) > MOST:
            oldest = next(iter(self._launches))
            if self._launches[oldest].lock.locked():
                return  # it is under way; later is soon enough
            del self._launches[oldest]
