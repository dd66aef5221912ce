"""Pools: opened once by whoever comes first, kept for all, forgotten when they crash."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from pegboard import HTTP, Call, Plugin, PluginSettings, PoolKind, ToolError
from pegboard.errors import PoolError
from pegboard.kinds import PoolState, describe_target
from pegboard.pools import Pools
from pegboard.testing import client_of, hub_of


class Connection:
    """What the fake pools lend."""


class Backend:
    """A fake backend: counts what is open, and fails or hangs when it is told to."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.failures: list[BaseException] = []
        self.gate = anyio.Event()
        self.gate.set()
        self.crash = anyio.Event()
        self.kind = PoolKind("fake", self.open, describe=str)

    @asynccontextmanager
    async def open(self, target: Any) -> AsyncGenerator[Connection]:
        self.events.append(f"open {target}")
        await checkpoint()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            yield Connection()
            tasks.cancel_scope.cancel()
        self.events.append(f"close {target}")

    async def _watch(self) -> None:
        await self.crash.wait()
        self.crash = anyio.Event()
        raise ConnectionError("the connection is lost")


def states(pools: Pools) -> list[tuple[str, str]]:
    return [(state.target, state.state) for state in pools.states()]


async def test_ten_first_users_open_a_pool_once() -> None:
    backend = Backend()
    lent: list[Connection] = []

    with anyio.fail_after(5):
        async with Pools() as pools:

            async def use() -> None:
                lent.append(await pools.get(backend.kind, "db"))

            async with anyio.create_task_group() as users:
                for _ in range(10):
                    users.start_soon(use)

    assert backend.events == ["open db", "close db"]
    assert len(lent) == 10
    assert len(set(lent)) == 1


async def test_each_kind_and_target_has_a_pool_of_its_own() -> None:
    one, other = Backend(), Backend()

    async with Pools() as pools:
        first = await pools.get(one.kind, "a")
        assert await pools.get(one.kind, "a") is first
        assert await pools.get(one.kind, "b") is not first
        assert await pools.get(other.kind, "a") is not first


async def test_pools_are_closed_in_reverse_order() -> None:
    backend = Backend()

    async with Pools() as pools:
        for target in "abc":
            await pools.get(backend.kind, target)

    assert backend.events[3:] == ["close c", "close b", "close a"]


async def test_a_failing_open_reaches_only_its_caller_and_the_next_one_opens() -> None:
    backend = Backend()
    backend.failures = [ConnectionError("password hunter2 refused")]
    outcomes: list[object] = []

    with anyio.fail_after(5):
        async with Pools() as pools:

            async def use() -> None:
                try:
                    outcomes.append(await pools.get(backend.kind, "db"))
                except PoolError as error:
                    outcomes.append(str(error))

            async with anyio.create_task_group() as users:
                for _ in range(3):
                    users.start_soon(use)

    assert outcomes[0] == "the fake pool for db could not be opened (ConnectionError)"
    assert outcomes[1] is outcomes[2]
    assert isinstance(outcomes[1], Connection)


async def test_what_a_kind_says_on_purpose_passes_through() -> None:
    backend = Backend()
    backend.failures = [ToolError("set [plugins.db] dsn")]

    async with Pools() as pools:
        with pytest.raises(ToolError, match=r"set \[plugins\.db\] dsn"):
            await pools.get(backend.kind, "db")

        (state,) = pools.states()
        assert (state.state, state.failure) == ("failed", "set [plugins.db] dsn")


async def test_an_open_that_takes_too_long_is_cancelled_and_can_be_retried() -> None:
    backend = Backend()
    backend.gate = anyio.Event()

    with anyio.fail_after(5):
        async with Pools(open_timeout=0.01) as pools:
            with pytest.raises(PoolError, match=r"^the fake pool for db did not open within 0\.01 s$"):
                await pools.get(backend.kind, "db")
            assert states(pools) == [("db", "failed")]

            backend.gate.set()
            await pools.get(backend.kind, "db")
            assert pools.states()[0].failure is None


async def test_a_cancelled_open_is_retried_by_whoever_waits() -> None:
    backend = Backend()
    backend.gate = anyio.Event()
    lent: list[Connection] = []

    async with Pools() as pools:

        async def give_up() -> None:
            with anyio.CancelScope() as scope:
                tasks.start_soon(wait)
                tasks.start_soon(cancel, scope)
                await pools.get(backend.kind, "db")

        async def wait() -> None:
            lent.append(await pools.get(backend.kind, "db"))

        async def cancel(scope: anyio.CancelScope) -> None:
            scope.cancel()
            backend.gate.set()

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(give_up)

        assert states(pools) == [("db", "open")]

    assert len(lent) == 1
    assert backend.events.count("close db") == 1


async def test_a_pool_that_crashed_is_opened_again() -> None:
    backend = Backend()

    with anyio.fail_after(5):
        async with Pools() as pools:
            first = await pools.get(backend.kind, "db")
            backend.crash.set()
            while pools.states()[0].state == "open":
                await checkpoint()
            assert states(pools) == [("db", "closed")]

            second = await pools.get(backend.kind, "db")

            assert second is not first
            assert states(pools) == [("db", "open")]


