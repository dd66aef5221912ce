"""The authorization server of `tests.issuer` at a port: its pages, and the code flow for whoever registers."""

import base64
import hashlib
import json
import secrets
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from tests.issuer import Issuer, Json


class AuthServer(Issuer):
    """Says yes to whoever asks; the tokens are for the resource and the scopes that were asked for."""

    def __init__(self, port: int, resource: str) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.codes: dict[str, dict[str, str]] = {}
        self.registered: list[Json] = []
        self.lifetime = 300
        super().__init__(f"{self.base}/realms/team", resource)

    def publish(self) -> None:
        super().publish()
        self.pages["/.well-known/oauth-authorization-server/realms/team"] |= {
            "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint": f"{self.base}/token",
            "registration_endpoint": f"{self.base}/register",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
        }

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        code = secrets.token_hex(8)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def exchange(self, form: dict[str, str]) -> Json:
        """A token for a code, to whoever knows the secret behind its challenge (PKCE)."""
        asked = self.codes.pop(form["code"])
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        token = self.token(aud=asked["resource"], scope=asked.get("scope", ""), client_id=asked["client_id"])
        return {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}


class _Handler(BaseHTTPRequestHandler):
    server: Any  # the server below, with what it serves
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/authorize":
            place = self.server.auth.authorize(_flat(url.query))
            self._send(302, {"Location": place})
            return
        answer = self.server.auth.answer(httpx.Request("GET", f"{self.server.auth.base}{self.path}"))
        self._send(answer.status_code, body=answer.read())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/register":
            given = json.loads(body)
            self.server.auth.registered.append(given)
            self._send(201, body=json.dumps({**given, "client_id": "sdk"}).encode())
        else:
            self._send(200, body=json.dumps(self.server.auth.exchange(_flat(body.decode()))).encode())

    def _send(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Say nothing; what was asked stands in `asked`."""


@contextmanager
def listening(auth: AuthServer) -> Generator[None]:
    """The server answers at its port inside the block."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", int(auth.base.rpartition(":")[2])), _Handler)
    server.auth = auth
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _flat(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}
