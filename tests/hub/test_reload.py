"""Reload: other settings while sessions are open; lists change whole, or nothing does."""

import logging
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, get_args

import anyio
import httpx
import pytest
from anyio.abc import TaskStatus
from anyio.lowlevel import checkpoint
from mcp import Client, MCPError
from mcp.shared.memory import create_client_server_memory_streams
from mcp.shared.message import SessionMessage
from mcp.shared.subscriptions import ToolsListChanged
from mcp_types import JSONRPCNotification, JSONRPCRequest
from tests.plugins.many import many

from pegboard import Call, Plugin, PluginSettings, PoolKind, hookimpl, tool
from pegboard import endpoint as endpoint_module
from pegboard.errors import BudgetError, ConfigError, PegboardError, PluginError
from pegboard.hub import Hub
from pegboard.serving.app import HubApp
from pegboard.settings import HubSettings
from pegboard.testing import client_of, entry_point, hub_of
from pegboard.testing.connect import Era

AnyCall = Call[PluginSettings]
ERAS: tuple[Era, ...] = get_args(Era)


class Greeting(PluginSettings):
    """Settings of the plugin under test."""

    word: str = "hello"


class Greeter:
    """A plugin with settings, with memory, and with a life."""

    events: list[str]

    def __init__(self) -> None:
        self.calls = 0

    @hookimpl
    def hub_plugin(self) -> Plugin:
        return Plugin(name="greet", tools=[self.hello, self.count], settings=Greeting, instructions="Be kind.")

    @hookimpl
    @asynccontextmanager
    async def hub_lifespan(self) -> AsyncGenerator[None]:
        self.events.append("open")
        yield
        self.events.append("close")

    @tool(read_only=True)
    async def hello(self, call: Call[Greeting]) -> str:
        """Say hello. In other words, too."""
        return call.settings.word

    @tool(read_only=True, priority=1)
    async def count(self) -> int:
        """Count the calls."""
        self.calls += 1
        return self.calls


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    events: list[str] = []
    monkeypatch.setattr(Greeter, "events", events, raising=False)
    return events


OTHER = many(9, "other")
EVERYBODY = ("pegboard-test-greet", "pegboard-test-other")


def settings_of(
    *, allow: tuple[str, ...] = EVERYBODY, plugins: dict[str, dict[str, Any]] | None = None, **given: Any
) -> HubSettings:
    tables = {name: {"writes": "allow", **(plugins or {}).get(name, {})} for name in {"other", *(plugins or {})}}
    fixed = {"trust": {"allow": allow}, "loading": {"strict": True}, "plugins": tables}
    return HubSettings.model_validate({**fixed, **given})


def hub_with(**given: Any) -> Hub:
    found = [entry_point(Greeter), entry_point(OTHER)]
    return Hub(settings_of(**given), environ={}, found=found)


@pytest.fixture
async def hub(events: list[str]) -> AsyncGenerator[Hub]:
    """A hub with two plugins."""
    with anyio.fail_after(20):
        async with hub_with() as hub:
            yield hub


