"""The ASGI application: every endpoint at its paths, the pages, and the guard before them all."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from opentelemetry import context as trace_context
from opentelemetry.propagate import extract
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pegboard.hub import Hub
from pegboard.serving.guard import Guard
from pegboard.serving.pages import Pages
from pegboard.serving.replies import headers_of
from pegboard.serving.sse import SseEndpoint
from pegboard.serving.streamable import StreamableEndpoint
from pegboard.serving.traffic import Gauge, Traffic


class HubApp:
    """Serves a hub that is open; `run()` has to be entered around it.

    Paths are looked up in a table, so that a hub of a hundred endpoints routes as fast as one of three.
    """

    def __init__(self, hub: Hub) -> None:
        self.traffic = Traffic()
        self.sse_sessions = Gauge()
        self._endpoints = list(hub.endpoints.values())
        self._streamable: list[StreamableEndpoint] = []
        self._routes: dict[str, ASGIApp] = {}
        for endpoint in self._endpoints:
            path = endpoint.offer.path
            sse = SseEndpoint(endpoint, hub.settings.server, self.traffic, self.sse_sessions)
            streamable = StreamableEndpoint(endpoint, hub.settings.server, self.traffic, keep_lists=not hub.tracing)
            self._streamable.append(streamable)
            self._routes |= {f"{path}/sse": sse.connect, f"{path}/messages/": sse.post, f"{path}/mcp": streamable}
        self._pages = _pages(hub, self.traffic)
        self.asgi: ASGIApp = Guard(self._route, hub.settings.server)

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Own every endpoint's sessions; leaving ends them."""
        async with AsyncExitStack() as stack:
            for streamable in self._streamable:
                await stack.enter_async_context(streamable.run())
            yield

    def close_subscriptions(self) -> None:
        """End the `subscriptions/listen` streams as the protocol wants it: with a result."""
        for endpoint in self._endpoints:
            endpoint.listen.close()

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


def _pages(hub: Hub, traffic: Traffic) -> Starlette:
    pages = Pages(hub, traffic)
    routes = [
        Route("/", pages.index),
        Route("/health", pages.health),
        Route("/ready", pages.ready),
        Route("/{path:path}", pages.not_found),
    ]
    return Starlette(routes=routes)
