"""The files of `deploy/proxies`: each with the real program, before real hubs, and before what can look at requests."""

import re
import ssl
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from tests.certificates import Pair, make_pair
from tests.system.balancers import NAMES, Balancer, Name, balancer, free_port, trusting, version_of
from tests.system.fleet import NUMBERS, Fleet, fleet_of
from tests.system.installed import Installed
from tests.system.raw import parse, receive
from tests.system.standin import Seen, standing_in
from tests.system.wire import (
    ACCEPT,
    LEGACY,
    OPENERS,
    Era,
    Peer,
    Streamable,
    answer_of,
    call,
    hello,
    inside,
    modern,
    rpc,
    sse,
)

PAGE = (Path(__file__).parents[2] / "docs" / "load-balancers.md").read_text(encoding="utf-8")
SESSIONS = 60
OLD = (ssl.SSLError, anyio.BrokenResourceError, anyio.EndOfStream)
FOLLOWS: frozenset[Name] = frozenset({"haproxy", "envoy"})
"""Those that bring a `/mcp` session back to its hub; the hubs behind the others keep none."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("certificate"))


@contextmanager
def replicas(probe: Installed, folders: pytest.TempPathFactory, *, stateless: bool) -> Generator[Fleet]:
    settings = {"server": {"stateless": stateless, "trusted_proxies": ["127.0.0.1"]}}
    with fleet_of(folders.mktemp("replicas"), probe, settings=settings) as fleet:
        fleet.start(*NUMBERS)
        yield fleet


@pytest.fixture(scope="module")
def keeping(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[Fleet]:
    """Three hubs that keep sessions."""
    with replicas(probe, tmp_path_factory, stateless=False) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def forgetting(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[Fleet]:
    """Three hubs that keep none."""
    with replicas(probe, tmp_path_factory, stateless=True) as fleet:
        yield fleet


@pytest.fixture(scope="module", params=NAMES)
def proxy(
    request: pytest.FixtureRequest,
    pair: Pair,
    keeping: Fleet,
    forgetting: Fleet,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Balancer]:
    """Each of the programs, running before three hubs."""
    fleet = keeping if request.param in FOLLOWS else forgetting
    made = balancer(request.param, tmp_path_factory.mktemp("proxy"), pair, fleet.ports)
    with made.running(pair):
        yield made


@pytest.fixture(scope="module")
def seen() -> Generator[Seen]:
    with standing_in() as watched:
        yield watched


@pytest.fixture(scope="module", params=NAMES)
def watched(
    request: pytest.FixtureRequest, pair: Pair, seen: Seen, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Balancer]:
    """Each of the programs, before servers that see requests; streams may be silent for a second."""
    made = balancer(request.param, tmp_path_factory.mktemp("watched"), pair, seen.ports, short=True)
    with made.running(pair):
        yield made


@asynccontextmanager
async def through(proxy: Balancer, pair: Pair, **options: Any) -> AsyncGenerator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=SESSIONS)
    context = trusting(pair)
    async with httpx.AsyncClient(
        base_url=proxy.url, verify=context, trust_env=False, timeout=20, limits=limits, **options
    ) as http:
        yield http


@asynccontextmanager
async def without_session(http: httpx.AsyncClient, path: str = "") -> AsyncGenerator[Peer]:
    """A client of 2025-11-25 that is given no session."""
    peer = Streamable(http, f"{path}/mcp", ACCEPT)
    async with peer.open("initialize", hello(), 0) as response:
        await answer_of(response, peer.notes)
        assert "mcp-session-id" not in response.headers
    peer.headers["MCP-Protocol-Version"] = LEGACY
    await peer.notify("notifications/initialized", {})
    yield peer


@pytest.mark.parametrize("name", NAMES)
def test_the_program_accepts_the_file(pair: Pair, tmp_path: Path, name: Name) -> None:
    """Without a complaint that would become an error one day."""
    done = balancer(name, tmp_path, pair, [free_port() for _ in range(3)]).check()
    assert done.returncode == 0, done.stderr
    assert "[WARNING]" not in done.stderr
    assert "[warn]" not in done.stderr
    assert "deprecated" not in done.stderr.lower()


@pytest.mark.parametrize(("era", "path"), [("sse", "/probe"), ("legacy", "/probe"), ("modern", "")])
async def test_every_session_finds_its_way_back(proxy: Balancer, pair: Pair, era: Era, path: str) -> None:
    """F-26: sixty at once, each asking three times, over three hubs that share nothing."""
    opener: Any = without_session if era == "legacy" and proxy.name not in FOLLOWS else OPENERS[era]
    pids: dict[int, set[int]] = {}
    opened, everybody = 0, anyio.Event()

    async def converse(http: httpx.AsyncClient, number: int) -> None:
        nonlocal opened
        async with opener(http, path) as peer:
            opened += 1
            if opened == SESSIONS:
                everybody.set()
            await everybody.wait()
            pids[number] = {(await inside(peer))["pid"] for _ in range(3)}

    with anyio.fail_after(30):
        async with through(proxy, pair) as http, anyio.create_task_group() as tasks:
            for number in range(SESSIONS):
                tasks.start_soon(converse, http, number)

    assert len(pids) == SESSIONS
    assert len({pid for one in pids.values() for pid in one}) == 3, "not every hub has worked"
    if era == "sse" or opener is OPENERS["legacy"]:
        assert all(len(one) == 1 for one in pids.values())


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics/",
        "//metrics",
        "/%6detrics",
        "/./metrics",
        "/x/../metrics",
        "/METRICS",
        "/metrics?a",
        "/x/%2e%2e/metrics",
    ],
)
async def test_metrics_are_not_public(proxy: Balancer, pair: Pair, path: str) -> None:
    """S-35: however it is written."""
    status, body = await exchange(proxy, pair, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert status in (400, 404)
    assert b"pegboard_" not in body


async def test_the_front_page_names_the_proxy(proxy: Balancer, pair: Pair) -> None:
    """S-34: and not what a client wrote."""
    lies = {"X-Forwarded-Host": "localhost:9", "X-Forwarded-Proto": "http", "X-Forwarded-For": "203.0.113.7"}
    async with through(proxy, pair) as http:
        assert (await http.get("/", headers=lies)).json()["endpoints"][0]["mcp"] == f"{proxy.url}/mcp"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_what_is_older_than_tls_1_2_is_refused(proxy: Balancer, pair: Pair, version: ssl.TLSVersion) -> None:
    context = trusting(pair)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    refused = version is ssl.TLSVersion.TLSv1_1
    with anyio.fail_after(5), pytest.raises(OLD) if refused else nullcontext():
        stream = await anyio.connect_tcp("127.0.0.1", proxy.port, ssl_context=context, tls_standard_compatible=False)
        await stream.aclose()


async def test_what_clients_say_about_themselves_counts_for_nothing(watched: Balancer, pair: Pair, seen: Seen) -> None:
    """S-34."""
    lies = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example"}
    seen.take()
    async with through(watched, pair) as http:
        await http.post("/mcp", json={}, headers={**lies, "Authorization": "Bearer x"})
    ((_, headers),) = seen.take()
    told = [(name.lower(), value) for name, value in headers]
    (address,) = [value for name, value in told if name == "x-forwarded-for"]
    assert "203.0.113.7" not in address
    assert address == "127.0.0.1" or watched.name == "envoy"  # which says where this machine is, in place of loopback
    assert [value for name, value in told if name == "x-forwarded-proto"] == ["https"]
    assert "evil.example" not in [value for _, value in told]
    assert ("host", f"127.0.0.1:{watched.port}") in told
    assert ("authorization", "Bearer x") in told


AMBIGUOUS = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def test_a_request_within_a_request_is_never_seen_as_one_by_one_side_only(
    watched: Balancer, pair: Pair, seen: Seen
) -> None:
    """S-21: a length and chunks are refused, or passed on with one of the two."""
    seen.take()
    status, _ = await exchange(watched, pair, AMBIGUOUS)
    passed = seen.take()
    assert (status, len(passed)) in [(400, 0), (200, 1)]
    for _, headers in passed:
        assert len([name for name, _ in headers if name.lower() in ("content-length", "transfer-encoding")]) == 1

    hidden = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%b" % (len(SMUGGLED), SMUGGLED)
    assert (await exchange(watched, pair, hidden))[0] == 200
    assert [what for what, _ in seen.take()] == ["POST /mcp"]


async def test_a_head_that_is_too_long_goes_nowhere(watched: Balancer, pair: Pair, seen: Seen) -> None:
    """S-21."""
    seen.take()
    head = b"GET /sse HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: " + b"a" * 70_000 + b"\r\n\r\n"
    assert (await exchange(watched, pair, head))[0] in (0, 400, 431)
    assert seen.take() == []


async def test_a_request_that_has_arrived_is_not_sent_again(watched: Balancer, pair: Pair, seen: Seen) -> None:
    """F-33: whoever took it may have begun to work on it."""
    seen.take()
    async with through(watched, pair) as http:
        assert (await http.post("/lost", json={})).status_code in (502, 503)
    assert [what for what, _ in seen.take()] == ["POST /lost"]


async def test_pings_keep_a_stream_open_that_silence_would_end(watched: Balancer, pair: Pair) -> None:
    """F-38: for longer than a stream may be silent, which is a second here. They arrive as they come.

    Caddy has no such limit.
    """
    arrived, heard = list[float](), dict[str, bytes]()

    async def listen(http: httpx.AsyncClient, path: str) -> None:
        heard[path] = b""
        with suppress(httpx.RemoteProtocolError):
            async with http.stream("GET", path) as response:
                async for part in response.aiter_raw():
                    heard[path] += part
                    if path == "/sse":
                        arrived.append(anyio.current_time())

    with anyio.fail_after(15):
        async with through(watched, pair) as http, anyio.create_task_group() as tasks:
            tasks.start_soon(listen, http, "/sse")
            tasks.start_soon(listen, http, "/silent")
    assert heard["/sse"].endswith(b"data: end\n\n")
    assert len([moment for moment in arrived if moment < arrived[-1] - 0.3]) >= 4, arrived
    assert (b"end" in heard["/silent"]) == (watched.name == "caddy")


@pytest.fixture
def one_of_three(proxy: Balancer, pair: Pair, forgetting: Fleet, tmp_path: Path) -> Generator[Balancer]:
    """The same program before hub-2 and two that do not listen."""
    made = balancer(proxy.name, tmp_path, pair, [free_port(), forgetting.ports[1], free_port()])
    with made.running(pair):
        yield made


async def test_a_replica_that_is_gone_is_not_missed(one_of_three: Balancer, pair: Pair) -> None:
    """F-26: two of three do not listen, which nobody has noticed yet, or everybody has.

    A message for a session that was there ends soon, as one that nobody knows, and its client connects elsewhere.
    """
    async with through(one_of_three, pair) as http:
        async with modern(http) as peer:
            assert [await call(peer, "probe_echo", {"payload": "x"}) for _ in range(9)] == ["x"] * 9
        for path in ("/messages/hub-1/", "/probe/messages/hub-3/", "/messages/hub-4/"):
            with anyio.fail_after(3):
                gone = await http.post(f"{path}?session_id={'0' * 32}", json=rpc("ping", None, 1))
            assert gone.status_code in (404, 405, 502, 503), gone.text
        for path in ("", "/probe"):
            async with sse(http, path) as session:
                assert session.url.startswith(f"{path}/messages/hub-2/")
                assert await call(session, "probe_echo", {"payload": "here"}) == "here"


@pytest.mark.parametrize("name", NAMES)
def test_the_page_says_what_each_file_was_tested_with(name: Name) -> None:
    """The version that runs here, but for its last number."""
    titles: dict[Name, str] = {"haproxy": "HAProxy", "nginx": "nginx", "caddy": "Caddy", "envoy": "Envoy"}
    said = re.findall(rf"^\*Tested with\* {titles[name]} (\d+\.\d+)\.\d+", PAGE, re.MULTILINE)
    assert said == [version_of(name)]


async def exchange(proxy: Balancer, pair: Pair, sent: bytes) -> tuple[int, bytes]:
    """Send bytes over TLS, and return the status and the body of the first answer."""
    with anyio.fail_after(15):
        async with await anyio.connect_tcp(
            "127.0.0.1", proxy.port, ssl_context=trusting(pair), tls_standard_compatible=False
        ) as stream:
            try:
                await stream.send(sent)
            except anyio.BrokenResourceError:  # refused before all of it was sent
                pass
            return parse(await receive(stream))
