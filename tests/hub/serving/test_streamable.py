"""Kept answers: an equal request gets the SDK's own answer again, under its own id."""

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Message, Receive, Scope, Send

from pegboard.serving.body import Body
from pegboard.serving.streamable import MAX_KEPT, KeptAnswers

Headers = list[tuple[bytes, bytes]]
ACCEPT: Headers = [(b"accept", b"application/json")]


class Sdk:
    """Stands for the SDK: answers any request with its number, and counts."""

    def __init__(self, status: int = 200, *, as_stream: bool = False) -> None:
        self.requests: list[Any] = []
        self._status = status
        self._as_stream = as_stream

    async def handle_request(self, _: Scope, receive: Receive, send: Send) -> None:
        request = json.loads((await receive())["body"])
        self.requests.append(request)
        answer = {"jsonrpc": "2.0", "id": request.get("id"), "result": {"number": len(self.requests)}}
        body = json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        half = 0 if self._as_stream else len(body) // 2
        prefix = b"data: " if self._as_stream else b""
        await send({"type": "http.response.body", "body": prefix + body[:half], "more_body": True})
        await send({"type": "http.response.body", "body": body[half:]})


async def ask(
    kept: KeptAnswers, sdk: Sdk, request_id: Any = 1, headers: Headers = ACCEPT, **fields: Any
) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    """The JSON body and the headers of an answer."""
    message = {"jsonrpc": "2.0", "id": request_id, "method": "tools/list", **fields}
    body = Body(json.dumps(message).encode(), message)
    sent: list[Message] = []

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": headers}
    await kept.serve(cast(StreamableHTTPSessionManager, sdk), body, scope, nothing, send)
    raw = b"".join(message.get("body", b"") for message in sent).removeprefix(b"data: ")
    answered = dict(sent[0]["headers"])
    assert answered[b"content-length"] == str(len(raw)).encode()
    return json.loads(raw), answered


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(2**62), 2**62))
async def test_the_second_answer_is_the_first_one_under_its_own_id(request_id: str | int) -> None:
    kept, sdk = KeptAnswers(), Sdk()
    await ask(kept, sdk, 1)

    answer, headers = await ask(kept, sdk, request_id)

    assert answer == {"jsonrpc": "2.0", "id": request_id, "result": {"number": 1}}
    assert headers[b"content-type"] == b"application/json"
    assert len(sdk.requests) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "prompts/list"},
        {"params": {"cursor": "x"}},
        {"params": {"_meta": {"io.modelcontextprotocol/clientInfo": {"name": "x"}}}},
        {"headers": [(b"accept", b"text/event-stream")]},
        {"headers": [*ACCEPT, (b"mcp-method", b"tools/list")]},
    ],
)
async def test_a_request_that_differs_is_answered_anew(fields: dict[str, Any]) -> None:
    kept, sdk = KeptAnswers(), Sdk()
    await ask(kept, sdk)

    await ask(kept, sdk, **fields)

    assert len(sdk.requests) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": [(b"user-agent", b"x"), *ACCEPT, (b"traceparent", b"00-1")]},
        {"params": {"_meta": {"progressToken": 7, "traceparent": "00-1"}}},
        {"params": {"_meta": {}}},
    ],
)
async def test_what_no_list_depends_on_makes_no_difference(fields: dict[str, Any]) -> None:
    kept, sdk = KeptAnswers(), Sdk()
    await ask(kept, sdk, params={"_meta": {"progressToken": 1}})

    given: dict[str, Any] = {"params": {"_meta": {}}, **fields}
    await ask(kept, sdk, **given)

    assert len(sdk.requests) == 1


@pytest.mark.parametrize("sdk", [Sdk(400), Sdk(as_stream=True)])
async def test_only_plain_answers_are_kept(sdk: Sdk) -> None:
    kept = KeptAnswers()

    await ask(kept, sdk)
    await ask(kept, sdk)

    assert len(sdk.requests) == 2


async def test_a_notification_is_passed_and_not_kept() -> None:
    kept, sdk = KeptAnswers(), Sdk()

    await ask(kept, sdk, None)
    await ask(kept, sdk, None)

    assert len(sdk.requests) == 2


async def test_an_id_the_sdk_writes_otherwise_is_answered_but_not_kept() -> None:
    kept, sdk = KeptAnswers(), Sdk()

    assert (await ask(kept, sdk, "grüße"))[0]["id"] == "grüße"
    await ask(kept, sdk, "grüße")

    assert len(sdk.requests) == 2


async def test_what_is_kept_is_bounded_and_the_oldest_goes_first() -> None:
    kept, sdk = KeptAnswers(), Sdk()
    for number in range(MAX_KEPT + 1):
        await ask(kept, sdk, params={"cursor": number})

    await ask(kept, sdk, params={"cursor": MAX_KEPT})
    assert len(sdk.requests) == MAX_KEPT + 1
    await ask(kept, sdk, params={"cursor": 0})
    assert len(sdk.requests) == MAX_KEPT + 2


async def test_a_request_as_long_as_a_book_is_not_kept() -> None:
    kept, sdk = KeptAnswers(), Sdk()

    for _ in range(2):
        await ask(kept, sdk, params={"cursor": "x" * 5000})

    assert len(sdk.requests) == 2