async def names_of(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


async def text_of(client: Client, name: str) -> str:
    return (await client.call_tool(name, {})).content[0].model_dump()["text"]


# What changes


async def test_an_open_session_gets_the_new_list_and_the_new_settings(hub: Hub) -> None:
    async with client_of(hub) as client:
        assert len(await names_of(client)) == 11
        assert await text_of(client, "greet_hello") == "hello"

        await hub.reload(settings_of(budget={"tools": 6}, plugins={"greet": {"word": "hi"}}))

        assert await names_of(client) == [
            *("other_list_jobs", "other_get_jobs", "other_list_job_templates", "other_get_job_templates"),
            *("search_tools", "call_tool"),
        ]
        assert await text_of(client, "greet_hello") == "hi"
        assert hub.generation == 2


async def test_what_was_hidden_is_listed_again_and_the_meta_tools_are_gone(hub: Hub) -> None:
    await hub.reload(settings_of(budget={"tools": 6}))
    async with client_of(hub) as client:
        assert "search_tools" in await names_of(client)

        await hub.reload(settings_of())

        assert len(await names_of(client)) == 11
        with pytest.raises(MCPError, match="Unknown tool: 'search_tools'"):
            await client.call_tool("search_tools", {"query": "x"})


async def test_endpoints_come_go_and_stay(hub: Hub) -> None:
    await hub.reload(settings_of(endpoints={"ops": {"tools": ["greet_*"]}, "old": {"tools": ["*"]}}))
    before = dict(hub.endpoints)

    await hub.reload(settings_of(endpoints={"ops": {"tools": ["greet_count"]}, "new": {"tools": ["*"]}}))

    assert "/old" not in hub.endpoints
    assert "/new" in hub.endpoints
    assert hub.endpoints["/ops"] is before["/ops"]
    assert [bound.name for bound in hub.endpoints["/ops"].offer.tools] == ["greet_count"]


async def test_new_sessions_read_the_new_instructions(hub: Hub) -> None:
    await hub.reload(settings_of(budget={"tools": 6}))

    async with client_of(hub) as client:
        assert (client.instructions or "").endswith("search_tools finds them, call_tool runs them.")
    async with client_of(hub, "/greet") as client:
        assert client.instructions == "Be kind."


async def test_deadlines_are_those_of_the_new_settings(hub: Hub) -> None:
    async def left(call: AnyCall) -> float:
        return call.timeout

    async with hub_of(Plugin(name="x", tools=[left])) as hub, client_of(hub) as client:
        assert await text_of(client, "x_left") == "30.0"
        await hub.reload(hub.settings.model_copy(update={"calls": settings_of(calls={"deadline": 7}).calls}))
        assert await text_of(client, "x_left") == "7.0"


async def test_a_call_in_flight_ends_as_it_began(hub: Hub) -> None:
    reached, go_on = anyio.Event(), anyio.Event()

    async def wait() -> str:
        reached.set()
        await go_on.wait()
        return "done"

    answers: list[str] = []

    async def ask(client: Client) -> None:
        answers.append(await text_of(client, "x_wait"))

    async with hub_of(Plugin(name="x", tools=[wait])) as hub, client_of(hub) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, client)
            await reached.wait()
            await hub.reload(hub.settings)
            go_on.set()

    assert answers == ["done"]


async def test_every_endpoint_changes_before_anybody_hears_of_it(hub: Hub) -> None:
    seen: list[set[int]] = []

    async def look(_: Any) -> None:
        seen.append({len(endpoint.view.tool_list.tools) for endpoint in hub.endpoints.values()} - {5, 9, 4, 2})

    async with client_of(hub, message_handler=look):
        await hub.reload(settings_of(budget={"tools": 6}))
        await anyio.wait_all_tasks_blocked()

    # The whole hub and both plugins have at most 6 now; 8 and 11 are the profiles.
    assert seen == [{6, 8, 11}] * len(seen) != []


# Who hears of it


@asynccontextmanager
async def listening(hub: Hub, path: str = "") -> AsyncGenerator[tuple[Client, list[str]]]:
    heard: list[str] = []

    async def hear(message: Any) -> None:
        heard.append(message.method)

    async with client_of(hub, path, message_handler=hear) as client:
        yield client, heard


async def test_clients_with_a_session_hear_of_the_lists_that_changed(hub: Hub) -> None:
    async with listening(hub) as (_, at_the_hub), listening(hub, "/greet") as (_, at_the_plugin):
        await hub.reload(settings_of(budget={"tools": 6}))
        await anyio.wait_all_tasks_blocked()

    assert at_the_hub == ["notifications/tools/list_changed"]
    assert at_the_plugin == []


async def test_prompts_and_resources_are_announced_too(events: list[str]) -> None:
    async def text() -> str:
        return "text"

    more = Plugin(name="more", prompts=[text], resources={"more://text": text})
    found = [entry_point(Greeter), entry_point(more)]
    with anyio.fail_after(10):
        async with Hub(settings_of(), environ={}, found=found) as hub, listening(hub) as (client, heard):
            assert len((await client.list_resources()).resources) == 1
            await hub.reload(settings_of(allow=(*EVERYBODY, "pegboard-test-more")))
            await anyio.wait_all_tasks_blocked()
            assert [prompt.name for prompt in (await client.session.list_prompts()).prompts] == ["more_text"]
            assert len((await client.list_resources()).resources) == 2

            await hub.reload(settings_of())
            assert (await client.session.list_prompts()).prompts == []

    assert sorted(heard) == sorted(["notifications/prompts/list_changed", "notifications/resources/list_changed"] * 2)


async def test_subscriptions_hear_of_it(hub: Hub) -> None:
    async with client_of(hub, era="stateless") as client:
        assert len(await names_of(client)) == 11
        async with client.listen(tools_list_changed=True) as subscription:
            await hub.reload(settings_of(budget={"tools": 6}))
            assert isinstance(await anext(aiter(subscription)), ToolsListChanged)
            assert len(await names_of(client)) == 6


