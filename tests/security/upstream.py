"""A web server on loopback that gives one answer to everything, and remembers what it was asked."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Upstream:
    """Where it listens, and what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []


Reply = tuple[int, dict[str, str], bytes]


@contextmanager
def upstream(reply: Callable[[BaseHTTPRequestHandler], Reply]) -> Generator[Upstream]:
    """The server, for as long as the block runs; `reply` makes status, headers and body of a request."""
    found = Upstream()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # the name the server calls
            self.rfile.read(int(self.headers.get("content-length") or 0))
            found.asked.append(f"{self.command} {self.path}\n{self.headers}")
            status, headers, body = reply(self)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 # see above

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the name it has there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join(5)
