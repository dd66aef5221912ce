"""The hub: plugins, pools and endpoints, opened in this order and closed in reverse."""

import logging
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from pegboard import Call, Group, Plugin, PluginSettings, PoolKind, hookimpl
from pegboard.errors import PluginError
from pegboard.hub import Hub
from pegboard.testing import client_of, connect, hub_of

AnyCall = Call[PluginSettings]


async def ping() -> str:
    """Answer."""
    return "pong"


GOOD = Plugin(name="good", tools=[ping])


def living(name: str, lifespan: Callable[[Hub], Any], *tools: Any) -> Any:
    """A plugin with a lifespan."""

    class Hooks:
        @hookimpl
        def hub_plugin(self) -> Plugin:
            return Plugin(name=name, tools=tools)

        @hookimpl
        def hub_lifespan(self, hub: Hub) -> Any:
            return lifespan(hub)

    return Hooks


async def test_a_hub_has_an_endpoint_for_all_for_each_plugin_and_for_each_group() -> None:
    plugin = Plugin(name="net", tools=[ping], groups=[Group("fast", tools=[ping]), Group("slow")])

    async with hub_of(plugin, GOOD) as hub:
        profiles = [f"/profiles/{name}" for name in ("small", "medium", "large", "unlimited")]
        assert list(hub.endpoints) == ["", "/good", "/net", "/net/fast", "/net/slow", *profiles]
        assert hub.paths_of("net") == ["/net", "/net/fast", "/net/slow"]
        assert hub.endpoints["/net/fast"].offer.title == "net fast"


async def test_a_hub_without_plugins_serves_an_empty_list() -> None:
    async with connect() as client:
        assert (await client.list_tools()).tools == []


async def test_a_hub_knows_its_version_and_age() -> None:
    hub = Hub(environ={}, found=[])

    assert hub.version.count(".") == 2
    assert 0 <= hub.uptime < 60
    assert not hub.tracing


async def test_a_hub_whose_traces_go_somewhere_serves_just_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = TracerProvider()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)

    async with hub_of(GOOD) as hub, client_of(hub) as client:
        assert hub.tracing
        assert not (await client.call_tool("good_ping", {})).is_error


async def test_two_hubs_in_a_process_share_nothing() -> None:
    class Hooks:
        made = 0

        def __init__(self) -> None:
            type(self).made += 1
            self.calls = 0

        @hookimpl
        def hub_plugin(self) -> Plugin:
            return Plugin(name="counter", tools=[self.count])

        async def count(self) -> int:
            self.calls += 1
            return self.calls

    async with hub_of(Hooks) as one, hub_of(Hooks) as other, client_of(one) as a, client_of(other) as b:
        counts = [(await client.call_tool("counter_count", {})).structured_content for client in (a, a, b)]

    assert counts == [{"result": 1}, {"result": 2}, {"result": 1}]
    assert one.endpoints[""] is not other.endpoints[""]
    assert one.pools is not other.pools


# Lifespans


async def test_a_lifespan_lives_as_long_as_the_hub() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(hub: Hub) -> AsyncGenerator[None]:
        events.append(f"open {[plugin.name for plugin in hub.plugins]}")
        yield
        events.append("close")

    with anyio.fail_after(5):
        async with hub_of(living("x", lifespan, ping)) as hub, client_of(hub) as client:
            await client.call_tool("x_ping", {})
            assert events == ["open ['x']"]

    assert events == ["open ['x']", "close"]


async def test_lifespans_are_opened_side_by_side() -> None:
    """F-07: so that several that hang cost the time of one."""
    met: list[str] = []

    @asynccontextmanager
    async def meet(_: Hub) -> AsyncGenerator[None]:
        met.append("here")
        while len(met) < 2:
            await checkpoint()
        yield

    with anyio.fail_after(5):
        async with hub_of(living("a", meet), living("b", meet)) as hub:
            assert [plugin.name for plugin in hub.plugins] == ["a", "b"]


async def test_a_lifespan_may_be_nothing() -> None:
    async with hub_of(living("x", lambda _: None)) as hub:
        assert [plugin.name for plugin in hub.plugins] == ["x"]


@asynccontextmanager
async def failing(_: Hub) -> AsyncGenerator[None]:
    raise LookupError("no cache")
    yield


