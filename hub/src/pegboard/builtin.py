"""The built-in plugin `hub`: how the hub is, and what it serves. Written on the public API, as any plugin."""

import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NotRequired

from typing_extensions import TypedDict

from pegboard import Call, Plugin, ToolError, hookimpl, tool

if TYPE_CHECKING:
    from pegboard.hub import Hub
    from pegboard.loading import Loaded


class PluginHealth(TypedDict):
    name: str
    version: str
    state: Literal["served", "not served"]
    reason: NotRequired[str]


class PoolHealth(TypedDict):
    kind: str
    target: str
    state: Literal["open", "failed", "closed"]
    failure: NotRequired[str]
    breaker: NotRequired[Literal["open", "half_open"]]


class Calls(TypedDict):
    answered: int
    failed: int
    in_flight: int


class Health(TypedDict):
    status: Literal["ok", "degraded"]
    version: str
    uptime_seconds: int
    plugins: list[PluginHealth]
    pools: list[PoolHealth]
    calls: Calls


class Service(TypedDict):
    name: str
    version: str
    since: str
    endpoints: list[str]
    tools: list[str]


class Connection(TypedDict):
    kind: str
    target: str
    state: str
    since: NotRequired[str]


class Services(TypedDict):
    services: list[Service]
    connections: list[Connection]


class HubPlugin:
    """One per hub: it remembers the hub it belongs to."""

    def __init__(self) -> None:
        self._hub: Hub | None = None

    @hookimpl
    def hub_plugin(self) -> Plugin:
        return Plugin(name="hub", tools=[self.health_check, self.list_services])

    @hookimpl
    @asynccontextmanager
    async def hub_lifespan(self, hub: "Hub") -> AsyncGenerator[None]:
        self._hub = hub
        yield

    @tool(read_only=True, idempotent=True, open_world=False)
    async def health_check(self, call: Call[Any]) -> Health:
        """Tell how the hub is: its version and uptime, which plugins and connection pools work, and why not."""
        hub = self._running()
        return {
            "status": "degraded" if hub.is_degraded else "ok",
            "version": hub.version,
            "uptime_seconds": int(hub.uptime),
            "plugins": plugins_of(hub) if call.may_operate else [_served(plugin) for plugin, _ in hub.seen_by(call)],
            "pools": pools_of(hub) if call.may_operate else [],
            "calls": _calls_of(hub),
        }

    @tool(read_only=True, idempotent=True, open_world=False)
    async def list_services(self, call: Call[Any]) -> Services:
        """List what is connected to the hub: each service with its endpoints and tools, and each open connection."""
        hub = self._running()
        services: list[Service] = [
            {
                "name": plugin.name,
                "version": plugin.owner.version,
                "since": _time(hub.started_at),
                "endpoints": [f"{path}/sse" for path in hub.paths_of(plugin.name) if _has(plugin, path, names)],
                "tools": names,
            }
            for plugin, names in hub.seen_by(call)
        ]
        return {"services": services, "connections": _connections(hub) if call.may_operate else []}

    def _running(self) -> "Hub":
        if self._hub is None:
            raise ToolError("the hub is still starting; ask again in a moment")
        return self._hub


def _calls_of(hub: "Hub") -> Calls:
    ended: Counter[str] = Counter()
    for (_, _, outcome), count in hub.metrics.calls.items():
        ended[outcome] += count
    answered = ended["ok"] + ended["asked"]
    return {"answered": answered, "failed": ended.total() - answered, "in_flight": hub.metrics.running}


def plugins_of(hub: "Hub") -> list[PluginHealth]:
    """Every plugin that was found, served or not, in name order."""
    served = [_served(plugin) for plugin in hub.plugins]
    others = [
        PluginHealth(name=q.owner.name, version=q.owner.version, state="not served", reason=q.why)
        for q in hub.quarantined
    ]
    return sorted(served + others, key=lambda plugin: (plugin["name"], plugin["state"]))


def pools_of(hub: "Hub") -> list[PoolHealth]:
    """Every pool that was asked for, oldest first."""
    pools: list[PoolHealth] = []
    for state in hub.pools.states():
        pool = PoolHealth(kind=state.kind, target=state.target, state=state.state)
        if state.failure is not None:
            pool["failure"] = state.failure
        if state.breaker != "closed":
            pool["breaker"] = state.breaker
        pools.append(pool)
    return pools


def _served(plugin: "Loaded") -> PluginHealth:
    return {"name": plugin.name, "version": plugin.owner.version, "state": "served"}


def _has(plugin: "Loaded", path: str, names: list[str]) -> bool:
    """Whether one of these tools is at the plugin's endpoint of that path."""
    group = path.removeprefix(f"/{plugin.name}").removeprefix("/")
    return not group or any(name in names for name in plugin.tool_names(group))


def _connections(hub: "Hub") -> list[Connection]:
    connections: list[Connection] = []
    for state in hub.pools.states():
        connection = Connection(kind=state.kind, target=state.target, state=state.state)
        since = None if state.open_for is None else _time(time.time() - state.open_for)
        connections.append(connection if since is None else {**connection, "since": since})
    return connections


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
