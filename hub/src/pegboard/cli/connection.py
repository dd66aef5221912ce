"""Connections: an MCP client of a hub in this process, or of one that runs elsewhere."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import click
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPError

from pegboard.cli.clients import KEY_VARIABLE, bearer
from pegboard.cli.failures import Failure
from pegboard.cli.starting import lone
from pegboard.hub import Hub
from pegboard.settings import HubSettings
from pegboard.testing import client_of

EVERYTHING = "/profiles/unlimited"

UNAUTHORIZED = 401
ANSWER_TIMEOUT = 10
"""Seconds a running hub has to answer anything but a tool call."""


@asynccontextmanager
async def in_process(settings: HubSettings) -> AsyncGenerator[Client]:
    """A client of a hub that lives as long as the block, without a port; it sees every tool, whatever the budget."""
    async with Hub(settings) as hub, client_of(hub, EVERYTHING) as client:
        yield client


@asynccontextmanager
async def remote(url: str, key: str | None = None) -> AsyncGenerator[Client]:
    """A client of a running hub, by SSE if the URL ends in `/sse`, which shows the key if there is one.

    Raises `Failure` when there is no hub, or it does not take the key.
    """
    statuses: list[int] = []
    headers = {"Authorization": bearer(key)} if key else {}
    factory = partial(_http_client, statuses)
    if url.endswith("/sse"):
        server = sse_client(url, headers, httpx_client_factory=factory)
    else:
        server = _streamable(url, factory(headers))
    try:
        async with Client(server, read_timeout_seconds=ANSWER_TIMEOUT) as client:
            yield client
    except Exception as error:
        reason = lone(error)
        if isinstance(reason, (click.ClickException, click.exceptions.Exit)):
            raise
        if UNAUTHORIZED in statuses:
            raise Failure(_refused(url, key)) from error
        # The SDK's transports raise whatever their HTTP library does, and that is not ours to import.
        why = str(reason) if isinstance(reason, MCPError) else f"{type(reason).__name__}: {reason}"
        raise Failure(f"no hub at {url}: {why}; `pegboard serve` starts one and tells its URLs") from error


@asynccontextmanager
async def _streamable(url: str, http: Any) -> AsyncGenerator[Any]:
    async with http, streamable_http_client(url, http_client=http) as streams:
        yield streams


def _http_client(statuses: list[int], *arguments: Any, **given: Any) -> Any:
    """The SDK's HTTP client, which notes the statuses of answers: its errors do not tell them."""

    async def note(response: Any) -> None:
        statuses.append(response.status_code)

    client = create_mcp_http_client(*arguments, **given)
    client.event_hooks = {"response": [note]}
    return client


def _refused(url: str, key: str | None) -> str:
    if key:
        return (
            f"the hub at {url} does not take the key in {KEY_VARIABLE}; `pegboard keys list` there shows which it takes"
        )
    return f"the hub at {url} asks for a key; set the variable {KEY_VARIABLE} to yours"
