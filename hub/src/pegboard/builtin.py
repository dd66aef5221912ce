"""The built-in plugin `hub`: how the hub is, and what it serves. Written on the public API, as any plugin."""

import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NotRequired

from typing_extensions import TypedDict

from pegboard import Call, Plugin, ToolError, hookimpl, tool

if TYPE_CHECKING:
    from pegboard.hub import Hub


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
    """One per hub: it remembers the hub it belongs to and counts that hub's calls."""

    def __init__(self) -> None:
        self._hub: Hub | None = None
        self._calls: Calls = {"answered": 0, "failed": 0, "in_flight": 0}

    @hookimpl
    def hub_plugin(self) -> Plugin:
        return Plugin(name="hub", tools=[self.health_check, self.list_services])

    @hookimpl
    @asynccontextmanager
    async def hub_lifespan(self, hub: "Hub") -> AsyncGenerator[None]:
        self._hub = hub
        yield

    @hookimpl
    def hub_around_call(self, call: Call[Any]) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 # counted, not read
        return _Counted(self._calls)

    @tool(read_only=True, idempotent=True, open_world=False)
    async def health_check(self) -> Health:
        """Tell how the hub is: its version and uptime, which plugins and connection pools work, and why not."""
        hub = self._running()
        return {
            "status": "degraded" if hub.failed else "ok",
            "version": hub.version,
            "uptime_seconds": int(hub.uptime),
            "plugins": plugins_of(hub),
            "pools": pools_of(hub),
            "calls": self._calls,
        }

    @tool(read_only=True, idempotent=True, open_world=False)
    async def list_services(self) -> Services:
        """List what is connected to the hub: each service with its endpoints and tools, and each open connection."""
        hub = self._running()
        services: list[Service] = [
            {
                "name": plugin.name,
                "version": plugin.owner.version,
                "since": _time(hub.started_at),
                "endpoints": [f"{path}/sse" for path in hub.paths_of(plugin.name)],
                "tools": [tool.name for tool in plugin.tools],
            }
            for plugin in hub.plugins
        ]
        return {"services": services, "connections": _connections(hub)}

    def _running(self) -> "Hub":
        if self._hub is None:
            raise ToolError("the hub is still starting; ask again in a moment")
        return self._hub


class _Counted:
    """Counts one call; a class and not a generator, since it is on the path of every call."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def __aenter__(self) -> None:
        self._calls["in_flight"] += 1

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        self._calls["in_flight"] -= 1
        self._calls["answered" if error is None else "failed"] += 1


def plugins_of(hub: "Hub") -> list[PluginHealth]:
    """Every plugin that was found, served or not, in name order."""
    served = [PluginHealth(name=p.name, version=p.owner.version, state="served") for p in hub.plugins]
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
        pools.append(pool if state.failure is None else {**pool, "failure": state.failure})
    return pools


def _connections(hub: "Hub") -> list[Connection]:
    connections: list[Connection] = []
    for state in hub.pools.states():
        connection = Connection(kind=state.kind, target=state.target, state=state.state)
        since = None if state.open_for is None else _time(time.time() - state.open_for)
        connections.append(connection if since is None else {**connection, "since": since})
    return connections


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
