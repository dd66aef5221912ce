"""The guard: which Host and Origin are served, and no failure shows its text."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from pegboard.serving.guard import MAX_REMEMBERED, Guard, is_loopback
from pegboard.settings import ServerSettings

Headers = list[tuple[bytes, bytes]]


async def served(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"served"})


async def request(app: Any, headers: Headers, **scope: Any) -> tuple[int, dict[str, Any]]:
    """Status and JSON body of one in-memory request."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        # As uvicorn does when an answer is begun twice.
        if message["type"] == "http.response.start" and sent:
            raise RuntimeError("unexpected message")
        sent.append(message)

    await app({"type": "http", "method": "GET", "path": "/x", "headers": headers, **scope}, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body) if body.startswith(b"{") else {}


def host(name: str) -> Headers:
    return [(b"host", name.encode("latin-1"))]


def origin(name: str) -> Headers:
    return [*host("localhost"), (b"origin", name.encode("latin-1"))]


@pytest.mark.parametrize(
    ("settings", "name", "status"),
    [
        ({}, "localhost", 200),
        ({}, "LocalHost:8000", 200),
        ({}, "127.0.0.1:1", 200),
        ({}, "[::1]:8000", 200),
        ({}, "[::1]", 200),
        ({}, "localhost \t", 200),
        ({}, "hub.example", 421),
        ({}, "localhost.evil.example", 421),
        ({}, "localhost:8000.evil.example", 421),
        ({}, "localhost:", 421),
        ({}, "localhost:8000@evil.example", 421),
        ({}, "me@localhost", 421),
        ({}, "localhost/x", 421),
        ({}, "127.0.0.2", 421),
        ({}, "", 421),
        ({"host": "10.0.0.5"}, "10.0.0.5:8000", 200),
        ({"host": "fd00::5"}, "[fd00::5]:8000", 200),
        ({"host": "0.0.0.0"}, "10.0.0.5", 421),
        ({"host": "::"}, "[::]", 421),
        ({"allowed_hosts": ("Hub.example",)}, "hub.EXAMPLE", 200),
        ({"allowed_hosts": ("hub.example",)}, "hub.example:443", 200),
        ({"allowed_hosts": ("hub.example:443",)}, "hub.example:443", 200),
        ({"allowed_hosts": ("hub.example:443",)}, "hub.example:80", 421),
        ({"allowed_hosts": ("hub.example:443",)}, "hub.example", 421),
    ],
)
async def test_a_host_is_served_or_misdirected(settings: dict[str, Any], name: str, status: int) -> None:
    guard = Guard(served, ServerSettings(**settings))

    assert (await request(guard, host(name)))[0] == status


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("http://localhost:6274", 200),
        ("https://127.0.0.1", 200),
        ("http://[::1]:3000", 200),
        ("HTTP://LOCALHOST", 200),
        ("https://app.example", 200),
        ("https://APP.example", 200),
        ("https://app.example:444", 403),
        ("http://app.example", 403),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("http://localhost@evil.example", 403),
        ("http://localhost/", 403),
        ("file://localhost", 403),
        ("localhost", 403),
        ("null", 403),
        ("", 403),
    ],
)
async def test_an_origin_may_call_or_not(name: str, status: int) -> None:
    guard = Guard(served, ServerSettings(allowed_origins=("https://app.example/",)))

    assert (await request(guard, origin(name)))[0] == status


@given(st.text(st.characters(max_codepoint=255)).filter(lambda name: "localhost" not in name.lower()))
async def test_any_other_host_and_origin_is_refused_and_not_a_crash(name: str) -> None:
    guard = Guard(served, ServerSettings())

    assert (await request(guard, host(f"{name}.example")))[0] == 421
    assert (await request(guard, origin(name)))[0] == 403


@pytest.mark.parametrize("name", ["[::1", "[", "]:1", "[::1]x", "[::1]:8000:1"])
async def test_a_host_with_half_an_address_is_misdirected(name: str) -> None:
    assert (await request(Guard(served, ServerSettings()), host(name)))[0] == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 421),
        ([*host("localhost"), *host("localhost")], 421),
        ([*host("localhost"), *host("evil.example")], 421),
        ([*origin("http://localhost"), (b"origin", b"https://evil.example")], 403),
        ([*host("localhost"), (b"accept", b"a"), (b"accept", b"b")], 200),
    ],
)
async def test_a_header_that_is_missing_or_repeated_opens_no_way(headers: Headers, status: int) -> None:
    guard = Guard(served, ServerSettings())
    await request(guard, origin("http://localhost"))

    assert (await request(guard, headers))[0] == status
    assert (await request(guard, headers))[0] == status


async def test_a_refusal_says_what_to_set() -> None:
    guard = Guard(served, ServerSettings())

    assert "[server] allowed_hosts" in (await request(guard, host("hub.example")))[1]["detail"]
    assert "[server] allowed_origins" in (await request(guard, origin("https://a.example")))[1]["detail"]


async def test_what_passed_is_not_remembered_without_bound() -> None:
    guard = Guard(served, ServerSettings())

    for port in range(MAX_REMEMBERED + 10):
        assert (await request(guard, host(f"localhost:{port}")))[0] == 200
    assert (await request(guard, host("localhost:0")))[0] == 200
    assert (await request(guard, host("evil.example")))[0] == 421


async def test_what_is_no_http_passes() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])
        await send({"type": "http.response.start", "status": 204})

    await request(Guard(app, ServerSettings()), [], type="lifespan")

    assert seen == ["lifespan"]


async def test_a_crash_is_an_error_with_a_reference_and_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("hunter2")

    status, body = await request(Guard(app, ServerSettings()), host("localhost"))

    assert status == 500
    assert "hunter2" not in str(body)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert body["detail"].removeprefix("internal error, ref ") in record.getMessage()


async def test_a_crash_in_the_middle_of_an_answer_ends_it_and_adds_nothing() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError("hunter2")

    assert await request(Guard(app, ServerSettings()), host("localhost")) == (200, {})


@pytest.mark.parametrize(
    ("name", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(name: str, loopback: bool) -> None:
    assert is_loopback(name) is loopback
