"""The guard before every route: which Host and Origin are served, and no failure shows its text."""

import logging
import re
import secrets
from contextlib import suppress
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from pegboard.serving.proxies import FORWARDED_HOST
from pegboard.serving.replies import HEADERS_KEY, headers_of, refuse
from pegboard.settings import ServerSettings

log = logging.getLogger(__name__)

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
MAX_REMEMBERED = 256

HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^][:/?#@\\\s]+)(:[0-9]{1,5})?")


_Passed = tuple[bytes | None, bytes | None, bytes | None, bool]


class Guard:
    """Refuses requests that a page of another site made the browser send (DNS rebinding, CVE-2025-66416).

    Host must name a loopback address, the address the hub is bound to, or stand in `allowed_hosts`: with a port only
    that port counts, without one any. Origin may be absent; otherwise its host must be a loopback one, or it must
    stand in `allowed_origins` as it is. Both are compared without case. Behind a trusted proxy the host it was asked
    for must be one of these, too, and takes the place of the one it asks for itself.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._hosts = LOOPBACK_HOSTS | {host.lower() for host in settings.allowed_hosts} | _bound(settings.host)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in settings.allowed_origins)
        self._passed: set[_Passed] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = _without_padding(scope)
        headers, forwarded = headers_of(scope), scope.get(FORWARDED_HOST)
        key = (headers.get(b"host"), headers.get(b"origin"), forwarded, len(headers) == len(scope["headers"]))
        if key not in self._passed:
            problem = self._problem(_all(scope, b"host"), _all(scope, b"origin"), forwarded)
            if problem is not None:
                await refuse(scope, receive, send, *problem)
                return
            self._remember(key)
        if forwarded is not None:
            scope = _with_host(scope, forwarded)
        await _masked(self._app, scope, receive, send)

    def _problem(self, hosts: list[bytes], origins: list[bytes], forwarded: bytes | None) -> tuple[int, str] | None:
        named = hosts if forwarded is None else [*hosts, forwarded]
        if len(hosts) != 1 or not all(self._is_host(host.decode("latin-1")) for host in named):
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

    def _remember(self, key: _Passed) -> None:
        # Only requests without a repeated header: of those that repeat one, each has to be looked at.
        if key[-1] and len(self._passed) < MAX_REMEMBERED:
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
    """The host of `host:port` or `host`; `None` for anything with more in it, such as a user or a path."""
    match = HOST.fullmatch(host)
    return match["name"] if match else None


def _without_padding(scope: Scope) -> Scope:
    # White space around a header's value is no part of it (RFC 9110, 5.5); httptools leaves what stands behind.
    if not any(value.endswith((b" ", b"\t")) for _, value in scope["headers"]):
        return scope
    return {**scope, "headers": [(name, value.strip(b" \t")) for name, value in scope["headers"]]}


def _with_host(scope: Scope, host: bytes) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
    return {**scope, "headers": [*headers, (b"host", host)], HEADERS_KEY: None}  # looked up anew


def _all(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


async def _masked(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run the app; what it raises is logged under a reference, and the client reads only that."""
    try:
        await app(scope, receive, send)
    except Exception:  # the last place that can keep one request from showing or harming anything else
        reference = secrets.token_hex(4)
        log.exception("%s %s failed, ref %s", scope["method"], scope["path"], reference)
        with suppress(RuntimeError):  # the answer had begun; the server cuts it off
            await refuse(scope, receive, send, 500, f"internal error, ref {reference}")
