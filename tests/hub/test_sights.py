"""Sights: what somebody with some scopes sees of an endpoint, and what they can call there."""

import itertools
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import anyio
import pytest
from mcp import Client, MCPError
from mcp_types import CallToolResult, TextContent
from tests.hub.callers import Request, client_as, client_sending, somebody
from tests.plugins.many import many

from pegboard import Call, Group, Plugin, PluginSettings, Rows, tool
from pegboard.builtin import HubPlugin
from pegboard.hub import BUDGET_URI, Hub
from pegboard.security.principal import Principal
from pegboard.sights import MOST
from pegboard.testing import hub_of
from pegboard.testing.connect import Era
from pegboard.view import View

ERAS: tuple[Era, ...] = get_args(Era)
each_era = pytest.mark.parametrize("era", ERAS)


class Settings(PluginSettings):
    url: str = "u"


@tool(read_only=True)
async def list_jobs(call: Call[Settings]) -> str:
    """List jobs."""
    return f"jobs of {call.environment}"


@tool
async def launch(call: Call[Settings]) -> str:
    """Launch a job."""
    return f"launched in {call.environment}"


@tool(read_only=True)
async def hosts() -> Rows:
    """List hosts."""
    return Rows.of([{"n": n, "text": "x" * 50} for n in range(2000)])


@tool(everywhere=True)
async def choose(name: str, call: Call[Settings]) -> str:
    """Choose an environment."""
    call.choose(name)
    return f"{name} of {', '.join(call.environments.by_name)}"


@tool(read_only=True)
async def query() -> str:
    """Run a query."""
    return "rows"


def hello() -> str:
    """Say hello."""
    return "hello"


def book(name: str) -> str:
    return name


RUNS = Plugin(
    name="runs",
    tools=[choose],
    groups=[Group("jobs", tools=[list_jobs, launch]), Group("inventory", tools=[hosts, list_jobs])],
    settings=Settings,
    instructions="Ask for runs.",
    prompts=[hello],
    resources={"runs://text": hello},
    aliases={"job_list": "list_jobs"},
)
SHELF = Plugin(name="shelf", tools=[query], prompts={"greet": hello}, resources={"shelf://{name}": book})
PLACES = {"prod": {"url": "p"}, "staging": {"url": "s"}, "test": {"writes": "deny"}}
SPLIT: dict[str, Any] = {"plugins": {"runs": {"environments": PLACES, "environment": "staging"}}}