@asynccontextmanager
async def exiting(_: Hub) -> AsyncGenerator[None]:
    raise SystemExit(3)
    yield


@asynccontextmanager
async def hanging(_: Hub) -> AsyncGenerator[None]:
    await anyio.sleep_forever()
    yield


def not_a_manager(_: Hub) -> int:
    return 5


def failing_at_once(_: Hub) -> None:
    raise LookupError("no cache")


@pytest.mark.parametrize(
    ("lifespan", "reason"),
    [
        (failing, "not opened: hub_lifespan() raised LookupError: no cache"),
        (failing_at_once, "not opened: hub_lifespan() raised LookupError: no cache"),
        (exiting, "not opened: hub_lifespan() raised RuntimeError: SystemExit(3)"),
        (hanging, "not opened: hub_lifespan() did not open within 0.05 s"),
        (not_a_manager, "not opened: hub_lifespan() raised TypeError: 'int' object does not support"),
    ],
)
async def test_a_lifespan_that_does_not_open_disables_its_plugin_only(lifespan: Any, reason: str) -> None:
    """F-07: after `[loading] timeout` seconds if it hangs."""
    settings = {"loading": {"timeout": 0.05}}

    with anyio.fail_after(5):
        async with hub_of(living("bad", lifespan, ping), GOOD, settings=settings) as hub, client_of(hub) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["good_ping"]
            (quarantined,) = hub.failed

    assert quarantined.owner.name == "bad"
    assert quarantined.why.startswith(reason)


async def test_strict_makes_a_lifespan_that_does_not_open_fatal_and_closes_the_others() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def fine(_: Hub) -> AsyncGenerator[None]:
        events.append("open")
        yield
        events.append("close")

    with anyio.fail_after(5), pytest.raises(PluginError, match=r"'bad' of .* is not served: not opened: .* no cache"):
        async with hub_of(living("bad", failing), living("fine", fine)):
            pytest.fail("the hub must not start")

    assert events == ["open", "close"]


async def test_a_lifespan_that_crashes_later_is_logged_and_the_hub_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    crash = anyio.Event()

    @asynccontextmanager
    async def fragile(_: Hub) -> AsyncGenerator[None]:
        async def watch() -> None:
            await crash.wait()
            raise LookupError("gone")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            yield

    with anyio.fail_after(5):
        async with hub_of(living("x", fragile, ping)) as hub, client_of(hub) as client:
            crash.set()
            await anyio.wait_all_tasks_blocked()
            assert not (await client.call_tool("x_ping", {})).is_error

    assert "the lifespan of plugin x crashed" in caplog.messages


async def test_pools_are_closed_before_lifespans() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def noted(name: Any) -> AsyncGenerator[None]:
        events.append(f"open {name}")
        yield
        events.append(f"close {name}")

    kind = PoolKind("noted", noted)

    async def use(call: AnyCall) -> None:
        await call.pool(kind, "pool")

    with anyio.fail_after(5):
        async with connect(living("x", lambda _: noted("lifespan"), use)) as client:
            await client.call_tool("x_use", {})

    assert events == ["open lifespan", "open pool", "close pool", "close lifespan"]


async def test_a_hub_that_is_cancelled_closes_in_order_all_the_same() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def noted(name: Any) -> AsyncGenerator[None]:
        yield
        await checkpoint()
        events.append(f"close {name}")

    kind = PoolKind("noted", noted)

    with anyio.fail_after(5):
        with anyio.CancelScope() as scope:
            async with hub_of(living("x", lambda _: noted("lifespan"))) as hub:
                await hub.pools.get(kind, "first")
                await hub.pools.get(kind, "second")
                scope.cancel()
                await anyio.sleep_forever()

    assert events == ["close second", "close first", "close lifespan"]


async def test_the_error_of_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(LookupError, match="mine"):
        async with hub_of(GOOD):
            raise LookupError("mine")


async def test_what_is_served_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pegboard")

    async with hub_of(GOOD):
        pass

    assert any(
        re.fullmatch("plugin 'good' of pegboard-test-good 1.0 is served with 1 tools, catalog [0-9a-f]{16}", line)
        for line in caplog.messages
    )
