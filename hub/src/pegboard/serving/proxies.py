"""Proxies: what those in front of the hub say about a request counts, if they are named, and nobody else's word."""

from collections.abc import Collection
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

FORWARDED_HOST = "pegboard.forwarded_host"
"""In the scope of a request: the host its client has named, as a trusted proxy says."""


def behind(trusted: Collection[str], app: ASGIApp) -> ASGIApp:
    """The app behind proxies at these addresses and networks."""
    return Proxies(app, trusted) if trusted else app


class Proxies:
    """Takes the client's address, scheme and host from `X-Forwarded-For`, `-Proto` and `-Host` of trusted proxies.

    Of several addresses the rightmost counts that is no trusted proxy: those left of it anybody could have written.
    """

    def __init__(self, app: ASGIApp, trusted: Collection[str]) -> None:
        self._app = cast(Any, ProxyHeadersMiddleware)(app, list(trusted))  # uvicorn has types of its own for ASGI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and client and client[0] in self._app.trusted_hosts:
            named = [value for name, value in scope["headers"] if name == b"x-forwarded-host"]
            if named:
                scope = {**scope, FORWARDED_HOST: named[-1].rpartition(b",")[2].strip()}
        await self._app(scope, receive, send)
