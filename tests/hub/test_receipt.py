"""The receipt: every tool with its tokens, what became of it, why, and where it is listed."""

import json
import logging
from typing import Any, get_args

import pytest
from mcp import MCPError
from tests.plugins.many import many

from pegboard import Plugin
from pegboard.budget import tokens_of
from pegboard.hub import BUDGET_URI
from pegboard.testing import client_of, hub_of
from pegboard.testing.connect import Era

ERAS: tuple[Era, ...] = get_args(Era)
TIGHT: dict[str, Any] = {"endpoints": {"tight": {"tools": ["*"], "budget": {"tools": 20, "tokens": 1100}}}}


@pytest.mark.parametrize("era", ERAS)
async def test_the_resource_is_the_receipt_of_its_endpoint(era: Era) -> None:
    async with hub_of(many(60), settings=TIGHT) as hub:
        for path in hub.endpoints:
            async with client_of(hub, path, era) as client:
                assert BUDGET_URI in [resource.uri for resource in (await client.list_resources()).resources]
                (contents,) = (await client.read_resource(BUDGET_URI)).contents
            assert json.loads(contents.model_dump()["text"]) == hub.receipt(path)


async def test_a_receipt_adds_up() -> None:
    async with hub_of(many(60), settings=TIGHT) as hub:
        for path, endpoint in hub.endpoints.items():
            receipt, tools = hub.receipt(path), endpoint.offer.tools
            states = [line["state"] for line in receipt["tools"]]
            listed = endpoint.view.tool_list.tools
            sizes = [tokens_of(tool.name, tool.description or "", tool.input_schema) for tool in listed]
            assert [line["name"] for line in receipt["tools"]] == [tool.name for tool in tools]
            assert receipt["tools_listed"] == len(listed)
            assert receipt["tokens_listed"] == sum(sizes)
            assert (receipt["trimmed"], receipt["hidden"]) == (states.count("trimmed"), states.count("hidden"))
            assert receipt["meta_tools"] == ("call_tool" in [tool.name for tool in listed])
            full = sum(line["full_tokens"] for line in receipt["tools"])
            assert receipt["tokens_saved"] == full - receipt["tokens_listed"]


async def test_a_receipt_in_full() -> None:
    async def ping() -> str:
        """Answer."""
        return "pong"

    async with hub_of(Plugin(name="x", tools=[ping])) as hub:
        receipt = hub.receipt()

    assert receipt == {
        "endpoint": "all",
        "path": "/",
        "overflow": "search",
        "tool_limit": 40,
        "token_limit": 8000,
        "tools_listed": 1,
        "tokens_listed": 23,
        "trimmed": 0,
        "hidden": 0,
        "meta_tools": False,
        "tokens_saved": 0,
        "tools": [
            {
                "name": "x_ping",
                "state": "listed",
                "tokens": 23,
                "full_tokens": 23,
                "reason": "in full",
                "listed_at": [
                    *("/x", "/profiles/small", "/profiles/medium", "/profiles/large", "/profiles/unlimited"),
                ],
            }
        ],
    }


async def test_a_hidden_tool_says_where_it_is_listed() -> None:
    async with hub_of(many(60), settings=TIGHT) as hub:
        hidden = [line for line in hub.receipt("/tight")["tools"] if line["state"] == "hidden"]
        places = {path or "/": endpoint.view.tool_list.tools for path, endpoint in hub.endpoints.items()}

    assert hidden
    for line in hidden:
        assert line["tokens"] == 0
        assert line["reason"]
        names = {path: {tool.name for tool in tools} for path, tools in places.items()}
        assert line["listed_at"] == [path for path in places if line["name"] in names[path]]
        assert "/profiles/unlimited" in line["listed_at"]
    assert any("/" in line["listed_at"] for line in hidden)


async def test_one_line_in_the_log_for_each_endpoint_that_trims_or_hides(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pegboard")

    async with hub_of(many(60), settings=TIGHT) as hub:
        receipt = hub.receipt("/tight")

    lines = [message for message in caplog.messages if message.startswith("endpoint ")]
    assert [line.split()[1] for line in lines] == ["all", "many", "tight"]
    assert lines[-1] == (
        f"endpoint tight lists {receipt['tools_listed']} tools in {receipt['tokens_listed']} of 1100 tokens, "
        f"{receipt['trimmed']} trimmed and {receipt['hidden']} hidden; "
        f"`pegboard budget tight` says which and why"
    )


async def test_no_limit_of_tokens_is_told_as_such(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pegboard")

    async with hub_of(many(60), settings={"endpoints": {"few": {"tools": ["*"], "budget": {"tools": 9}}}}):
        pass

    assert any("endpoint few lists 9 tools in" in m and "of any number of tokens" in m for m in caplog.messages)


async def test_an_endpoint_that_lists_everything_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "pegboard")

    async with hub_of(many(5)):
        pass

    assert [message for message in caplog.messages if message.startswith("endpoint ")] == []


async def test_the_resource_of_a_plugin_does_not_stand_in_for_the_receipt() -> None:
    async def forged() -> str:
        return "forged"

    async def anything(a: str, b: str) -> str:
        return f"{a}{b}"

    plugin = Plugin(name="x", resources={BUDGET_URI: forged, "{a}://{b}": anything})
    async with hub_of(plugin) as hub, client_of(hub) as client:
        (contents,) = (await client.read_resource(BUDGET_URI)).contents
        with pytest.raises(MCPError):
            await client.read_resource("pegboard://budget/x/y")

    assert json.loads(contents.model_dump()["text"])["endpoint"] == "all"
