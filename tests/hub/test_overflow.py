"""Overflow: the two tools that stand for the hidden ones, and that a call through them is a call like any other."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, Literal, get_args

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client, MCPError
from mcp_types import CallToolResult, ElicitResult
from pydantic import Field
from tests.plugins.many import many

from pegboard import Call, Group, Plugin, PluginSettings, ToolError, hookimpl, tool
from pegboard.budget import count_tokens
from pegboard.environments import Environments
from pegboard.overflow import CALL_READ_TOOL, CALL_TOOL, HITS, SEARCH_TOOLS, Overflow, meta_tokens
from pegboard.plugin import RESERVED_TOOLS
from pegboard.results import FETCH_MORE
from pegboard.testing import client_of, connect, hub_of
from pegboard.testing.connect import Era
from pegboard.tokenizers import counter
from pegboard.tools import BoundTool

AnyCall = Call[PluginSettings]
ERAS: tuple[Era, ...] = get_args(Era)
ONLY_META = {"budget": {"tools": 2}}
"""Settings under which every tool is hidden, as long as none is in a group: a group has to fit."""
FOUND = {"endpoints": {"found": {"tools": ["*"], "budget": {"tools": 2}}}}
"""An endpoint where every tool is hidden."""
MANY = many(60)
NOWHERE = Environments.only(PluginSettings(), "allow")


def bound(plugin: Plugin) -> list[BoundTool]:
    limiter = anyio.CapacityLimiter(1)
    return [BoundTool(plugin, function, NOWHERE, limiter, group) for function, group in plugin.functions()]


def text_of(result: CallToolResult) -> str:
    (block,) = result.content
    return block.model_dump()["text"]


async def searched(client: Client, query: Any, **more: Any) -> list[str]:
    result = await client.call_tool(SEARCH_TOOLS, {"query": query, **more})
    assert not result.is_error
    return text_of(result).splitlines()


# The meta-tools


@pytest.mark.parametrize("tokenizer", ["estimate", "o200k"])
def test_the_meta_tools_cost_less_than_260_tokens(tokenizer: str) -> None:
    assert meta_tokens(counter(tokenizer)) <= 260


def test_the_names_of_the_meta_tools_are_nobody_elses() -> None:
    assert {SEARCH_TOOLS, CALL_TOOL, CALL_READ_TOOL, FETCH_MORE} == RESERVED_TOOLS


@pytest.mark.parametrize("name", sorted(RESERVED_TOOLS))
async def test_a_plugin_with_a_tool_of_that_name_is_not_served(name: str) -> None:
    plugin, _, function = name.partition("_")

    async def named() -> None: ...

    named.__name__ = function
    async with hub_of(Plugin(name=plugin, tools=[named]), strict=False) as hub:
        (quarantined,) = hub.failed

    assert f"the tool name {name!r} is one of the hub's own; give it another" in quarantined.why


@pytest.mark.parametrize(("also_writes", "read_only"), [(False, True), (True, False)])
async def test_call_tool_promises_no_more_than_every_hidden_tool_does(also_writes: bool, read_only: bool) -> None:
    @tool(read_only=True)
    async def read() -> None: ...

    @tool(read_only=True)
    async def look() -> None: ...

    @tool(read_only=not also_writes)
    async def other() -> None: ...

    async with connect(Plugin(name="x", tools=[read, look, other]), settings=ONLY_META) as client:
        search, call = (await client.list_tools()).tools

    assert search.annotations is not None
    assert call.annotations is not None
    assert (search.name, search.annotations.read_only_hint) == (SEARCH_TOOLS, True)
    assert (call.name, call.annotations.read_only_hint) == (CALL_TOOL, read_only)
    assert call.annotations.destructive_hint is not read_only


async def test_a_listed_tool_that_writes_does_not_count_for_the_hint() -> None:
    async def write() -> None: ...

    reading = [tool(name=f"x_{number}", read_only=True)(lambda: None) for number in range(3)]
    plugin = Plugin(name="x", tools=[write, *reading])
    async with connect(plugin, settings={"budget": {"tools": 3, "pinned": ["x_write"]}}) as client:
        listed, _, call = (await client.list_tools()).tools

    assert listed.name == "x_write"
    assert call.annotations is not None
    assert call.annotations.read_only_hint


async def test_meta_tools_are_there_only_when_something_is_hidden() -> None:
    async with hub_of(many(9)) as hub, client_of(hub) as client:
        assert len((await client.list_tools()).tools) == 9
        for name in (SEARCH_TOOLS, CALL_TOOL):
            with pytest.raises(MCPError, match=f"Unknown tool: '{name}'"):
                await client.call_tool(name, {"query": "x", "name": "many_list_jobs"})


# Searching


@pytest.mark.parametrize("era", ERAS)
async def test_every_tool_is_listed_or_found_by_its_name_and_called_both_ways(era: Era) -> None:
    with anyio.fail_after(60):
        async with connect(MANY, era=era) as client:
            listed = {tool.name for tool in (await client.list_tools()).tools}
            assert len(listed) == 40
            for definition in bound(MANY):
                lines = await searched(client, definition.name)
                assert lines[0].startswith(f"{definition.name}(")
                arguments = arguments_for(definition)
                direct = await client.call_tool(definition.name, arguments)
                through = await client.call_tool(CALL_TOOL, {"name": definition.name, "arguments": arguments})
                assert direct.structured_content == through.structured_content == arguments


def arguments_for(definition: BoundTool) -> dict[str, Any]:
    required = definition.input_schema.get("required", [])
    return dict.fromkeys(required, "some")


async def test_a_hit_is_one_line_with_its_signature_and_first_sentence() -> None:
    @tool(name="awx_launch_job_template")
    async def launch(template_id: int | str, limit: str | None = None) -> None:
        """Launch a job
        template. Answers at once.
        """

    async with connect(Plugin(name="awx", tools=[launch]), MANY, settings=FOUND, path="/found") as client:
        lines = await searched(client, "launch a job template")

    assert lines[0] == "awx_launch_job_template(template_id: integer|string, limit?: string) - Launch a job template."
    assert len(lines) == HITS


async def test_a_tool_without_a_description_is_only_its_signature() -> None:
    async def silent(word: Literal["a\nb", "c"]) -> None: ...

    async with connect(Plugin(name="x", tools=[silent]), MANY, settings=FOUND, path="/found") as client:
        assert (await searched(client, "x_silent"))[0] == "x_silent(word: a b|c)"


async def test_a_search_can_be_narrowed_as_the_overview_says() -> None:
    async with connect(many(60), many(9, "other"), settings=FOUND, path="/found") as client:
        by_plugin = await searched(client, "list", plugin="other")
        by_group = await searched(client, "list", plugin="many", group="hosts")
        as_written = await searched(client, "list", group="many/hosts")
        (nothing,) = await searched(client, "list", plugin="nobody")

    assert {line.partition("_")[0] for line in by_plugin} == {"other"}
    assert by_group == as_written == [line for line in by_group if "_hosts(" in line] != []
    assert nothing.startswith("nothing fits; use other words, or one of these as plugin or group: ")
    assert "many/hosts (8)" in nothing
    assert "other/jobs (5)" in nothing


@pytest.mark.parametrize("query", ["", "zzzzzz", "?!", 5, None, ["list"]])
async def test_a_search_without_hits_answers_with_what_there_is(query: Any) -> None:
    async with connect(MANY, settings=FOUND, path="/found") as client:
        (answer,) = await searched(client, query)

    assert "many/job_templates (8)" in answer


WILD = st.text(max_size=300) | st.sampled_from(
    ["🎈" * 5000, "\n\n\n", "a\u2028b\x85c\rd", "", "word " * 3000, "日本語" * 999]
)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=60).map(lambda text: f"t_{text}"[:60])


@given(st.lists(st.tuples(NAMES, WILD, WILD), min_size=1, max_size=9, unique_by=lambda given: given[0]))
@settings(max_examples=40, deadline=None)
def test_an_answer_has_at_most_200_tokens_and_one_line_for_each_hit(wild: list[tuple[str, str, str]]) -> None:
    functions: list[Callable[..., Any]] = []
    for name, description, word in wild:

        async def function(value: Any) -> None: ...

        function.__doc__ = description
        function.__annotations__["value"] = Annotated[Literal[word, "other"], Field(description=description)]
        functions.append(tool(name=name)(function))
    groups = [
        Group(f"a_group_with_a_long_name_{index:02}", tools=[function]) for index, function in enumerate(functions)
    ]
    overflow = Overflow(bound(Plugin(name="a_plugin_with_quite_a_long_name", groups=groups)))

    for query in (wild[0][0], "t", "value", wild[-1][1], "zzz zzz", ""):
        answer = overflow.search({"query": query})
        assert count_tokens(answer) <= 200
        assert len(answer.splitlines()) <= HITS
    assert overflow.search({"query": wild[0][0]}).startswith(f"{wild[0][0]}(")
    assert count_tokens(overflow.nearest(wild[0][1])) <= 120


def test_an_overview_of_2500_tools_has_at_most_200_tokens() -> None:
    answer = Overflow(bound(many(600))).search({"query": "zzz"})

    assert answer.endswith("…")
    assert count_tokens(answer) <= 200


@pytest.mark.parametrize("query", ["restart the nightly backup job", "zzz", "delete", "many_list_hosts"])
def test_an_answer_has_at_most_200_tokens_when_they_are_counted_exactly(query: str) -> None:
    assert counter("o200k")(Overflow(bound(MANY)).search({"query": query})) <= 200


# Calling


async def sum_up(a: int, b: int = 0, name: str = "sum", arguments: list[int] | None = None) -> str:
    """Add two numbers."""
    return f"{name} {a + b + sum(arguments or [])}"


async def nothing_needed() -> str:
    return "done"


LENIENT = Plugin(name="x", tools=[sum_up, nothing_needed, *[tool(name=f"x_{n}")(lambda: None) for n in range(3)]])


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"name": "x_sum_up", "arguments": {"a": 1, "b": 2}}, "sum 3"),
        ({"name": "x_sum_up", "arguments": '{"a": 1, "b": 2}'}, "sum 3"),
        ({"name": "x_sum_up", "arguments": {"name": "x_sum_up", "arguments": {"a": 1, "b": 2}}}, "sum 3"),
        ({"name": "x_sum_up", "arguments": '{"name": "x_sum_up", "arguments": "{\\"a\\": 3}"}'}, "sum 3"),
        ({"arguments": {"name": "x_sum_up", "arguments": {"a": 3}}}, "sum 3"),
        ({"name": "call_tool", "arguments": {"name": "x_sum_up", "arguments": {"a": 3}}}, "sum 3"),
        ({"name": "x_sum_up", "a": 1, "b": 2}, "sum 3"),
        ({"name": "x_sum_up", "arguments": {}, "a": 3}, "sum 3"),
        ({"name": "x_sum_up", "arguments": "", "a": 3}, "sum 3"),
        ({"name": "x_sum_up", "arguments": None, "a": 3}, "sum 3"),
        ({"name": "x_sum_up", "arguments": "null", "a": 3}, "sum 3"),
        ({"name": "x_sum_up", "arguments": {"a": 1}, "b": 2}, "sum 3"),
        ({"name": "x_sum_up", "arguments": {"a": 3}, "plugin": "x", "reason": "why not"}, "sum 3"),
        ({"name": "x_sum_up", "arguments": {"a": 1, "b": "2"}}, "sum 3"),
        ({"name": "x_sum_up", "arguments": {"a": 3, "name": "x"}}, "x 3"),
        ({"name": "x_sum_up", "arguments": [1, 2], "a": 0}, "sum 3"),
        ({"name": "x_nothing_needed"}, "done"),
        ({"name": "x_nothing_needed", "arguments": {}}, "done"),
        ({"name": "x_nothing_needed", "arguments": "{}"}, "done"),
    ],
)
async def test_call_tool_takes_what_small_models_send(era: Era, given: dict[str, Any], answer: str) -> None:
    async with connect(LENIENT, settings=ONLY_META, era=era) as client:
        result = await client.call_tool(CALL_TOOL, given)

    assert text_of(result) == answer


async def test_arguments_that_are_no_json_are_told_with_the_signature() -> None:
    async with connect(LENIENT, settings=ONLY_META) as client:
        result = await client.call_tool(CALL_TOOL, {"name": "x_nothing_needed", "arguments": "a=3"})

    assert result.is_error
    assert text_of(result) == (
        "invalid arguments\n- arguments: unknown argument; there are no arguments\nx_nothing_needed()"
    )


async def test_call_tool_takes_a_search_too() -> None:
    async with connect(LENIENT, settings=ONLY_META) as client:
        result = await client.call_tool(CALL_TOOL, {"name": SEARCH_TOOLS, "arguments": {"query": "add two numbers"}})

    assert text_of(result).startswith("x_sum_up(a: integer")


async def test_a_tool_whose_own_parameters_are_name_and_arguments_gets_them() -> None:
    async def run(name: str, arguments: dict[str, Any]) -> str:
        return f"{name} {arguments}"

    async with connect(Plugin(name="x", tools=[run]), MANY, settings=FOUND, path="/found") as client:
        inner = {"name": "job", "arguments": {"a": 1}}
        result = await client.call_tool(CALL_TOOL, {"name": "x_run", "arguments": inner})

    assert text_of(result) == "job {'a': 1}"


@pytest.mark.parametrize("name", ["many_list_host", "list_hosts", "MANY_LIST_HOSTS", "functions.many_list_hosts"])
async def test_an_unknown_name_is_answered_with_the_three_nearest(name: str) -> None:
    async with connect(MANY, settings=FOUND, path="/found") as client:
        result = await client.call_tool(CALL_TOOL, {"name": name})

    said, _, near = text_of(result).partition("; the nearest are ")
    assert result.is_error
    assert said == f"there is no tool {name!r}"
    assert len(near.split(", ")) == 3
    assert "many_list_hosts" in near.split(", ")


@pytest.mark.parametrize("given", [{}, {"name": ""}, {"name": 5}, {"name": "zzzz"}, {"arguments": {"query": 1}}, None])
async def test_a_name_like_none_is_answered_with_the_way_to_find_one(given: dict[str, Any] | None) -> None:
    async with connect(MANY, settings=FOUND, path="/found") as client:
        result = await client.call_tool(CALL_TOOL, given)

    assert result.is_error
    assert text_of(result).endswith("; search_tools finds one")


async def test_a_name_of_a_megabyte_is_answered_quickly_and_shortly() -> None:
    with anyio.fail_after(5):
        async with connect(MANY, settings=FOUND, path="/found") as client:
            result = await client.call_tool(CALL_TOOL, {"name": "many_list_hosts" * 70_000})

    assert count_tokens(text_of(result)) < 100


async def test_wrapping_without_end_ends() -> None:
    given: dict[str, Any] = {"name": "x_nothing_needed", "arguments": {}}
    for _ in range(150):
        given = {"name": "x_nothing_needed", "arguments": given}

    async with connect(LENIENT, settings=ONLY_META) as client:
        assert text_of(await client.call_tool(CALL_TOOL, given)) == "done"


# As direct


async def both(client: Client, name: str, arguments: dict[str, Any] | None = None) -> tuple[CallToolResult, ...]:
    """The answer of a direct call, and of one through call_tool."""
    through = {"name": name, "arguments": arguments or {}}
    return await client.call_tool(name, arguments or {}), await client.call_tool(CALL_TOOL, through)


@pytest.mark.parametrize("era", ERAS)
async def test_errors_are_those_of_a_direct_call(era: Era, caplog: pytest.LogCaptureFixture) -> None:
    async def refuse() -> None:
        raise ToolError("No template named 'deploy'; x_templates lists them.")

    async def crash() -> None:
        raise LookupError("hunter2")

    plugin = Plugin(name="x", tools=[sum_up, refuse, crash])
    async with connect(plugin, settings=ONLY_META, era=era) as client:
        refused = await both(client, "x_refuse")
        invalid = await both(client, "x_sum_up", {"a": "many", "c": 1})
        crashed = await both(client, "x_crash")

    assert [text_of(result) for result in refused] == ["No template named 'deploy'; x_templates lists them."] * 2
    direct, through = map(text_of, invalid)
    assert direct == through
    assert through.endswith("x_sum_up(a: integer, b?: integer, name?: string, arguments?: array)")
    assert all(text_of(result).startswith("internal error in x_crash, ref ") for result in crashed)
    assert all(result.is_error for result in (*refused, *invalid, *crashed))
    assert "hunter2" in caplog.text


async def test_the_deadline_is_that_of_the_inner_tool() -> None:
    @tool(timeout=0.01)
    async def slow() -> None:
        await anyio.sleep_forever()

    async def left(call: AnyCall) -> float:
        return call.timeout

    settings = {**ONLY_META, "calls": {"deadline": 7, "max_deadline": 9}}
    with anyio.fail_after(5):
        async with connect(Plugin(name="x", tools=[slow, left, sum_up]), settings=settings) as client:
            late = await both(client, "x_slow")
            default = await both(client, "x_left")
            asked = await client.call_tool(CALL_TOOL, {"name": "x_left"}, meta={"pegboard/deadline": 8})

    assert {text_of(result) for result in late} == {
        "x_slow did not finish in 0.01 s and was cancelled; ask for less at a time"
    }
    assert [result.structured_content for result in (*default, asked)] == [{"result": 7}, {"result": 7}, {"result": 8}]


async def test_hooks_see_the_inner_tool_and_not_the_search() -> None:
    seen: list[tuple[str, str]] = []

    class Hooks:
        @hookimpl
        def hub_plugin(self) -> Plugin:
            return Plugin(name="x", tools=[sum_up, nothing_needed, tool(name="x_other")(lambda: None)])

        @hookimpl
        def hub_around_call(self, call: AnyCall) -> AbstractAsyncContextManager[None]:
            return self.noted(call)

        @asynccontextmanager
        async def noted(self, call: AnyCall) -> AsyncGenerator[None]:
            seen.append((call.plugin, call.tool))
            yield

    async with connect(Hooks, settings=ONLY_META) as client:
        await searched(client, "anything")
        await both(client, "x_nothing_needed")

    assert seen == [("x", "x_nothing_needed")] * 2


@pytest.mark.parametrize("era", ERAS)
async def test_progress_comes_through_call_tool(era: Era) -> None:
    async def work(call: AnyCall) -> None:
        await call.progress(1, 2, "half")

    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    async with connect(Plugin(name="x", tools=[work, sum_up, nothing_needed]), settings=ONLY_META, era=era) as client:
        await client.call_tool(CALL_TOOL, {"name": "x_work"}, progress_callback=hear)

    assert heard == [(1, 2, "half")]


@pytest.mark.parametrize("era", ERAS)
async def test_the_user_is_asked_through_call_tool(era: Era) -> None:
    async def drop(call: AnyCall) -> str:
        await call.confirm("Really?")
        return "dropped"

    asked: list[str] = []

    async def agree(_: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={})

    plugin = Plugin(name="x", tools=[drop, sum_up, nothing_needed])
    async with connect(plugin, settings=ONLY_META, era=era, elicitation_callback=agree) as client:
        result = await client.call_tool(CALL_TOOL, {"name": "x_drop"})

    assert text_of(result) == "dropped"
    assert asked == ["Really?"]


FEW: dict[str, Any] = {"tools": ["many_*"], "budget": {"tools": 4}}
TWIN: dict[str, Any] = {"tools": ["many_*"], "budget": {"tools": 4, "read_twin": True}}


@pytest.mark.parametrize("era", ERAS)
async def test_the_twin_runs_what_only_reads_and_nothing_else(era: Era) -> None:
    async with connect(many(13), settings={"endpoints": {"few": TWIN}}, path="/few", era=era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        read = await client.call_tool("call_read_tool", {"name": "many_get_jobs", "arguments": {"id": 1}})
        write = await client.call_tool("call_read_tool", {"name": "many_delete_jobs", "arguments": {"id": 1}})
        other = await client.call_tool("call_tool", {"name": "many_delete_jobs", "arguments": {"id": 1}})

    annotations = tools["call_read_tool"].annotations
    assert len(tools) == 4
    assert annotations is not None
    assert annotations.read_only_hint
    assert not read.is_error
    assert write.is_error
    assert text_of(write) == "many_delete_jobs does not only read; run it with call_tool"
    assert not other.is_error


async def test_there_is_no_twin_unless_the_endpoint_says_so() -> None:
    async with connect(many(13), settings={"endpoints": {"few": FEW}}, path="/few") as client:
        assert "call_read_tool" not in {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError, match="Unknown tool: 'call_read_tool'"):
            await client.call_tool("call_read_tool", {"name": "many_get_jobs", "arguments": {"id": 1}})


# Aliases


@tool(read_only=True)
async def list_jobs(status: str = "any") -> str:
    """Tell what ran."""
    return f"jobs, {status}"


RENAMED = Plugin(name="jobs", groups=[Group("all", tools=[list_jobs])], aliases={"show_runs": "list_jobs"})
OLD_NAMES = ["show_runs", "jobs_show_runs"]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("name", OLD_NAMES)
@pytest.mark.parametrize("given", [{"arguments": {"status": "failed"}}, {"status": "failed"}], ids=["wrapped", "flat"])
async def test_call_tool_takes_the_old_name_of_a_tool(era: Era, name: str, given: dict[str, Any]) -> None:
    async with connect(RENAMED, MANY, settings=FOUND, path="/found", era=era) as client:
        result = await client.call_tool(CALL_TOOL, {"name": name, **given})

    assert text_of(result) == "jobs, failed"


@pytest.mark.parametrize("query", [*OLD_NAMES, "Show-Runs", "call show_runs for me"])
async def test_a_search_for_an_old_name_finds_the_tool_by_its_new_one(query: str) -> None:
    async with connect(RENAMED, MANY, settings=FOUND, path="/found") as client:
        first, *_ = await searched(client, query)

    assert first == "jobs_list_jobs(status?: string) - Tell what ran."


async def test_an_old_name_takes_nothing_from_a_tool_that_has_it() -> None:
    async def show_runs() -> str:
        return "the real one"

    real = Plugin(name="real", tools=[tool(name="show_runs")(show_runs)])
    async with connect(RENAMED, real, MANY, settings=FOUND, path="/found") as client:
        result = await client.call_tool(CALL_TOOL, {"name": "show_runs"})
        other = await client.call_tool(CALL_TOOL, {"name": "jobs_show_runs"})

    assert text_of(result) == "the real one"
    assert text_of(other) == "jobs, any"


async def test_of_two_plugins_with_one_old_name_the_first_has_it() -> None:
    async def other() -> str:
        return "other"

    later = Plugin(name="later", tools=[other], aliases={"show_runs": "later_other"})
    async with connect(RENAMED, later, MANY, settings=FOUND, path="/found") as client:
        result = await client.call_tool(CALL_TOOL, {"name": "show_runs"})

    assert text_of(result) == "jobs, any"


async def test_old_names_are_not_listed() -> None:
    async with connect(RENAMED, path="/jobs/all") as client:
        names = {tool.name for tool in (await client.list_tools()).tools}

    assert names == {"jobs_list_jobs"}
