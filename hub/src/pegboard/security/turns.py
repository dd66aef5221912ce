"""Turns: so many run at once, and the others wait in a queue that has an end."""

import math
from dataclasses import dataclass

import anyio


class Busy(Exception):  # noqa: N818 # an answer, not a failure
    """It was nobody's turn in time, or the queue was full."""


class Turns:
    """Whoever comes first gets the next turn. A waiter that is cancelled leaves nothing behind."""

    def __init__(self, most: int) -> None:
        self._limiter = anyio.CapacityLimiter(most)
        self.waiting = 0

    @property
    def running(self) -> int:
        """How many have a turn now."""
        return self._limiter.borrowed_tokens

    def change(self, most: int) -> None:
        """Let another number run at once; those that run already go on."""
        self._limiter.total_tokens = most

    async def enter(self, who: object, *, queue: int, timeout: float, deadline: float = math.inf) -> None:
        """Wait for a turn; it lasts until `who` leaves. Raises `Busy` when the queue is full, or the time is over."""
        try:
            self._limiter.acquire_on_behalf_of_nowait(who)
        except anyio.WouldBlock:
            await self._wait(who, queue, min(deadline, anyio.current_time() + timeout))

    def leave(self, who: object) -> None:
        """The turn of `who` is over."""
        self._limiter.release_on_behalf_of(who)

    async def _wait(self, who: object, queue: int, deadline: float) -> None:
        if self.waiting >= queue:
            raise Busy
        self.waiting += 1
        try:
            with anyio.CancelScope(deadline=deadline) as scope:
                await self._limiter.acquire_on_behalf_of(who)
        finally:
            self.waiting -= 1
        if scope.cancelled_caught:
            raise Busy


@dataclass(eq=False)
class Turn:
    """One turn among these, which ends with its block, unless it is kept until somebody ends it."""

    turns: Turns
    is_kept: bool = False

    def end(self) -> None:
        """Give the turn back."""
        self.turns.leave(self)
