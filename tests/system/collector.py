"""A collector of traces: what OTLP over HTTP brings, kept in the order it came."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collected:
    """The spans so far."""

    def __init__(self) -> None:
        self.url = ""
        self._spans: list[tuple[Span, dict[str, Any]]] = []
        self._changed = threading.Condition()

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            for resource in request.resource_spans:
                attributes = values(resource.resource.attributes)
                self._spans += [(span, attributes) for scope in resource.scope_spans for span in scope.spans]
            self._changed.notify_all()

    def span(self, wanted: Callable[[Span], bool], timeout: float = 15) -> tuple[Span, dict[str, Any]]:
        """The first span that is wanted, with its resource's attributes; waits for it."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._first(wanted), timeout)
        assert found is not None, [span.name for span, _ in self._spans]
        return found

    @property
    def text(self) -> str:
        """Everything so far, to be searched."""
        with self._changed:
            return "\n".join(f"{span}\n{resource}" for span, resource in self._spans)

    def _first(self, wanted: Callable[[Span], bool]) -> tuple[Span, dict[str, Any]] | None:
        return next(((span, resource) for span, resource in self._spans if wanted(span)), None)


def values(attributes: Any) -> dict[str, Any]:
    """Attributes as a dictionary."""
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in attributes}


@contextmanager
def collecting() -> Generator[Collected]:
    """A collector on loopback, for as long as the block runs."""
    collected = Collected()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name the server calls
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                raise AssertionError("nobody asked for compression")
            if self.path == "/v1/traces":
                collected.take(body)
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the name it has there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collected.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collected
        finally:
            server.shutdown()
            thread.join(5)
