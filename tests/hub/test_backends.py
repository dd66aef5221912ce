"""Backends that do not answer: counted by pool, paused, asked once more; through the public door."""

import json
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from pegboard import HTTP, BackendError, Call, Plugin, PluginSettings, PoolKind, Reading, Rows, ToolError, Usage, tool
from pegboard.backends import Trail
from pegboard.builtin import HubPlugin
from pegboard.errors import PoolError
from pegboard.pools import Pools
from pegboard.serving.app import HubApp
from pegboard.settings import PoolSettings
from pegboard.testing import client_of, connect, hub_of

NEVER = {"pools": {"retries": 0, "pause": 3600}}
REFUSED = "the fake pool for db is not asked now, since it did not answer several times in a row"


@asynccontextmanager
async def opening(target: Any) -> AsyncGenerator[Any]:
    yield target


FAKE: PoolKind[Any] = PoolKind("fake", opening, str)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Shop:
    """A plugin over a fake database: what each call does is put on a list."""

    def __init__(self, *outcomes: BaseException | str, target: str = "db") -> None:
        self.outcomes = list(outcomes)
        self.target = target
        self.runs = 0
        self.plugin = Plugin("shop", tools=[self.read, self.write, self.report], resources={"shop://it": self.item})

    async def _run(self, call: Call[PluginSettings]) -> str:
        await call.pool(FAKE, self.target)
        self.runs += 1
        outcome = self.outcomes.pop(0) if self.outcomes else "sold"
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    @tool(read_only=True)
    async def read(self, call: Call[PluginSettings]) -> str:
        return await self._run(call)

    @tool()
    async def write(self, call: Call[PluginSettings]) -> str:
        return await self._run(call)

    @tool(read_only=True)
    async def report(self, call: Call[PluginSettings]) -> str:
        await call.progress(1, 2)
        return await self._run(call)

    async def item(self, call: Call[PluginSettings]) -> str:
        return await self._run(call)


def away(times: int = 1) -> list[BaseException]:
    return [BackendError("nobody is there") for _ in range(times)]


def asker(client: Any) -> Callable[..., Coroutine[Any, Any, str]]:
    async def ask(name: str, **arguments: Any) -> str:
        answer = await client.call_tool(name, arguments)
        text = answer.content[0].model_dump()["text"]
        return f"error: {text}" if answer.is_error else text

    return ask


async def test_a_pool_whose_backend_does_not_answer_is_refused_at_once_to_every_tool() -> None:
    """F-32: five failures, then nobody waits for it."""
    shop = Shop(*away(5))

    async with connect(shop.plugin, settings=NEVER) as client:
        ask = asker(client)
        for _ in range(5):
            assert await ask("shop_read") == "error: nobody is there"
        refusals = [await ask("shop_read"), await ask("shop_write")]

    assert refusals == [f"error: {REFUSED}; it is tried again in 3600 s"] * 2
    assert shop.runs == 5


@pytest.mark.parametrize(("hurry", "paused"), [({"pegboard/deadline": 0.01}, False), ({}, True)])
async def test_who_gives_no_time_cannot_pause_a_backend_for_the_others(hurry: Any, paused: bool) -> None:
    """F-32: a deadline of the caller's own says nothing of a backend, also of one that never answered."""

    @tool(read_only=True)
    async def look(call: Call[PluginSettings]) -> None:
        await call.pool(FAKE, "db")
        await anyio.sleep_forever()

    settings = {"pools": {"failures": 2, "pause": 3600}, "calls": {"deadline": 0.02}}
    async with connect(Plugin("shop", tools=[look]), settings=settings) as client:
        with anyio.fail_after(5):
            answers = [await client.call_tool("shop_look", {}, meta=hurry) for _ in range(3)]

    assert ("is not asked now" in str(answers[-1].content[0])) is paused


