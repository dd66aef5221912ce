"""One pool per AWX and user: an HTTP client with credentials, and what was found out about the server."""

import ssl
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio

from pegboard import PoolError, PoolKind, Usage
from pegboard_awx.discovery import Place, find
from pegboard_awx.exchange import Answer, Request, exchange, opened
from pegboard_awx.launches import Launches
from pegboard_awx.target import Target, describe

if TYPE_CHECKING:
    import httpx

MAX_CONNECTIONS = 20


class Server:
    """One AWX as one user. Safe to share between calls; `Api` is the way of one call to it."""

    def __init__(self, target: Target, client: "httpx.AsyncClient") -> None:
        self.target = target
        self._client = client
        self.launches = Launches()
        self.note: Callable[[bool], None] = _nobody
        """Who wants to know whether AWX answers; `Api` tells."""
        self.asking = 0
        """Requests that are under way."""
        self._place: Place | None = None
        self._looking = anyio.Lock()

    async def place(self, seconds: float) -> Place:
        """The prefix of the API, found out once; a failure is not remembered."""
        if self._place is None:
            async with self._looking:  # so that ten first calls ask once
                self._place = self._place or await find(self._client, self.target, seconds)
        return self._place

    async def exchange(self, request: Request, seconds: float) -> Answer:
        """Send one request, once, and read its answer; raises `AwxError` when there is none in time."""
        with self._counted():
            return await exchange(self._client, self.target, await self._url(request, seconds), request, seconds)

    @asynccontextmanager
    async def opened(self, request: Request, seconds: float) -> "AsyncGenerator[httpx.Response]":
        """Send one request and lend its answer for reading it piece by piece."""
        with self._counted():
            url = await self._url(request, seconds)
            async with opened(self._client, self.target, url, request, seconds) as response:
                yield response

    @contextmanager
    def _counted(self) -> Generator[None]:
        self.asking += 1
        try:
            yield
        finally:
            self.asking -= 1

    async def _url(self, request: Request, seconds: float) -> str:
        place = await self.place(seconds)
        return f"{self.target.base}{place.prefix}{request.path}"


def _nobody(answers: bool) -> None:
    """Nobody wants to know."""


class NoAuthorityError(PoolError):
    """The authority that is to be trusted cannot be read."""


@asynccontextmanager
async def _open(target: Target) -> AsyncGenerator[Server]:
    import httpx  # a hub whose AWX nobody uses need not pay for the import

    # Neither redirects nor the proxies of the environment may decide where credentials go.
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {target.token}"} if target.token else None,
        auth=None if target.token else httpx.BasicAuth(target.username, target.password),
        verify=_trusted(target),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(target.read_timeout, connect=target.connect_timeout, pool=target.connect_timeout),
        limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=5),
    ) as client:
        yield Server(target, client)


def _trusted(target: Target) -> ssl.SSLContext | bool:
    if target.origin.startswith("http:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used, trusts nobody; to load authorities takes 30 ms
    if not target.verify or target.ca_file is None:
        return target.verify
    try:
        return ssl.create_default_context(cafile=target.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise NoAuthorityError(f"the ca_file {target.ca_file} of AWX cannot be read; name a PEM file") from error


def _usage(server: Server) -> Usage:
    return Usage(
        in_use=min(server.asking, MAX_CONNECTIONS),
        waiting=max(0, server.asking - MAX_CONNECTIONS),
        limit=MAX_CONNECTIONS,
    )


def _watch(server: Server, note: Callable[[bool], None]) -> None:
    server.note = note


AWX: PoolKind[Server] = PoolKind("awx", _open, describe, backend=describe, usage=_usage, watch=_watch)
"""AWX servers by `Target`. Nothing is asked before the first request."""
