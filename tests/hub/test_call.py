"""The call: what one tool call may use."""

import logging
from typing import Any, get_args

import anyio
import pytest
from mcp.client.session import ClientRequestContext
from mcp_types import (
    CallToolResult,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    ErrorData,
    TextContent,
)

from pegboard import Call, Plugin, PluginSettings, ToolError
from pegboard.pools import Pools
from pegboard.testing import connect
from pegboard.testing.connect import Era

ERAS: tuple[Era, ...] = get_args(Era)
AnyCall = Call[PluginSettings]


def text_of(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


class Settings(PluginSettings):
    url: str = "http://default"


async def test_waiting_ends_before_the_deadline_so_that_there_is_an_answer() -> None:
    async def follow(call: AnyCall) -> str:
        with call.waiting():
            await anyio.sleep_forever()
        return "job 7 still runs; wait_for_job(job_id=7) goes on"

    settings = {"calls": {"deadline": 2.01}}
    with anyio.fail_after(2):
        async with connect(Plugin(name="x", tools=[follow]), settings=settings) as client:
            assert text_of(await client.call_tool("x_follow", {})).startswith("job 7 still runs")


async def test_waiting_may_be_shorter() -> None:
    async def follow(call: AnyCall) -> bool:
        with call.waiting(0.01) as waiting:
            await anyio.sleep_forever()
        return waiting.cancelled_caught

    with anyio.fail_after(5):
        async with connect(Plugin(name="x", tools=[follow])) as client:
            result = await client.call_tool("x_follow", {})

    assert result.structured_content == {"result": True}


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_knows_its_settings_and_its_place(era: Era) -> None:
    async def where(call: Call[Settings]) -> list[str | None]:
        return [call.settings.url, call.plugin, call.tool, call.endpoint, call.environment, call.principal]

    plugin = Plugin(name="x", tools=[where], settings=Settings)
    settings = {"plugins": {"x": {"url": "http://mine"}}}
    async with connect(plugin, settings=settings, path="/x", era=era) as client:
        result = await client.call_tool("x_where", {})

    assert result.structured_content == {"result": ["http://mine", "x", "x_where", "x", "default", None]}


async def test_a_call_tells_how_much_time_is_left() -> None:
    async def remaining(call: AnyCall) -> list[float]:
        return [call.timeout, call.remaining]

    async with connect(Plugin(name="x", tools=[remaining]), settings={"calls": {"deadline": 20}}) as client:
        result = await client.call_tool("x_remaining", {})

    assert result.structured_content is not None
    timeout, left = result.structured_content["result"]
    assert timeout == 20
    assert 10 < left <= 20


async def test_no_time_is_left_after_the_deadline() -> None:
    call = Call(PluginSettings(), "x", "x_y", "all", timeout=1, deadline=anyio.current_time() - 5, pools=Pools())

    assert call.remaining == 0


async def test_the_log_names_plugin_and_tool(caplog: pytest.LogCaptureFixture) -> None:
    async def act(call: AnyCall) -> None:
        call.log.warning("took %s s", 5, extra={"rows": 3})

    async with connect(Plugin(name="x", tools=[act])) as client:
        await client.call_tool("x_act", {})

    (record,) = [record for record in caplog.records if record.name == "pegboard.plugins.x"]
    assert (record.levelno, record.getMessage()) == (logging.WARNING, "x_act: took 5 s")
    assert (vars(record)["plugin"], vars(record)["tool"], vars(record)["rows"]) == ("x", "x_act", 3)


@pytest.mark.parametrize("era", ERAS)
async def test_progress_reaches_a_client_that_asked(era: Era) -> None:
    async def work(call: AnyCall) -> str:
        await call.progress(1, 2, "half")
        await call.progress(2, 2)
        return "done"

    seen: list[tuple[float, float | None, str | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with connect(Plugin(name="x", tools=[work]), era=era) as client:
        assert text_of(await client.call_tool("x_work", {})) == "done"
        assert seen == []
        with anyio.fail_after(5):
            await client.call_tool("x_work", {}, progress_callback=on_progress)

    assert seen == [(1, 2, "half"), (2, 2, None)]


async def test_progress_of_a_call_without_a_client_goes_nowhere() -> None:
    call = Call(PluginSettings(), "x", "x_y", "all", timeout=1, deadline=anyio.current_time() + 1, pools=Pools())

    await call.progress(1)

    with pytest.raises(ToolError, match="this client cannot ask"):
        await call.confirm("Sure?")


def deleting(effects: list[str]) -> Plugin:
    async def delete(name: str, call: AnyCall) -> str:
        await call.confirm(f"Delete {name}?")
        effects.append(name)
        return "deleted"

    return Plugin(name="x", tools=[delete])


def answering(*actions: Any, asked: list[str]) -> Any:
    """An elicitation callback whose user answers with these actions, one after the other."""
    left = list(actions)

    async def answer(_: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        assert isinstance(params, ElicitRequestFormParams)
        assert params.requested_schema == {"type": "object", "properties": {}}
        asked.append(params.message)
        return ElicitResult(action=left.pop(0))

    return answer


@pytest.mark.parametrize("era", ERAS)
async def test_a_user_who_agrees_is_asked_once_and_it_happens_once(era: Era) -> None:
    asked: list[str] = []
    effects: list[str] = []

    with anyio.fail_after(5):
        async with connect(deleting(effects), era=era, elicitation_callback=answering("accept", asked=asked)) as client:
            assert text_of(await client.call_tool("x_delete", {"name": "db"})) == "deleted"

    assert (asked, effects) == (["Delete db?"], ["db"])


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_user_who_refuses_stops_it(action: str, era: Era) -> None:
    asked: list[str] = []
    effects: list[str] = []

    with anyio.fail_after(5):
        async with connect(deleting(effects), era=era, elicitation_callback=answering(action, asked=asked)) as client:
            result = await client.call_tool("x_delete", {"name": "db"})

    assert result.is_error
    assert text_of(result) == "the user did not confirm x_delete; nothing was done"
    assert (asked, effects) == (["Delete db?"], [])


@pytest.mark.parametrize("can_ask", [True, False])
@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_knows_whether_it_will_be_run_again_for_the_answer(era: Era, can_ask: bool) -> None:
    async def once(call: AnyCall) -> bool:
        return call.asks_once

    asking: dict[str, Any] = {"elicitation_callback": answering(asked=[])} if can_ask else {}
    async with connect(Plugin(name="x", tools=[once]), era=era, **asking) as client:
        result = await client.call_tool("x_once", {})

    assert result.structured_content == {"result": can_ask and era == "handshake"}


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_cannot_ask_gets_a_clear_refusal(era: Era) -> None:
    effects: list[str] = []

    settings = {"calls": {"confirm_by_token": False}}
    with anyio.fail_after(5):
        async with connect(deleting(effects), settings=settings, era=era) as client:
            result = await client.call_tool("x_delete", {"name": "db"})

    assert result.is_error
    assert text_of(result) == "x_delete needs the user's confirmation and this client cannot ask for it (elicitation)"
    assert effects == []


async def test_a_user_who_does_not_answer_ends_at_the_deadline() -> None:
    async def never(_: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        await anyio.sleep_forever()
        raise AssertionError

    effects: list[str] = []
    with anyio.fail_after(5):
        async with connect(
            deleting(effects), settings={"calls": {"deadline": 0.02}}, elicitation_callback=never
        ) as client:
            result = await client.call_tool("x_delete", {"name": "db"})

    assert "did not finish in 0.02 s" in text_of(result)
    assert effects == []


async def test_a_client_that_fails_to_ask_has_not_confirmed() -> None:
    async def broken(_: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        return ErrorData(code=-32603, message="no screen")

    effects: list[str] = []
    with anyio.fail_after(5):
        async with connect(deleting(effects), elicitation_callback=broken) as client:
            result = await client.call_tool("x_delete", {"name": "db"})

    assert result.is_error
    assert effects == []
