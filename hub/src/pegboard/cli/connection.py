"""Connections: an MCP client of a hub in this process, or of one that runs elsewhere."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import click
from mcp import Client
from mcp.client.sse import sse_client
from mcp.shared.exceptions import MCPError

from pegboard.cli.failures import Failure
from pegboard.cli.starting import lone
from pegboard.hub import Hub
from pegboard.settings import HubSettings
from pegboard.testing import client_of

EVERYTHING = "/profiles/unlimited"

ANSWER_TIMEOUT = 10
"""Seconds a running hub has to answer anything but a tool call."""


@asynccontextmanager
async def in_process(settings: HubSettings) -> AsyncGenerator[Client]:
    """A client of a hub that lives as long as the block, without a port; it sees every tool, whatever the budget."""
    async with Hub(settings) as hub, client_of(hub, EVERYTHING) as client:
        yield client


@asynccontextmanager
async def remote(url: str) -> AsyncGenerator[Client]:
    """A client of a running hub, by SSE if the URL ends in `/sse`. Raises `Failure` when there is none."""
    server = sse_client(url) if url.endswith("/sse") else url
    try:
        async with Client(server, read_timeout_seconds=ANSWER_TIMEOUT) as client:
            yield client
    except Exception as error:
        reason = lone(error)
        if isinstance(reason, (click.ClickException, click.exceptions.Exit)):
            raise
        # The SDK's transports raise whatever their HTTP library does, and that is not ours to import.
        why = str(reason) if isinstance(reason, MCPError) else f"{type(reason).__name__}: {reason}"
        raise Failure(f"no hub at {url}: {why}; `pegboard serve` starts one and tells its URLs") from error
