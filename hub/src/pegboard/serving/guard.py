"""The guard before every route: which Host and Origin are served, and no failure shows its text."""

import logging
import secrets
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pegboard.serving.replies import refuse
from pegboard.settings import ServerSettings

log = logging.getLogger(__name__)

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
MAX_REMEMBERED = 256


class Guard:
    """Refuses requests that a page of another site made the browser send (DNS rebinding, CVE-2025-66416).

    Host must name a loopback address, the address the hub is bound to, or stand in `allowed_hosts`: with a port only
    that port counts, without one any. Origin may be absent; otherwise its host must be a loopback one, or it must
    stand in `allowed_origins` as it is. Both are compared without case.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._hosts = LOOPBACK_HOSTS | {host.lower() for host in settings.allowed_hosts} | _bound(settings.host)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in settings.allowed_origins)
        self._passed: set[tuple[bytes, bytes | None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        hosts, origins = _headers(scope, b"host"), _headers(scope, b"origin")
        key = (hosts[0], origins[0] if origins else None) if len(hosts) == 1 and len(origins) <= 1 else None
        if key is None or key not in self._passed:
            problem = self._problem(hosts, origins)
            if problem is not None:
                await refuse(scope, receive, send, *problem)
                return
            self._remember(key)
        await _masked(self._app, scope, receive, send)

    def _problem(self, hosts: list[bytes], origins: list[bytes]) -> tuple[int, str] | None:
        if len(hosts) != 1 or not self._is_host(hosts[0].decode("latin-1")):
            return 421, "this Host is not served here; add it to [server] allowed_hosts if it should be"
        if len(origins) > 1 or (origins and not self._is_origin(origins[0].decode("latin-1"))):
            return 403, "this Origin may not call the hub; add it to [server] allowed_origins if it should"
        return None

    def _is_host(self, host: str) -> bool:
        host = host.lower()
        return host in self._hosts or _without_port(host) in self._hosts

    def _is_origin(self, origin: str) -> bool:
        origin = origin.lower()
        if origin in self._origins:
            return True
        scheme, _, host = origin.partition("://")
        return scheme in ("http", "https") and _without_port(host) in LOOPBACK_HOSTS

    def _remember(self, key: tuple[bytes, bytes | None] | None) -> None:
        if key is not None and len(self._passed) < MAX_REMEMBERED:
            self._passed.add(key)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _bound(host: str) -> frozenset[str]:
    name = f"[{host}]" if ":" in host else host
    every = host in ("0.0.0.0", "::", "")  # noqa: S104 # compared, not bound
    return frozenset() if every else frozenset({name.lower()})


def _without_port(host: str) -> str | None:
    """The host of `host:port`; `None` for anything with more in it, such as a user or a path."""
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not colon:
        name, port = host, "0"
    well_formed = port.isascii() and port.isdigit() and urlsplit(f"//{name}").netloc == name and "@" not in name
    return name if well_formed else None


def _headers(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


async def _masked(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run the app; what it raises is logged under a reference, and the client reads only that."""
    started = False

    async def watched(message: Message) -> None:
        nonlocal started
        started = started or message["type"] == "http.response.start"
        await send(message)

    try:
        await app(scope, receive, watched)
    except Exception:  # the last place that can keep one request from showing or harming anything else
        reference = secrets.token_hex(4)
        log.exception("%s %s failed, ref %s", scope["method"], scope["path"], reference)
        if not started:
            await refuse(scope, receive, send, 500, f"internal error, ref {reference}")