async def test_a_refusal_takes_no_time() -> None:
    """F-32: below 5 ms."""
    async with Pools(PoolSettings(failures=1, pause=3600)) as pools:
        trail = Trail()
        await pools.get(FAKE, "db", trail)
        trail.end(BackendError("away"), late=False)

        began = time.perf_counter()
        with pytest.raises(PoolError):
            await pools.get(FAKE, "db", Trail())

    assert time.perf_counter() - began < 0.005


async def test_other_targets_and_other_kinds_do_not_notice() -> None:
    other = PoolKind("other", opening, str)

    async with Pools(PoolSettings(failures=1)) as pools:
        trail = Trail()
        await pools.get(FAKE, "db", trail)
        trail.end(BackendError("away"), late=False)

        assert pools.paused() == ["the fake pool for db"]
        assert await pools.get(FAKE, "dc", Trail()) == "dc"
        assert await pools.get(other, "db", Trail()) == "db"


async def test_pools_of_one_backend_with_other_credentials_share_its_breaker() -> None:
    """F-32: not per key."""

    def host(target: tuple[str, str]) -> str:
        return target[0]

    kind = PoolKind("fake", opening, host, backend=host)

    async with Pools(PoolSettings(failures=2)) as pools:
        for password in "ab":
            trail = Trail()
            await pools.get(kind, ("db", password), trail)
            trail.end(BackendError("away"), late=False)

        with pytest.raises(PoolError, match="the fake pool for db"):
            await pools.get(kind, ("db", "c"), Trail())
        assert await pools.get(kind, ("dc", "c"), Trail()) == ("dc", "c")
        assert pools.paused() == ["the fake pool for db"]


async def test_after_the_pause_one_call_tries_and_its_answer_lets_all_through(caplog: pytest.LogCaptureFixture) -> None:
    """F-32: one probe; and the log says when a backend goes and comes, once each."""
    clock = Clock()
    async with Pools(PoolSettings(failures=2, pause=5), clock=clock) as pools:
        for _ in range(2):
            trail = Trail()
            await pools.get(FAKE, "db", trail)
            trail.end(BackendError("SELECT secret"), late=False)
        clock.now += 3
        with pytest.raises(PoolError, match=r"tried again in 2 s"):
            await pools.get(FAKE, "db", Trail())

        clock.now += 2
        probe = Trail()
        await pools.get(FAKE, "db", probe)
        await pools.get(FAKE, "db", probe)  # the one that tries may ask again
        assert [state.breaker for state in pools.states()] == ["half_open"]
        with pytest.raises(PoolError):
            await pools.get(FAKE, "db", Trail())
        probe.end(None, late=False)
        assert await pools.get(FAKE, "db", Trail()) == "db"

        state = pools.states()[0]
        assert (state.breaker, state.failures, state.trips, pools.paused()) == ("closed", 2, 1, [])
    assert [record.getMessage() for record in caplog.records if record.name == "pegboard.backends"] == [
        "the fake pool for db does not answer; it is tried again every 5 s",
        "the fake pool for db answers again",
    ]


async def test_refusals_of_the_backend_and_crashes_are_no_failures() -> None:
    shop = Shop(*[ToolError("no such table"), KeyError("x")] * 10)

    async with connect(shop.plugin, settings={"pools": {"failures": 1, "retries": 0}}) as client:
        ask = asker(client)
        for _ in range(20):
            await ask("shop_read")
        assert await ask("shop_read") == "sold"


async def test_a_read_is_run_once_more_and_answers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """F-02: and it is one call for the audit, which the log says was repeated."""
    caplog.set_level("INFO")
    shop, file = Shop(*away()), tmp_path / "audit.jsonl"

    async with hub_of(shop.plugin, settings={"audit": {"file": str(file)}}) as hub, client_of(hub) as client:
        assert await asker(client)("shop_read") == "sold"
        assert [(state.failures, state.retries) for state in hub.pools.states()] == [(0, 1)]

    assert shop.runs == 2
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert [record["outcome"] for record in records if record["event"] == "call"] == ["ok"]
    assert "shop_read: its backend did not answer and is asked once more" in caplog.messages


