"""A budget of retries: a share of the calls, so that those to a backend in trouble do not double its load."""

import time
from collections.abc import Callable

MOST = 10.0
"""Retries that can be saved up, and there are at first."""
BY_TIME = 0.1
"""Retries that each second brings, so that there are some where calls are few."""


class Retries:
    """A token bucket: each call puts its share in, time a little, and each retry takes one out.

    A share of 0 means that nothing is ever retried.
    """

    def __init__(self, share: float = 0.1, clock: Callable[[], float] = time.monotonic) -> None:
        self.share = share
        self.taken = 0
        """How many were taken, in all."""
        self._clock = clock
        self._left = MOST
        self._filled_at = clock()

    def earn(self) -> None:
        """Count a call."""
        self._left = min(MOST, self._left + self.share)

    def take(self) -> bool:
        """Take one; `False` when none is left."""
        now = self._clock()
        self._left = min(MOST, self._left + BY_TIME * (now - self._filled_at))
        self._filled_at = now
        if not self.share or self._left < 1:
            return False
        self._left -= 1
        self.taken += 1
        return True