async def test_a_reload_of_the_same_announces_nothing(hub: Hub) -> None:
    async with listening(hub) as (_, heard), client_of(hub, era="stateless") as client:
        async with client.listen(tools_list_changed=True, resources_list_changed=True) as subscription:
            await hub.reload(settings_of())
            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(0) as nothing:
                await anext(aiter(subscription))

        assert nothing.cancelled_caught
        assert heard == []
        assert hub.generation == 2


async def test_a_client_that_does_not_read_holds_up_nobody(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "ANNOUNCE_TIMEOUT", 0.05)
    info = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "stalled", "version": "1"}}

    async def stalled(*, task_status: TaskStatus[None]) -> None:
        async with create_client_server_memory_streams() as ((read, write), server), anyio.create_task_group() as tasks:
            tasks.start_soon(hub.endpoints[""].serve, *server)
            await write.send(SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=1, method="initialize", params=info)))
            await read.receive()
            await write.send(SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="notifications/initialized")))
            await anyio.wait_all_tasks_blocked()
            task_status.started()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            await tasks.start(stalled)
        async with listening(hub) as (_, heard):
            with anyio.fail_after(2):
                await hub.reload(settings_of(budget={"tools": 6}))
            await anyio.wait_all_tasks_blocked()
            assert heard == ["notifications/tools/list_changed"]
        tasks.cancel_scope.cancel()


async def test_of_too_many_sessions_the_oldest_is_not_told(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "MAX_SUBSCRIPTIONS", 2)
    async with listening(hub) as (_, first), listening(hub) as (_, second), listening(hub) as (_, third):
        await hub.reload(settings_of(budget={"tools": 6}))
        await anyio.wait_all_tasks_blocked()
        assert [len(heard) for heard in (first, second, third)] == [0, 1, 1]


async def test_a_client_that_left_is_not_told(hub: Hub) -> None:
    async with listening(hub) as (_, heard):
        pass

    await hub.reload(settings_of(budget={"tools": 6}))

    assert heard == []


# Plugins


async def test_a_plugin_keeps_its_memory_and_its_lifespan(hub: Hub, events: list[str]) -> None:
    async with client_of(hub) as client:
        assert await text_of(client, "greet_count") == "1"
        await hub.reload(settings_of(plugins={"greet": {"word": "hi"}}))
        assert await text_of(client, "greet_count") == "2"

    assert events == ["open"]


async def test_a_plugin_that_is_trusted_now_appears_with_its_lifespan(events: list[str]) -> None:
    async with hub_with(allow=("pegboard-test-other",)) as hub, listening(hub) as (client, heard):
        assert events == []

        await hub.reload(settings_of())
        await anyio.wait_all_tasks_blocked()

        assert events == ["open"]
        assert await text_of(client, "greet_hello") == "hello"
        assert heard == ["notifications/tools/list_changed"]
        assert "/greet" in hub.endpoints
        assert hub.quarantined == []


async def test_a_plugin_that_is_not_trusted_any_more_disappears_and_its_lifespan_closes(
    hub: Hub, events: list[str]
) -> None:
    async with client_of(hub) as client:
        await hub.reload(settings_of(allow=("pegboard-test-other",)))

        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("greet_hello", {})
        assert events == ["open", "close"]
        assert "/greet" not in hub.endpoints

        await hub.reload(settings_of())
        assert await text_of(client, "greet_count") == "1"

    assert events == ["open", "close", "open"]


async def test_a_plugin_that_took_the_name_of_another_lives_by_its_own_lifespan(events: list[str]) -> None:
    found = [entry_point(Greeter, dist="dist-a"), entry_point(Greeter, dist="dist-b")]
    settings = partial(settings_of, loading={"strict": False})
    async with Hub(settings(allow=("dist-a", "dist-b")), environ={}, found=found) as hub, client_of(hub) as client:
        assert await text_of(client, "greet_count") == "1"
        events.append("reload")

        await hub.reload(settings(allow=("dist-b",)))

        assert await text_of(client, "greet_count") == "1"
        assert events == ["open", "reload", "open", "close"]

    assert events[-1] == "close"


async def test_a_lifespan_that_crashed_is_opened_by_the_next_reload() -> None:
    opened: list[anyio.Event] = []

    class Fragile:
        @hookimpl
        def hub_plugin(self) -> Plugin:
            return Plugin(name="fragile")

        @hookimpl
        @asynccontextmanager
        async def hub_lifespan(self) -> AsyncGenerator[None]:
            crash = anyio.Event()
            opened.append(crash)

            async def watch() -> None:
                await crash.wait()
                raise LookupError("gone")

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                yield
                tasks.cancel_scope.cancel()

    with anyio.fail_after(5):
        async with hub_of(Fragile) as hub:
            opened[0].set()
            await anyio.wait_all_tasks_blocked()
            await hub.reload(hub.settings)

    assert len(opened) == 2


