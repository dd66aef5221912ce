"""Request bodies: read within a size and a time, and parsed strictly, before anything else sees them."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import anyio
from pydantic_core import from_json
from starlette.types import Message, Receive, Scope

from pegboard.hasty import FEW, are_few
from pegboard.serving.replies import INVALID_REQUEST, PARSE_ERROR, headers_of
from pegboard.settings import ServerSettings

MAX_DIGITS = 18
"""Of a number that is worth reading; Python refuses to read one of thousands."""

LONGEST_HELLO = 64 * 1024
"""Bytes of an `initialize`, most of which a session keeps for as long as it lasts."""

LONGEST_PLAIN = 16 * 1024
"""Bytes of a message that is taken whatever it consists of."""

LONGEST_NAME = 1000
"""Characters of what a client calls its request or its progress; each message about it says it again."""


class Refusal(Exception):  # noqa: N818 # an answer, not a failure
    """Why a body is not taken: the HTTP status, the JSON-RPC code and a sentence."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Body:
    """One JSON-RPC message as it was sent, and as it reads."""

    raw: bytes
    message: Any

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """The message's members; empty for a batch or anything else that is no object."""
        message: object = self.message
        return cast(Mapping[str, Any], message) if isinstance(message, dict) else {}

    @cached_property
    def method(self) -> str | None:
        method = self.fields.get("method")
        return method if isinstance(method, str) else None

    @cached_property
    def request_id(self) -> str | int | None:
        """The id of a request; `None` for a notification, and for an answer, whose id is one of the hub's own."""
        given = self.fields.get("id") if self.method is not None else None
        return given if isinstance(given, str | int) and not isinstance(given, bool) else None

    @cached_property
    def params(self) -> Mapping[str, Any]:
        params = self.fields.get("params")
        return cast(Mapping[str, Any], params) if isinstance(params, dict) else {}

    def alone(self) -> Receive:
        """A `receive` that gives the body, and holds nothing of the connection by which it came."""
        message: Message = {"type": "http.request", "body": self.raw, "more_body": False}

        async def given() -> Message:
            return message

        return given

    def replay(self, receive: Receive) -> Receive:
        """A `receive` that gives the body once more and then goes on with the rest."""
        pending: deque[Message] = deque([{"type": "http.request", "body": self.raw, "more_body": False}])

        async def replayed() -> Message:
            return pending.popleft() if pending else await receive()

        return replayed


async def read_body(scope: Scope, receive: Receive, settings: ServerSettings) -> Body:
    """Read and parse one body.

    Raises `Refusal`: 413 for one that is too large, 408 for one that does not arrive in time (uvicorn has no limit of
    its own), 400 for what is no JSON: NaN, lone surrogates and absurd nesting too, which the SDK would let through,
    and for what is no JSON-RPC message, which the SDK would show to the client again in pydantic's words.
    """
    limit = settings.max_body_bytes
    declared = headers_of(scope).get(b"content-length", b"0")
    if declared.isdigit() and (len(declared) > MAX_DIGITS or int(declared) > limit):
        raise Refusal(413, PARSE_ERROR, f"the body is larger than {limit} bytes")
    with anyio.move_on_after(settings.body_timeout):
        raw = await _read(receive, limit)
        message = _parse(raw)
        problem = _problem_with(message)
        if problem is not None:
            raise Refusal(400, INVALID_REQUEST, f"Invalid Request: {problem}")
        body = Body(raw, message)
        if body.method == "initialize" and len(raw) > LONGEST_HELLO:
            raise Refusal(413, INVALID_REQUEST, f"initialize is larger than {LONGEST_HELLO} bytes")
        if len(raw) > LONGEST_PLAIN and not are_few(_around_arguments(body)):
            raise Refusal(413, INVALID_REQUEST, f"there are more than {FEW} values beside the arguments")
        return body
    raise Refusal(408, PARSE_ERROR, f"the body did not arrive within {settings.body_timeout:g} s")


async def _read(receive: Receive, limit: int) -> bytes:
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
        if len(body) > limit:
            break
    if message["type"] == "http.disconnect":
        raise Refusal(400, PARSE_ERROR, "the client left before its body was complete")
    if len(body) > limit:
        raise Refusal(413, PARSE_ERROR, f"the body is larger than {limit} bytes")
    return body


def _parse(raw: bytes) -> Any:
    try:
        return from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        # The parser's own words hold the position only; the body itself goes nowhere.
        raise Refusal(400, PARSE_ERROR, f"Parse error: {error}") from None


def _problem_with(message: Any) -> str | None:
    """What keeps a JSON value from being one JSON-RPC message of MCP."""
    if not isinstance(message, dict):
        return "send one JSON object; there are no batches"
    fields = cast(Mapping[str, Any], message)
    if fields.get("jsonrpc") != "2.0":
        return 'it must have "jsonrpc": "2.0"'
    if "method" not in fields:
        return None if "id" in fields and ("result" in fields or "error" in fields) else "it has no method"
    if not isinstance(fields["method"], str):
        return "the method must be a string"
    if not isinstance(fields.get("params"), dict | None):
        return "the params must be an object"
    if "id" in fields and not _is_name(fields["id"]):
        return f"the id must be a string or an integer, of at most {LONGEST_NAME} characters"
    if not _is_name(_progress_token(fields.get("params") or {})):
        return f"the progressToken must be a string or an integer, of at most {LONGEST_NAME} characters"
    return None


def _around_arguments(body: Body) -> Mapping[str, Any]:
    """What the SDK looks at value by value, which has taken seconds; the arguments of a call it leaves to the tool."""
    left = "arguments" if body.method == "tools/call" else None
    params = {name: value for name, value in body.params.items() if name != left}
    return {**body.fields, "params": params}


def _progress_token(params: Mapping[str, Any]) -> Any:
    """What the client calls its progress, if it does; the SDK finds what is no metadata."""
    meta: object = params.get("_meta")
    token = cast(Mapping[str, Any], meta).get("progressToken") if isinstance(meta, dict) else None
    return "" if token is None else token


def _is_name(value: Any) -> bool:
    # An integer of more than 64 bits comes back as another one in many clients, and is answered to nobody.
    if isinstance(value, str):
        return len(value) <= LONGEST_NAME
    return type(value) is int and value.bit_length() < 64
