"""What replicas share through a real Redis: revoked keys, news of lists, used tokens; and that they go on without."""

import errno
import json
import re
import signal
import subprocess
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from click.testing import CliRunner
from pydantic import SecretStr
from tests.conftest import same_logging
from tests.system.installed import Installed
from tests.system.processes import PEGBOARD, HubProcess, configure, environment, serving
from tests.system.redis_server import PASSWORD, RedisServer, redis_server
from tests.system.test_keys import bearer, streams
from tests.system.wire import ACCEPT, LEGACY, call, client, envelope, events, hello, modern, rpc, sse

from pegboard.cli.app import app
from pegboard.security import keyfile
from pegboard.security.keyfile import changing, read_keys
from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes
from pegboard.shared import news, revocations
from pegboard.shared.link import Away
from pegboard.shared.news import Changed
from pegboard.shared.replicas import Replicas
from pegboard.shared.revocations import KEPT_FOR, SET
from pegboard.testing import hub_of

SECRET = "s" * 32
CHANGED = "notifications/tools/list_changed"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


class Peer:
    """What one replica shares, and what it has heard."""

    def __init__(self, url: str) -> None:
        self.heard: list[Changed] = []
        self.came = anyio.Event()
        self.replicas = Replicas(SecretStr(url), self._hear, lambda path, _: path.startswith("/"))

    @property
    def redis(self) -> Any:
        return self.replicas.link.client

    async def _hear(self, changed: Changed) -> None:
        self.heard.append(changed)
        self.came.set()

    async def knows(self, key_id: str) -> None:
        """Return when it knows that this key was revoked."""
        with anyio.fail_after(10):
            while key_id not in self.replicas.revocations:
                await anyio.sleep(0.01)


@asynccontextmanager
async def peers(server: RedisServer) -> AsyncGenerator[tuple[Peer, Peer]]:
    one, other = Peer(server.url), Peer(server.url)
    await one.redis.flushall()
    async with one.replicas.run(), other.replicas.run():
        with anyio.fail_after(10):  # until both listen
            while (await one.redis.pubsub_numsub(news.CHANNEL))[0][1] < 2:
                await anyio.sleep(0.01)
        yield one, other


# Revoked keys


async def test_what_one_revokes_the_other_knows_at_once_and_one_that_starts_later_too(server: RedisServer) -> None:
    """S-31."""
    ends = time.time() + 3600
    async with peers(server) as (one, other):
        await one.replicas.revocations.add({"first": None})
        await other.knows("first")  # and has looked; the next look by the clock is seconds away
        began = time.monotonic()
        await one.replicas.revocations.add({"abcd": None, "efgh": ends})
        await other.knows("abcd")
        assert time.monotonic() - began < 1
        assert "efgh" in other.replicas.revocations
        assert "ijkl" not in other.replicas.revocations
        assert await one.redis.zscore(SET, "efgh") == pytest.approx(ends + KEPT_FOR)

        later = Peer(server.url)
        async with later.replicas.run():
            assert "abcd" in later.replicas.revocations


async def test_an_id_is_kept_for_as_long_as_its_key_could_count(server: RedisServer) -> None:
    async with peers(server) as (one, other):
        await one.replicas.revocations.add({"over": time.time() - KEPT_FOR - 1, "gone": time.time() - 1, "abcd": None})
        await other.knows("abcd")
        await other.replicas.revocations.learn()
        await one.replicas.revocations.learn()

        assert [key in one.replicas.revocations for key in ("over", "gone", "abcd")] == [False, True, True]
        assert "over" not in other.replicas.revocations
        assert await one.redis.zscore(SET, "over") is None


async def test_what_redis_has_forgotten_is_told_again(server: RedisServer) -> None:
    """F-35: a revoked key does not come back to life with a Redis that has lost everything."""
    async with peers(server) as (one, _):
        await one.replicas.revocations.add({"abcd": None})
        await one.redis.flushall()
        await one.replicas.revocations.learn()

        assert "abcd" in one.replicas.revocations
        later = Peer(server.url)
        async with later.replicas.run():
            assert "abcd" in later.replicas.revocations