async def test_a_slow_plugin_does_not_hold_up_calls() -> None:
    asked = threading.Event()

    class Slow:
        made = 0

        @hookimpl
        def hub_plugin(self) -> Plugin:
            Slow.made += 1
            assert Slow.made <= 2 or asked.wait(5), "nobody was answered during the reload"
            return Plugin(name="slow", tools=[self.ask])

        async def ask(self) -> None:
            asked.set()

    with anyio.fail_after(10):
        async with hub_of(Slow) as hub, client_of(hub) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(hub.reload, hub.settings)
            await anyio.wait_all_tasks_blocked()
            await client.call_tool("slow_ask", {})

    assert hub.generation == 2


# Pools


def backend() -> tuple[list[str], PoolKind[object]]:
    happened: list[str] = []

    @asynccontextmanager
    async def open_it(target: Any) -> AsyncGenerator[object]:
        happened.append(f"open {target}")
        yield object()
        happened.append(f"close {target}")

    return happened, PoolKind("fake", open_it)


class Target(PluginSettings):
    """Settings with a target."""

    target: str = "a"


async def test_a_pool_with_the_same_target_stays_and_another_closes_after_the_while() -> None:
    happened, kind = backend()

    @tool(read_only=True)
    async def shared(call: Call[Target]) -> int:
        return id(await call.pool(kind, "shared"))

    @tool(read_only=True)
    async def own(call: Call[Target]) -> int:
        return id(await call.pool(kind, call.settings.target))

    plugin = Plugin(name="x", tools=[shared, own], settings=Target)
    with anyio.fail_after(5):
        async with hub_of(plugin, settings={"calls": {"max_deadline": 0.05}}) as hub, client_of(hub) as client:
            before = [await text_of(client, name) for name in ("x_shared", "x_own")]

            await hub.reload(hub.settings.model_copy(update={"plugins": {"x": {"target": "b"}}}))
            after = [await text_of(client, name) for name in ("x_shared", "x_own")]
            assert happened == ["open shared", "open a", "open b"]
            while len(happened) < 4:
                await checkpoint()
            again = await text_of(client, "x_shared")

    assert before[0] == after[0] == again
    assert before[1] != after[1]
    assert happened[3] == "close a"


async def test_a_pool_from_before_two_reloads_has_its_while_from_the_second() -> None:
    happened, kind = backend()

    async with hub_of() as hub:
        await hub.pools.get(kind, "a")
        hub.pools.retire(after=0)
        hub.pools.retire(after=3600)  # a call from between the two may still use it
        for _ in range(20):
            await checkpoint()
        assert happened == ["open a"]

    assert happened == ["open a", "close a"]


async def test_a_pool_that_was_closed_is_opened_by_who_asks_again() -> None:
    happened, kind = backend()

    with anyio.fail_after(5):
        async with hub_of() as hub:
            await hub.pools.get(kind, "a")
            hub.pools.retire(after=0)
            while "close a" not in happened:
                await checkpoint()
            await hub.pools.get(kind, "a")
            assert hub.pools.states()[0].state == "open"

    assert happened == ["open a", "close a"] * 2


# What is wrong changes nothing


