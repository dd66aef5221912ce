"""The built-in plugin: how the hub is, and what it serves."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

import anyio
import pytest
from mcp import Client

from pegboard import HTTP, Call, Group, Plugin, PluginSettings, PoolKind, ToolError
from pegboard.builtin import HubPlugin
from pegboard.pools import Pools
from pegboard.testing import connect, hub_of
from pegboard.testing.connect import client_of

AnyCall = Call[PluginSettings]


async def use(call: AnyCall) -> None:
    await call.pool(HTTP, "http://me:hunter2@api.example/v2?key=hunter2")


async def fail() -> None:
    raise ToolError("no")


def refuse(_: Any) -> AbstractAsyncContextManager[None]:
    raise ToolError("the backend is down")


async def lose(call: AnyCall) -> None:
    await call.pool(PoolKind("fake", refuse, describe=str), "db")


WEATHER = Plugin(name="weather", tools=[use, fail], groups=[Group("odd", tools=[lose])])


async def ask(client: Client, tool: str) -> dict[str, Any]:
    with anyio.fail_after(5):
        result = await client.call_tool(tool, {})
    assert result.structured_content is not None
    return result.structured_content


async def test_a_healthy_hub_says_so() -> None:
    async with hub_of(HubPlugin, WEATHER) as hub, client_of(hub) as client:
        health = await ask(client, "hub_health_check")

    assert (health["status"], health["version"], health["uptime_seconds"]) == ("ok", hub.version, 0)
    assert health["plugins"] == [
        {"name": "hub", "version": "1.0", "state": "served"},
        {"name": "weather", "version": "1.0", "state": "served"},
    ]
    assert health["pools"] == []


async def test_a_plugin_that_is_not_served_degrades_the_hub_and_is_named_with_the_reason() -> None:
    def broken() -> None:
        raise ImportError("no psycopg")

    async with hub_of(HubPlugin, broken, strict=False) as hub, client_of(hub) as client:
        health = await ask(client, "hub_health_check")

    assert health["status"] == "degraded"
    assert health["plugins"][0]["name"] == "broken"
    assert health["plugins"][0]["state"] == "not served"
    assert health["plugins"][0]["reason"] == "not imported: ImportError: no psycopg"


async def test_pools_are_told_without_secrets() -> None:
    async with connect(HubPlugin, WEATHER) as client:
        for tool in ("weather_use", "weather_lose"):
            await client.call_tool(tool, {})
        health = await ask(client, "hub_health_check")
        services = await ask(client, "hub_list_services")

    assert health["pools"] == [
        {"kind": "http", "target": "http://api.example/v2", "state": "open"},
        {"kind": "fake", "target": "db", "state": "failed", "failure": "the backend is down"},
    ]
    opened, failed = services["connections"]
    assert datetime.fromisoformat(opened.pop("since")).tzinfo is not None
    assert opened == {"kind": "http", "target": "http://api.example/v2", "state": "open"}
    assert failed == {"kind": "fake", "target": "db", "state": "failed"}


async def test_calls_are_counted_by_how_they_ended() -> None:
    async with connect(HubPlugin, WEATHER) as client:
        await client.call_tool("weather_use", {})
        await client.call_tool("weather_fail", {})
        health = await ask(client, "hub_health_check")

    assert health["calls"] == {"answered": 1, "failed": 1, "in_flight": 1}


async def test_two_hubs_count_their_own_calls() -> None:
    async with hub_of(HubPlugin, WEATHER) as one, hub_of(HubPlugin, WEATHER) as other:
        async with client_of(one) as client:
            await client.call_tool("weather_use", {})
        async with client_of(other) as client:
            health = await ask(client, "hub_health_check")

    assert health["calls"]["answered"] == 0


async def test_services_are_listed_with_their_endpoints_and_tools() -> None:
    async with connect(HubPlugin, WEATHER) as client:
        hub, weather = (await ask(client, "hub_list_services"))["services"]

    assert hub["tools"] == ["hub_health_check", "hub_list_services"]
    assert datetime.fromisoformat(weather.pop("since")).tzinfo is not None
    assert weather == {
        "name": "weather",
        "version": "1.0",
        "endpoints": ["/weather/sse", "/weather/odd/sse"],
        "tools": ["weather_use", "weather_fail", "weather_lose"],
    }


async def test_before_the_hub_is_up_its_tools_say_so() -> None:
    call: AnyCall = Call(PluginSettings(), "hub", "hub_health_check", "all", timeout=1, deadline=1, pools=Pools())
    with pytest.raises(ToolError, match="still starting"):
        await HubPlugin().health_check(call)