async def test_a_read_is_run_no_third_time() -> None:
    shop = Shop(*away(2))

    async with connect(shop.plugin) as client:
        assert await asker(client)("shop_read") == "error: nobody is there"

    assert shop.runs == 2


async def test_a_tool_that_writes_is_never_run_twice() -> None:
    """F-33: whatever it raised."""
    shop = Shop(*away())

    async with connect(shop.plugin) as client:
        assert await asker(client)("shop_write") == "error: nobody is there"

    assert shop.runs == 1


async def test_a_call_that_the_client_has_heard_of_is_not_run_again() -> None:
    shop = Shop(*away())

    async with connect(shop.plugin) as client:
        assert await asker(client)("shop_report") == "error: nobody is there"

    assert shop.runs == 1


async def test_a_plugin_can_say_that_the_hub_shall_not_repeat() -> None:
    shop = Shop(BackendError("wait an hour", again=False))

    async with connect(shop.plugin) as client:
        assert await asker(client)("shop_read") == "error: wait an hour"

    assert shop.runs == 1


async def test_the_arguments_of_the_second_run_are_as_they_came() -> None:
    seen: list[list[int]] = []

    @tool(read_only=True)
    async def add(numbers: list[int], call: Call[PluginSettings]) -> int:
        await call.pool(FAKE, "db")
        seen.append(list(numbers))
        numbers.append(99)
        if len(seen) == 1:
            raise BackendError("away")
        return len(numbers)

    async with connect(Plugin("x", tools=[add])) as client:
        await client.call_tool("x_add", {"numbers": [1, 2]})

    assert seen == [[1, 2], [1, 2]]


async def test_retries_end_with_their_budget() -> None:
    """F-31: no storm."""
    shop = Shop(*away(1000))

    async with connect(shop.plugin, settings={"pools": {"failures": 1000, "retries": 0.001}}) as client:
        ask = asker(client)
        async with anyio.create_task_group() as tasks:
            for _ in range(25):
                tasks.start_soon(ask, "shop_read")

    assert shop.runs == 25 + 10


async def test_no_retry_while_the_breaker_is_open() -> None:
    """F-31: of the calls that were under way when it opened."""
    async with Pools(PoolSettings(failures=1)) as pools:
        one, other = Trail(), Trail()
        for trail in (one, other):
            await pools.get(FAKE, "db", trail)
        assert other.take_retry()

        one.end(BackendError("away"), late=False)
        assert not other.take_retry()


async def test_with_little_time_left_nothing_is_repeated() -> None:
    async with Pools() as pools:
        call = Call(PluginSettings(), "x", "x_read", "x", 30, anyio.current_time() + 14, pools)
        await call.pool(FAKE, "db")
        assert not call.may_repeat(BackendError("away"))

        call.deadline += 10
        assert call.may_repeat(BackendError("away"))


async def test_without_a_pool_nothing_is_repeated() -> None:
    runs: list[int] = []

    @tool(read_only=True)
    async def read() -> str:
        runs.append(1)
        raise BackendError("away")

    async with connect(Plugin("x", tools=[read])) as client:
        assert await asker(client)("x_read") == "error: away"

    assert len(runs) == 1


async def test_of_two_pools_the_one_that_is_named_or_asked_last_is_blamed() -> None:
    async with Pools(PoolSettings(failures=1)) as pools:
        named, unnamed, unknown = Trail(), Trail(), Trail()
        for trail, targets in ((named, "ab"), (unnamed, "cd"), (unknown, "ef")):
            for target in targets:
                await pools.get(FAKE, target, trail)

        named.end(BackendError("away", target="a"), late=False)
        unnamed.end(BackendError("away"), late=False)
        unknown.end(BackendError("away", target="z"), late=False)

        assert pools.paused() == ["the fake pool for a", "the fake pool for d"]


