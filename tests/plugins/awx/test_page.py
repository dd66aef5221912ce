"""The page about AWX is a conversation that takes place: every call of it runs, and answers what it shows."""

import ast
import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import pytest
from mcp import Client

import pegboard_awx
from pegboard.endpoint import DEADLINE_KEY
from pegboard.testing import connect
from pegboard_awx.double import Double
from pegboard_awx.double.seed import TOKEN

PAGE = Path(__file__).parents[3] / "docs" / "awx.md"
BLOCK = re.compile(r"```tool\n(.+)\n(.+)\n```")
CONSTANTS = {"true": True, "false": False}


def arguments_of(call: str) -> tuple[str, dict[str, Any]]:
    """The tool and the arguments of a call as the page writes it."""
    expression = ast.parse(call, mode="eval").body
    assert isinstance(expression, ast.Call)
    assert isinstance(expression.func, ast.Name)
    return expression.func.id, {str(one.arg): value_of(one.value) for one in expression.keywords}


def value_of(node: ast.expr) -> Any:
    return CONSTANTS[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)


def part_of(shown: Any, answer: Any) -> Any:
    """What of an answer the page shows."""
    if isinstance(shown, dict):
        return {key: part_of(value, answer.get(key)) for key, value in cast(dict[str, Any], shown).items()}
    if isinstance(shown, list):
        return [part_of(one, other) for one, other in zip(cast(list[Any], shown), answer, strict=True)]
    return answer


@pytest.fixture
async def client(url: str) -> AsyncGenerator[Client]:
    settings = {"plugins": {"awx": {"url": url, "token": TOKEN}}}
    async with connect(pegboard_awx, settings=settings, path="/profiles/unlimited") as client:
        yield client


async def test_the_conversation_of_the_page_takes_place(client: Client, double: Double) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) == 8

    for call, shown in blocks:
        name, arguments = arguments_of(call)
        if name == "awx_wait_for_job":
            double.clock.advance(200)
        result = await client.call_tool(name, arguments, meta={DEADLINE_KEY: 3})
        if shown.startswith("{"):
            assert not result.is_error, result.content
            assert part_of(json.loads(shown), result.structured_content) == json.loads(shown)
        else:
            assert [getattr(block, "text", "") for block in result.content] == [shown]
