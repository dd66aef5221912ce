"""The ASGI application: every endpoint at its paths, the pages, and the guard before them all."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from opentelemetry import context as trace_context
from opentelemetry.propagate import extract
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pegboard.endpoint import Endpoint
from pegboard.hub import Hub
from pegboard.keeper import Keepers, Kept
from pegboard.security.keystore import KeyStore
from pegboard.serving.auth import Authentication, Verifier
from pegboard.serving.guard import Guard
from pegboard.serving.pages import ALONE, Pages
from pegboard.serving.replies import headers_of
from pegboard.serving.sse import SseEndpoint
from pegboard.serving.streamable import StreamableEndpoint
from pegboard.serving.traffic import Gauge, Traffic
from pegboard.settings import HubSettings


@dataclass(frozen=True, slots=True)
class _Served:
    """One endpoint over HTTP: its routes, and the sessions that are kept for it."""

    endpoint: Endpoint
    routes: dict[str, ASGIApp]
    sse: SseEndpoint
    sessions: Kept[None]


class HubApp:
    """Serves a hub that is open; `run()` has to be entered around it.

    Paths are looked up in a table, so that a hub of a hundred endpoints routes as fast as one of three.
    """

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.traffic = Traffic()
        self.sse_sessions = Gauge()
        self._keepers = Keepers()
        self._served: dict[str, _Served] = {}
        self._routes: dict[str, ASGIApp] = {}
        self.pages = Pages(hub, self.traffic)
        self._pages = _pages(self.pages)
        self.auth = Authentication(self._route, verifiers_of(hub.settings))
        self.asgi: ASGIApp = Guard(self.auth, hub.settings.server)

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Own every endpoint's sessions; leaving ends them."""
        async with self._keepers, self.auth.run():
            await self.refresh()
            yield

    async def refresh(self) -> None:
        """Serve the endpoints the hub has now; sessions of those that stay go on, of those that left they end."""
        self.auth.verifiers = verifiers_of(self.hub.settings)
        for path in [path for path in self._served if path not in self.hub.endpoints]:
            gone = self._served.pop(path)
            gone.sse.close()
            await self._keepers.close(gone.sessions)
        for path, endpoint in self.hub.endpoints.items():
            if path not in self._served:
                self._served[path] = await self._serve(endpoint)
        self._routes = {path: app for served in self._served.values() for path, app in served.routes.items()}

    def close_subscriptions(self) -> None:
        """End the `subscriptions/listen` streams as the protocol wants it: with a result."""
        for served in self._served.values():
            served.endpoint.listen.close()

    def only(self, path: str) -> ASGIApp:
        """The app of one endpoint at a port of its own: `/sse` there is `<path>/sse` here; the pages are the same."""
        names = {f"/{name}": f"{path}/{name}" for name in ("sse", "mcp", "messages/")}
        own = {*names.values(), "/", "/health", "/ready", "/metrics"}

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                target = names.get(scope["path"], scope["path"])
                scope = {**scope, "path": target if target in own else f"/-{scope['path']}", ALONE: path}
            await self.asgi(scope, receive, send)

        return app

    async def _serve(self, endpoint: Endpoint) -> _Served:
        path, settings = endpoint.offer.path, self.hub.settings.server
        sse = SseEndpoint(endpoint, settings, self.traffic, self.sse_sessions, self.auth)
        streamable = StreamableEndpoint(endpoint, settings, self.traffic, self.auth, keep_lists=not self.hub.tracing)
        sessions = await self._keepers.keep(f"the sessions of {path or '/'}", streamable.run())
        routes: dict[str, ASGIApp] = {
            f"{path}/sse": sse.connect,
            f"{path}/messages/": sse.post,
            f"{path}/mcp": streamable,
        }
        return _Served(endpoint, routes, sse, sessions)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._routes.get(scope["path"], self._pages)
        if b"traceparent" not in headers_of(scope):
            await app(scope, receive, send)
            return
        # The SDK reads the trace from `_meta` only; what that has wins over the header.
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in headers_of(scope).items()}
        token = trace_context.attach(extract(headers))
        try:
            await app(scope, receive, send)
        finally:
            trace_context.detach(token)


def verifiers_of(settings: HubSettings) -> list[Verifier]:
    """Who recognizes callers by these settings; nobody where there are no keys. Raises `ConfigError`."""
    verifiers: list[Verifier] = []
    if settings.auth.keys_file is not None or settings.keys:
        verifiers.append(KeyStore(settings.auth.keys_file, settings.keys))
    return verifiers


def _pages(pages: Pages) -> Starlette:
    routes = [
        Route("/", pages.index),
        Route("/health", pages.health),
        Route("/ready", pages.ready),
        Route("/metrics", pages.metrics),
        Route("/{path:path}", pages.not_found),
    ]
    return Starlette(routes=routes)