async def test_what_is_no_id_is_nothing_and_there_is_an_end_to_them(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(revocations, "MOST", 2)
    async with peers(server) as (one, other):
        await one.redis.zadd(SET, {b"\xff\x00": "inf", "x" * 33: "inf"})
        await other.replicas.revocations.learn()
        assert "x" * 33 not in other.replicas.revocations
        await one.redis.zremrangebyrank(SET, 0, -1)
        await one.replicas.revocations.add({"aaaa": None, "bbbb": None})
        await other.knows("bbbb")
        await one.redis.zadd(SET, {"cccc": "inf", "dddd": "inf"})
        await other.replicas.revocations.learn()
        await other.replicas.revocations.learn()

        known = [key for key in ("aaaa", "bbbb", "cccc", "dddd") if key in other.replicas.revocations]
        assert known == ["aaaa", "bbbb"]
    assert caplog.text.count("there are more than 2 revoked keys in Redis") <= 2  # once by each


# News


async def test_the_others_hear_what_has_changed_and_who_says_it_does_not(server: RedisServer) -> None:
    async with peers(server) as (one, other):
        inbox = one.redis.pubsub(ignore_subscribe_messages=True)
        await inbox.subscribe(news.CHANNEL)
        await inbox.get_message(timeout=5)
        changed = {f"/endpoint-{number}": ["tool_list"] for number in range(150)}
        await one.replicas.news.tell(changed)
        with anyio.fail_after(10):
            await other.came.wait()
        texts = [(await inbox.get_message(timeout=5))["data"] for _ in range(2)]
        await inbox.aclose()

        assert other.heard == [{path: {"tool_list"} for path in changed}]
        assert one.heard == []
        assert max(map(len, texts)) < news.LONGEST
        assert set(json.loads(texts[0])) == {"source", "changed"}


# Tokens


async def test_a_confirmation_counts_once_over_all_replicas(server: RedisServer) -> None:
    settings = {"server": {"redis": server.url, "secret": SECRET}}
    async with hub_of(settings=settings) as one, hub_of(settings=settings) as other:
        token, another = one.confirmations.ask("q"), one.confirmations.ask("q")

        assert await other.confirmations.problem_with(token, "q") is None
        assert await one.confirmations.problem_with(token, "q") == "it was used already"
        assert await one.confirmations.problem_with(another, "q") is None


# While Redis is away


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_they_go_on_without_redis_and_meet_again(server: RedisServer, how: str) -> None:
    """F-35: what was learnt stays, a token counts once in each process, nothing waits; then all is as before."""
    async with peers(server) as (one, other):
        await one.replicas.revocations.add({"abcd": None})
        await other.knows("abcd")
        server.kill() if how == "killed" else server.signal(signal.SIGSTOP)
        try:
            with pytest.raises(Away):
                await one.replicas.revocations.add({"efgh": None})
            began = time.monotonic()
            assert await one.replicas.once.is_first("token", 60)
            assert time.monotonic() - began < 0.1  # it is known
            await one.replicas.news.tell({"/shop": ["tool_list"]})
            assert "abcd" in other.replicas.revocations
            assert "efgh" not in one.replicas.revocations
        finally:
            server.start() if how == "killed" else server.signal(signal.SIGCONT)
        with anyio.fail_after(20):
            while not one.replicas.link.is_there or (await one.redis.pubsub_numsub(news.CHANNEL))[0][1] < 2:
                await anyio.sleep(0.05)
            while await one.redis.zscore(SET, "abcd") is None:
                await anyio.sleep(0.05)
        await one.replicas.revocations.add({"ijkl": None})
        await other.knows("ijkl")
        await one.replicas.news.tell({"/shop": ["tool_list"]})
        with anyio.fail_after(10):
            await other.came.wait()
        assert other.heard[-1] == {"/shop": {"tool_list"}}


# The command line


@pytest.fixture
def at_home(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration that names Redis and a key, and with an empty one."""
    monkeypatch.chdir(tmp_path)
    named = f'[keys.ci]\nid = "ciciciciciic"\nsha256 = "{"0" * 64}"\nscopes = ["*"]\n'
    (tmp_path / "pegboard.toml").write_text(
        f'[server]\nredis = "{server.url}"\n[auth]\nkeys_file = "keys.json"\n{named}'
    )
    return tmp_path


def run(*arguments: str, code: int = 0) -> str:
    """What `pegboard keys` says, and ends with `code`."""
    with same_logging():
        result = CliRunner().invoke(app, ["keys", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_revoke_writes_it_down_and_tells_all_and_may_be_said_again(at_home: Path, server: RedisServer) -> None:
    """S-31."""
    run("create", "alice", "--scope", "*")
    (key,) = read_keys(at_home / "keys.json")

    said = f"told all replicas that alice ({key.id}) counts no more\n"
    assert run("revoke", "alice") == f"revoked alice ({key.id}) in keys.json\n{said}"
    assert run("revoke", key.id) == said
    assert "there is no key 'alicia'" in run("revoke", "alicia", code=2)
    assert "told all" not in run("rotate", "bob", code=2)


def test_a_key_that_no_file_can_end_is_ended_and_what_is_left_to_do_is_said(
    at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-31: in a Secret that is mounted, or in the configuration."""
    run("create", "alice", "--scope", "*")
    (key,) = read_keys(at_home / "keys.json")

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(keyfile, "_write", refuse)
    said = run("revoke", key.id)

    assert f"told all replicas that alice ({key.id}) counts no more" in said
    assert "the keys cannot be changed: Read-only file system; revoke alice" in said
    assert "warning: remove [keys.ci] from the configuration, too, for when Redis is away" in run("revoke", "ci")
    states = {entry["name"]: entry["state"] for entry in json.loads(run("list", "--json"))}
    assert states == {"alice": "revoked", "ci": "revoked"}


def test_rotate_tells_all_that_the_old_key_is_over_unless_it_is_kept(at_home: Path) -> None:
    run("create", "alice", "--scope", "*")
    (key,) = read_keys(at_home / "keys.json")

    assert "told all" not in run("rotate", "alice", "--keep", "1h")
    assert f"told all replicas that alice ({key.id}), alice (" in run("rotate", "alice")


def test_without_redis_the_file_is_changed_and_it_is_said_that_the_others_do_not_know(
    at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-35."""
    monkeypatch.setenv("PEGBOARD_SERVER_REDIS", "redis://:hunter2@127.0.0.1:1/0")
    run("create", "alice", "--scope", "*")
    (key,) = read_keys(at_home / "keys.json")

    said = run("revoke", "alice", code=2)

    assert f"revoked alice ({key.id}) in keys.json" in said
    assert f"`pegboard keys revoke {key.id}` tells them when it does" in said
    assert "warning: Redis does not answer; a key that was revoked there may be shown as live" in run("list")
    assert PASSWORD not in said


# Two hubs


@dataclass
class Pair:
    """Two hubs, each with a file of keys of its own, as two pods have it."""

    hubs: tuple[HubProcess, HubProcess]
    folders: tuple[Path, Path]
    probe: Installed
    redis: str
    key: str

    def create(self, name: str) -> str:
        key, text = Key.create(name, Scopes.of(["*"]))
        for folder in self.folders:
            with changing(folder / "keys.json") as keys:
                keys.append(key)
        return text

    async def known(self, key: str) -> None:
        for hub in self.hubs:
            async with client(hub.url) as http:
                with anyio.fail_after(5):
                    while (await http.get("/", headers=bearer(key))).status_code != 200:
                        await anyio.sleep(0.05)

    async def answers(self) -> None:
        """Each answers at once, and is ready."""
        for hub in self.hubs:
            async with client(hub.url) as http, modern(http) as peer:
                http.headers.update(bearer(self.key))
                began = time.monotonic()
                assert (await http.get("/ready")).status_code == 200
                assert await call(peer, "probe_echo", {"payload": "here"}) == "here"
                assert time.monotonic() - began < 1

    def configure(self, number: int, tools: str) -> None:
        configure(self.folders[number], [self.probe], settings_of(number, self.redis, tools))

    async def revoke(self, name: str) -> subprocess.CompletedProcess[str]:
        """`pegboard keys revoke` beside the first hub."""
        command = [PEGBOARD, "keys", "revoke", name]
        return await anyio.to_thread.run_sync(
            lambda: subprocess.run(
                command,
                check=False,
                cwd=self.folders[0],
                env=environment([]),
                capture_output=True,
                text=True,
                timeout=30,
            )
        )


def settings_of(number: int, redis: str, tools: str = "probe_*") -> dict[str, Any]:
    return {
        "server": {"redis": redis, "secret": SECRET, "replica": f"hub-{number}"},
        "auth": {"keys_file": "keys.json"},
        "limits": {"calls_per_minute": 60_000, "failures_per_minute": 60_000},
        "endpoints": {"mine": {"tools": [tools]}},
    }


@pytest.fixture(scope="module")
def pair(server: RedisServer, probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[Pair]:
    folders = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    key, text = Key.create("alice", Scopes.of(["*"]))
    for folder in folders:
        with changing(folder / "keys.json") as keys:
            keys.append(key)
    with (
        serving(folders[0], probe, settings=settings_of(0, server.url)) as one,
        serving(folders[1], probe, settings=settings_of(1, server.url)) as other,
    ):
        yield Pair((one, other), folders, probe, server.url, text)


async def test_a_key_revoked_at_one_hub_is_refused_at_the_other_and_its_streams_end(pair: Pair) -> None:
    """S-31: within a second, though the other's file still has it."""
    key = pair.create("leaving")
    await pair.known(key)
    other = pair.hubs[1]
    async with streams(other, key) as ended, streams(other, pair.key) as others, client(other.url) as http:
        done = await pair.revoke("leaving")
        assert done.returncode == 0, done.stderr
        revoked = time.monotonic()
        with anyio.fail_after(10):
            while (await http.get("/", headers=bearer(key))).status_code != 401:
                await anyio.sleep(0.02)
            assert time.monotonic() - revoked < 1
            for event in ended.values():
                await event.wait()
        assert time.monotonic() - revoked < 5
        assert not any(event.is_set() for event in others.values())
    assert "told all replicas that leaving" in done.stderr


@asynccontextmanager
async def listeners(hub: HubProcess, key: str, path: str) -> AsyncGenerator[dict[str, list[str]]]:
    """A client of each kind that listens at one endpoint, and the methods it has heard."""
    heard: dict[str, list[str]] = {"sse": [], "legacy": [], "modern": []}
    ready = {era: anyio.Event() for era in ("legacy", "modern")}
    async with client(hub.url) as http, anyio.create_task_group() as tasks:
        http.headers.update(bearer(key))

        async def listen(era: str, *args: Any, **given: Any) -> None:
            async with http.stream(*args, **given) as response:
                assert response.status_code == 200
                ready[era].set()
                async for _, data in events(response):
                    heard[era].append(json.loads(data).get("method", ""))

        opening = await http.post(f"{path}/mcp", json=rpc("initialize", hello(), 1), headers=ACCEPT)
        session = {**ACCEPT, "Mcp-Session-Id": opening.headers["mcp-session-id"], "MCP-Protocol-Version": LEGACY}
        await http.post(f"{path}/mcp", json=rpc("notifications/initialized"), headers=session)
        tasks.start_soon(lambda: listen("legacy", "GET", f"{path}/mcp", headers=session))
        params, headers = envelope("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        request = rpc("subscriptions/listen", params, 9)
        tasks.start_soon(lambda: listen("modern", "POST", f"{path}/mcp", json=request, headers=headers))
        async with sse(http, path) as peer:
            with anyio.fail_after(10):
                for event in ready.values():
                    await event.wait()
            yield heard
            heard["sse"] = [note["method"] for note in peer.notes]
        tasks.cancel_scope.cancel()


async def test_clients_at_one_hub_hear_that_the_lists_of_the_other_have_changed(pair: Pair) -> None:
    """On every transport, once, and only at the endpoint that has changed."""
    one, other = pair.hubs
    async with (
        listeners(one, pair.key, "/mine") as there,
        listeners(other, pair.key, "/mine") as here,
        listeners(one, pair.key, "/probe") as elsewhere,
    ):
        pair.configure(1, "probe_echo")
        other.signal(signal.SIGHUP)
        with anyio.fail_after(10):
            while not all(CHANGED in there[era] for era in ("legacy", "modern")):
                await anyio.sleep(0.05)
    counts = [[methods.count(CHANGED) for methods in heard.values()] for heard in (there, here, elsewhere)]
    assert counts == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]


async def test_hubs_go_on_without_redis_and_it_is_said_what_is_left_to_do(server: RedisServer, pair: Pair) -> None:
    """F-35, S-31: Redis is frozen, thawed, and then killed and started with nothing in it."""
    key = pair.create("late")
    await pair.known(key)
    server.signal(signal.SIGSTOP)
    try:
        await pair.answers()
    finally:
        server.signal(signal.SIGCONT)
    server.kill()
    try:
        await pair.answers()
        in_vain = await pair.revoke("late")
    finally:
        server.start()
    assert in_vain.returncode != 0
    (again,) = re.findall(r"`pegboard keys revoke (\w+)` tells them", in_vain.stderr)

    done = await pair.revoke(again)

    assert done.returncode == 0, done.stderr
    with anyio.fail_after(10):
        for hub in pair.hubs:
            async with client(hub.url) as http:
                while (await http.get("/", headers=bearer(key))).status_code != 401:
                    await anyio.sleep(0.05)
    log = "".join(hub.log.text for hub in pair.hubs)
    assert PASSWORD not in log
    assert "Traceback" not in log
