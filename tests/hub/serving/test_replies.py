"""The HTTP around MCP: headers of requests, and refusals with their remedy."""

import json
from typing import Any

import pytest
from starlette.types import Message, Scope

from pegboard.serving.replies import headers_of, refuse, refuse_rpc


async def nothing() -> Message:
    return {"type": "http.disconnect"}


class Answer:
    """Takes one answer."""

    def __init__(self) -> None:
        self.start: Message = {}
        self.body: Any = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
        else:
            self.body = json.loads(message["body"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.start["headers"])


def test_headers_are_looked_up_once_for_each_request() -> None:
    scope: Scope = {"type": "http", "headers": [(b"host", b"x"), (b"accept", b"y")]}

    assert headers_of(scope) == {b"host": b"x", b"accept": b"y"}
    assert headers_of(scope) is headers_of(scope)


async def test_a_refusal_is_json_with_a_detail() -> None:
    answer = Answer()

    await refuse({"type": "http"}, nothing, answer, 405, "use GET", {"Allow": "GET"})

    assert (answer.start["status"], answer.body) == (405, {"detail": "use GET"})
    assert answer.headers[b"content-type"] == b"application/json"
    assert answer.headers[b"allow"] == b"GET"


@pytest.mark.parametrize(("status", "retry"), [(503, b"1"), (400, None)])
async def test_a_refused_request_gets_an_error_under_its_id(status: int, retry: bytes | None) -> None:
    answer = Answer()

    await refuse_rpc({"type": "http"}, nothing, answer, status, -32000, "later", "7")

    assert answer.body == {"jsonrpc": "2.0", "id": "7", "error": {"code": -32000, "message": "later"}}
    assert (answer.start["status"], answer.headers.get(b"retry-after")) == (status, retry)
