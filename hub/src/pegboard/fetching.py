"""`fetch_more`: the tool that reads on where an answer was cut, the same at every endpoint."""

from typing import Annotated, Any

import anyio
from pydantic import Field

from pegboard.environments import Environments
from pegboard.plugin import HUB, Plugin, PluginSettings, tool
from pegboard.rows import Rows
from pegboard.tools import BoundTool

PRIORITY = 1000
"""Before any other tool, where a budget cannot list them all: without it an answer that was cut is lost."""


@tool(name="fetch_more", title="Fetch more rows", read_only=True, idempotent=True, open_world=False, priority=PRIORITY)
async def fetch_more(
    cursor: Annotated[str, Field(description="From the last answer.")],
    filter: Annotated[  # noqa: A002 # the word a model would use
        dict[str, Any] | None, Field(description='Rows to keep: {"city": "Rome", "price": {"lt": 20}}.')
    ] = None,
    columns: Annotated[list[str] | None, Field(description="Columns to keep.")] = None,
) -> Rows:
    """Continue an answer that has a cursor."""
    return Rows.more(cursor, filter=filter, columns=columns)


def fetch_more_tool() -> BoundTool:
    """The tool, bound to the hub."""
    hub = Plugin(name=HUB, tools=[fetch_more])
    return BoundTool(hub, fetch_more, Environments.only(PluginSettings()), anyio.CapacityLimiter(1), None)
