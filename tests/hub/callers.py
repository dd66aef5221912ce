"""Callers: in-memory clients of a hub whose requests come from somebody, as they do over HTTP."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import anyio
from mcp import Client
from mcp.shared.memory import create_client_server_memory_streams
from mcp.shared.message import ServerMessageMetadata, SessionMessage

from pegboard.endpoint import PRINCIPAL, Endpoint
from pegboard.hub import Hub
from pegboard.security.principal import Principal
from pegboard.security.scopes import Scopes
from pegboard.testing.connect import Era


def somebody(*scopes: str, id: str = "ann", tenant: str | None = None) -> Principal:  # noqa: A002 # as the field
    """A principal with these scopes."""
    return Principal(id, Scopes.of(scopes), tenant=tenant)


@dataclass
class Request:
    """Stands for the HTTP requests of one client: who sends them, and with which headers."""

    scope: dict[str, Any]
    headers: Mapping[str, str]

    @classmethod
    def of(cls, principal: Principal | None, headers: Mapping[str, str] | None = None) -> "Request":
        raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        return cls({"type": "http", "headers": raw, PRINCIPAL: principal}, headers or {})

    def become(self, principal: Principal) -> None:
        """From now on they are sent by this principal."""
        self.scope[PRINCIPAL] = principal


def client_as(
    hub: Hub,
    principal: Principal | None,
    path: str = "",
    era: Era = "handshake",
    *,
    headers: Mapping[str, str] | None = None,
    **client: Any,
) -> Client:
    """A client of an open hub as this principal; enter it."""
    return client_sending(hub, Request.of(principal, headers), path, era, **client)


def client_sending(hub: Hub, request: Request, path: str = "", era: Era = "handshake", **client: Any) -> Client:
    """A client of an open hub whose messages come with this request, which may change meanwhile; enter it."""
    mode = "legacy" if era == "handshake" else "2026-07-28"
    return Client(_transport(hub.endpoints[path], request), mode=mode, **client)


def _transport(endpoint: Endpoint, caller: Request) -> AbstractAsyncContextManager[tuple[Any, Any]]:
    @asynccontextmanager
    async def opened() -> AsyncGenerator[tuple[Any, Any]]:
        async with create_client_server_memory_streams() as (client_streams, (read, write)):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(endpoint.serve, _Signed(read, caller), write, caller.scope[PRINCIPAL])
                try:
                    yield client_streams
                finally:
                    await client_streams[1].aclose()

    return opened()


class _Signed:
    """A read stream whose messages carry their request, as a transport over HTTP hands them over."""

    def __init__(self, inner: Any, request: Request) -> None:
        self._inner = inner
        self._metadata = ServerMessageMetadata(request_context=request)

    @property
    def last_context(self) -> Any:
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> Any:
        item = await self._inner.receive()
        return replace(item, metadata=self._metadata) if isinstance(item, SessionMessage) else item

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> "_Signed":
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> "_Signed":
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()
