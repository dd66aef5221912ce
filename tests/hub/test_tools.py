"""Tools: every call takes one way and ends with an answer."""

import asyncio
import logging
import re
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, get_args

import anyio
import pytest
from anyio.lowlevel import checkpoint
from mcp import Client
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel
from typing_extensions import TypedDict

from pegboard import Call, Plugin, PluginSettings, ToolError, hookimpl, tool
from pegboard.functions import SYNC_THREADS
from pegboard.pools import Pools
from pegboard.testing import client_of, connect, hub_of
from pegboard.testing.connect import Era
from pegboard.tools import Runner

ERAS: tuple[Era, ...] = get_args(Era)
AnyCall = Call[PluginSettings]


def plugin(*tools: Any) -> Plugin:
    return Plugin(name="x", tools=tools)


def text_of(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


async def error_of(client: Client, name: str, arguments: dict[str, Any] | None = None) -> str:
    with anyio.fail_after(5):
        result = await client.call_tool(name, arguments or {})
    assert result.is_error
    assert result.structured_content is None
    return text_of(result)


# What clients see of a tool


async def test_the_definition_is_the_function() -> None:
    @tool(title="Count", read_only=True, open_world=False)
    async def count(word: str) -> int:
        """Count the letters of a word.

        Spaces count.
        """
        return len(word)

    async with connect(plugin(count)) as client:
        (definition,) = (await client.list_tools()).tools

    assert definition.name == "x_count"
    assert (definition.title, definition.description) == ("Count", "Count the letters of a word.\n\nSpaces count.")
    assert definition.input_schema["required"] == ["word"]
    assert definition.output_schema is not None
    assert definition.annotations == ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False)


@pytest.mark.parametrize(
    ("mark", "annotations"),
    [
        ({}, None),
        ({"read_only": True}, ToolAnnotations(read_only_hint=True, destructive_hint=False)),
        ({"destructive": True}, ToolAnnotations(destructive_hint=True)),
        ({"destructive": False, "idempotent": True}, ToolAnnotations(destructive_hint=False, idempotent_hint=True)),
    ],
)
async def test_annotations_say_only_what_the_author_said(
    mark: dict[str, Any], annotations: ToolAnnotations | None
) -> None:
    @tool(**mark)
    async def act() -> None: ...

    async with connect(plugin(act)) as client:
        (definition,) = (await client.list_tools()).tools

    assert (definition.annotations, definition.description) == (annotations, None)


# Answers


class City(BaseModel):
    name: str


class Row(TypedDict):
    id: int


@pytest.mark.parametrize("era", ERAS)
async def test_data_comes_back_as_text_and_structured(era: Era) -> None:
    async def find(name: str) -> list[City]:
        return [City(name=name)]

    async with connect(plugin(find), era=era) as client:
        result = await client.call_tool("x_find", {"name": "Rome"})

    assert not result.is_error
    assert result.structured_content == {"result": [{"name": "Rome"}]}
    assert text_of(result) == '[{"name":"Rome"}]'


@pytest.mark.parametrize("era", ERAS)
async def test_an_expected_error_reaches_the_client_with_its_remedy(era: Era) -> None:
    async def launch(name: str) -> City:
        raise ToolError(f"No template named {name!r}; x_list has all.")

    async with connect(plugin(launch), era=era) as client:
        assert await error_of(client, "x_launch", {"name": "deploy"}) == "No template named 'deploy'; x_list has all."


@pytest.mark.parametrize("era", ERAS)
async def test_wrong_arguments_are_told_with_the_signature_and_the_tool_never_runs(era: Era) -> None:
    async def find(city: str, limit: int = 5) -> str:
        pytest.fail("the tool must not run")

    async with connect(plugin(find), era=era) as client:
        error = await error_of(client, "x_find", {"city": [], "limt": 3})

    assert error == (
        "invalid arguments\n- city: must be a string, not a list\n"
        "- limt: unknown argument; did you mean 'limit'?\nx_find(city: string, limit?: integer)"
    )


async def test_a_sync_tool_may_name_its_parameters_as_it_likes() -> None:
    def describe(function: str, threads: int, schema: str, copy: str) -> str:
        return f"{function} {threads} {schema} {copy}"

    arguments = {"function": "f", "threads": 2, "schema": "s", "copy": "c"}
    async with connect(plugin(describe)) as client:
        assert text_of(await client.call_tool("x_describe", arguments)) == "f 2 s c"


async def test_sync_tools_do_not_block_each_other() -> None:
    meeting = threading.Barrier(2)

    def meet() -> str:
        meeting.wait(5)
        return "met"

    answers: list[str] = []
    async with connect(plugin(meet)) as client:

        async def call() -> None:
            answers.append(text_of(await client.call_tool("x_meet", {})))

        with anyio.fail_after(5):
            async with anyio.create_task_group() as calls:
                calls.start_soon(call)
                calls.start_soon(call)

    assert answers == ["met", "met"]