WRONG: dict[str, tuple[dict[str, Any], type[PegboardError], str]] = {
    "budget": ({"budget": {"tools": 1}}, BudgetError, "endpoint all: a budget of 1 tools"),
    "error": ({"budget": {"tools": 3, "overflow": "error"}}, BudgetError, "endpoint all: 11 tools of"),
    "pins": (
        {"endpoints": {"ops": {"tools": ["*"], "budget": {"tools": 3, "pinned": ["greet_hello", "greet_count"]}}}},
        BudgetError,
        "endpoint ops: 2 pinned tools",
    ),
    "name": ({"endpoints": {"greet": {"tools": ["*"]}}}, ConfigError, "the name belongs to plugin 'greet'"),
    "strict": ({"plugins": {"greet": {"words": 1}}}, PluginError, "plugin 'greet' of pegboard-test-greet 1.0 is not"),
    "group": ({"budget": {"tools": 4}, "allow": ("pegboard-test-other",)}, PluginError, "group other/jobs: 5 tools"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
async def test_settings_that_are_wrong_change_nothing(
    wrong: tuple[dict[str, Any], type[PegboardError], str], hub: Hub, events: list[str]
) -> None:
    given, kind, problem = wrong
    before = state_of(hub)
    async with listening(hub) as (client, heard):
        with pytest.raises(kind, match=problem) as error:
            await hub.reload(settings_of(**given))
        await anyio.wait_all_tasks_blocked()
        assert len(await names_of(client)) == 11
        assert await text_of(client, "greet_hello") == "hello"

    assert state_of(hub) == before
    assert hub.reload_problem == str(error.value)
    assert heard == []
    assert events == ["open"]


def state_of(hub: Hub) -> list[Any]:
    views = {path: endpoint.view for path, endpoint in hub.endpoints.items()}
    return [
        hub.settings,
        hub.plugins,
        hub.quarantined,
        hub.generation,
        {path: id(view) for path, view in views.items()},
    ]


async def test_the_problem_is_gone_with_the_next_reload_that_works(hub: Hub) -> None:
    with pytest.raises(BudgetError):
        await hub.reload(settings_of(budget={"tools": 1}))

    await hub.reload(settings_of())

    assert (hub.reload_problem, hub.generation) == (None, 2)


async def test_a_lifespan_opened_for_nothing_is_closed_again(events: list[str]) -> None:
    async with hub_with(allow=("pegboard-test-other",)) as hub:
        with pytest.raises(BudgetError):
            await hub.reload(settings_of(budget={"tools": 1}))
        assert events == ["open", "close"]

        await hub.reload(settings_of())
        assert events == ["open", "close", "open"]


async def test_a_group_over_its_budget_takes_its_plugin_away_when_not_strict(hub: Hub) -> None:
    await hub.reload(settings_of(budget={"tools": 4}, loading={"strict": False}))

    assert [plugin.name for plugin in hub.plugins] == ["greet"]
    assert hub.failed[0].why.startswith("not opened: group other/jobs")
    assert "/other" not in hub.endpoints


async def test_reloads_at_once_come_one_after_the_other(events: list[str]) -> None:
    async with hub_with(allow=("pegboard-test-other",)) as hub:
        async with anyio.create_task_group() as tasks:
            for tools in (6, 7, 8):
                tasks.start_soon(hub.reload, settings_of(budget={"tools": tools}))

        assert hub.generation == 4
        assert hub.receipt()["tools_listed"] == hub.settings.budget.tools
        assert events == ["open"]


async def test_a_reload_tells_what_is_served_now(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pegboard")

    await hub.reload(settings_of(budget={"tools": 6}))

    assert any(message.startswith("endpoint all lists 6 tools in ") for message in caplog.messages)


# Over HTTP


META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


async def posted(http: httpx.AsyncClient, path: str, method: str) -> httpx.Response:
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": META}}
    return await http.post(f"{path}/mcp", json=message, headers=headers)


@pytest.fixture
async def http(hub: Hub) -> AsyncGenerator[tuple[HubApp, httpx.AsyncClient]]:
    app = HubApp(hub)
    transport = httpx.ASGITransport(app.asgi)
    async with app.run(), httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        yield app, client


async def test_kept_answers_are_those_of_the_new_view(hub: Hub, http: tuple[HubApp, httpx.AsyncClient]) -> None:
    app, client = http
    old = [await posted(client, "", "tools/list") for _ in range(2)]

    await hub.reload(settings_of(budget={"tools": 6}))
    await app.refresh()
    new = [await posted(client, "", "tools/list") for _ in range(2)]
    said = await posted(client, "", "server/discover")

    assert [len(answer.json()["result"]["tools"]) for answer in (*old, *new)] == [11, 11, 6, 6]
    assert "search_tools finds them" in said.json()["result"]["instructions"]


async def test_paths_come_and_go(hub: Hub, http: tuple[HubApp, httpx.AsyncClient]) -> None:
    app, client = http

    await hub.reload(settings_of(endpoints={"ops": {"tools": ["greet_*"]}}))
    await app.refresh()
    there = await posted(client, "/ops", "tools/list")
    await hub.reload(settings_of())
    await app.refresh()
    gone = await client.get("/ops/sse")

    assert [tool["name"] for tool in there.json()["result"]["tools"]] == ["greet_hello", "greet_count"]
    assert gone.status_code == 404


async def test_health_says_what_is_wrong_with_the_configuration(
    hub: Hub, http: tuple[HubApp, httpx.AsyncClient]
) -> None:
    _, client = http
    with pytest.raises(BudgetError):
        await hub.reload(settings_of(budget={"tools": 1}))

    configuration = (await client.get("/health")).json()["configuration"]

    assert configuration["generation"] == 1
    assert configuration["problem"].startswith("endpoint all: a budget of 1 tools")
