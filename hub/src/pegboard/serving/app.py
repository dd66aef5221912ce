"""The ASGI application: every endpoint at its paths, the pages, and the guard before them all."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Container, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio.to_thread
from opentelemetry import context as trace_context
from opentelemetry.propagate import extract
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pegboard.endpoint import Endpoint
from pegboard.hub import Hub
from pegboard.keeper import Keepers, Kept
from pegboard.security.keystore import KeyStore
from pegboard.serving.admission import Admission
from pegboard.serving.auth import OPEN, Authentication, Verifier, refuse_strangers
from pegboard.serving.cors import cors
from pegboard.serving.denials import Denials
from pegboard.serving.guard import Guard
from pegboard.serving.metadata import WELL_KNOWN, Resource
from pegboard.serving.pages import ALONE, Pages
from pegboard.serving.proxies import behind
from pegboard.serving.replies import headers_of
from pegboard.serving.scrape import Scrape
from pegboard.serving.seats import Seats
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
    streamable: StreamableEndpoint
    sessions: Kept[None]


class HubApp:
    """Serves a hub that is open; `run()` has to be entered around it.

    Paths are looked up in a table, so that a hub of a hundred endpoints routes as fast as one of three.
    """

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.traffic = Traffic(hub.metrics)
        self.sse_sessions = Gauge()
        self._keepers = Keepers()
        self._served: dict[str, _Served] = {}
        self._routes: dict[str, ASGIApp] = {}
        self.pages = Pages(hub, self.traffic)
        self.scrape = Scrape(hub, self.traffic, self._sessions, lambda: self.pages.is_ready)
        self._pages = _pages(self.pages, self.scrape, self._resource)
        self._revoked: Container[str] = () if hub.replicas is None else hub.replicas.revocations
        self.denials = Denials(hub.limits, hub.audit, hub.metrics)
        self._seats = Seats(self.denials)
        self.auth = Authentication(self._route, verifiers_of(hub.settings, revoked=self._revoked), self.denials)
        self.auth.resource = Resource(hub.settings.oauth)
        self._host = hub.settings.server.host
        self._admission = Admission(self.auth, self.denials, self._pages)
        server = hub.settings.server
        self.asgi: ASGIApp = behind(server.trusted_proxies, Guard(cors(self.auth, server), server))

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Own every endpoint's sessions; leaving ends them."""
        async with self._keepers, self.auth.run(), self.denials.run():
            await self.refresh()
            yield

    async def reload(self, settings: HubSettings) -> None:
        """Serve by other settings, as `Hub.reload` does; raises what that raises, and then nothing has changed."""
        verifiers = await anyio.to_thread.run_sync(verifiers_of, settings, self.auth.verifiers, self._revoked)
        if not verifiers:  # the hub goes on listening where it does, so that it must not become open there
            refuse_strangers(settings.server, self._host)
        await self.hub.reload(settings)
        self.auth.verifiers, self.auth.resource = verifiers, Resource(settings.oauth)
        await self.refresh()

    async def refresh(self) -> None:
        """Serve the endpoints the hub has now; sessions of those that stay go on, of those that left they end."""
        for path in [path for path in self._served if path not in self.hub.endpoints]:
            gone = self._served.pop(path)
            gone.sse.close()
            await self._keepers.close(gone.sessions)
        for path, endpoint in self.hub.endpoints.items():
            if path not in self._served:
                self._served[path] = await self._serve(endpoint)
        self._routes = {path: app for served in self._served.values() for path, app in served.routes.items()}
        self.auth.open_paths = OPEN | {"/metrics"} if self.hub.settings.metrics.public else OPEN

    def close_subscriptions(self) -> None:
        """End the `subscriptions/listen` streams as the protocol wants it: with a result."""
        for served in self._served.values():
            served.endpoint.listen.close()

    def only(self, path: str) -> ASGIApp:
        """The app of one endpoint at a port of its own: `/sse` there is `<path>/sse` here; the pages are the same."""
        names = {f"/{name}": f"{path}/{name}" for name in ("sse", "mcp", self.hub.settings.server.messages)}
        own = {*names.values(), "/", "/health", "/ready", "/metrics"}

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                given: str = scope["path"]
                target = names.get(given, given)
                is_own = target in own or target.startswith(f"{path}/messages/")  # of another worker's session
                scope = {**scope, "path": target if is_own else f"/-{given}", ALONE: path}
            await self.asgi(scope, receive, send)

        return app

    async def _serve(self, endpoint: Endpoint) -> _Served:
        path, settings = endpoint.offer.path, self.hub.settings.server
        sse = SseEndpoint(endpoint, settings, self.traffic, self.sse_sessions, self.auth, self.denials, self._seats)
        streamable = StreamableEndpoint(
            endpoint, settings, self.traffic, self.auth, self.denials, self._seats, keep_lists=not self.hub.tracing
        )
        sessions = await self._keepers.keep(f"the sessions of {path or '/'}", streamable.run())
        routes: dict[str, ASGIApp] = {
            f"{path}/sse": self._admission.to(endpoint, sse.connect),
            f"{path}/{settings.messages}": self._admission.to(endpoint, sse.post),
            f"{path}/mcp": self._admission.to(endpoint, streamable),
        }
        return _Served(endpoint, routes, sse, streamable, sessions)

    def _sessions(self) -> Mapping[str, int]:
        """How many sessions are open, by transport."""
        return {"sse": self.sse_sessions.value, "mcp": sum(one.streamable.sessions for one in self._served.values())}

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._routes.get(scope["path"], self._admission.nowhere)
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

    async def _resource(self, request: Request) -> Response:
        """The metadata of a resource (RFC 9728), for everybody."""
        document = self.auth.resource.document(request.url.path.removeprefix(WELL_KNOWN))
        return await self.pages.not_found(request) if document is None else JSONResponse(document)


def verifiers_of(
    settings: HubSettings, before: Iterable[Verifier] = (), revoked: Container[str] = ()
) -> list[Verifier]:
    """Who recognizes callers by these settings; nobody where there are no keys. Raises `ConfigError`.

    What those `before` have fetched is used again. Keys whose ids are `revoked` do not count.
    """
    verifiers: list[Verifier] = []
    if settings.auth.keys_file is not None or settings.keys:
        verifiers.append(KeyStore(settings.auth.keys_file, settings.keys, revoked=revoked))
    if settings.oauth.is_on:
        from pegboard.security.tokens import Tokens  # a hub without tokens need not pay for the import, 0.1 s

        known = next((one for one in before if isinstance(one, Tokens)), None)
        verifiers.append(Tokens.of(settings.oauth, settings.tenants, known))
    return verifiers


def _pages(pages: Pages, scrape: Scrape, resource: Callable[[Request], Awaitable[Response]]) -> Starlette:
    routes = [
        Route("/", pages.index),
        Route("/health", pages.health),
        Route("/ready", pages.ready),
        Route("/metrics", scrape.page),
        Route(f"{WELL_KNOWN}{{path:path}}", resource),
        Route("/{path:path}", pages.not_found),
    ]
    return Starlette(routes=routes)