async def test_a_plugin_that_uses_up_its_threads_leaves_the_others_theirs() -> None:
    over = threading.Event()

    def wait() -> None:
        over.wait(5)

    def answer() -> str:
        return "here"

    greedy, modest = plugin(wait), Plugin(name="y", tools=[answer])
    with anyio.fail_after(5):
        async with connect(greedy, modest) as client, anyio.create_task_group() as calls:
            for _ in range(SYNC_THREADS + 2):
                calls.start_soon(client.call_tool, "x_wait")
            assert text_of(await client.call_tool("y_answer", {})) == "here"
            over.set()


async def test_a_sync_tool_that_raises_stop_iteration_is_masked_like_any_other() -> None:
    def first() -> str:
        return next(iter(()))

    async with connect(plugin(first)) as client:
        assert "internal error in x_first" in await error_of(client, "x_first")


# Crashes


class Panic(BaseException):
    """What extension modules in Rust raise."""


def crash(kind: str) -> None:
    match kind:
        case "exception":
            raise LookupError("password hunter2")
        case "exit":
            raise SystemExit(3)
        case "interrupt":
            raise KeyboardInterrupt
        case "group":
            raise ExceptionGroup("hunter2", [LookupError(), ToolError("hunter2")])
        case "cancelled":
            raise asyncio.CancelledError
        case "recursion":
            crash(kind)
        case _:
            raise Panic("hunter2")