async def test_failures_of_resources_count_as_well() -> None:
    shop = Shop(*away(2))

    async with hub_of(shop.plugin, settings={"pools": {"failures": 2, "pause": 3600}}) as hub, client_of(hub) as client:
        for _ in range(2):
            with pytest.raises(Exception, match="nobody is there"):
                await client.read_resource("shop://it")
        with pytest.raises(Exception, match=REFUSED):
            await client.read_resource("shop://it")

    assert shop.runs == 2


async def test_a_call_that_ends_late_counts_only_if_the_backend_has_never_answered() -> None:
    """F-03: a slow query is no failure."""
    answers: list[str] = []

    @tool(read_only=True, timeout=0.05)
    async def ask(call: Call[PluginSettings], target: str) -> str:
        await call.pool(FAKE, target)
        if answers:
            return answers.pop()
        await anyio.Event().wait()
        raise AssertionError

    settings = {"pools": {"failures": 1, "pause": 3600}}
    with anyio.fail_after(5):
        async with hub_of(Plugin("x", tools=[ask]), settings=settings) as hub, client_of(hub) as client:
            ask_it = asker(client)
            assert "did not finish in 0.05 s" in await ask_it("x_ask", target="mute")
            answers.append("yes")
            assert await ask_it("x_ask", target="slow") == "yes"
            assert "did not finish in 0.05 s" in await ask_it("x_ask", target="slow")
            assert hub.pools.paused() == ["the fake pool for mute"]


async def test_a_call_that_its_client_cancels_tells_nothing() -> None:
    async with Pools(PoolSettings(failures=1)) as pools:
        call = Call(PluginSettings(), "x", "x_read", "x", 30, anyio.current_time() + 30, pools)
        with anyio.CancelScope() as scope, call.borrowing():
            await call.pool(FAKE, "db")
            scope.cancel()
            await anyio.sleep_forever()

        assert pools.states()[0].failures == 0
        assert pools.paused() == []


async def test_a_pool_that_does_not_open_counts_against_its_backend() -> None:
    @asynccontextmanager
    async def refuse(_: Any) -> AsyncGenerator[None]:
        raise ConnectionRefusedError
        yield

    kind = PoolKind("fake", refuse, str)
    async with Pools(PoolSettings(failures=2)) as pools:
        for _ in range(2):
            trail = Trail()
            with pytest.raises(PoolError, match="could not be opened") as raised:
                await pools.get(kind, "db", trail)
            trail.end(raised.value, late=False)
        with pytest.raises(PoolError, match="is not asked now"):
            await pools.get(kind, "db", Trail())


async def test_the_pages_and_the_health_tool_show_a_breaker_that_is_open() -> None:
    """F-01: `/ready` stays 200; one backend is no reason to send clients away."""
    shop = Shop(*away())
    settings = {"pools": {"failures": 1, "retries": 0, "pause": 3600}}
    async with hub_of(shop.plugin, HubPlugin, settings=settings) as hub, client_of(hub) as client:
        await asker(client)("shop_read")
        health = (await client.call_tool("hub_health_check", {})).structured_content
        app = HubApp(hub)
        async with (
            app.run(),
            httpx.AsyncClient(transport=httpx.ASGITransport(app.asgi), base_url="http://localhost") as http,
        ):
            ready, page = await http.get("/ready"), await http.get("/health")

    assert health is not None
    assert health["status"] == page.json()["status"] == "degraded"
    assert health["pools"] == [{"kind": "fake", "target": "db", "state": "open", "breaker": "open"}]
    assert (ready.status_code, ready.json()["degraded"]) == (200, ["the fake pool for db"])


async def test_a_reload_changes_how_failures_are_counted() -> None:
    shop = Shop(*away(9))

    async with hub_of(shop.plugin, settings=NEVER) as hub, client_of(hub) as client:
        ask = asker(client)
        await ask("shop_read")
        await hub.reload(hub.settings.model_copy(update={"pools": PoolSettings(failures=2, pause=3600, retries=0)}))
        await ask("shop_read")
        assert (await ask("shop_read")).startswith(f"error: {REFUSED}")

    assert shop.runs == 2


