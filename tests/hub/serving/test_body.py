"""Bodies: read within a size and a time, and parsed strictly, before anything else sees them."""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive

from pegboard.serving.body import Body, Refusal, read_body
from pegboard.settings import ServerSettings

NOTHING: dict[str, Any] = {}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


def receiving(*messages: Message) -> Receive:
    """A client that sends these, and then nothing more."""
    left = list(messages)

    async def receive() -> Message:
        if not left:
            await anyio.sleep_forever()
        return left.pop(0)

    return receive


def chunk(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def read(*messages: Message, headers: Mapping[bytes, bytes] | None = None, **settings: Any) -> Body:
    scope = {"type": "http", "headers": list((headers or {}).items())}
    with anyio.move_on_after(5):
        return await read_body(scope, receiving(*messages), ServerSettings(**settings))
    pytest.fail("still reading")


async def refusal(*messages: Message, headers: Mapping[bytes, bytes] | None = None, **settings: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await read(*messages, headers=headers, **settings)
    return caught.value


@given(st.integers(1, 60))
async def test_a_body_may_come_in_pieces_of_any_size(size: int) -> None:
    raw = json.dumps(PING).encode()
    pieces = [raw[start : start + size] for start in range(0, len(raw), size)]

    body = await read(*(chunk(piece, more=piece is not pieces[-1]) for piece in pieces))

    assert body == Body(raw, PING)


async def test_a_body_has_a_method_an_id_and_params() -> None:
    body = await read(chunk(json.dumps({**PING, "params": {"a": 1}}).encode()))

    assert (body.method, body.request_id, body.params) == ("ping", 1, {"a": 1})


async def test_an_answer_of_a_client_has_no_method_and_asks_nothing() -> None:
    body = await read(chunk(b'{"jsonrpc": "2.0", "id": "x", "result": {}}'))

    assert (body.method, body.request_id, body.params) == (None, None, {})


@pytest.mark.parametrize("message", [[PING], 5, None, {"id": True, "method": 5, "params": []}])
def test_a_body_that_is_no_message_has_none_of_them(message: Any) -> None:
    body = Body(b"", message)

    assert (body.method, body.request_id, body.params) == (None, None, {})


async def test_a_body_can_be_read_again_without_its_connection() -> None:
    raw = json.dumps(PING).encode()

    assert await (await read(chunk(raw))).alone()() == {"type": "http.request", "body": raw, "more_body": False}


async def test_a_body_can_be_read_again_and_what_follows_goes_on() -> None:
    raw = json.dumps(PING).encode()
    receive = (await read(chunk(raw[:5], more=True), chunk(raw[5:]))).replay(receiving({"type": "http.disconnect"}))

    assert await receive() == {"type": "http.request", "body": raw, "more_body": False}
    assert await receive() == {"type": "http.disconnect"}


@pytest.mark.parametrize(
    ("messages", "headers"),
    [
        ([chunk(b"x" * 1025)], {}),
        ([chunk(b"x" * 1000, more=True), chunk(b"x" * 25, more=True)], {}),
        ([], {b"content-length": b"1025"}),
        ([], {b"content-length": b"9" * 5000}),
    ],
)
async def test_a_body_that_is_too_large_is_refused_before_it_is_whole(
    messages: list[Message], headers: dict[bytes, bytes]
) -> None:
    problem = await refusal(*messages, headers=headers, max_body_bytes=1024)

    assert (problem.status, problem.code) == (413, -32700)
    assert problem.message == "the body is larger than 1024 bytes"


async def test_what_a_session_keeps_of_its_client_is_small() -> None:
    """Else one key keeps as many megabytes as it may open sessions, times four."""
    hello = {**PING, "method": "initialize", "params": {"clientInfo": {"name": "x" * 66_000, "version": "1"}}}

    problem = await refusal(chunk(json.dumps(hello).encode()))

    assert (problem.status, problem.message) == (413, "initialize is larger than 65536 bytes")


async def test_a_refusal_can_pass_a_context_manager() -> None:
    @contextmanager
    def counting() -> Generator[None]:
        yield

    async def work() -> None:
        with counting():
            await read(chunk(b"{"))

    with pytest.raises(Refusal):
        await work()


async def test_a_content_length_that_is_none_is_left_to_the_server() -> None:
    assert (await read(chunk(json.dumps(PING).encode()), headers={b"content-length": b"-5"})).method == "ping"


async def test_a_body_that_does_not_arrive_in_time_is_refused() -> None:
    problem = await refusal(chunk(b"{", more=True), body_timeout=0.01)

    assert (problem.status, problem.message) == (408, "the body did not arrive within 0.01 s")


@pytest.mark.parametrize("before", [[], [chunk(b"{", more=True)]])
async def test_a_client_that_leaves_is_no_message(before: list[Message]) -> None:
    problem = await refusal(*before, {"type": "http.disconnect"})

    assert (problem.status, problem.message) == (400, "the client left before its body was complete")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"hunter2",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": "\\ud800"}',
        b"[" * 9999,
        b"\xff",
        b"\xef\xbb\xbf{}",
    ],
)
async def test_what_is_no_json_is_refused_without_being_shown(raw: bytes) -> None:
    problem = await refusal(chunk(raw))

    assert (problem.status, problem.code) == (400, -32700)
    assert problem.message.startswith("Parse error: ")
    assert "hunter2" not in problem.message


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ([PING], "send one JSON object"),
        (5, "send one JSON object"),
        ({**PING, "jsonrpc": "1.0"}, '"jsonrpc": "2.0"'),
        ({"jsonrpc": "2.0", "id": 1}, "it has no method"),
        ({"jsonrpc": "2.0", "result": {}}, "it has no method"),
        ({**PING, "method": 5}, "the method must be a string"),
        ({**PING, "params": []}, "the params must be an object"),
        ({**PING, "id": None}, "the id must be a string or an integer"),
        ({**PING, "id": 1.5}, "the id must be a string or an integer"),
        ({**PING, "id": True}, "the id must be a string or an integer"),
        ({**PING, "id": 2**63}, "the id must be a string or an integer"),
        ({**PING, "id": "x" * 1001}, "of at most 1000 characters"),
        ({**PING, "params": {"_meta": {"progressToken": "x" * 1001}}}, "the progressToken must be a string or an"),
    ],
)
async def test_what_is_no_message_is_refused_with_the_reason(message: Any, words: str) -> None:
    problem = await refusal(chunk(json.dumps(message).encode()))

    assert (problem.status, problem.code) == (400, -32600)
    assert words in problem.message


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(2**62), 2**62))
async def test_any_string_and_any_usual_integer_is_an_id(request_id: str | int) -> None:
    assert (await read(chunk(json.dumps({**PING, "id": request_id}).encode()))).request_id == request_id