CRASHES = ["exception", "exit", "interrupt", "group", "cancelled", "recursion", "panic"]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("kind", CRASHES)
async def test_a_crash_is_logged_under_a_reference_and_hides_its_text(
    kind: str, era: Era, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        await checkpoint()
        crash(kind)

    async def answer() -> str:
        return "alive"

    async with connect(plugin(fail, answer), era=era) as client:
        error = await error_of(client, "x_fail")
        alive = text_of(await client.call_tool("x_answer", {}))

    reference = re.fullmatch(r"internal error in x_fail, ref ([0-9a-f]{8}); the hub's log has the details", error)
    assert reference
    (record,) = [record for record in caplog.records if record.name == "pegboard.tools"]
    assert reference[1] in record.getMessage()
    assert (record.levelno, vars(record)["plugin"], vars(record)["tool"]) == (logging.ERROR, "x", "x_fail")
    assert record.exc_info
    assert alive == "alive"


@pytest.mark.parametrize("kind", ["exception", "exit", "group", "recursion"])
async def test_a_crash_in_a_thread_is_a_crash_like_any_other(kind: str) -> None:
    def fail() -> None:
        crash(kind)

    async with connect(plugin(fail)) as client:
        assert (await error_of(client, "x_fail")).startswith("internal error in x_fail, ref ")


async def test_a_value_that_does_not_match_the_annotation_is_a_crash() -> None:
    async def find() -> Row:
        return {"id": "hunter2"}  # type: ignore[typeddict-item] # pyright: ignore[reportReturnType]

    async with connect(plugin(find)) as client:
        assert (await error_of(client, "x_find")).startswith("internal error in x_find, ref ")


async def test_text_that_is_no_unicode_does_not_break_the_session() -> None:
    async def text() -> str:
        return "a\ud800b"

    async def data() -> dict[str, str]:
        return {"text": "a\ud800b"}

    async with connect(plugin(text, data)) as client:
        assert text_of(await client.call_tool("x_text", {})) == "a?b"
        assert (await error_of(client, "x_data")).startswith("internal error in x_data, ref ")


# Deadlines and cancellation


async def forever(call: AnyCall) -> None:
    await anyio.sleep_forever()


OVERDUE = "x_forever did not finish in 0.01 s and was cancelled; ask for less at a time"


@pytest.mark.parametrize("era", ERAS)
async def test_the_hubs_deadline_ends_a_call(era: Era) -> None:
    async with connect(plugin(forever), settings={"calls": {"deadline": 0.01}}, era=era) as client:
        assert await error_of(client, "x_forever") == OVERDUE


async def test_a_tools_own_deadline_wins_over_the_hubs() -> None:
    @tool(name="x_forever", timeout=0.01)
    async def impatient() -> None:
        await anyio.sleep_forever()

    async with connect(plugin(impatient)) as client:
        assert await error_of(client, "x_forever") == OVERDUE


async def test_a_request_may_ask_for_less_time() -> None:
    async with connect(plugin(forever)) as client:
        with anyio.fail_after(5):
            result = await client.call_tool("x_forever", {}, meta={"pegboard/deadline": 0.01})

    assert text_of(result) == OVERDUE


@pytest.mark.parametrize("wanted", [61, 1e9, pytest.param(10**400, id="huge")])
async def test_a_request_may_not_ask_for_more_than_the_hub_allows(wanted: float) -> None:
    async def remaining(call: AnyCall) -> float:
        return call.remaining

    async with connect(plugin(remaining), settings={"calls": {"max_deadline": 60}}) as client:
        result = await client.call_tool("x_remaining", {}, meta={"pegboard/deadline": wanted})

    assert result.structured_content is not None
    assert 50 < result.structured_content["result"] <= 60


@pytest.mark.parametrize("wanted", [0, -1, "5", None, [], float("nan"), float("inf")])
async def test_a_deadline_that_is_none_is_ignored(wanted: Any) -> None:
    async def remaining(call: AnyCall) -> float:
        return call.timeout

    async with connect(plugin(remaining)) as client:
        result = await client.call_tool("x_remaining", {}, meta={"pegboard/deadline": wanted})

    assert result.structured_content == {"result": 30}


async def test_a_thread_that_does_not_end_ends_its_call_at_the_deadline() -> None:
    over = threading.Event()

    def wait() -> None:
        over.wait(5)

    async with connect(plugin(wait), settings={"calls": {"deadline": 0.01}}) as client:
        assert "did not finish in 0.01 s" in await error_of(client, "x_wait")
        over.set()


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_gives_up_cancels_the_tool(era: Era) -> None:
    started, cancelled = anyio.Event(), anyio.Event()

    async def work() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    with anyio.fail_after(5):
        async with connect(plugin(work), era=era) as client, anyio.create_task_group() as calls:
            calls.start_soon(client.call_tool, "x_work")
            await started.wait()
            calls.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await cancelled.wait()


async def test_a_client_that_leaves_cancels_its_calls() -> None:
    started, cancelled = anyio.Event(), anyio.Event()

    async def work() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    with anyio.fail_after(5):
        async with hub_of(plugin(work)) as hub:
            async with anyio.create_task_group() as calls:
                async with client_of(hub) as client:
                    calls.start_soon(client.call_tool, "x_work")
                    await started.wait()
                    calls.cancel_scope.cancel()
            await cancelled.wait()


# Hooks around calls

Around = Callable[[AnyCall], Any]


def around(hook: Around, name: str = "watcher") -> Any:
    class Hooks:
        @hookimpl
        def hub_plugin(self) -> Plugin:
            return Plugin(name=name)

        @hookimpl
        def hub_around_call(self, call: AnyCall) -> Any:
            return hook(call)

    return Hooks


async def greet(name: str = "you") -> str:
    return f"hello {name}"


async def refuse() -> str:
    raise ToolError("no")


@asynccontextmanager
async def noting(name: str, events: list[str], call: AnyCall) -> AsyncGenerator[None]:
    events.append(f"{name} in {call.plugin} {call.tool}")
    try:
        yield
    except BaseException as error:
        events.append(f"{name} {error!r}")
        raise
    finally:
        events.append(f"{name} out")


async def test_hooks_are_entered_in_order_and_left_in_reverse() -> None:
    events: list[str] = []
    a, b = (around(partial(noting, name, events), name) for name in "ab")

    async with connect(b, a, plugin(greet)) as client:
        assert text_of(await client.call_tool("x_greet", {})) == "hello you"

    assert events == ["a in x x_greet", "b in x x_greet", "b out", "a out"]


async def test_hooks_see_how_a_call_failed() -> None:
    events: list[str] = []

    async with connect(around(partial(noting, "a", events)), plugin(refuse)) as client:
        assert await error_of(client, "x_refuse") == "no"

    assert events == ["a in x x_refuse", "a ToolError('no')", "a out"]


async def test_hooks_do_not_see_a_call_that_was_never_made() -> None:
    events: list[str] = []

    async with connect(around(partial(noting, "a", events)), plugin(greet)) as client:
        await error_of(client, "x_greet", {"nam": "x"})

    assert events == []


@asynccontextmanager
async def failing_in(_: AnyCall) -> AsyncGenerator[None]:
    raise LookupError("in")
    yield


@asynccontextmanager
async def failing_out(_: AnyCall) -> AsyncGenerator[None]:
    yield
    raise LookupError("out")


@asynccontextmanager
async def replacing(_: AnyCall) -> AsyncGenerator[None]:
    try:
        yield
    except ToolError:
        raise LookupError("instead") from None


def not_a_manager(_: AnyCall) -> int:
    return 5


def failing_at_once(_: AnyCall) -> AbstractAsyncContextManager[None]:
    raise LookupError("at once")


@pytest.mark.parametrize(
    ("hook", "name"),
    [
        (failing_at_once, "x_greet"),
        (failing_in, "x_greet"),
        (failing_out, "x_greet"),
        (replacing, "x_refuse"),
        (not_a_manager, "x_greet"),
    ],
)
async def test_a_hook_that_fails_is_logged_and_the_call_goes_on(
    hook: Around, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[str] = []

    async with connect(around(hook, "a"), around(partial(noting, "b", events), "b"), plugin(greet, refuse)) as client:
        text = text_of(await client.call_tool(name, {}))

    assert text == ("no" if name == "x_refuse" else "hello you")
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR] == [
        "a hub_around_call hook failed; the call goes on"
    ]
    assert events[0].startswith("b in")
    assert events[-1] == "b out"


async def test_a_hook_cannot_suppress_what_the_tool_raised() -> None:
    @asynccontextmanager
    async def swallow(_: AnyCall) -> AsyncGenerator[None]:
        try:
            yield
        except ToolError:
            pass

    async with connect(around(swallow), plugin(refuse)) as client:
        assert await error_of(client, "x_refuse") == "no"


async def test_a_hook_may_have_nothing_to_say() -> None:
    async with connect(around(lambda _: None), plugin(greet)) as client:
        assert text_of(await client.call_tool("x_greet", {})) == "hello you"


@asynccontextmanager
async def hanging_in(_: AnyCall) -> AsyncGenerator[None]:
    await anyio.sleep_forever()
    yield


@asynccontextmanager
async def hanging_out(_: AnyCall) -> AsyncGenerator[None]:
    yield
    await anyio.sleep_forever()


class Inside:
    """A hook that counts the calls inside it, as a class: what leaves it is not the garbage collector."""

    def __init__(self) -> None:
        self.calls = 0

    async def __aenter__(self) -> None:
        self.calls += 1

    async def __aexit__(self, *_: object) -> None:
        self.calls -= 1


async def test_a_hook_that_hangs_ends_at_the_deadline_and_the_others_are_left() -> None:
    inside = Inside()
    first, second = around(lambda _: inside, "a"), around(hanging_in, "b")

    async with connect(first, second, plugin(greet), settings={"calls": {"deadline": 0.01}}) as client:
        assert "did not finish in 0.01 s" in await error_of(client, "x_greet")
        assert inside.calls == 0


async def test_a_hook_that_hangs_as_it_is_left_has_its_time_and_the_call_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pegboard.tools.LEAVE_TIMEOUT", 0.01)
    inside = Inside()

    async with connect(around(lambda _: inside, "a"), around(hanging_out, "b"), plugin(greet, forever)) as client:
        with anyio.fail_after(5):
            assert text_of(await client.call_tool("x_greet", {})) == "hello you"
            overdue = await client.call_tool("x_forever", {}, meta={"pegboard/deadline": 0.01})
        assert text_of(overdue) == OVERDUE
        assert inside.calls == 0


class PassingOn(Inside):
    """Raises again what it is given, which a context manager had better not."""

    async def __aexit__(self, *given: object) -> None:
        await super().__aexit__()
        if isinstance(given[1], BaseException):
            raise given[1]


async def test_a_hook_that_raises_again_what_it_was_given_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    inside, passing_on = Inside(), PassingOn()
    hooks = around(lambda _: inside, "a"), around(lambda _: passing_on, "b")

    async with connect(*hooks, plugin(greet, refuse, forever)) as client:
        assert text_of(await client.call_tool("x_greet", {})) == "hello you"
        assert await error_of(client, "x_refuse") == "no"
        overdue = await client.call_tool("x_forever", {}, meta={"pegboard/deadline": 0.01})

    assert text_of(overdue) == OVERDUE
    assert inside.calls == passing_on.calls == 0
    assert caplog.records == []


async def test_a_hook_is_left_when_the_client_gives_up() -> None:
    inside = Inside()

    with anyio.fail_after(5):
        async with connect(around(lambda _: inside), plugin(greet, forever)) as client:
            with anyio.move_on_after(0.01):
                await client.call_tool("x_forever", {})
            await client.call_tool("x_greet", {})
            assert inside.calls == 0


# Traces


async def test_a_call_names_itself_on_the_span_of_its_request() -> None:
    tracer = TracerProvider().get_tracer("test")
    call = Call(PluginSettings(), "x", "x_refuse", "all", timeout=5, deadline=anyio.current_time() + 5, pools=Pools())

    async with hub_of(plugin(refuse)) as hub:
        with tracer.start_as_current_span("tools/call") as span:
            await Runner(hub.results)(hub.plugins[0].tools[0], {}, call)

    assert vars(span)["_attributes"] == {
        "pegboard.plugin": "x",
        "pegboard.endpoint": "all",
        "pegboard.environment": "default",
    }
