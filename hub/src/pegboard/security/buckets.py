"""Token buckets: how often something may happen, counted by name, one number each."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MOST_NAMES = 20_000
"""Buckets that are remembered. Of more, those used longest ago are forgotten: they are the fullest."""

TOLERANCE = 1e-6
"""Seconds that sums of fractions may be off by."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in a minute, and so many of them at once."""

    per_minute: int
    burst: int

    @property
    def interval(self) -> float:
        """Seconds until one more is in the bucket."""
        return 60 / self.per_minute

    @property
    def room(self) -> float:
        """Seconds by which a bucket may be short of full so that one can still be taken."""
        return self.interval * (self.burst - 1)


class Buckets:
    """A bucket for each name, in this process.

    Only the time is kept when a bucket will be full again, which is all there is to know about it (GCRA).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str, rate: Rate) -> float:
        """Take one out. Returns 0, or in how many seconds there will be one; then nothing was taken."""
        now = self._clock()
        full_at = max(self._full_at.get(name, now), now)
        full_at = min(full_at, now + rate.interval * rate.burst)  # the rate may have been another one
        wait = full_at - now - rate.room
        if wait > TOLERANCE:
            return wait
        self._full_at[name] = full_at + rate.interval
        self._full_at.move_to_end(name)
        if len(self._full_at) > MOST_NAMES:
            self._full_at.popitem(last=False)
        return 0.0

    def __len__(self) -> int:
        return len(self._full_at)