MANY = {f"{number:06}": NOTHING for number in range(2000)}


@pytest.mark.parametrize(
    "message",
    [
        {"method": "tools/call", "params": {"name": "x", "arguments": {}, "inputResponses": MANY}},
        {"method": "tools/call", "params": {"name": "x", "arguments": {}, "_meta": MANY}},
        {"method": "prompts/get", "params": {"name": "x", "arguments": MANY}},
        {"method": "tools/list", "params": MANY},
        {"method": "ping", "else": list(MANY)},
        {"result": MANY},
    ],
)
async def test_many_values_that_are_no_arguments_are_refused(message: dict[str, Any]) -> None:
    """S-33: the SDK looks at each of them, and says of each what is wrong: 8 s of everybody's time, for 4 MiB."""
    refused = await refusal(chunk(json.dumps({"jsonrpc": "2.0", "id": 1, **message}).encode()))

    assert (refused.status, refused.message) == (413, "there are more than 1000 values beside the arguments")


@pytest.mark.parametrize(
    "message",
    [
        {"method": "tools/call", "params": {"name": "x", "arguments": MANY}},
        {"method": "resources/read", "params": {"uri": "x" * 100_000}},
        {"result": {"content": "x" * 100_000}},
    ],
)
async def test_arguments_may_be_many_and_anything_may_be_long(message: dict[str, Any]) -> None:
    body = await read(chunk(json.dumps({"jsonrpc": "2.0", "id": 1, **message}).encode()))

    assert {**body.fields} == {"jsonrpc": "2.0", "id": 1, **message}
