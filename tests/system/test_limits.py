"""Limits over a real hub: rates and calls of keys, turns of plugins, and who guesses keys."""

import json
import statistics
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest
from tests.system.installed import Installed
from tests.system.processes import HubProcess, serving
from tests.system.redis_server import redis_server
from tests.system.wire import OPENERS, Era, Json, Peer, call, client

from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes

ERAS: tuple[Era, ...] = ("sse", "legacy", "modern")
PATHS = ("", "/probe", "/mine")
LIMITS = {"calls_per_minute": 60, "burst": 12, "calls_per_key": 2, "calls_per_plugin": 4, "queue": 1}
ECHO: Json = {"name": "probe_echo", "arguments": {"payload": "x"}}
WRONG = "peg_{:04}_" + "x" * 43


class Keys:
    """Keys in a configuration; each test takes its own, since what one has sent counts."""

    def __init__(self, count: int) -> None:
        made = [Key.create(f"k{number}", Scopes.of(["*"])) for number in range(count)]
        self.settings = {key.name: {"id": key.id, "sha256": key.sha256, "scopes": ["*"]} for key, _ in made}
        self.ids = {text: key.id for key, text in made}
        self._left = [text for _, text in made]

    def take(self) -> str:
        return self._left.pop()


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys(40)


@pytest.fixture(scope="module")
def limited(probe: Installed, keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Generator[HubProcess]:
    """A hub with small limits."""
    settings = {"keys": keys.settings, "limits": LIMITS, "endpoints": {"mine": {"tools": ["probe_*"]}}}
    with serving(tmp_path_factory.mktemp("limited"), probe, settings=settings) as hub:
        yield hub


@asynccontextmanager
async def opened(hub: HubProcess, key: str, era: Era, path: str = "") -> AsyncGenerator[Peer]:
    async with client(hub.url) as http:
        http.headers["authorization"] = f"Bearer {key}"
        async with OPENERS[era](http, path) as peer:
            yield peer


async def until_refused(peer: Peer) -> tuple[int, Json]:
    """How many requests are answered, and the error of the first that is not."""
    for number in range(100):
        answer = await peer.request("tools/list")
        if "error" in answer:
            return number, answer["error"]
    raise AssertionError("nothing was refused")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("era", ERAS)
async def test_a_key_over_its_rate_reads_when_to_go_on(limited: HubProcess, keys: Keys, era: Era, path: str) -> None:
    async with opened(limited, keys.take(), era, path) as peer:
        answered, error = await until_refused(peer)

    assert answered in (range(12, 14) if era == "modern" else range(11, 13))
    assert error["code"] == -32000
    assert error["data"] == {"retryAfter": 1}
    assert error["message"].endswith("may send 60 a minute, 12 of them at once; try again in 1 s")


async def test_all_endpoints_and_transports_count_together_and_each_key_alone(limited: HubProcess, keys: Keys) -> None:
    one, other = keys.take(), keys.take()
    async with opened(limited, one, "modern", "/probe") as peer:
        await until_refused(peer)

    async with opened(limited, one, "modern", "/mine") as peer:
        assert "error" in await peer.request("tools/list")
    async with opened(limited, other, "modern", "/mine") as peer:
        assert "result" in await peer.request("tools/list")


async def test_the_answer_over_http_is_429_with_the_seconds(limited: HubProcess, keys: Keys) -> None:
    async with client(limited.url) as http:
        http.headers["authorization"] = f"Bearer {keys.take()}"
        answers = [await http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}) for _ in range(14)]

    assert (answers[-1].status_code, answers[-1].headers["retry-after"]) == (429, "1")


async def test_who_waits_as_long_as_was_said_goes_on(limited: HubProcess, keys: Keys) -> None:
    async with opened(limited, keys.take(), "sse") as peer:
        _, error = await until_refused(peer)
        await anyio.sleep(error["data"]["retryAfter"])

        assert "result" in await peer.request("tools/list")


async def refusal(peer: Peer) -> str:
    """The error that a call reads."""
    answer = await peer.request("tools/call", ECHO)
    assert answer["result"]["isError"], answer
    return answer["result"]["content"][0]["text"]


@asynccontextmanager
async def holding(hub: HubProcess, keys: Keys, counts: dict[str, int], *, last: str = "") -> AsyncGenerator[None]:
    """So many calls of each key run for as long as the block, and one more begins; leaving cancels them."""

    async def hold(key: str, tag: str) -> None:
        async with opened(hub, key, "modern") as peer:
            await peer.request("tools/call", {"name": "probe_hold", "arguments": {"tag": tag}})

    async with anyio.create_task_group() as tasks, opened(hub, keys.take(), "modern") as watcher:
        for key, count in counts.items():
            for number in range(count):
                tag = f"{keys.ids[key]}-{number}"
                tasks.start_soon(hold, key, tag)
                await call(watcher, "probe_until", {"tag": tag, "state": "started"})
        if last:
            tasks.start_soon(hold, last, "last")
        yield
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("era", ERAS)
async def test_a_key_with_its_share_running_is_told_so_at_once(limited: HubProcess, keys: Keys, era: Era) -> None:
    key = keys.take()
    async with opened(limited, key, era) as peer:
        async with holding(limited, keys, {key: 2}):
            with anyio.fail_after(2):
                assert "this key has 2 calls running" in await refusal(peer)
            async with opened(limited, keys.take(), era) as other:
                assert await call(other, "probe_echo", {"payload": "x"}) == "x"
        with anyio.fail_after(5):
            while (await peer.request("tools/call", ECHO))["result"]["isError"]:  # until the hub knows that they left
                await anyio.sleep(0.2)