async def test_a_slow_backend_does_not_hold_up_another() -> None:
    slow, quick = Backend(), Backend()
    slow.gate = anyio.Event()

    with anyio.fail_after(5):
        async with Pools() as pools, anyio.create_task_group() as users:
            users.start_soon(pools.get, slow.kind, "slow")
            await checkpoint()
            await pools.get(quick.kind, "quick")
            slow.gate.set()


async def test_nothing_is_lent_before_and_after() -> None:
    backend = Backend()
    pools = Pools()

    for _ in range(2):
        with pytest.raises(PoolError, match=r"^the fake pool for db is not available: the hub is closing$"):
            await pools.get(backend.kind, "db")
        async with pools:
            pass


async def test_open_pools_are_bounded_and_unused_places_are_given_away() -> None:
    backend = Backend()
    backend.failures = [ConnectionError(), ConnectionError()]

    async with Pools(limit=2) as pools:
        for target in ("bad", "worse"):
            with pytest.raises(PoolError):
                await pools.get(backend.kind, target)
        await pools.get(backend.kind, "a")
        await pools.get(backend.kind, "b")

        with pytest.raises(PoolError, match=r"^no fake pool can be opened: 2 pools are open already$"):
            await pools.get(backend.kind, "c")
        assert states(pools) == [("a", "open"), ("b", "open")]


async def test_the_state_of_a_pool_tells_for_how_long_it_is_open() -> None:
    backend = Backend()

    async with Pools() as pools:
        await pools.get(backend.kind, "db")

        assert pools.states() == [PoolState("fake", "db", "open", open_for=0.0, opens=1)]


async def test_a_kind_that_cannot_describe_its_target_harms_only_its_caller() -> None:
    def describe(_: Any) -> str:
        raise LookupError("no region")

    backend = Backend()
    kind = PoolKind("odd", backend.open, describe=describe)

    async with Pools() as pools:
        with pytest.raises(LookupError):
            await pools.get(kind, "db")

        assert pools.states() == []


async def test_two_hubs_share_no_pool() -> None:
    backend = Backend()

    async def connection(call: Call[PluginSettings]) -> int:
        return id(await call.pool(backend.kind, "db"))

    plugin = Plugin(name="x", tools=[connection])
    with anyio.fail_after(5):
        async with hub_of(plugin) as one, hub_of(plugin) as other, client_of(one) as a, client_of(other) as b:
            first, again, second = [await c.call_tool("x_connection", {}) for c in (a, a, b)]

    assert first.structured_content == again.structured_content != second.structured_content
    assert backend.events == ["open db", "open db", "close db", "close db"]


async def test_a_pool_that_cannot_be_had_is_a_clear_error_of_the_call() -> None:
    backend = Backend()
    backend.failures = [ConnectionError("hunter2")]

    async def query(call: Call[PluginSettings]) -> str:
        return type(await call.pool(backend.kind, "db")).__name__

    async with hub_of(Plugin(name="x", tools=[query])) as hub, client_of(hub) as client:
        failed = await client.call_tool("x_query", {})
        answered = await client.call_tool("x_query", {})

    assert failed.is_error
    assert failed.content[0].model_dump()["text"] == "the fake pool for db could not be opened (ConnectionError)"
    assert answered.content[0].model_dump()["text"] == "Connection"


@pytest.mark.parametrize(
    ("target", "description"),
    [
        ("https://wttr.in/x?key=secret#secret", "https://wttr.in/x"),
        ("postgresql://me:secret@db:5432/shop", "postgresql://db:5432/shop"),
        ("postgresql://me:sec@ret@db/shop", "postgresql://db/shop"),
        ("postgresql://me:sec/ret@db/shop", "-"),
        ("postgresql://me:sec?ret@db/shop", "-"),
        ("postgresql://me:sec#ret@db/shop", "-"),
        ("host=db password=secret", "-"),
        ("http://[secret", "-"),
        (("db", "secret"), "tuple"),
    ],
)
def test_a_target_is_described_without_its_secrets(target: Any, description: str) -> None:
    assert describe_target(target) == description


@given(st.text(min_size=1), st.sampled_from(["https", "postgresql"]))
def test_no_password_is_ever_described(password: str, scheme: str) -> None:
    secret = f"<{password}>"

    assert secret not in describe_target(f"{scheme}://me:{secret}@host/db")


async def test_http_clients_go_where_they_are_told_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example")

    async with Pools() as pools:
        client = await pools.get(HTTP, "http://api.example/v2/")

        assert client.base_url == "http://api.example/v2/"
        assert not client.follow_redirects
        assert not client.trust_env
        assert client.timeout == httpx.Timeout(10)

    assert client.is_closed


def test_a_kind_is_a_value_of_its_own() -> None:
    def open_it(_: Any) -> AbstractAsyncContextManager[None]:
        raise NotImplementedError

    opens: Callable[[Any], AbstractAsyncContextManager[None]] = open_it

    assert PoolKind("a", opens) == PoolKind("a", opens) != PoolKind("b", opens)
