"""What is asked of a server, as bytes, and what a right answer is."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bench.catalogue import TOOLS

MODERN = "2026-07-28"
LEGACY = "2025-06-18"

MARK = b"100000000"
"""Stands for the number of a question, in its id and its text; as long as every number, so the length is fixed."""

Json = dict[str, Any]
Check = Callable[[Json], bool]
Headers = Mapping[str, str]
NO_HEADERS: Headers = MappingProxyType({})


@dataclass(slots=True)
class Question:
    """A request with a mark where its number goes, and the check of its answer.

    The check decodes an answer once; every later one has to be the same bytes but for its number, or is decoded in
    turn. So all answers are checked and the load generator stays faster than what it measures.
    """

    request: bytes
    check: Check
    known: bytes = b""

    def numbered(self, number: bytes) -> bytes:
        return self.request.replace(MARK, number)

    def answered_by(self, body: bytes, number: bytes) -> bool:
        answer = body.replace(number, MARK)
        if answer == self.known:
            return True
        if not self.check(json.loads(answer)):
            return False
        self.known = answer
        return True


def modern(method: str, params: Json, path: str, check: Check, more: Headers = NO_HEADERS) -> Question:
    """A 2026-07-28 request: stateless, with its envelope in `_meta` and mirrored in the headers."""
    envelope = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method, **more}
    if "name" in params:
        headers["Mcp-Name"] = params["name"]
    return Question(post(path, rpc(method, {**params, "_meta": envelope}), headers), check)


def legacy(method: str, params: Json, path: str, check: Check, more: Headers = NO_HEADERS) -> Question:
    """A request of the handshake era, to be posted to an SSE session."""
    return Question(post(path, rpc(method, params), {"MCP-Protocol-Version": LEGACY, **more}), check)


def rpc(method: str, params: Json) -> Json:
    return {"jsonrpc": "2.0", "id": int(MARK), "method": method, "params": params}


def post(path: str, message: Json, headers: Headers) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    sent = {
        "Host": "127.0.0.1:8000",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **headers,
    }
    return head("POST", path, sent) + body


def get_stream(path: str, more: Headers = NO_HEADERS) -> bytes:
    return head("GET", path, {"Host": "127.0.0.1:8000", "Accept": "text/event-stream", **more})


def head(verb: str, path: str, headers: Headers) -> bytes:
    lines = [f"{verb} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


CALL: Json = {"name": "echo", "arguments": {"text": f"call {MARK.decode()}", "times": 2}}
SAID = " ".join([CALL["arguments"]["text"]] * CALL["arguments"]["times"])

INITIALIZE: Json = {
    "protocolVersion": LEGACY,
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}


def is_echo(answer: Json) -> bool:
    """Whether the tool said what it was asked to; some servers repeat a text as structured content, some do not."""
    result = answer.get("result", {})
    texts = [block.get("text") for block in result.get("content", [])]
    said = result.get("structuredContent", {"result": SAID}) == {"result": SAID}
    return answer.get("id") == int(MARK) and texts == [SAID] and said and not result.get("isError")


@dataclass(frozen=True, slots=True)
class Asked:
    """A call with a mark in it, and the check of what it gives."""

    params: Json
    check: Check


ECHO = Asked(CALL, is_echo)


def is_list(answer: Json) -> bool:
    """Whether all tools are there, each with what a model needs to call it."""
    tools = answer.get("result", {}).get("tools", [])
    names = {tool["name"] for tool in tools if tool.get("description") and tool["inputSchema"].get("properties")}
    return answer.get("id") == int(MARK) and names == {function.__name__ for function in TOOLS}


def is_initialized(answer: Json) -> bool:
    return answer.get("result", {}).get("protocolVersion") == LEGACY
