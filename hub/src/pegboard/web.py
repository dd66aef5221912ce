"""`HTTP`: the hub's own kind of pool, HTTP clients by base URL."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pegboard.kinds import PoolKind, Usage

if TYPE_CHECKING:
    from pegboard.webclient import Client


@asynccontextmanager
async def _open(base_url: str) -> "AsyncGenerator[Client]":
    from pegboard.webclient import Client  # with httpx, which a hub without HTTP tools need not pay for

    async with Client(base_url) as client:
        yield client


def _usage(client: "Client") -> Usage:
    from pegboard.webclient import MAX_CONNECTIONS

    return Usage(
        in_use=min(client.sending, MAX_CONNECTIONS),
        waiting=max(0, client.sending - MAX_CONNECTIONS),
        limit=MAX_CONNECTIONS,
    )


def _watch(client: "Client", note: Callable[[bool], None]) -> None:
    client.note = note


HTTP: "PoolKind[Client]" = PoolKind("http", _open, usage=_usage, watch=_watch)
"""HTTP clients by base URL: at most 50 connections each, 10 s for connecting and for each read, no redirects followed,
no proxies from the environment, no cookies kept. The client is shared: pass credentials with a request, never set them
on it. It tells the hub itself when nobody answers; raise `BackendError` from its `httpx.TransportError` if the tool may
be run once more."""
