"""Proxies: whose word counts about where a request comes from."""

from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from tests.hub.serving.test_app import WEATHER, browser
from tests.hub.serving.test_guard import Headers, request

from pegboard.serving.guard import Guard
from pegboard.serving.proxies import behind
from pegboard.settings import ServerSettings

PROXIES = ("10.0.0.0/8", "2001:db8::1")


async def seen(headers: Headers, client: tuple[str, int] | None = ("10.0.0.1", 1), **server: Any) -> Scope | int:
    """What the app sees of a request behind proxies and guard, or the status of the refusal."""
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    settings = ServerSettings(allowed_hosts=("hub.example",), **server)
    stack = behind(settings.trusted_proxies, Guard(app, settings))
    status, _ = await request(stack, [*headers, (b"host", b"localhost:8000")], client=client, scheme="http")
    return scopes[0] if scopes else status


def forwarded(*addresses: str) -> Headers:
    return [(b"x-forwarded-for", address.encode()) for address in addresses]


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ([], "10.0.0.1"),
        (forwarded("203.0.113.9"), "203.0.113.9"),
        (forwarded("198.51.100.1, 203.0.113.9"), "203.0.113.9"),
        (forwarded("198.51.100.1", "203.0.113.9"), "203.0.113.9"),
        (forwarded("198.51.100.1, 203.0.113.9, 10.2.3.4"), "203.0.113.9"),
        (forwarded("203.0.113.9:4711"), "203.0.113.9"),
        (forwarded("[2001:db8::9]:4711"), "2001:db8::9"),
        (forwarded("<script>, 203.0.113.9"), "203.0.113.9"),
    ],
)
async def test_a_trusted_proxy_says_where_a_request_comes_from(headers: Headers, address: str) -> None:
    """S-34: what stands left of the address that the proxy has seen is anybody's word."""
    scope = await seen(headers, trusted_proxies=PROXIES)

    assert isinstance(scope, dict)
    assert scope["client"][0] == address


@pytest.mark.parametrize("client", [("203.0.113.7", 1), ("127.0.0.1", 1), ("11.0.0.1", 1), None])
@pytest.mark.parametrize("trusted", [(), PROXIES])
async def test_nobody_else_is_believed(client: tuple[str, int] | None, trusted: tuple[str, ...]) -> None:
    """S-34."""
    told = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"hub.example"), *forwarded("198.51.100.1")]

    scope = await seen(told, client, trusted_proxies=trusted)

    assert isinstance(scope, dict)
    assert (scope["client"], scope["scheme"]) == (client, "http")
    assert dict(scope["headers"])[b"host"] == b"localhost:8000"


async def test_a_trusted_proxy_says_what_was_asked_for() -> None:
    told = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"nonsense, hub.example")]

    scope = await seen(told, trusted_proxies=PROXIES)

    assert isinstance(scope, dict)
    assert scope["scheme"] == "https"
    assert dict(scope["headers"])[b"host"] == b"hub.example"


@pytest.mark.parametrize("host", [b"evil.example", b"", b"hub.example/x", b"hub.example, evil.example"])
async def test_a_forwarded_host_must_be_served_like_any_other(host: bytes) -> None:
    assert await seen([(b"x-forwarded-host", host)], trusted_proxies=PROXIES) == 421


async def test_a_forwarded_host_opens_no_way_for_the_one_it_stands_for() -> None:
    headers = [(b"x-forwarded-host", b"hub.example"), (b"host", b"evil.example")]

    assert await seen(headers, trusted_proxies=PROXIES) == 421


@pytest.mark.parametrize(("trusted", "base"), [([], "http://localhost:8000"), (["127.0.0.1"], "https://hub.example")])
async def test_the_urls_of_the_front_page_are_those_that_clients_know(trusted: list[str], base: str) -> None:
    server = {"trusted_proxies": trusted, "allowed_hosts": ["hub.example"]}
    async with browser(WEATHER, server=server) as page:
        told = {"x-forwarded-proto": "https", "x-forwarded-host": "hub.example"}
        overview = (await page.http.get("/", headers=told)).json()

    assert overview["endpoints"][0]["mcp"] == f"{base}/mcp"
