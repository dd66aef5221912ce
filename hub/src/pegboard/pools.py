"""Pools: every connection the hub lends, each opened by the first call that needs it and kept by its own task."""

import time
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import anyio

from pegboard.backends import Backend, Lease, Trail
from pegboard.breaker import Breaker
from pegboard.errors import PegboardError, PoolError
from pegboard.keeper import Keepers, Kept
from pegboard.kinds import PoolKind, PoolState, Usage
from pegboard.retries import Retries
from pegboard.settings import PoolSettings

P = TypeVar("P")
Key = tuple[PoolKind[Any], Hashable]

OPEN_TIMEOUT = 10.0
CLOSE_TIMEOUT = 5.0
MAX_POOLS = 256
MAX_PASSING = 64
PASSING_IDLE = 60.0


class Pools:
    """Lends pools by kind and target; an async context manager that owns them all.

    Ten calls that ask at once for a pool that is not open open it once. Leaving closes the pools in reverse order of
    opening, each within its time, even when a backend is frozen or the hub is being cancelled.

    A pool that is `passing` was opened with the credentials that somebody sent with a request. There are few of
    those at a time, they close when no call has used them for a minute, and then nothing of them is left here.
    """

    def __init__(
        self,
        settings: PoolSettings | None = None,
        *,
        open_timeout: float = OPEN_TIMEOUT,
        close_timeout: float = CLOSE_TIMEOUT,
        limit: int = MAX_POOLS,
        passing_limit: int = MAX_PASSING,
        passing_idle: float = PASSING_IDLE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings or PoolSettings()
        self._limit, self._passing_limit, self._passing_idle = limit, passing_limit, passing_idle
        self._keepers = Keepers(open_timeout=open_timeout, close_timeout=close_timeout)
        self._slots: dict[Key, _Slot] = {}
        self._passing: dict[Key, _Slot] = {}
        self._backends: dict[Key, Backend] = {}
        self._sweeping = False
        self._clock = clock
        self.mask: Callable[[str], str] = str
        """Takes what is secret by the settings out of what pools are called and of why they fail."""

    async def __aenter__(self) -> Self:
        await self._keepers.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._keepers.__aexit__(kind, error, traceback)

    async def get(self, kind: PoolKind[P], target: Hashable, trail: Trail | None = None, *, passing: bool = False) -> P:
        """Return the pool of this kind for this target; open it if nobody has yet.

        With a `trail` the pool is lent to its call until `Trail.end`, which tells how the backend did. Raises
        `PoolError` at once while the circuit breaker of its backend is open, and when the pool does not open in time,
        when too many pools are open, or when the hub is closing; what the kind's own `open` raises as a
        `PegboardError` passes through. A failed or cancelled open leaves nothing behind, and a pool that crashed is
        forgotten: the next caller opens it again.
        """
        slot = self._slot(kind, target, passing)
        slot.retirement = None
        if trail is not None and not trail.ended and slot not in trail.leases:
            trail.leases[slot] = slot.lend()
        kept = slot.live
        if kept is None:
            # The lock guards only the opening of this one pool, so that nobody waits for somebody else's backend.
            async with slot.lock:
                kept = slot.live or await self._open(slot)
        return cast(P, kept.value)

    def change(self, settings: PoolSettings) -> None:
        """Go on by other settings; what is known of the backends stays."""
        self._settings = settings
        for slot in self._all():
            _tune(slot.backend, settings)

    def retire(self, after: float) -> None:
        """Close in `after` seconds what nobody has asked for until then; the settings that asked may be gone."""
        retirement = object()
        for slot in self._slots.values():
            slot.retirement = retirement
        self._keepers.later(after, partial(self._close_retired, retirement))

    async def _close_retired(self, retirement: object) -> None:
        # What was retired once more since then has calls from before that, which may still be running.
        retired = [slot.live for slot in self._slots.values() if slot.retirement is retirement]
        for kept in filter(None, retired):
            await self._keepers.close(kept)

    def states(self) -> list[PoolState]:
        """The pools asked for so far, oldest first; the passing ones of one kind and backend are one."""
        passing: dict[tuple[str, str], PoolState] = {}
        for slot in self._passing.values():
            state, key = slot.state(), (slot.kind.name, slot.description)
            passing[key] = _together(passing[key], state) if key in passing else state
        return [*(slot.state() for slot in self._slots.values()), *passing.values()]

    def paused(self) -> list[str]:
        """The names of the backends that nobody may ask now, or only one call at a time."""
        backends = {slot.backend: None for slot in self._all()}
        return [backend.name for backend in backends if backend.breaker.state != "closed"]

    def _all(self) -> Iterable["_Slot"]:
        return (*self._slots.values(), *self._passing.values())

    def _slot(self, kind: PoolKind[Any], target: Hashable, passing: bool) -> "_Slot":
        key = (kind, target)
        if passing and key not in self._slots:
            return self._passing_slot(key)
        if key not in self._slots and key in self._passing:
            self._slots[key] = self._passing.pop(key)  # an operator's own credentials, as it turns out
        return self._slots.get(key) or self._new_slot(key)

    def _new_slot(self, key: Key) -> "_Slot":
        if len(self._slots) >= self._limit:
            self._slots = {key: slot for key, slot in self._slots.items() if slot.used}
        if len(self._slots) >= self._limit:
            raise PoolError(f"no {key[0].name} pool can be opened: {self._limit} pools are open already")
        return self._slots.setdefault(key, self._made(*key))

    def _passing_slot(self, key: Key) -> "_Slot":
        slot = self._passing.pop(key, None)
        if slot is None and len(self._passing) >= self._passing_limit:
            self._make_room()
        self._passing[key] = slot = slot or self._made(*key)  # the last used one last
        if not self._sweeping:
            self._sweep_later()
        return slot

    def _make_room(self) -> None:
        longest = next((slot for slot in self._passing.values() if not slot.is_lent), None)
        if longest is None:
            raise PoolError(
                f"calls with {self._passing_limit} different credentials are running already; try again in a moment"
            )
        self._drop(longest)

    def _sweep_later(self) -> None:
        self._sweeping = True
        self._keepers.later(self._passing_idle / 2, self._sweep)

    async def _sweep(self) -> None:
        """Close the passing pools that nobody has used for a while, and look again while there are any."""
        self._sweeping = False
        latest = time.monotonic() - self._passing_idle
        for slot in [slot for slot in self._passing.values() if not slot.is_lent and slot.used_at <= latest]:
            self._drop(slot)
        if self._passing:
            self._sweep_later()

    def _drop(self, slot: "_Slot") -> None:
        """Forget a passing pool; its keeper closes it."""
        del self._passing[slot.kind, slot.target]
        if slot.kept is not None:
            slot.kept.release.set()

    def _made(self, kind: PoolKind[Any], target: Hashable) -> "_Slot":
        description = self.mask(kind.describe(target))
        return _Slot(kind, target, description, self._backend(kind, target, description))

    def _backend(self, kind: PoolKind[Any], target: Hashable, description: str) -> Backend:
        """What stands behind a target: one for all pools of the kind that name the same backend."""
        made = Backend(_name(kind, description), Breaker(clock=self._clock), Retries(clock=self._clock))
        _tune(made, self._settings)
        if kind.backend is None:
            return made
        if len(self._backends) >= self._limit:
            known = {slot.backend for slot in self._all()}
            self._backends = {key: backend for key, backend in self._backends.items() if backend in known}
        return self._backends.setdefault((kind, kind.backend(target)), made)

    async def _open(self, slot: "_Slot") -> Kept[Any]:
        if self._keepers.closing:
            raise PoolError(f"{slot.name} is not available: the hub is closing")
        try:
            slot.kept = await self._keepers.keep(slot.name, slot.kind.open(slot.target))
        except TimeoutError as error:
            slot.fail(f"did not open within {self._keepers.open_timeout:g} s")
            raise PoolError(f"{slot.name} {slot.failure}") from error
        except PegboardError as error:
            slot.failure = self.mask(str(error))
            raise
        except Exception as error:
            slot.fail(f"could not be opened ({type(error).__name__})")
            raise PoolError(f"{slot.name} {slot.failure}") from error
        slot.opened(slot.kept)
        return slot.kept


@dataclass(eq=False, slots=True)
class _Slot:
    """The place of one pool: the pool if it is open, and the lock that makes its opening a single flight."""

    kind: PoolKind[Any]
    target: Hashable
    description: str
    backend: Backend
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    kept: Kept[Any] | None = None
    failure: str | None = None
    opened_at: float = 0.0
    opens: int = 0
    retirement: object = None
    lent: int = 0
    used_at: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        return _name(self.kind, self.description)

    @property
    def live(self) -> Kept[Any] | None:
        """The pool while it is open; one that crashed is not."""
        return self.kept if self.kept is not None and not self.kept.closed.is_set() else None

    @property
    def used(self) -> bool:
        return self.lock.locked() or self.live is not None

    @property
    def is_lent(self) -> bool:
        return self.lent > 0 or self.lock.locked()

    def lend(self) -> Lease:
        """Lend it to a call, if its backend is asked now."""
        ticket = self.backend.admit()
        self.lent += 1
        return Lease(self.backend, self.target, ticket, self.kind.watch is not None, self.give_back)

    def give_back(self) -> None:
        self.lent -= 1
        self.used_at = time.monotonic()

    def fail(self, failure: str) -> None:
        """It could not be opened, and its backend is to blame."""
        self.failure = failure
        self.backend.note(False)

    def opened(self, kept: Kept[Any]) -> None:
        self.failure, self.opened_at, self.opens = None, time.monotonic(), self.opens + 1
        if self.kind.watch is not None:
            self.kind.watch(kept.value, self.backend.note)

    def _usage(self) -> Usage:
        live = self.live
        if live is not None and self.kind.usage is not None:
            with suppress(Exception):  # a kind that cannot tell must not break the pages that show all pools
                return self.kind.usage(live.value)
        return Usage()

    def state(self) -> PoolState:
        live, breaker, usage = self.live, self.backend.breaker, self._usage()
        return PoolState(
            kind=self.kind.name,
            target=self.description,
            state="open" if live is not None else "failed" if self.failure else "closed",
            open_for=round(time.monotonic() - self.opened_at, 1) if live is not None else None,
            failure=self.failure,
            breaker=breaker.state,
            opens=self.opens,
            failures=breaker.failures,
            trips=breaker.trips,
            retries=self.backend.retries.taken,
            size=usage.size,
            in_use=usage.in_use,
            waiting=usage.waiting,
            limit=usage.limit,
        )


def _name(kind: PoolKind[Any], description: str) -> str:
    return f"the {kind.name} pool for {description}"


def _tune(backend: Backend, settings: PoolSettings) -> None:
    backend.breaker.limit, backend.breaker.pause = settings.failures, settings.pause
    backend.retries.share = settings.retries


def _together(one: PoolState, other: PoolState) -> PoolState:
    """Two passing pools of the same backend as one line: what is taken of both, and the state of the one that works."""
    better = one if one.state == "open" else other
    sums = {name: _sum(getattr(one, name), getattr(other, name)) for name in ("opens", "size", "in_use", "waiting")}
    return replace(better, **sums)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)
