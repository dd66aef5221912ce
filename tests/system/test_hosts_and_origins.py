"""DNS rebinding: what a page of another site makes a browser send is refused on every route (S-01, S-02)."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from tests.system.processes import HubProcess
from tests.system.raw import exchange
from tests.system.wire import ACCEPT, MODERN, client, envelope, hello, rpc

POST_MCP = {**ACCEPT, "MCP-Protocol-Version": MODERN, "Mcp-Method": "server/discover"}
ROUTES = [
    (method, f"{path}{route}")
    for path in ("", "/hub", "/probe")
    for method, route in (
        ("GET", "/sse"),
        ("POST", "/sse"),
        ("POST", "/messages/?session_id=00000000000000000000000000000000"),
        ("GET", "/mcp"),
        ("POST", "/mcp"),
        ("DELETE", "/mcp"),
        ("OPTIONS", "/mcp"),
    )
] + [("GET", "/"), ("GET", "/health"), ("GET", "/ready"), ("GET", "/nothing/here")]


@pytest.fixture
async def http(shared_hub: HubProcess) -> AsyncGenerator[httpx.AsyncClient]:
    async with client(shared_hub.url) as opened:
        yield opened


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "evil.com"}, 421), ({"Host": "evil.com:8000"}, 421), ({"Origin": "http://evil.com"}, 403)],
)
async def test_another_sites_requests_are_refused_on_every_route(
    http: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    """S-01: DNS rebinding; no route answers."""
    for method, path in ROUTES:
        body = rpc("initialize", hello(), 1) if method == "POST" else None
        response = await http.request(method, path, json=body, headers={**ACCEPT, **headers})
        assert (response.status_code, path) == (status, path)
        assert "mcp-session-id" not in response.headers
        assert "detail" in response.json()


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost", 200),
        ("http://localhost:5173", 200),
        ("http://127.0.0.1:6274", 200),
        ("https://localhost", 200),
        ("http://[::1]:80", 200),
        ("HTTP://LOCALHOST:80", 200),
        ("http://localhost.evil.com", 403),
        ("http://localhost:80@evil.com", 403),
        ("http://evil.com#localhost", 403),
        ("http://evil.com/localhost", 403),
        ("http://localhost:80/path", 403),
        ("http://127.0.0.1.evil.com", 403),
        ("http://127.0.0.1:80:80", 403),
        ("http://localhost:evil", 403),
        ("ftp://localhost", 403),
        ("file://", 403),
        ("null", 403),
        ("localhost", 403),
        ("http://", 403),
        ("http://evil.com http://localhost", 403),
        ("", 403),
    ],
)
async def test_an_origin_is_taken_for_what_it_is(http: httpx.AsyncClient, origin: str, status: int) -> None:
    """S-02."""
    params, headers = envelope("server/discover")
    response = await http.post("/mcp", json=rpc("server/discover", params, 1), headers={**headers, "Origin": origin})
    assert response.status_code == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LocalHost", 200),
        ("localhost:8000", 200),
        ("127.0.0.1", 200),
        ("127.0.0.1:1", 200),
        ("[::1]", 200),
        ("[::1]:8000", 200),
        ("127.0.0.2", 421),
        ("::1", 421),
        ("localhost.", 421),
        ("localhost.evil.com", 421),
        ("localhost@evil.com", 421),
        ("localhost:80@evil.com", 421),
        ("evil.com:80", 421),
        ("localhost:evil", 421),
        ("localhost:", 421),
        ("0.0.0.0", 421),
        ("", 421),
    ],
)
async def test_a_host_is_taken_for_what_it_is(http: httpx.AsyncClient, host: str, status: int) -> None:
    """S-02."""
    response = await http.get("/health", headers={"Host": host})
    assert response.status_code == status


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.com\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: evil.com\r\nHost: localhost\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.com\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    ],
)
async def test_ambiguous_requests_are_refused(shared_hub: HubProcess, head: bytes) -> None:
    status, _ = await exchange(shared_hub.port, head)
    assert status in (400, 403, 421)


async def test_a_very_long_header_does_no_harm(shared_hub: HubProcess) -> None:
    status, _ = await exchange(
        shared_hub.port, b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n"
    )
    assert status in (200, 400, 431)


@pytest.mark.parametrize("name", ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"])
async def test_a_repeated_header_of_the_protocol_is_refused(http: httpx.AsyncClient, name: str) -> None:
    """S-19 and S-20."""
    params, headers = envelope("tools/call", {"name": "probe_echo", "arguments": {"payload": "x"}})
    again = {"MCP-Protocol-Version": "2025-11-25", "Mcp-Method": "tools/list", "Mcp-Name": "probe_shout"}[name]
    for repeated in ([(name, again), *headers.items()], [*headers.items(), (name, again)]):
        response = await http.post("/mcp", json=rpc("tools/call", params, 1), headers=repeated)
        assert response.status_code == 400, (repeated, response.text)


@pytest.mark.parametrize(
    "changed", [{"Mcp-Name": "probe_shout"}, {"Mcp-Method": "tools/list"}, {"MCP-Protocol-Version": "2199-01-01"}]
)
async def test_headers_that_contradict_the_body_are_refused(http: httpx.AsyncClient, changed: dict[str, str]) -> None:
    """S-19 and S-20: also a version nobody knows."""
    params, headers = envelope("tools/call", {"name": "probe_echo", "arguments": {"payload": "x"}})
    response = await http.post("/mcp", json=rpc("tools/call", params, 1), headers={**headers, **changed})
    assert response.status_code == 400
    assert "error" in response.json()


async def test_a_browser_learns_nothing_from_a_preflight(http: httpx.AsyncClient) -> None:
    response = await http.options(
        "/mcp", headers={"Origin": "http://evil.com", "Access-Control-Request-Method": "POST"}
    )
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers


async def test_posting_to_the_sse_url_is_405(http: httpx.AsyncClient) -> None:
    for path in ("/sse", "/probe/sse"):
        response = await http.post(path, json=rpc("initialize", hello(), 1), headers=ACCEPT)
        assert response.status_code == 405
        assert response.headers["allow"] == "GET"
