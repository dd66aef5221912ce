"""A circuit breaker: after some failures in a row nobody tries for a while, and then one at a time does."""

import time
from collections.abc import Callable
from typing import Literal

BreakerState = Literal["closed", "open", "half_open"]


class Breaker:
    """Decides who may try. Whoever is admitted gets a ticket and says with it how the try went.

    Tries that fail one after another open it: nobody is admitted for `pause` seconds. Then one is, and its answer
    closes it. One whose end tells nothing lets the next one try; one that is never heard of does so after another
    `pause`. Tickets from before the last change of state count no more: what began while the backend was well says
    nothing about now.
    """

    def __init__(self, limit: int = 5, pause: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self.pause = pause
        self.failures = 0
        """How often a try has failed, in all."""
        self.trips = 0
        """How often it has opened."""
        self._clock = clock
        self._row = 0
        self._round = 0
        self._next_try: float | None = None
        self._trying = False
        self._has_answered = False

    @property
    def state(self) -> BreakerState:
        """`closed` lets everybody through, `open` nobody, `half_open` one at a time."""
        if self._next_try is None:
            return "closed"
        return "half_open" if self._trying or self.wait == 0 else "open"

    @property
    def wait(self) -> float:
        """Seconds until somebody may try."""
        return 0.0 if self._next_try is None else max(0.0, self._next_try - self._clock())

    def admit(self) -> int | None:
        """A ticket for one try; `None` when nobody may try now."""
        if self._next_try is not None:
            if self.wait > 0:
                return None
            self._next_try, self._trying = self._clock() + self.pause, True
        return self._round

    def answered(self, ticket: int | None = None) -> None:
        """The backend has answered. Without a ticket the news is of now."""
        if ticket in (None, self._round):
            self._row, self._has_answered = 0, True
            if self._next_try is not None:
                self._turn(None)

    def failed(self, ticket: int | None = None) -> None:
        """The backend did not answer. Without a ticket the news is of now."""
        self.failures += 1
        if ticket in (None, self._round) and not self._is_resting:
            self._row += 1
            if self._trying or self._row >= self.limit:
                self.trips += not self._trying
                self._turn(self._clock() + self.pause)

    def late(self, ticket: int) -> None:
        """Time was up: a failure of a backend that has never answered, while one that has may just be slow."""
        if self._has_answered:
            self.left(ticket)
        else:
            self.failed(ticket)

    def left(self, ticket: int) -> None:
        """The try has ended in a way that tells nothing of the backend."""
        if self._trying and ticket == self._round:
            self._next_try, self._trying = self._clock(), False

    @property
    def _is_resting(self) -> bool:
        return self._next_try is not None and not self._trying

    def _turn(self, next_try: float | None) -> None:
        """Open until then, or close; whoever tries now does not count any more."""
        self._round += 1
        self._next_try, self._trying = next_try, False
        self._row, self._has_answered = 0, next_try is None
