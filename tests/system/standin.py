"""A server in the place of three hubs, for what only a server can see: requests as a proxy passes them on."""

import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Seen:
    """What has arrived, but for checks of its health."""

    ports: list[int] = field(default_factory=list[int])
    requests: list[tuple[str, Headers]] = field(default_factory=list[tuple[str, Headers]])

    def take(self) -> list[tuple[str, Headers]]:
        """Everything since the last time."""
        taken, self.requests = self.requests, []
        return taken


@contextmanager
def standing_in(replicas: int = 3) -> Generator[Seen]:
    """Serve at ports of loopback inside the block.

    `POST /lost` is read and its connection cut; `GET /sse` says something every 0.4 s for 2.4 s, `GET /silent` once.
    """
    seen = Seen()
    with ExitStack() as stack:
        for _ in range(replicas):
            server = stack.enter_context(_Server(seen))
            stack.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            seen.ports.append(server.server_port)
        yield seen


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, seen: Seen) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen = seen

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A proxy that hangs up is none."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride] # no other makes one

    def do_GET(self) -> None:
        if self.path == "/ready":
            self._answer(b"{}")
            return
        self._note()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for _ in range(6):
            self.wfile.write(b": ping\n\n" if self.path == "/sse" else b"")
            time.sleep(0.4)
        self.wfile.write(b"data: end\n\n")
        self.close_connection = True

    def do_POST(self) -> None:
        self._note()
        self._read()
        if self.path == "/lost":
            self.close_connection = True
        else:
            self._answer(b"{}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # its name in http.server
        """Nothing."""

    def _read(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "Transfer-Encoding" in self.headers:
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()

    def _note(self) -> None:
        self.server.seen.requests.append((f"{self.command} {self.path}", self.headers.items()))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
