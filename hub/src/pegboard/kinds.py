"""What a pool is: values. A kind says how pools are opened, named and looked at."""

from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import urlsplit

from pegboard.breaker import BreakerState

P = TypeVar("P")


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
class Usage:
    """How much of a pool is taken now; `None` stands for what it cannot tell."""

    size: int | None = None
    """Connections that are open."""
    in_use: int | None = None
    """Connections, or places, that somebody has."""
    waiting: int | None = None
    """Calls that wait for one."""
    limit: int | None = None
    """Most there can be."""


@dataclass(frozen=True, slots=True)
class PoolKind(Generic[P]):
    """A typed key for a kind of pool: publish one, and any plugin can share its pools.

    `open(target)` returns an async context manager that yields the pool; entering it should be cheap and do no I/O,
    so that a dead backend is met by the call that needs it and not by the hub. It is entered and left by one task,
    gets 10 seconds to open and 5 to close; then it is cancelled. `target` is any hashable value, and equal targets
    share one pool: put the credentials into it, so that callers with other credentials get another pool.
    `describe(target)` names a target in status pages and logs, without secrets.

    `backend(target)` names what answers there, without credentials: pools of one backend share a circuit breaker.
    Without it each pool has its own. `usage(pool)` tells how much of a pool is taken; it must be quick.
    `watch(pool, note)` is called when a pool has been opened, for one that sees itself whether its backend answers:
    it calls `note(True)` or `note(False)` for each answer or failure, and the ends of calls are not counted then.
    """

    name: str
    open: Callable[[Any], AbstractAsyncContextManager[P]]
    describe: Callable[[Any], str] = describe_target
    backend: Callable[[Any], Hashable] | None = None
    usage: Callable[[P], Usage] | None = None
    watch: Callable[[P, Callable[[bool], None]], None] | None = None


@dataclass(frozen=True, slots=True)
class PoolState:
    """One pool: its kind, its target without secrets, how it is, and for how many seconds it has been open.

    `opens` is how often it was opened. `failures`, `trips` and `retries` are its backend's, which it may share with
    other pools: how often that did not answer, how often the breaker opened, and how many reads were run once more.
    """

    kind: str
    target: str
    state: Literal["open", "failed", "closed"]
    open_for: float | None = None
    failure: str | None = None
    breaker: BreakerState = "closed"
    opens: int = 0
    failures: int = 0
    trips: int = 0
    retries: int = 0
    size: int | None = None
    in_use: int | None = None
    waiting: int | None = None
    limit: int | None = None
