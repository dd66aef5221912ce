"""A Qdrant that is away, slow, frozen, killed or not one: a clear sentence in bounded time, and recovery by itself."""

import json
import socket
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest
from anyio import fail_after
from anyio.abc import SocketStream
from tests.plugins.qdrant.conftest import tools_of
from tests.plugins.qdrant.processes import FrontProcess, front
from tests.plugins.qdrant.world import client_of, fill

from pegboard import ToolError
from pegboard.pools import Pools
from pegboard_qdrant import QDRANT, Target

SECRET = "hunter2-s3cret"


@contextmanager
def within(seconds: float) -> Generator[None]:
    """Fail if the block takes longer."""
    start = time.monotonic()
    with fail_after(seconds + 5):
        yield
    assert time.monotonic() - start < seconds


@asynccontextmanager
async def server(status: str, body: str = "", **headers: str) -> AsyncGenerator[str]:
    """A server on loopback that answers everything the same way; yields its URL."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    answer = "\r\n".join([*lines, "", body]).encode()

    async def handle(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(answer)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        tasks.cancel_scope.cancel()


def words(text: str) -> str:
    return json.dumps({"status": {"error": text}, "time": 0.0})


ANSWERS: list[tuple[str, str, str]] = [
    ("401 Unauthorized", "Must provide an API key or an Authorization bearer token", "refuses the API key"),
    ("403 Forbidden", words("Forbidden: Global read access is required"), "may not do this"),
    ("429 Too Many Requests", words("too many"), "too many requests; try again"),
    ("500 Internal Server Error", "", "failed with an error of its own"),
    (
        "500 Internal Server Error",
        words("Service internal error: disk full"),
        "says: Service internal error: disk full",
    ),
    ("502 Bad Gateway", "<html>nginx</html>", "cannot reach it"),
    ("503 Service Unavailable", "", "not ready"),
    ("504 Gateway Timeout", "", "ran out of time"),
    ("413 Payload Too Large", "", "too large"),
    ("404 Not Found", "404 page not found", "is the plugin's url right"),
    ("301 Moved Permanently", "", "sends the request elsewhere"),
    ("200 OK", "<html>hello</html>", "not one of Qdrant's"),
    ("200 OK", '{"result": {"collections": 5}}', "not one of Qdrant's"),
    ("200 OK", "{}", "not one of Qdrant's"),
    ("200 OK", "[" * 50_000, "not one of Qdrant's"),
    ("400 Bad Request", words("Format error in JSON body: unknown variant `sample`"), "the server is too old"),
]


@pytest.mark.parametrize(("status", "body", "says"), ANSWERS)
async def test_every_answer_of_a_server_is_told_in_our_words(status: str, body: str, says: str) -> None:
    async with server(status, body, Location="http://169.254.169.254/") as url, tools_of({"url": url}) as tools:
        with within(2):
            told = await tools.refusal("list_collections")

    assert says in told
    assert "\n" not in told
    assert "Traceback" not in told


async def test_a_busy_server_says_when_to_come_back() -> None:
    async with (
        server("429 Too Many Requests", words("slow down"), Retry_After="7") as url,
        tools_of({"url": url}) as tools,
    ):
        assert "slow down, after 7 s" in await tools.refusal("list_collections")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1 cannot be used: nothing listens there"),
        ("http://nowhere.invalid", "http://nowhere.invalid:6333 cannot be used: the host name is unknown"),
        ("https://127.0.0.1:{port}", "TLS failed"),
    ],
)
async def test_an_absent_server_is_told_within_a_second(filled_front: FrontProcess, url: str, says: str) -> None:
    url = url.format(port=filled_front.port)
    async with tools_of({"url": url, "api_key": SECRET}) as tools:
        await tools.refusal("list_collections")  # imports the driver
        with within(1):
            told = await tools.refusal("list_collections")

    assert says in told
    assert SECRET not in told


async def test_a_hub_starts_without_its_server_and_finds_it_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with fail_after(60):
        async with tools_of({"url": f"http://127.0.0.1:{port}"}) as tools:
            assert "nothing listens there" in await tools.refusal("list_collections")
            with front(port=port) as back:
                assert back.port == port
                assert (await tools("list_collections"))["items"] == []


@pytest.fixture
def own_front() -> Generator[FrontProcess]:
    """A front a test may freeze and kill."""
    with front(api_key=SECRET) as process:
        with client_of(url=process.url, api_key=SECRET) as client:
            fill(client)
        yield process


async def test_a_killed_server_fails_one_call_and_a_new_one_heals(own_front: FrontProcess) -> None:
    async with tools_of({"url": own_front.url, "api_key": SECRET}) as tools:
        assert (await tools("facets", collection="places"))["count"] == 30
        told: list[str] = []

        async def ask() -> None:
            told.append(await tools.refusal("facets", collection="places"))

        with within(3):
            async with anyio.create_task_group() as tasks:
                with own_front.frozen():
                    tasks.start_soon(ask)
                    await anyio.wait_all_tasks_blocked()
                    own_front.kill()
        assert "cannot be used" in told[0]
        with front(api_key=SECRET, port=own_front.port) as back, client_of(url=back.url, api_key=SECRET) as client:
            fill(client)
            with fail_after(10):
                assert (await tools("facets", collection="places"))["count"] == 30


async def test_a_frozen_server_times_out_and_loses_no_place(filled_front: FrontProcess) -> None:
    settings = {"url": filled_front.url, "timeout": 0.5, "max_connections": 2}
    async with tools_of(settings) as tools:
        assert (await tools("facets", collection="places"))["count"] == 30
        with filled_front.frozen():
            for _ in range(3):
                with within(1.5):
                    told = await tools.refusal("facets", collection="places")
                assert "gave no answer within 0.5 s (timeout)" in told
        assert (await tools("facets", collection="places"))["count"] == 30


async def test_a_write_without_an_answer_is_told_as_that() -> None:
    async with Pools() as pools:
        qdrant = await pools.get(QDRANT, Target(":memory:", timeout=0.05))
        with pytest.raises(ToolError, match="whether it has done the upsert is not known"):
            async with qdrant.use("upsert"):
                await anyio.sleep_forever()


async def test_a_call_ends_before_its_own_deadline(filled_front: FrontProcess) -> None:
    settings = {"url": filled_front.url}
    async with tools_of(settings, {"calls": {"deadline": 2}}) as tools:
        assert (await tools("facets", collection="places"))["count"] == 30
        with filled_front.frozen(), within(2.5):
            assert "(timeout)" in await tools.refusal("facets", collection="places")


async def test_a_frozen_server_does_not_hold_the_hub_up(filled_front: FrontProcess) -> None:
    with filled_front.frozen(), within(8):
        async with tools_of({"url": filled_front.url, "timeout": 0.3}) as tools:
            await tools.refusal("list_collections")


async def test_more_calls_than_places_are_told_that_all_are_taken(filled_front: FrontProcess) -> None:
    async with tools_of({"url": filled_front.url, "max_connections": 2}) as tools:
        assert (await tools("facets", collection="places"))["count"] == 30
        told: list[str] = []

        async def ask() -> None:
            told.append(await tools.refusal("facets", collection="places"))

        with filled_front.frozen(), within(5):
            async with anyio.create_task_group() as tasks:
                for _ in range(6):
                    tasks.start_soon(ask)
                while len(told) < 4:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
        assert all("all 2 places" in each for each in told)
        with fail_after(10):
            assert (await tools("facets", collection="places"))["count"] == 30


async def test_wrong_keys_are_told_and_never_shown(own_front: FrontProcess, caplog: pytest.LogCaptureFixture) -> None:
    for key in ("", f"{SECRET}-wrong"):
        settings: dict[str, Any] = {"url": own_front.url, **({"api_key": key} if key else {})}
        async with tools_of(settings) as tools:
            told = await tools.refusal("list_collections")
            assert "refuses the API key" in told
            assert SECRET not in told
    assert SECRET not in caplog.text


async def test_an_unclear_key_over_plain_http_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    async with tools_of({"url": "http://nowhere.invalid", "api_key": SECRET}) as tools:
        await tools.refusal("list_collections")

    assert "goes to http://nowhere.invalid:6333 without TLS" in caplog.text
    assert SECRET not in caplog.text


async def test_an_aimless_redirect_is_not_followed() -> None:
    """S-13."""
    asked: list[str] = []

    async def handle(stream: SocketStream) -> None:
        async with stream:
            asked.append((await stream.receive()).decode())

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with server("302 Found", Location=f"http://127.0.0.1:{port}/") as url, tools_of({"url": url}) as tools:
            assert "sends the request elsewhere" in await tools.refusal("list_collections")
        tasks.cancel_scope.cancel()
    assert asked == []


@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Service Unavailable"])
async def test_a_proxy_that_finds_no_server_and_a_server_that_is_away_open_the_breaker(status: str) -> None:
    """F-32: and the hub stops asking."""
    once = {"pools": {"failures": 1, "retries": 0, "pause": 3600}}
    async with server(status) as url, tools_of({"url": url}, hub=once) as tools:
        await tools.refusal("list_collections")
        assert "is not asked now" in await tools.refusal("list_collections")
    async with tools_of({"url": "http://127.0.0.1:1"}, hub=once) as tools:
        await tools.refusal("list_collections")
        assert "is not asked now" in await tools.refusal("list_collections")


@pytest.mark.parametrize("status", ["500 Internal Server Error", "404 Not Found", "401 Unauthorized", "200 OK"])
async def test_a_refusal_does_not_open_the_breaker(status: str) -> None:
    async with server(status) as url, tools_of({"url": url}, hub={"pools": {"failures": 1}}) as tools:
        first = await tools.refusal("list_collections")
        assert await tools.refusal("list_collections") == first
