"""Backends: what stands behind pools, and whether it answers."""

import logging
import math
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pegboard.breaker import Breaker
from pegboard.errors import BackendError, PoolError
from pegboard.retries import Retries

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Backend:
    """One backend: its name without secrets, its circuit breaker, and its budget of retries."""

    name: str
    breaker: Breaker
    retries: Retries

    def admit(self) -> int:
        """A ticket for one call. Raises `PoolError`, at once, while the breaker lets nobody through."""
        ticket = self.breaker.admit()
        if ticket is None:
            seconds = max(1, math.ceil(self.breaker.wait))
            raise PoolError(
                f"{self.name} is not asked now, since it did not answer several times in a row; "
                f"it is tried again in {seconds} s"
            )
        self.retries.earn()
        return ticket

    def note(self, answers: bool, ticket: int | None = None) -> None:
        """Write down that it has answered, or that it did not."""
        with self._telling():
            (self.breaker.answered if answers else self.breaker.failed)(ticket)

    def late(self, ticket: int) -> None:
        """Write down that the time of a call was up."""
        with self._telling():
            self.breaker.late(ticket)

    @contextmanager
    def _telling(self) -> Generator[None]:
        """Log what changes inside."""
        before = self.breaker.state
        yield
        after = self.breaker.state
        if before == "closed" and after == "open":
            log.warning("%s does not answer; it is tried again every %g s", self.name, self.breaker.pause)
        elif before != "closed" and after == "closed":
            log.warning("%s answers again", self.name)


@dataclass(eq=False, slots=True)
class Lease:
    """One pool in the hands of one call."""

    backend: Backend
    target: Hashable
    ticket: int
    is_watched: bool
    """Whether the pool itself notes how its backend does."""
    give_back: Callable[[], None]


@dataclass(eq=False, slots=True)
class Trail:
    """What one call has used and told so far; shared by the copies of the call."""

    leases: dict[Any, Lease] = field(default_factory=dict[Any, Lease])
    """By what was lent; the last one last."""
    told: bool = False
    """Whether the client has heard of the call already, so that it cannot be run once more from its start."""
    ended: bool = False
    """Whether the call is over; what reads on for its cursor lends nothing any more, and tells nothing."""

    def take_retry(self, target: Hashable = None) -> bool:
        """Whether what was asked of the pool of this target, or of the last one, may be asked once more.

        It is taken from the budget of the backend, which has none while its breaker is open.
        """
        lease = self._lease(target)
        return lease is not None and lease.backend.breaker.state == "closed" and lease.backend.retries.take()

    def end(self, error: BaseException | None, *, late: bool) -> None:
        """Say what the end of the call tells about the backends it has used; `late` means that its time was up.

        An answer speaks for all of them. A `BackendError` speaks against the one it names, or else the one that was
        asked for last. Anything else may have been raised before a backend was asked, and tells nothing.
        """
        self.ended = True
        blamed = self._lease(error.target) if isinstance(error, BackendError) else None
        for lease in self.leases.values():
            backend, ticket = lease.backend, lease.ticket
            if late:
                backend.late(ticket)
            elif lease.is_watched or (error is not None and lease is not blamed):
                backend.breaker.left(ticket)
            else:
                backend.note(error is None, ticket)
            lease.give_back()

    def _lease(self, target: Hashable) -> Lease | None:
        leases = [lease for lease in self.leases.values() if target in (None, lease.target)]
        return leases[-1] if leases else None
