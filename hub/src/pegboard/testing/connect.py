"""An in-memory client of a hub: what a plugin's tests talk to."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal

import anyio
from mcp import Client
from mcp.shared.memory import create_client_server_memory_streams

from pegboard.endpoint import Endpoint
from pegboard.hub import Hub
from pegboard.loading import Owner
from pegboard.serving.session import Session
from pegboard.serving.traffic import Traffic
from pegboard.settings import HubSettings
from pegboard.testing.plugins import entry_point

Era = Literal["handshake", "stateless"]
Streams = tuple[Any, Any]


def hub_of(*plugins: Any, settings: Mapping[str, Any] | None = None, strict: bool = True) -> Hub:
    """A hub that finds exactly `plugins` (values, modules or classes), trusts them, and reads no environment.

    `settings` is what the file would hold: `{"plugins": {"weather": {"url": ...}}, "calls": {"deadline": 1}}`. Tools
    that write are served, unless it says otherwise. With `strict` a plugin that cannot be loaded raises `PluginError`
    instead of being quarantined.
    """
    points = [entry_point(plugin) for plugin in plugins]
    given: dict[str, Any] = {
        "loading": {"strict": strict},
        "trust": {"allow": [Owner.of(point).distribution for point in points]},
        **(settings or {}),
    }
    tables: dict[str, Any] = given.get("plugins", {})
    given["plugins"] = tables | {point.name: {"writes": "allow", **tables.get(point.name, {})} for point in points}
    return Hub(HubSettings.model_validate(given), environ={}, found=points)


@asynccontextmanager
async def connect(
    *plugins: Any, settings: Mapping[str, Any] | None = None, path: str = "", era: Era = "handshake", **client: Any
) -> AsyncGenerator[Client]:
    """Open a hub with `plugins` and yield an `mcp.Client` of one of its endpoints.

        async with connect(pegboard_weather) as client:
            result = await client.call_tool("weather_forecast", {"city": "Rome"})

    `path` chooses the endpoint (`"/weather"`), `era` the protocol: with sessions (to 2025-11-25) or without
    (2026-07-28). Everything else goes to the client.
    """
    async with hub_of(*plugins, settings=settings) as hub, client_of(hub, path, era, **client) as connected:
        yield connected


def client_of(hub: Hub, path: str = "", era: Era = "handshake", **client: Any) -> Client:
    """A client of an open hub; enter it."""
    transport = _transport(hub.endpoints[path], hub.settings)
    return Client(transport, mode="legacy" if era == "handshake" else "2026-07-28", **client)


def _transport(endpoint: Endpoint, settings: HubSettings) -> AbstractAsyncContextManager[Streams]:
    @asynccontextmanager
    async def opened() -> AsyncGenerator[Streams]:
        async with create_client_server_memory_streams() as (client_streams, server_streams):
            read, write = server_streams
            limit = settings.server.max_calls_per_session
            session = Session(read, write, Traffic(), limit)
            session.write.after_send = session.sent
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(endpoint.serve, session.read, session.write)
                try:
                    yield client_streams
                finally:
                    await client_streams[1].aclose()

    return opened()


__all__ = ["Era", "client_of", "connect", "hub_of"]
