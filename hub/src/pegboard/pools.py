"""Pools: every connection the hub lends, each opened by the first call that needs it and kept by its own task."""

import time
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, cast
from urllib.parse import urlsplit

import anyio

from pegboard.errors import PegboardError, PoolError
from pegboard.keeper import Keepers, Kept

if TYPE_CHECKING:
    import httpx

P = TypeVar("P")

OPEN_TIMEOUT = 10.0
CLOSE_TIMEOUT = 5.0
MAX_POOLS = 256


def describe_target(target: Any) -> str:
    """Name a target without its secrets: scheme, host and path of a URL, else only its type."""
    if not isinstance(target, str):
        return type(target).__name__
    with suppress(ValueError):
        url = urlsplit(target)
        host, rest = url.netloc.rpartition("@")[2], url.path + url.query + url.fragment
        # A password with an unquoted `/`, `?` or `#` in it ends the host too early.
        if url.scheme and "@" not in rest:
            return f"{url.scheme}://{host}{url.path}"
    return "-"


@dataclass(frozen=True, slots=True)
class PoolKind(Generic[P]):
    """A typed key for a kind of pool: publish one, and any plugin can share its pools.

    `open(target)` returns an async context manager that yields the pool; entering it should be cheap and do no I/O,
    so that a dead backend is met by the call that needs it and not by the hub. It is entered and left by one task,
    gets 10 seconds to open and 5 to close; then it is cancelled. `target` is any hashable value, and equal targets
    share one pool: put the credentials into it, so that callers with other credentials get another pool.
    `describe(target)` names a target in status pages and logs, without secrets.
    """

    name: str
    open: Callable[[Any], AbstractAsyncContextManager[P]]
    describe: Callable[[Any], str] = describe_target


@dataclass(frozen=True, slots=True)
class PoolState:
    """One pool: its kind, its target without secrets, how it is, and for how many seconds it has been open."""

    kind: str
    target: str
    state: Literal["open", "failed", "closed"]
    open_for: float | None = None
    failure: str | None = None


class Pools:
    """Lends pools by kind and target; an async context manager that owns them all.

    Ten calls that ask at once for a pool that is not open open it once. Leaving closes the pools in reverse order of
    opening, each within its time, even when a backend is frozen or the hub is being cancelled.
    """

    def __init__(
        self, *, open_timeout: float = OPEN_TIMEOUT, close_timeout: float = CLOSE_TIMEOUT, limit: int = MAX_POOLS
    ) -> None:
        self._limit = limit
        self._keepers = Keepers(open_timeout=open_timeout, close_timeout=close_timeout)
        self._slots: dict[tuple[PoolKind[Any], Hashable], _Slot] = {}

    async def __aenter__(self) -> Self:
        await self._keepers.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._keepers.__aexit__(kind, error, traceback)

    async def get(self, kind: PoolKind[P], target: Hashable) -> P:
        """Return the pool of this kind for this target; open it if nobody has yet.

        Raises `PoolError` when it does not open in time, when too many pools are open, or when the hub is closing;
        what the kind's own `open` raises as a `PegboardError` passes through. A failed or cancelled open leaves
        nothing behind, and a pool that crashed is forgotten: the next caller opens it again.
        """
        slot = self._slots.get((kind, target)) or self._new_slot(kind, target)
        slot.retirement = None
        kept = slot.live
        if kept is None:
            # The lock guards only the opening of this one pool, so that nobody waits for somebody else's backend.
            async with slot.lock:
                kept = slot.live or await self._open(slot)
        return cast(P, kept.value)

    def retire(self, after: float) -> None:
        """Close in `after` seconds what nobody has asked for until then; the settings that asked may be gone."""
        retirement = object()
        for slot in self._slots.values():
            slot.retirement = retirement
        self._keepers.later(after, partial(self._close_retired, retirement))

    async def _close_retired(self, retirement: object) -> None:
        # What was retired once more since then has calls from before that, which may still be running.
        for slot in [slot for slot in self._slots.values() if slot.retirement is retirement and slot.used]:
            if slot.kept is not None:
                await self._keepers.close(slot.kept)

    def states(self) -> list[PoolState]:
        """The pools asked for so far, oldest first."""
        return [slot.state() for slot in self._slots.values()]

    def _new_slot(self, kind: PoolKind[Any], target: Hashable) -> "_Slot":
        if len(self._slots) >= self._limit:
            self._slots = {key: slot for key, slot in self._slots.items() if slot.used}
        if len(self._slots) >= self._limit:
            raise PoolError(f"no {kind.name} pool can be opened: {self._limit} pools are open already")
        return self._slots.setdefault((kind, target), _Slot(kind, target, kind.describe(target)))

    async def _open(self, slot: "_Slot") -> Kept[Any]:
        if self._keepers.closing:
            raise PoolError(f"{slot.name} is not available: the hub is closing")
        try:
            slot.kept = await self._keepers.keep(slot.name, slot.kind.open(slot.target))
        except TimeoutError as error:
            slot.failure = f"did not open within {self._keepers.open_timeout:g} s"
            raise PoolError(f"{slot.name} {slot.failure}") from error
        except PegboardError as error:
            slot.failure = str(error)
            raise
        except Exception as error:
            slot.failure = f"could not be opened ({type(error).__name__})"
            raise PoolError(f"{slot.name} {slot.failure}") from error
        slot.failure, slot.opened_at = None, time.monotonic()
        return slot.kept


@dataclass(eq=False, slots=True)
class _Slot:
    """The place of one pool: the pool if it is open, and the lock that makes its opening a single flight."""

    kind: PoolKind[Any]
    target: Hashable
    description: str
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    kept: Kept[Any] | None = None
    failure: str | None = None
    opened_at: float = 0.0
    retirement: object = None

    @property
    def name(self) -> str:
        return f"the {self.kind.name} pool for {self.description}"

    @property
    def live(self) -> Kept[Any] | None:
        """The pool while it is open; one that crashed is not."""
        return self.kept if self.kept is not None and not self.kept.closed.is_set() else None

    @property
    def used(self) -> bool:
        return self.lock.locked() or self.live is not None

    def state(self) -> PoolState:
        is_open = self.live is not None
        return PoolState(
            kind=self.kind.name,
            target=self.description,
            state="open" if is_open else "failed" if self.failure else "closed",
            open_for=round(time.monotonic() - self.opened_at, 1) if is_open else None,
            failure=self.failure,
        )


@asynccontextmanager
async def _open_http(base_url: str) -> "AsyncGenerator[httpx.AsyncClient]":
    import httpx  # a hub without HTTP tools need not pay for the import

    # Neither redirects nor the proxies of the environment may decide where a request goes (CVE-2026-26118).
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=10)
    async with httpx.AsyncClient(
        base_url=base_url, follow_redirects=False, trust_env=False, timeout=httpx.Timeout(10), limits=limits
    ) as client:
        yield client


HTTP: "PoolKind[httpx.AsyncClient]" = PoolKind("http", _open_http)
"""HTTP clients by base URL: at most 50 connections each, 10 s for connecting and for each read, no redirects followed,
no proxies from the environment. The client is shared: pass credentials with a request, never set them on it."""