async def test_a_kind_tells_how_much_of_a_pool_is_taken() -> None:
    def usage(pool: str) -> Usage:
        if pool == "broken":
            raise KeyError(pool)
        return Usage(size=3, in_use=2, waiting=1, limit=5)

    kind = PoolKind("fake", opening, str, usage=usage)
    async with Pools() as pools:
        for target in ("db", "broken"):
            await pools.get(kind, target)

        db, broken = pools.states()
    assert (db.size, db.in_use, db.waiting, db.limit) == (3, 2, 1, 5)
    assert (broken.size, broken.in_use, broken.waiting, broken.limit) == (None, None, None, None)


async def test_rows_that_break_off_before_the_first_answer_are_read_once_more() -> None:
    """F-02: a source that runs in a task of its own is a part of its call until then."""
    reads: list[int] = []

    async def read(_: int) -> list[dict[str, int]]:
        reads.append(1)
        if len(reads) == 1:
            raise BackendError("away")
        return [] if len(reads) > 2 else [{"id": 1}]

    @asynccontextmanager
    async def source() -> AsyncGenerator[Reading]:
        yield Reading(read)

    @tool(read_only=True)
    async def orders(call: Call[PluginSettings]) -> Rows:
        await call.pool(FAKE, "db")
        return Rows(source)

    async with connect(Plugin("x", tools=[orders])) as client:
        answer = await client.call_tool("x_orders", {})

    assert answer.structured_content is not None
    assert answer.structured_content["items"] == [{"id": 1}]


