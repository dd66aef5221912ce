"""Prompts: a function whose parameters are the prompt's arguments."""

import logging
from typing import Annotated, Any, get_args

import anyio
import pytest
from mcp import MCPError
from mcp_types import GetPromptResult, ImageContent, PromptArgument, PromptMessage, TextContent
from pydantic import Field

from pegboard import Call, Plugin, PluginSettings, ToolError
from pegboard.testing import connect
from pegboard.testing.connect import Era

ERAS: tuple[Era, ...] = get_args(Era)


def texts_of(result: GetPromptResult) -> list[str]:
    return [message.content.text for message in result.messages if isinstance(message.content, TextContent)]


async def review(
    code: Annotated[str, Field(description="What to review.")], call: Call[PluginSettings], style: str = "kind"
) -> str:
    """Review some code."""
    return f"{call.plugin} {call.tool}: review {code}, be {style}"


@pytest.mark.parametrize("era", ERAS)
async def test_a_prompt_is_listed_with_its_arguments(era: Era) -> None:
    async with connect(Plugin(name="x", prompts=[review]), era=era) as client:
        (prompt,) = (await client.list_prompts()).prompts

    assert (prompt.name, prompt.description) == ("x_review", "Review some code.")
    assert prompt.arguments == [
        PromptArgument(name="code", description="What to review.", required=True),
        PromptArgument(name="style", required=False),
    ]


@pytest.mark.parametrize("era", ERAS)
async def test_a_string_is_one_message_of_the_user(era: Era) -> None:
    async with connect(Plugin(name="x", prompts=[review]), era=era) as client:
        result = await client.get_prompt("x_review", {"code": "f()"})

    assert [message.role for message in result.messages] == ["user"]
    assert texts_of(result) == ["x x_review: review f(), be kind"]
    assert result.description == "Review some code."


async def test_a_prompt_may_be_sync_and_have_many_messages() -> None:
    image = PromptMessage(role="assistant", content=ImageContent(type="image", data="aGk=", mime_type="image/png"))

    def look() -> list[Any]:
        return ["What is this?", image, 5]

    async with connect(Plugin(name="x", prompts={"test_look": look})) as client:
        result = await client.get_prompt("test_look")

    assert texts_of(result) == ["What is this?", "5"]
    assert result.messages[1] == image


async def problem(plugin: Plugin, name: str, arguments: dict[str, str] | None = None, **settings: Any) -> MCPError:
    with anyio.fail_after(5):
        async with connect(plugin, settings=settings) as client:
            with pytest.raises(MCPError) as caught:
                await client.get_prompt(name, arguments)
    return caught.value


async def test_an_unknown_prompt_is_told_with_the_nearest_name() -> None:
    error = await problem(Plugin(name="x", prompts=[review]), "x_reviews")

    assert (error.code, error.message) == (-32602, "Unknown prompt: 'x_reviews'; did you mean 'x_review'?")


async def test_wrong_arguments_are_told_line_by_line() -> None:
    error = await problem(Plugin(name="x", prompts=[review]), "x_review", {"cod": "x"})

    assert error.code == -32602
    assert error.message == "invalid arguments\n- code: required\n- cod: unknown argument; did you mean 'code'?"


async def test_an_expected_error_reaches_the_client() -> None:
    async def fail() -> str:
        raise ToolError("no template; x_list has all")

    assert (await problem(Plugin(name="x", prompts=[fail]), "x_fail")).message == "no template; x_list has all"


class Panic(BaseException):
    """What extension modules in Rust raise."""


@pytest.mark.parametrize(
    "crash", [LookupError("hunter2"), ExceptionGroup("x", [OSError("hunter2")]), Panic("hunter2"), SystemExit(3)]
)
async def test_a_crash_is_logged_under_a_reference(crash: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> str:
        raise crash

    error = await problem(Plugin(name="x", prompts=[fail]), "x_fail")

    assert error.code == -32603
    assert error.message.startswith("internal error in x_fail, ref ")
    assert "pegboard.tools" in [record.name for record in caplog.records if record.levelno == logging.ERROR]


async def test_a_prompt_has_a_deadline_and_is_told_of_it_as_a_tool_is() -> None:
    async def forever() -> str:
        await anyio.sleep_forever()
        return ""

    error = await problem(Plugin(name="x", prompts=[forever]), "x_forever", calls={"deadline": 0.01})

    assert error.message == "x_forever did not finish in 0.01 s and was cancelled; ask for less at a time"


async def test_a_hub_without_prompts_does_not_offer_them() -> None:
    async with connect(Plugin(name="x")) as client:
        assert client.server_capabilities.prompts is None
        assert client.server_capabilities.tools is not None
