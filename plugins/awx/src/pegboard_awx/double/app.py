"""The app: AWX as an ASGI application, from the bytes of a request to those of its answer."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from typing import Any, cast
from urllib.parse import unquote

import anyio

from pegboard_awx.double.clock import Clock
from pegboard_awx.double.control import CONTROL, controlled
from pegboard_awx.double.entrance import Entrance, identify
from pegboard_awx.double.families.infrastructure import ping
from pegboard_awx.double.faults import Fault, Faults, Seen
from pegboard_awx.double.kinds import data
from pegboard_awx.double.life import Life
from pegboard_awx.double.refusals import Refusal, detail, no_page, not_allowed, unauthenticated
from pegboard_awx.double.rights import Rights
from pegboard_awx.double.routes import Found, Routes
from pegboard_awx.double.seed import sow
from pegboard_awx.double.table import all_routes
from pegboard_awx.double.visits import Reply, Visit
from pegboard_awx.double.world import NODE, VERSION, World

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MOST_REQUESTS = 10_000
"""How many requests are remembered."""
AWX_PREFIX = "/api/v2/"
PLATFORM_PREFIX = "/api/controller/v2/"
NO_JSON = (
    "You did not use correct Content-Type in your HTTP request. "
    "If you are using our REST API, the Content-Type must be application/json"
)
PROXY_PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0} from the proxy</h1></center></body></html>\n"


class Double:
    """One AWX in memory. Give it to an ASGI server, to httpx's `ASGITransport`, or to `serving`.

    `platform` makes it the controller of an Automation Platform: another prefix, no tokens of its own, and users,
    teams and organizations that only the platform changes. `root` is a path of a proxy before everything. Tests may
    look at `world`, move its `clock`, plan `faults`, and see which `requests` came.
    """

    def __init__(
        self,
        *,
        platform: bool = False,
        root: str = "",
        speed: float = 1.0,
        start: datetime | None = None,
        seed: Callable[[World, Life], None] = sow,
    ) -> None:
        self.platform = platform
        self.root = root.rstrip("/")
        self.clock = Clock(start, speed)
        self.world = World(self.clock)
        self.life = Life(self.world)
        self.faults = Faults()
        self.requests: list[Seen] = []
        self._routes = Routes(all_routes(platform=platform))
        seed(self.world, self.life)

    @property
    def prefix(self) -> str:
        """The prefix of the API, below which all paths are."""
        return self.root + (PLATFORM_PREFIX if self.platform else AWX_PREFIX)

    def seen(self, method: str, path: str = "") -> list[Seen]:
        """The requests of a method whose path holds a text."""
        return [one for one in self.requests if one.method == method and path in one.path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        body = await _body(receive)
        path = unquote(scope["path"])
        if path.startswith(CONTROL):
            await _send(send, scope, controlled(self, path, body), {})
            return
        del self.requests[:-MOST_REQUESTS]
        self.requests.append(Seen(scope["method"], path, scope["query_string"].decode(), _value(body)))
        below = path.removeprefix(self.prefix)
        fault = self.faults.take(scope["method"], below)
        if fault is not None and fault.kind == "drop":
            _hang_up(send)
        if fault is not None and fault.kind == "slow":
            await anyio.sleep(fault.seconds)
        reply, headers = self._answer(scope, path, body, fault)
        if fault is not None and fault.kind == "drop_after":
            _hang_up(send)
        await _send(send, scope, reply, headers, truncated=fault is not None and fault.kind == "truncate")

    def _answer(self, scope: Scope, path: str, body: bytes, fault: Fault | None) -> tuple[Reply, dict[str, str]]:
        entrance = Entrance.of(scope)
        headers = {"Vary": "Accept, Accept-Language, origin, Cookie"}
        if fault is not None and fault.kind in ("status", "html"):
            return _broken(fault), headers
        try:
            return self._handled(entrance, path, body, headers), headers
        except Refusal as refusal:
            if refusal.status == 401:
                headers["WWW-Authenticate"] = "Bearer realm=api authorization_url=/api/o/authorize/"
            if isinstance(refusal.body, str):
                return Reply(refusal.status, refusal.body, "text/html; charset=utf-8"), headers
            return Reply(refusal.status, refusal.body), headers

    def _handled(self, entrance: Entrance, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        self.life.settle()
        if not path.endswith("/") and path.startswith(f"{self.root}/api"):
            return Reply(301, "", "text/html; charset=utf-8", {"Location": f"{path}/"})
        root = self._root(path)
        if root is not None:
            return self._rooted(entrance, path, root, headers)
        if not path.startswith(self.prefix):
            raise no_page()
        found = self._routes.find(self.world.store, path.removeprefix(self.prefix))
        headers |= {**self._product_headers, "Allow": found.allow}
        return self._visited(entrance, path, body, found, headers)

    def _rooted(self, entrance: Entrance, path: str, root: dict[str, Any], headers: dict[str, str]) -> Reply:
        headers |= {**self._product_headers, "Allow": "GET, HEAD, OPTIONS"}
        if entrance.method not in ("GET", "HEAD"):
            raise not_allowed(entrance.method)
        if not path.endswith("/ping/") and identify(self.world, entrance) is not None:
            headers["X-API-Product-Version"] = VERSION
        return Reply(body=root)

    def _visited(self, entrance: Entrance, path: str, body: bytes, found: Found, headers: dict[str, str]) -> Reply:
        given = _parsed(entrance, body)
        who = identify(self.world, entrance)
        if who is None:
            raise unauthenticated()
        headers["X-API-Product-Version"] = VERSION
        method = "GET" if entrance.method == "HEAD" else entrance.method
        if method == "OPTIONS":
            return Reply(body={"name": path, "parses": ["application/json"], "renders": ["application/json"]})
        if method not in found.handlers:
            raise not_allowed(method)
        visit = Visit(
            world=self.world,
            life=self.life,
            method=method,
            path=path,
            prefix=self.prefix,
            pairs=entrance.pairs,
            body=given,
            accept=entrance.accept,
            user=who.user,
            rights=Rights(self.world, who.user),
            platform=self.platform,
        )
        return self._within_scope(visit, found, reads_only=who.reads_only)

    def _within_scope(self, visit: Visit, found: Found, *, reads_only: bool) -> Reply:
        if reads_only and visit.method != "GET":
            raise detail(403, "You do not have permission to perform this action.")
        if not visit.path.endswith(("/stdout/", "/metrics/")) and not _takes_json(visit.accept):
            raise detail(406, "Could not satisfy the request Accept header.")
        return found.handlers[visit.method](visit, *found.arguments)

    def _root(self, path: str) -> dict[str, Any] | None:
        """The answers that need no user: where the API is, and whether it is alive."""
        below = path.removeprefix(self.root)
        if below == "/api/":
            return self._gateway() if self.platform else self._versions("/api/")
        if self.platform and below == "/api/controller/":
            return self._versions("/api/controller/")
        if path == self.prefix:
            return self._index()
        return ping(self.world) if path == f"{self.prefix}ping/" else None

    def _versions(self, base: str) -> dict[str, Any]:
        current = f"{self.root}{base}v2/"
        oauth = {} if self.platform else {"oauth2": "/api/o/"}
        return {
            "description": "AWX REST API",
            "current_version": current,
            "available_versions": {"v2": current},
            **oauth,
            "custom_logo": "",
            "custom_login_info": "",
            "login_redirect_override": "",
            "swagger": f"{self.root}{base}swagger/",
        }

    def _gateway(self) -> dict[str, Any]:
        apis = {"gateway": "/api/gateway/", "controller": "/api/controller/"}
        return {"description": "AAP gateway REST API", "apis": {name: self.root + path for name, path in apis.items()}}

    def _index(self) -> dict[str, str]:
        gone = ("tokens", "applications") if self.platform else ()
        return {name: self.prefix + path for name, path in data("root").items() if name not in gone}

    @property
    def _product_headers(self) -> dict[str, str]:
        product = "Red Hat Ansible Automation Platform" if self.platform else "AWX"
        request = self.world.unique("request", len(self.requests)).replace("-", "")
        return {"X-API-Product-Name": product, "X-API-Node": NODE, "X-API-Request-Id": request}


def _parsed(entrance: Entrance, body: bytes) -> Any:
    if entrance.method not in ("POST", "PUT", "PATCH") or not body:
        return {}
    if not entrance.type.startswith("application/json"):
        raise detail(415, NO_JSON)
    try:
        value = json.loads(body)
    except ValueError as error:
        raise detail(400, f"JSON parse error - {error}\nPossible cause: trailing comma.") from error
    if not isinstance(value, dict):
        raise detail(400, "JSON parse error - not a JSON object")
    return cast(dict[str, Any], value)


def _takes_json(accept: str) -> bool:
    kinds = [part.split(";")[0].strip() for part in accept.split(",")]
    return any(kind in ("*/*", "application/*", "application/json", "text/html") for kind in kinds)


def _broken(fault: Fault) -> Reply:
    headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
    if fault.kind == "html":
        return Reply(fault.status, PROXY_PAGE.format(fault.status), "text/html", headers)
    return Reply(
        fault.status, {"detail": "Request was throttled." if fault.status == 429 else "Not now."}, headers=headers
    )


def _hang_up(send: Send) -> None:
    """Close the connection without a word."""
    # The server's own object behind `send` is the only way to the socket; without one the error is the test's.
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
    raise HungUpError


class HungUpError(ConnectionResetError):
    """The connection was closed on purpose."""


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def _value(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode(errors="replace")


async def _send(send: Send, scope: Scope, reply: Reply, headers: dict[str, str], *, truncated: bool = False) -> None:
    has_body = reply.body is not None
    text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
    body = text.encode() if has_body else b""
    all_headers = {**headers, **reply.headers}
    if has_body:
        all_headers["Content-Type"] = reply.type
    if reply.status != 204:
        all_headers["Content-Length"] = str(len(body))
    raw = [(name.lower().encode(), text.encode()) for name, text in all_headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    if scope["method"] == "HEAD":
        body = b""
    await send(
        {"type": "http.response.body", "body": body[: len(body) // 2] if truncated else body, "more_body": truncated}
    )
    if truncated:
        _hang_up(send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