@pytest.fixture
def responses(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What whoever is asked over HTTP answers, or raises."""
    answers: list[Any] = []

    async def handle(_: httpx.AsyncHTTPTransport, __: httpx.Request) -> httpx.Response:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
    return answers


async def test_the_http_pool_notes_by_itself_that_nobody_answers(responses: list[Any]) -> None:
    """Whatever the tool makes of it."""
    responses += [httpx.ConnectError("refused"), httpx.ReadError("reset")]

    @tool(read_only=True)
    async def fetch(call: Call[PluginSettings]) -> str:
        client = await call.pool(HTTP, "http://api.example")
        try:
            return (await client.get("/")).text
        except httpx.TransportError:
            return "nothing"

    async with connect(Plugin("x", tools=[fetch]), settings={"pools": {"failures": 2, "pause": 3600}}) as client:
        ask = asker(client)
        assert [await ask("x_fetch") for _ in range(2)] == ["nothing"] * 2
        assert (await ask("x_fetch")).startswith("error: the http pool for http://api.example is not asked now")


async def test_an_http_answer_of_any_status_is_an_answer_and_a_slow_one_no_failure(responses: list[Any]) -> None:
    responses += [
        httpx.ConnectError("refused"),
        httpx.Response(500),
        httpx.ReadTimeout("slow"),
        httpx.PoolTimeout("full"),
    ]
    responses += [httpx.ConnectTimeout("refused")]

    async with Pools(PoolSettings(failures=2)) as pools:
        client = await pools.get(HTTP, "http://api.example", Trail())
        for _ in range(5):
            assert pools.paused() == []
            with suppress(httpx.TransportError):
                await client.get("/")

        state = pools.states()[0]
    assert (state.failures, state.in_use, state.waiting, state.limit) == (2, 0, 0, 50)


async def test_the_http_pool_keeps_no_cookies_for_the_next_caller(responses: list[Any]) -> None:
    responses += [httpx.Response(200, headers={"set-cookie": "session=alice"}), httpx.Response(200)]

    async with Pools() as pools:
        client = await pools.get(HTTP, "http://api.example")
        await client.get("/")
        second = await client.get("/")

    assert "cookie" not in second.request.headers


async def test_passing_pools_are_few_and_the_one_unused_longest_goes() -> None:
    async with Pools(passing_limit=2) as pools:
        busy = Trail()
        await pools.get(FAKE, "a", busy, passing=True)
        for target in "bc":
            await pools.get(FAKE, target, passing=True)
        assert [state.target for state in pools.states()] == ["a", "c"]

        second = Trail()
        await pools.get(FAKE, "c", second, passing=True)
        with pytest.raises(PoolError, match="calls with 2 different credentials are running already"):
            await pools.get(FAKE, "d", passing=True)
        second.end(None, late=False)
        await pools.get(FAKE, "d", passing=True)

        assert [state.target for state in pools.states()] == ["a", "d"]


async def test_passing_pools_take_no_room_of_others_and_leave_nothing() -> None:
    """A caller with ten thousand tokens."""

    def one(_: str) -> str:
        return "host"

    kind = PoolKind("fake", opening, one, backend=one)
    async with Pools(limit=2, passing_limit=3) as pools:
        await pools.get(kind, "hub")
        for number in range(100):
            trail = Trail()
            await pools.get(kind, f"token {number}", trail, passing=True)
            trail.end(None, late=False)

        assert "token 96" not in repr(vars(pools))
        assert len(pools.states()) == 2  # one line for all that pass
        assert await pools.get(kind, "token 99") == "token 99"  # which the operator's settings name, too
        assert [state.opens for state in pools.states()] == [1, 1, 2]


async def test_passing_pools_close_when_nobody_has_used_them_for_a_while() -> None:
    closed = anyio.Event()

    @asynccontextmanager
    async def noticed(target: Any) -> AsyncGenerator[Any]:
        yield target
        closed.set()

    kind = PoolKind("fake", noticed, str)
    with anyio.fail_after(5):
        async with Pools(passing_idle=0.02) as pools:
            trail = Trail()
            await pools.get(kind, "a", trail, passing=True)
            trail.end(None, late=False)
            await closed.wait()
            assert pools.states() == []


async def test_what_is_known_of_backends_that_nobody_uses_is_given_up() -> None:
    def same(target: str) -> str:
        return target

    kind = PoolKind("fake", opening, str, backend=same)
    async with Pools(limit=3, passing_limit=1) as pools:
        for number in range(20):
            await pools.get(kind, f"host {number}", passing=True)

        assert "host 15" not in repr(vars(pools))


async def test_two_passing_pools_of_one_backend_are_shown_as_one() -> None:
    def usage(pool: str) -> Usage:
        return Usage(in_use=2) if pool == "open" else Usage(in_use=1)

    def one(_: str) -> str:
        return "host"

    @asynccontextmanager
    async def refuse_some(target: str) -> AsyncGenerator[str]:
        if target == "refused":
            raise PoolError("no certificate")
        yield target

    kind = PoolKind("fake", refuse_some, one, backend=one, usage=usage)
    async with Pools() as pools:
        await pools.get(kind, "open", passing=True)
        with pytest.raises(PoolError):
            await pools.get(kind, "refused", passing=True)
        await pools.get(kind, "other", passing=True)

        (state,) = pools.states()
        for number in range(64):  # whatever had not been opened makes room as well
            await pools.get(kind, f"next {number}", passing=True)
    assert (state.state, state.opens, state.in_use, state.size) == ("open", 2, 3, None)


async def test_what_reads_on_after_its_call_has_a_budget_of_retries_and_holds_nothing() -> None:
    """A cursor outlives its call."""
    async with Pools(passing_limit=1) as pools:
        call = Call(PluginSettings(), "x", "x_read", "x", 30, anyio.current_time() + 30, pools)
        with call.borrowing():
            await pools.get(FAKE, "db", call.trail, passing=True)

        assert call.take_retry("db")
        await pools.get(FAKE, "dc", call.trail, passing=True)
        await pools.get(FAKE, "dd", Trail(), passing=True)  # for which the others make room