async def test_a_call_waits_for_its_turn_and_those_beyond_the_queue_are_told_that_the_plugin_is_busy(
    limited: HubProcess, keys: Keys
) -> None:
    a, b, c, d = (keys.take() for _ in range(4))
    answers: list[str] = []
    busy = ""

    async def wait_for_turn() -> None:
        async with opened(limited, c, "sse") as peer:
            answers.append(await call(peer, "probe_echo", {"payload": "waited"}))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks, opened(limited, d, "modern") as late:
            async with holding(limited, keys, {a: 2, b: 1}, last=b):
                await until_full(late)
                tasks.start_soon(wait_for_turn)
                await anyio.sleep(1)
                busy = await refusal(late)
                assert answers == []

    assert "probe is busy: 4 calls of it run already" in busy
    assert answers == ["waited"]


async def until_full(peer: Peer) -> None:
    """Wait until a call waits; it leaves the queue with its client."""
    while True:
        with anyio.move_on_after(0.5) as scope:
            await peer.request("tools/call", ECHO)
        if scope.cancelled_caught:
            return
        await anyio.sleep(0.1)


# Who guesses


async def test_a_thousand_wrong_keys_are_429_after_ten_and_the_right_one_hardly_notices(
    probe: Installed, tmp_path: Path
) -> None:
    """S-29, S-34: whatever the guesser says about where it comes from."""
    keys, audit = Keys(1), tmp_path / "audit.jsonl"
    settings = {"keys": keys.settings, "audit": {"file": str(audit)}}
    with serving(tmp_path, probe, settings=settings) as hub:
        async with client(hub.url) as http, opened(hub, keys.take(), "modern") as peer:
            before = await latency(peer)
            statuses: list[int] = []
            during = 0.0
            async with anyio.create_task_group() as tasks:
                for worker in range(4):
                    tasks.start_soon(guess, http, range(worker * 250, worker * 250 + 250), statuses)
                while len(statuses) < 20:
                    await anyio.sleep(0.01)
                during = await latency(peer)
    log = hub.log.text
    records = [json.loads(line) for line in audit.read_text().splitlines()]
    denied = [record for record in records if record["event"] == "denied"]

    assert len(statuses) == 1000
    assert statuses[:14].count(401) >= 10  # four ask at once, and their answers may overtake each other
    assert set(statuses) == {401, 429}
    assert 10 <= statuses.count(401) <= 16  # one more every six seconds
    assert sum(record["reason"] == "credential" for record in denied) == statuses.count(401)
    assert sum(record.get("times", 0) for record in denied if record["reason"] == "address") == statuses.count(429)
    assert {record["address"] for record in denied} == {"127.0.0.1"}
    assert during < 2 * before + 0.1, f"p95 {before * 1000:.1f} ms, under attack {during * 1000:.1f} ms"
    assert log.count("too many wrong credentials from 127.0.0.1") <= 2  # one in ten seconds
    assert "peg_0000" not in log + audit.read_text()


async def guess(http: httpx.AsyncClient, numbers: range, statuses: list[int]) -> None:
    """Show wrong keys, some hundred a second, each as if from elsewhere."""
    for number in numbers:
        spoofed = {"x-forwarded-for": f"203.0.113.{number % 250}", "forwarded": f"for=198.51.100.{number % 250}"}
        answer = await http.post(
            "/mcp", headers={"authorization": f"Bearer {WRONG.format(number)}", **spoofed}, json={}
        )
        statuses.append(answer.status_code)
        await anyio.sleep(0.01)


async def latency(peer: Peer) -> float:
    """The 95th percentile of some calls, in seconds."""
    times: list[float] = []
    for _ in range(100):
        began = time.perf_counter()
        await call(peer, "probe_echo", {"payload": "x"})
        times.append(time.perf_counter() - began)
        await anyio.sleep(0.005)
    return statistics.quantiles(times, n=20)[-1]


# Several hubs


async def test_two_hubs_share_a_limit_and_each_goes_on_alone_while_redis_is_away(
    probe: Installed, tmp_path: Path
) -> None:
    """F-35."""
    keys, folders = Keys(3), (tmp_path / "one", tmp_path / "other")
    for folder in folders:
        folder.mkdir()
    with redis_server(tmp_path) as redis:
        settings = {
            "keys": keys.settings,
            "server": {"redis": redis.url},
            "limits": {"calls_per_minute": 6, "burst": 10},
            "log": {"format": "text"},
        }
        with (
            serving(folders[0], probe, settings=settings) as one,
            serving(folders[1], probe, settings=settings) as other,
        ):
            key = keys.take()
            assert await asked(one, key, 6) + await asked(other, key, 10) == 10

            redis.kill()
            key = keys.take()
            assert (await asked(one, key, 15), await asked(other, key, 15)) == (10, 10)
            for hub in (one, other):
                await hub.said(r"Redis does not answer \(ConnectionError\); this process goes on by itself")
                async with client(hub.url) as http:
                    assert (await http.get("/ready")).status_code == 200

            redis.start()
            key = keys.take()
            with anyio.fail_after(15):
                for hub in (one, other):
                    while "Redis answers again" not in hub.log.text:
                        await asked(hub, key, 1)
                        await anyio.sleep(0.2)
    for hub in (one, other):
        assert hub.log.text.count("Redis does not answer") == 1
        assert "hunter2" not in hub.log.text


async def asked(hub: HubProcess, key: str, times: int) -> int:
    """How many of so many requests are answered."""
    async with opened(hub, key, "modern") as peer:
        return sum(["result" in await peer.request("tools/list") for _ in range(times)])
