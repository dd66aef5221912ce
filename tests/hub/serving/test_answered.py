"""How a request over `/mcp` ended, seen from what is sent in answer to it."""

from typing import Any

import pytest

from pegboard.metrics import Metrics
from pegboard.serving.answered import Answered


async def outcome(*messages: dict[str, Any]) -> str:
    """How a request is counted when this is sent in answer to it."""
    metrics, sent = Metrics(), list[Any]()

    async def send(message: Any) -> None:
        sent.append(message)

    with Answered(send, metrics, "tools/call") as answered:
        for message in messages:
            await answered.send(message)
    assert sent == list(messages)
    (((method, transport, status), count),) = metrics.requests.items()
    assert (method, transport, count) == ("tools/call", "mcp", 1)
    assert sum(metrics.request_seconds.cells["tools/call", "mcp"].counts) == 1
    return status


def start(status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": []}


def part(text: str) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text.encode(), "more_body": True}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"jsonrpc":"2.0","id":1,"result":{"error":1}}', "ok"),
        ('{"jsonrpc": "2.0", "id": "a\\"b", "error": {"code": -32602}}', "error"),
        ('event: message\r\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\r\n\r\n', "ok"),
        ('id: 4\r\nevent: message\r\ndata: {"jsonrpc":"2.0","id":null,"error":{}}\r\n\r\n', "error"),
    ],
)
async def test_the_answer_says_how_it_ended(text: str, expected: str) -> None:
    assert await outcome(start(), part(text)) == expected


async def test_notifications_before_the_answer_say_nothing() -> None:
    note = part('data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"error":1}}\r\n\r\n')

    assert await outcome(start(), note, part(": ping\r\n\r\n")) == "cancelled"
    assert await outcome(start(), note, part('data: {"jsonrpc":"2.0","id":1,"result":{}}')) == "ok"


@pytest.mark.parametrize(("status", "expected"), [(400, "error"), (429, "refused"), (500, "error"), (503, "refused")])
async def test_the_status_may_say_it_too(status: int, expected: str) -> None:
    assert await outcome(start(status), part('{"jsonrpc":"2.0","id":1,"error":{}}')) == expected


async def test_a_client_that_leaves_gets_no_answer() -> None:
    assert await outcome() == "cancelled"
    assert await outcome(start()) == "cancelled"
