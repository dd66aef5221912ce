"""A model's way to the tools: a real hub, an in-memory client, and the double behind them."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from mcp import Client

from pegboard import Group, Plugin
from pegboard.budget import tokens_of
from pegboard.testing import connect
from pegboard.tokenizers import counter
from pegboard_awx import Settings
from pegboard_awx.double.seed import TOKEN


@dataclass(frozen=True, slots=True)
class Asking:
    """Calls tools by their names without the prefix."""

    client: Client

    async def __call__(self, tool: str, /, meta: Any = None, **arguments: Any) -> dict[str, Any]:
        """The answer of a tool that does not fail."""
        result = await self.client.call_tool(f"awx_{tool}", arguments, meta=meta)
        assert not result.is_error, result.content
        answer: Any = result.structured_content
        assert isinstance(answer, dict)
        return cast(dict[str, Any], answer)

    async def refused(self, tool: str, /, **arguments: Any) -> str:
        """The text of the error of a tool that fails."""
        result = await self.client.call_tool(f"awx_{tool}", arguments)
        assert result.is_error, result.structured_content
        return "".join(getattr(block, "text", "") for block in result.content)

    async def tokens(self) -> dict[str, int]:
        """What each tool costs a conversation, the hub's own aside."""
        tools = (await self.client.list_tools()).tools
        return {
            tool.name: tokens_of(tool.name, tool.description or "", tool.input_schema)
            for tool in tools
            if tool.name.startswith("awx_")
        }


@asynccontextmanager
async def asking(url: str, *groups: Group, token: str = TOKEN, **settings: Any) -> AsyncGenerator[Asking]:
    """Open a hub with these groups and ask its tools. `hub` in the settings are other tables of the file."""
    plugin = Plugin(name="awx", groups=groups, settings=Settings)
    hub = settings.pop("hub", {})
    given = {"plugins": {"awx": {"url": url, "token": token, **settings}}, **hub}
    async with connect(plugin, settings=given) as client:
        yield Asking(client)


def size(answer: Any) -> int:
    """The tokens of an answer, counted exactly."""
    return counter("o200k")(json.dumps(answer, separators=(",", ":")))
