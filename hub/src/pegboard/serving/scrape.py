"""`/metrics`: what was counted and how the hub is, for Prometheus."""

import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pegboard.endpoint import PRINCIPAL
from pegboard.hub import Hub
from pegboard.kinds import PoolState
from pegboard.logs import lines_lost
from pegboard.metrics import Labels, Reading
from pegboard.security.principal import Principal
from pegboard.serving.traffic import Traffic

if TYPE_CHECKING:
    from pegboard.prometheus import Scraped

MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux says how much memory a container may have."""

POOL = ("kind", "target")

Sessions = Callable[[], Mapping[str, int]]


class Scrape:
    """Answers `GET /metrics`, in the format of Prometheus or in OpenMetrics.

    Where the hub asks for keys it is for operators only, unless `[metrics] public` says otherwise.
    """

    def __init__(self, hub: Hub, traffic: Traffic, sessions: Sessions, is_ready: Callable[[], bool]) -> None:
        self._hub = hub
        self._traffic = traffic
        self._sessions = sessions
        self._is_ready = is_ready
        self._memory_limit = memory_limit()
        self._one_at_a_time = anyio.Lock()
        self._scraped: Scraped | None = None

    async def page(self, request: Request) -> Response:
        """The answer."""
        settings = self._hub.settings.metrics
        principal: Principal | None = request.scope.get(PRINCIPAL)
        if not settings.enabled:
            return JSONResponse({"detail": "metrics are switched off; [metrics] enabled = true serves them"}, 404)
        if not (settings.public or principal is None or principal.may_operate):
            return JSONResponse({"detail": "this needs a key with the scope metrics"}, 403)
        readings = [*self._hub.metrics.readings(), *self.readings()]
        async with self._one_at_a_time:
            # In a thread: the first time imports the SDK, and thousands of series take a while.
            text, kind = await anyio.to_thread.run_sync(self._text, readings, request.headers.get("accept", ""))
        return Response(text, media_type=kind)

    def readings(self) -> Iterator[Reading]:
        """How the hub is now; what it has counted is in `Hub.metrics`."""
        hub = self._hub
        yield _info(hub.version)
        yield Reading("pegboard.uptime", "Since the hub was made.", {(): hub.uptime}, unit="s")
        yield _number("pegboard.ready", "Whether clients should be sent here.", self._is_ready())
        yield Reading("pegboard.plugins", "Plugins by state.", _plugins(hub), ("state",))
        yield Reading("pegboard.memory.limit", "Memory the process may take.", {(): self._memory_limit}, unit="By")
        yield from self._traffic_now()
        yield from _limits(hub)
        yield from _budget(hub)
        yield from pools(hub.pools.states())
        yield from _records(hub)

    def _text(self, readings: Iterable[Reading], accept: str) -> tuple[bytes, str]:
        if self._scraped is None:
            from pegboard.prometheus import Scraped  # paid for only where somebody scrapes, 0.1 s

            self._scraped = Scraped(self._hub.metrics)
        return self._scraped.text(readings, accept)

    def _traffic_now(self) -> Iterator[Reading]:
        sessions = {(transport,): count for transport, count in self._sessions().items()}
        yield _number("pegboard.calls.in_flight", "Requests that are not answered yet.", self._traffic.exchanges.value)
        yield _number("pegboard.streams.open", "Streams that are open.", self._traffic.streams.value)
        yield Reading("pegboard.sessions", "Sessions that are open.", sessions, ("transport",))


def memory_limit(files: Iterable[Path] = MEMORY_LIMITS) -> int:
    """How much memory this process may take: what its container has, and at most all of the machine's."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in files:
        try:
            limits.append(int(file.read_text(encoding="ascii")))
        except (OSError, ValueError):  # another system, or no limit: "max"
            continue
    return min(limits)


def _info(version: str) -> Reading:
    values = {(version, platform.python_version()): 1}
    return Reading("pegboard.build_info", "The version that runs.", values, ("version", "python"))


def _number(name: str, about: str, value: float) -> Reading:
    return Reading(name, about, {(): int(value)})