def text_of(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


async def names_of(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


async def say(client: Client, name: str, /, **arguments: Any) -> str:
    """The text of the result, or that of the error."""
    with anyio.fail_after(5):
        try:
            return text_of(await client.call_tool(name, arguments))
        except MCPError as error:
            return f"{error.code} {error.message}"


@each_era
@pytest.mark.parametrize(
    ("scopes", "path", "listed"),
    [
        ("*", "", ["runs_choose", "runs_list_jobs", "runs_launch", "runs_hosts", "shelf_query", "fetch_more"]),
        ("read", "", ["runs_choose", "runs_list_jobs", "runs_hosts", "shelf_query", "fetch_more"]),
        ("runs:write", "", ["runs_launch", "fetch_more"]),
        ("shelf:*", "", ["shelf_query", "fetch_more"]),
        ("shelf:*", "/runs", []),
        ("runs/inventory:*", "/runs", ["runs_list_jobs", "runs_hosts", "fetch_more"]),
        ("runs/inventory:*", "/runs/jobs", ["runs_list_jobs"]),
        ("runs_launch shelf_query", "", ["runs_launch", "shelf_query", "fetch_more"]),
        ("runs_launch", "/mine", ["runs_launch"]),
        ("metrics", "", []),
        ("read@prod", "", ["runs_choose", "runs_list_jobs", "runs_hosts", "fetch_more"]),
    ],
)
async def test_a_list_has_what_may_be_called(scopes: str, path: str, listed: Sequence[str], era: Era) -> None:
    """S-18."""
    settings = {**SPLIT, "endpoints": {"mine": {"tools": ["runs_l*"]}}}
    async with hub_of(RUNS, SHELF, settings=settings) as hub, client_as(hub, somebody(*scopes.split()), path, era) as c:
        assert await names_of(c) == list(listed)


@each_era
@pytest.mark.parametrize(
    "name",
    [
        "runs_launch",
        "Runs_launch",
        "RUNS_LAUNCH",
        "runs_launch ",
        "runs\uff3flaunch",
        "runs_l\u0430unch",
        "runs_launch\x00",
        "job_list",
    ],
)
async def test_a_tool_that_is_hidden_is_answered_as_one_that_is_not_there(name: str, era: Era) -> None:
    """S-18: also in other letters that look alike."""
    async with hub_of(RUNS, SHELF, many(60)) as hub:
        async with client_as(hub, somebody("shelf:*", "many:*"), era=era) as client:
            plain, inside = await say(client, name), await say(client, "call_tool", name=name, arguments={})
            nothing = await say(client, "runs_nothing")

    shown = repr(name)[1:-1]
    assert plain.startswith(f"-32602 Unknown tool: '{shown}'; ")
    assert inside.startswith(f"there is no tool '{shown}'; ")
    assert nothing.startswith("-32602 Unknown tool: ")
    assert not any("runs_" in answer.replace(shown, "") for answer in (plain, inside))


async def denials(file: Path) -> list[tuple[Any, ...]]:
    records = [json.loads(line) for line in file.read_text().splitlines()]
    found = [record for record in records if record["event"] == "denied"]
    return [(one["principal"], one["endpoint"], one["tool"], one["reason"], one.get("environment")) for one in found]


@each_era
async def test_what_is_hidden_and_asked_for_is_on_record(era: Era, tmp_path: Path) -> None:
    """S-18."""
    file = tmp_path / "audit.jsonl"
    async with hub_of(RUNS, SHELF, many(60), settings={**SPLIT, "audit": {"file": str(file)}}) as hub:
        ann = somebody("runs:read@prod", "many:*")
        async with client_as(hub, ann, "", era) as client:
            await say(client, "runs_launch")
            await say(client, "call_tool", name="runs_launch", arguments={})
            await say(client, "shelf_query")
            await say(client, "runs_list_jobs", environment="staging")
            await say(client, "runs_list_jobs", environment="nowhere")
            await say(client, "runs_list_jobs")
            await say(client, "nothing_at_all")
            for read in (client.get_prompt("greet"), client.read_resource("shelf://a"), client.get_prompt("none")):
                with pytest.raises(MCPError):
                    await read
        async with client_as(hub, ann, "/many", era) as client:
            await say(client, "shelf_query")
        counted = hub.metrics.denials

    assert await denials(file) == [
        ("ann", "all", "runs_launch", "scope", "default"),
        ("ann", "all", "runs_launch", "scope", "default"),
        ("ann", "all", "shelf_query", "scope", "default"),
        ("ann", "all", "runs_list_jobs", "environment", "staging"),
        ("ann", "all", "greet", "scope", "default"),
        ("ann", "all", "book", "scope", "default"),
        ("ann", "many", "shelf_query", "endpoint", "default"),
    ]
    assert sum(counted.values()) == 7


# Environments


@each_era
async def test_a_schema_names_the_environments_that_may_be_used(era: Era) -> None:
    async with hub_of(RUNS, settings=SPLIT) as hub:
        async with client_as(hub, somebody("runs:*@prod", "runs:read@test"), era=era) as client:
            tools = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}

    assert tools["runs_list_jobs"]["properties"]["environment"] == {"type": "string", "enum": ["prod", "test"]}
    assert tools["runs_list_jobs"]["required"] == ["environment"]
    assert tools["runs_launch"]["properties"]["environment"] == {"type": "string", "enum": ["prod"]}


@each_era
async def test_an_environment_that_is_hidden_is_answered_as_one_that_is_not_there(era: Era) -> None:
    async with hub_of(RUNS, settings=SPLIT) as hub:
        async with client_as(hub, somebody("runs:*@prod"), era=era) as client:
            answers = [await say(client, "runs_launch", environment=name) for name in ("staging", "nowhere", "prod")]

    assert answers == [
        'invalid arguments\n- environment: runs_launch cannot be used in "staging"; there are prod',
        'invalid arguments\n- environment: runs_launch cannot be used in "nowhere"; there are prod',
        "launched in prod",
    ]


async def test_a_session_chooses_among_the_environments_it_may_use() -> None:
    async with hub_of(RUNS, settings=SPLIT) as hub:
        async with client_as(hub, somebody("runs:*@prod", "runs:*@test")) as client:
            refused, chosen = (
                await say(client, "runs_choose", name="staging"),
                await say(client, "runs_choose", name="test"),
            )
            assert refused == "runs_choose cannot be used in an environment 'staging'; there are prod, test"
            assert chosen == "test of prod, test"
            assert await say(client, "runs_list_jobs") == "jobs of test"


async def test_a_choice_is_worth_nothing_when_the_scope_for_it_is_gone() -> None:
    async with hub_of(RUNS, settings=SPLIT) as hub:
        request = Request.of(somebody("runs:*"))
        async with client_sending(hub, request) as client:
            await say(client, "runs_choose", name="prod")
            request.become(somebody("runs:*@staging"))
            answer = await say(client, "runs_list_jobs")

    assert 'runs_list_jobs cannot be used in "prod", which this session has chosen; there are staging' in answer


# Prompts, resources, instructions


async def told(hub: Hub, principal: Principal | None, path: str, era: Era) -> tuple[str | None, bool]:
    """The instructions at the begin, and whether there are prompts: of `initialize`, or of `server/discover`."""
    async with client_as(hub, principal, path, era) as client:
        if era == "handshake":
            return client.instructions, client.server_capabilities.prompts is not None
        discovered = await client.session.send_discover("2026-07-28")
        return discovered.get("instructions"), "prompts" in discovered["capabilities"]


@each_era
async def test_prompts_and_resources_are_those_of_plugins_that_may_be_used(era: Era) -> None:
    async with hub_of(RUNS, SHELF) as hub:
        async with client_as(hub, somebody("shelf:read"), era=era) as client:
            prompts = [prompt.name for prompt in (await client.list_prompts()).prompts]
            resources = [one.uri for one in (await client.list_resources()).resources]
            templates = [one.uri_template for one in (await client.list_resource_templates()).resource_templates]
            with pytest.raises(MCPError, match="there is no resource 'runs://text' here"):
                await client.read_resource("runs://text")
            with pytest.raises(MCPError, match="Unknown prompt: 'runs_hello'; the list has all there are"):
                await client.get_prompt("runs_hello")

    assert (prompts, resources, templates) == (["greet"], [BUDGET_URI], ["shelf://{name}"])


@each_era
@pytest.mark.parametrize("path", ["", "/profiles/small", "/split"])
async def test_the_instructions_tell_nothing_of_what_is_hidden(path: str, era: Era) -> None:
    settings = {"endpoints": {"split": {"tools": ["*"], "budget": {"tools": 3, "overflow": "split"}}}}
    async with hub_of(RUNS, SHELF, many(60), settings=settings) as hub:
        one = await told(hub, somebody("shelf:*"), path, era)
        some = await told(hub, somebody("shelf:*", "many:*"), path, era)
        everything = await told(hub, None, path, era)

    assert "more tools" not in str(one)
    assert "more tools" in str(some)
    assert "/runs" not in str(some)
    assert some != everything


@each_era
async def test_somebody_without_prompts_is_not_told_that_there_are_some(era: Era) -> None:
    async with hub_of(RUNS, SHELF) as hub:
        without = await told(hub, somebody("runs_hosts"), "/runs", era)
        of_plugin = await told(hub, somebody("runs:*"), "/runs", era)
        nothing = await told(hub, somebody("shelf:*"), "/runs", era)

    assert without == ("Ask for runs.", False)
    assert of_plugin == ("Ask for runs.", True)
    assert nothing == (None, False)


# What the hub tells of itself


async def structured(client: Client, name: str) -> dict[str, Any]:
    result = await client.call_tool(name, {})
    assert result.structured_content is not None
    return result.structured_content


@each_era
async def test_the_hub_tells_somebody_of_their_own_services_only(era: Era) -> None:
    async with hub_of(HubPlugin, RUNS, SHELF) as hub:
        async with client_as(hub, somebody("hub:*", "runs/inventory:read"), era=era) as client:
            services, health = (
                await structured(client, "hub_list_services"),
                await structured(client, "hub_health_check"),
            )
        async with client_as(hub, somebody("hub:*", "metrics"), era=era) as client:
            all_services, all_health = (
                await structured(client, "hub_list_services"),
                await structured(client, "hub_health_check"),
            )

    assert [(one["name"], one["tools"]) for one in services["services"]] == [
        ("hub", ["hub_health_check", "hub_list_services"]),
        ("runs", ["runs_list_jobs", "runs_hosts"]),
    ]
    assert services["services"][1]["endpoints"] == ["/runs/sse", "/runs/jobs/sse", "/runs/inventory/sse"]
    assert [one["name"] for one in health["plugins"]] == ["hub", "runs"]
    assert [one["name"] for one in all_services["services"]] == [one["name"] for one in all_health["plugins"]]
    assert len(all_health["plugins"]) == 3


@each_era
async def test_the_receipt_is_that_of_ones_own_list(era: Era) -> None:
    async with hub_of(RUNS, SHELF, many(60)) as hub:
        async with client_as(hub, somebody("shelf:*"), era=era) as client:
            (contents,) = (await client.read_resource(BUDGET_URI)).contents
            receipt = json.loads(contents.model_dump()["text"])
        async with client_as(hub, somebody("shelf:*", "metrics"), era=era) as client:
            (contents,) = (await client.read_resource(BUDGET_URI)).contents
        whole = hub.receipt()

    assert [line["name"] for line in receipt["tools"]] == ["shelf_query", "fetch_more"]
    assert (receipt["tools_listed"], receipt["hidden"], receipt["meta_tools"]) == (2, 0, False)
    assert not any("many" in place or "runs" in place for line in receipt["tools"] for place in line["listed_at"])
    assert json.loads(contents.model_dump()["text"]) == whole


# Search


@each_era
async def test_search_finds_and_counts_what_may_be_called_only(era: Era) -> None:
    async with hub_of(RUNS, many(60)) as hub:
        async with client_as(hub, somebody("many:*"), era=era) as client:
            found = await say(client, "search_tools", query="launch a job runs")
            overview = await say(client, "search_tools", query="zzz")
        async with client_as(hub, somebody("runs:*"), era=era) as client:
            unneeded = await names_of(client)

    assert "runs_" not in found
    assert "many" in overview
    assert "runs" not in overview
    assert "search_tools" not in unneeded


@each_era
async def test_an_old_name_leads_to_what_may_be_called_only(era: Era) -> None:
    async with hub_of(RUNS, many(60)) as hub:
        async with client_as(hub, somebody("many:*", "runs:read"), era=era) as client:
            assert await say(client, "call_tool", name="job_list", arguments={}) == "jobs of default"
        async with client_as(hub, somebody("many:*", "runs_launch"), era=era) as client:
            assert (await say(client, "call_tool", name="job_list", arguments={})).startswith(
                "there is no tool 'job_list'"
            )
        async with client_as(hub, somebody("many:*"), era=era) as client:
            assert (await say(client, "call_read_tool", name="runs_hosts")).startswith("-32602 Unknown tool")


# Read-only endpoints


READING: dict[str, Any] = {
    "endpoints": {
        "look": {"tools": ["*"], "read_only": True},
        "tiny": {"tools": ["*"], "read_only": True, "budget": {"tools": 4, "read_twin": True}},
    }
}


@each_era
@pytest.mark.parametrize("path", ["/look", "/tiny"])
@pytest.mark.parametrize("scopes", ["*", "runs:write read many:*"])
async def test_a_read_only_endpoint_has_no_way_to_write(path: str, scopes: str, era: Era, tmp_path: Path) -> None:
    """S-38: listed, called, by an old name, through call_tool and its twin, found by search."""
    file = tmp_path / "audit.jsonl"
    plugin = Plugin(name="runs", tools=[list_jobs, launch], aliases={"start": "launch"}, settings=Settings)
    async with hub_of(plugin, many(30), settings={**READING, "audit": {"file": str(file)}}) as hub:
        offered = hub.endpoints[path].offer.tools
        async with client_as(hub, somebody(*scopes.split()), path, era) as client:
            tools = (await client.list_tools()).tools
            answers = [await say(client, name) for name in ("runs_launch", "start", "runs_start")]
            inner: dict[str, Any] = {"name": "runs_launch", "arguments": {}}
            for outer, name in itertools.product(
                ("call_tool", "call_read_tool"), ("runs_launch", "start", "call_tool")
            ):
                answers += [await say(client, outer, name=name, arguments=inner)]
            found = await say(client, "search_tools", query="launch a job")

    assert [tool.name for tool in offered if tool.writes] == []
    assert all(tool.annotations is not None and tool.annotations.read_only_hint for tool in tools)
    assert all("there is no tool" in answer or "Unknown tool" in answer for answer in answers)
    assert "runs_launch(" not in found
    assert not [line for line in file.read_text().splitlines() if '"outcome":"ok"' in line]


# Views


async def test_a_view_is_built_once_for_all_who_ask_at_once_and_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []
    real = View.of

    def of(offer: Any, *rest: Any) -> View:
        built.append(threading.get_ident())
        return real(offer, *rest)

    async with hub_of(many(60), RUNS) as hub:
        monkeypatch.setattr(View, "of", of)
        views: list[View] = []

        async def look() -> None:
            views.append(await hub.endpoints[""].sights.of(somebody("runs:*", id=str(len(views)))))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(look)

    assert len(built) == 1
    assert built != [threading.get_ident()]
    assert all(view is views[0] for view in views)


async def test_who_may_do_everything_there_shares_the_whole_view() -> None:
    async with hub_of(RUNS, SHELF) as hub:
        runs = hub.endpoints["/runs"]
        assert await runs.sights.of(somebody("runs:*")) is runs.view
        assert await runs.sights.of(somebody("*")) is runs.view
        assert await runs.sights.of(None) is runs.view
        assert await runs.sights.of(somebody("runs:read")) is not runs.view


async def test_views_are_bounded_and_those_used_last_stay() -> None:
    async with hub_of(*[many(2, f"p{number}") for number in range(2)]) as hub:
        endpoint = hub.endpoints[""]
        sights = [somebody("p0:*", f"none{number}:*") for number in range(MOST + 1)]
        first = await endpoint.sights.of(sights[0])
        for sight in sights[1:-1]:
            await endpoint.sights.of(sight)
        assert await endpoint.sights.of(sights[0]) is first
        second = await endpoint.sights.of(sights[1])
        await endpoint.sights.of(sights[2])
        await endpoint.sights.of(sights[-1])

        assert await endpoint.sights.of(sights[0]) is first
        assert await endpoint.sights.of(sights[1]) is second
        assert len(endpoint.sights) == MOST


async def test_a_reload_is_seen_with_any_scopes() -> None:
    async with hub_of(RUNS, SHELF) as hub, client_as(hub, somebody("runs:*")) as client:
        before = await names_of(client)
        await hub.reload(hub.settings.model_copy(update={"plugins": {"runs": {"writes": "deny"}}}))
        after = await names_of(client)

    assert ("runs_launch" in before, "runs_launch" in after) == (True, False)


async def test_the_list_is_the_same_to_the_byte_for_the_same_sight_after_a_restart() -> None:
    lists: list[str] = []
    for _ in range(2):
        async with hub_of(many(60), RUNS, settings=SPLIT) as hub:
            for sight in (somebody("many:read", "runs:*@prod"), somebody("runs:*@prod", "many:read", id="bob")):
                async with client_as(hub, sight, "/profiles/small") as client:
                    lists.append((await client.list_tools()).model_dump_json())

    assert len(set(lists)) == 1


async def test_an_endpoint_refuses_whoever_may_do_nothing_there() -> None:
    async with hub_of(RUNS, SHELF, Plugin(name="bare"), Plugin(name="words", prompts=[hello])) as hub:
        asked = {
            (path, scopes): await hub.endpoints[path].sights.refuse(somebody(*scopes.split()))
            for path in ("", "/runs", "/bare", "/words")
            for scopes in ("*", "shelf:*", "runs_launch", "words:read", "metrics", "")
        }
        assert not await hub.endpoints["/runs"].sights.refuse(None)

    assert {key for key, refused in asked.items() if not refused} == {
        *(("", scopes) for scopes in ("*", "shelf:*", "runs_launch", "words:read")),
        ("/runs", "*"),
        ("/runs", "runs_launch"),
        *(("/bare", "*"), ("/words", "*"), ("/words", "words:read")),
    }


async def test_a_tenant_that_is_not_configured_has_nothing() -> None:
    async with hub_of(RUNS) as hub, client_as(hub, somebody("*", tenant="nobody")) as client:
        assert await names_of(client) == []
        assert client.instructions is None
        assert await hub.endpoints[""].sights.refuse(somebody("*", tenant="nobody"))


# Cursors


@each_era
async def test_an_answer_is_read_on_only_while_its_tool_may_be_called(era: Era) -> None:
    async with hub_of(RUNS) as hub:
        async with client_as(hub, somebody("runs:*"), era=era) as client:
            cursor = (await structured(client, "runs_hosts"))["cursor"]
            assert "returned" in (await client.call_tool("fetch_more", {"cursor": cursor})).structured_content  # pyright: ignore[reportOperatorIssue]
        async with client_as(hub, somebody("runs_launch"), era=era) as client:
            assert "there is no such cursor" in await say(client, "fetch_more", cursor=cursor)
