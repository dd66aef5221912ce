"""The HTTP around MCP: headers of requests, and refusals that no MCP server gives, each with its remedy."""

import json
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PARSE_ERROR = -32700
INVALID_REQUEST = -32600

RETRY_AFTER = "retryAfter"
"""In the data of an error: in how many seconds to try again, for those who do not see headers."""

HEADERS_KEY = "pegboard.headers"


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The headers of a request by lower-case name, looked up once and kept in its scope."""
    headers = scope.get(HEADERS_KEY)
    if headers is None:
        headers = scope[HEADERS_KEY] = dict(scope["headers"])
    return headers


async def refuse(
    scope: Scope, receive: Receive, send: Send, status: int, detail: str, headers: dict[str, str] | None = None
) -> None:
    """Answer with an HTTP error and a body `{"detail": ...}`."""
    await Response(json.dumps({"detail": detail}), status, headers, "application/json")(scope, receive, send)


async def refuse_rpc(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    code: int,
    message: str,
    request_id: Any = None,
    *,
    retry_after: int | None = None,
) -> None:
    """Answer a JSON-RPC request with an error; `request_id` is null where it could not be read."""
    error: dict[str, Any] = {"code": code, "message": message}
    if retry_after is not None:
        error["data"] = {RETRY_AFTER: retry_after}
    body = {"jsonrpc": "2.0", "id": request_id, "error": error}
    headers = {"Retry-After": str(retry_after or 1)} if status in (429, 503) else None
    await Response(json.dumps(body), status, headers, "application/json")(scope, receive, send)