def _plugins(hub: Hub) -> Mapping[Labels, int]:
    return {("served",): len(hub.plugins), ("failed",): len(hub.failed)}


def _limits(hub: Hub) -> Iterator[Reading]:
    waiting = {(plugin,): waiting for plugin, (_, waiting) in hub.limits.in_turn.items()}
    yield Reading("pegboard.calls.waiting", "Calls that wait for their plugin.", waiting, ("plugin",))
    if hub.limits.is_shared is not None:
        yield _number("pegboard.limits.shared", "Whether Redis shares the limits.", hub.limits.is_shared)


def _budget(hub: Hub) -> Iterator[Reading]:
    fits = {(endpoint.offer.name,): endpoint.view.fit for endpoint in hub.endpoints.values()}
    labels = ("endpoint",)
    listed = {endpoint: fit.tools for endpoint, fit in fits.items()}
    hidden = {endpoint: len(fit.dropped) for endpoint, fit in fits.items()}
    tokens = {endpoint: fit.tokens for endpoint, fit in fits.items()}
    yield Reading("pegboard.budget.listed_tools", "Tools an endpoint lists.", listed, labels)
    yield Reading("pegboard.budget.hidden_tools", "Tools an endpoint does not list.", hidden, labels)
    yield Reading("pegboard.budget.listed_tokens", "Tokens of an endpoint's list.", tokens, labels)


def pools(states: Iterable[PoolState]) -> Iterator[Reading]:
    """The pools, those of one backend with other credentials together."""
    pools: dict[Labels, list[PoolState]] = {}
    for state in states:
        pools.setdefault((state.kind, state.target), []).append(state)
    sums = {name: _sums(pools, name) for name in ("size", "in_use", "waiting", "limit", "opens")}
    yield Reading("pegboard.pool.connections", "Connections that are open.", sums["size"], POOL)
    yield Reading("pegboard.pool.connections.in_use", "Connections that calls use.", sums["in_use"], POOL)
    yield Reading("pegboard.pool.connections.limit", "Most connections.", sums["limit"], POOL)
    yield Reading("pegboard.pool.waiting", "Calls that wait for a connection.", sums["waiting"], POOL)
    yield Reading("pegboard.pool.opens", "How often pools were opened.", sums["opens"], POOL, only_grows=True)
    # These belong to the backend, and stand in each of its pools.
    firsts = {labels: states[0] for labels, states in pools.items()}
    failures = {labels: state.failures for labels, state in firsts.items()}
    trips = {labels: state.trips for labels, state in firsts.items()}
    retries = {labels: state.retries for labels, state in firsts.items()}
    yield Reading("pegboard.pool.failures", "Calls it did not answer.", failures, POOL, only_grows=True)
    yield Reading("pegboard.pool.trips", "How often its breaker opened.", trips, POOL, only_grows=True)
    yield Reading("pegboard.pool.retries", "Reads that were repeated.", retries, POOL, only_grows=True)
    breakers = {
        (*labels, state): int(first.breaker == state)
        for labels, first in firsts.items()
        for state in ("closed", "half_open", "open")
    }
    yield Reading(
        "pegboard.pool.breaker", "The state of its breaker: 1 for the one it is in.", breakers, (*POOL, "state")
    )


def _sums(pools: Mapping[Labels, Iterable[PoolState]], name: str) -> Mapping[Labels, int]:
    """What the pools of each backend have together; nothing where their kind cannot tell."""
    sums: Counter[Labels] = Counter()
    for labels, states in pools.items():
        for value in (getattr(state, name) for state in states):
            if value is not None:
                sums[labels] += value
    return sums


def _records(hub: Hub) -> Iterator[Reading]:
    """The audit log and the process's log."""
    journal = hub.audit.journal
    if journal.path is not None:
        yield _number("pegboard.audit.writable", "Whether the audit log can be written.", journal.problem is None)
        yield Reading("pegboard.audit.waiting", "Records that wait to be written.", {(): journal.waiting}, unit="By")
        yield Reading("pegboard.audit.lost", "Audit records lost.", {(): journal.lost}, only_grows=True)
    yield Reading("pegboard.log.lost", "Lines of the log lost.", {(): lines_lost()}, only_grows=True)
