"""Limits: how much one caller may take of the hub."""

from typing import Any

import anyio
import pytest
from tests.hub.security.test_buckets import Clock
from tests.plugins.many import many

from pegboard.errors import BudgetError
from pegboard.security.limits import Limit, Limits, TooMuch, network_of
from pegboard.security.principal import Principal
from pegboard.security.scopes import Scopes
from pegboard.settings import BudgetSettings, LimitSettings
from pegboard.testing import hub_of

ALICE, BOB = (Principal(name, Scopes.of(["*"]), name) for name in ("alice", "bob"))


def limits(met: list[Limit] | None = None, clock: Clock | None = None, **settings: Any) -> Limits:
    return Limits(LimitSettings(**settings), (met if met is not None else []).append, clock or Clock())


async def admitted(some: Limits, principal: Principal | None, times: int) -> int:
    through = 0
    for _ in range(times):
        try:
            await some.admit(principal)
            through += 1
        except TooMuch:
            pass
    return through


async def test_a_key_that_sends_too_many_is_told_when_to_come_back() -> None:
    met: list[Limit] = []
    clock = Clock()
    some = limits(met, clock, calls_per_minute=60, burst=3)

    assert await admitted(some, ALICE, 3) == 3
    with pytest.raises(TooMuch, match=r"may send 60 a minute, 3 of them at once; try again in 1 s") as raised:
        await some.admit(ALICE)

    assert (raised.value.limit, raised.value.retry_after, met) == ("rate", 1, ["rate"])
    assert await admitted(some, BOB, 3) == 3
    clock.now += 2
    assert await admitted(some, ALICE, 9) == 2


async def test_nothing_is_counted_without_a_key_or_a_rate() -> None:
    assert await admitted(limits(calls_per_minute=1), None, 50) == 50
    assert await admitted(limits(), ALICE, 50) == 50


@pytest.mark.parametrize(("per_minute", "burst"), [(5, 5), (60, 10), (600, 60)])
async def test_a_client_that_connects_may_ask_what_it_asks_at_once(per_minute: int, burst: int) -> None:
    assert await admitted(limits(calls_per_minute=per_minute), ALICE, 1000) == burst


async def test_the_seconds_to_wait_are_whole_and_enough() -> None:
    clock = Clock()
    some = limits(clock=clock, calls_per_minute=7, burst=1)
    await some.admit(ALICE)

    with pytest.raises(TooMuch) as raised:
        await some.admit(ALICE)

    clock.now += raised.value.retry_after
    assert raised.value.retry_after == 9
    await some.admit(ALICE)


async def test_an_address_has_ten_wrong_credentials_a_minute() -> None:
    met: list[Limit] = []
    clock = Clock()
    some = limits(met, clock)

    answers = [await some.failed("192.0.2.1") for _ in range(1000)]

    assert answers == [None] * 10 + [6] * 990
    assert met == ["address"] * 990
    assert await some.failed("192.0.2.2") is None
    clock.now += 60
    assert [await some.failed("192.0.2.1") for _ in range(11)] == [None] * 10 + [6]


async def test_all_addresses_of_one_network_of_ipv6_are_one() -> None:
    some = limits(failures_per_minute=1)

    assert await some.failed("2001:db8::1") is None
    assert await some.failed("2001:db8::ffff:1:2") == 60
    assert await some.failed("2001:db8:0:1::1") is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("x" * 1000, "x" * 64),
    ],
)
def test_what_counts_as_one_address(address: str, network: str) -> None:
    assert network_of(address) == network


# What runs at once


async def test_a_key_with_its_share_running_is_refused_at_once_and_others_are_not() -> None:
    met: list[Limit] = []
    some = limits(met, calls_per_key=2)

    with anyio.fail_after(5):
        async with some.running("alice", "shop"), some.running("alice", "other"):
            with pytest.raises(TooMuch, match="this key has 2 calls running") as raised:
                async with some.running("alice", "shop"):
                    raise AssertionError
            async with some.running("bob", "shop"), some.running(None, "shop"):
                pass

    assert (raised.value.limit, met) == ("key", ["key"])
    async with some.running("alice", "shop"), some.running("alice", "shop"):
        pass


async def test_without_a_key_only_the_plugin_counts() -> None:
    some = limits(calls_per_key=1, calls_per_plugin=2, queue=0)

    async with some.running(None, "shop"), some.running(None, "shop"):
        with pytest.raises(TooMuch):
            async with some.running(None, "shop"):
                raise AssertionError


async def test_a_call_waits_for_its_plugin_and_has_its_turn() -> None:
    some, order = limits(calls_per_plugin=1), list[str]()

    async def call(name: str) -> None:
        async with some.running(name, "shop"):
            order.append(name)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks, some.running("alice", "shop"):
            tasks.start_soon(call, "bob")
            await anyio.wait_all_tasks_blocked()
            assert some.in_turn == {"shop": (1, 1)}
            async with some.running("carol", "other"):
                order.append("carol")

    assert order == ["carol", "bob"]
    assert some.in_turn == {"shop": (0, 0), "other": (0, 0)}


async def test_a_plugin_that_stays_full_is_busy_when_the_time_is_over() -> None:
    met: list[Limit] = []
    some = limits(met, calls_per_plugin=1, queue_timeout=0.001, calls_per_key=2)

    with anyio.fail_after(5):
        async with some.running("alice", "shop"):
            with pytest.raises(TooMuch, match=r"shop is busy: 1 calls of it run already.*try again in a moment"):
                async with some.running("alice", "shop"):
                    raise AssertionError
        async with some.running("alice", "shop"), some.running("alice", "other"):  # what did not run is not counted
            pass
    assert met == ["plugin"]


async def test_a_call_does_not_wait_beyond_its_deadline() -> None:
    some = limits(calls_per_plugin=1, queue_timeout=60)

    with anyio.fail_after(5):
        async with some.running(None, "shop"):
            with pytest.raises(TooMuch):
                async with some.running(None, "shop", anyio.current_time()):
                    raise AssertionError


async def test_a_waiter_that_is_cancelled_and_a_call_that_crashes_leave_nothing_behind() -> None:
    some = limits(calls_per_plugin=1, calls_per_key=1)

    async def call() -> None:
        async with some.running("bob", "shop"):
            raise AssertionError

    with anyio.fail_after(5):
        async with some.running("alice", "shop"):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
        with pytest.raises(LookupError):
            async with some.running("alice", "shop"):
                raise LookupError
        async with some.running("bob", "shop"):
            assert some.in_turn == {"shop": (1, 0)}


# Other settings


async def test_other_settings_count_at_once_and_what_is_counted_stays() -> None:
    some = limits(calls_per_minute=60, burst=10, calls_per_plugin=1)
    await admitted(some, ALICE, 4)
    async with some.running(None, "shop"):
        some.change(LimitSettings(calls_per_minute=60, burst=5, calls_per_plugin=2))
        async with some.running(None, "shop"):
            pass

    assert await admitted(some, ALICE, 9) == 1


async def test_a_reload_changes_the_limits_or_nothing() -> None:
    async with hub_of(many(9), settings={"limits": {"calls_per_key": 2}}) as hub:
        fewer = hub.settings.model_copy(update={"limits": LimitSettings(calls_per_key=1)})
        with pytest.raises(BudgetError):
            await hub.reload(fewer.model_copy(update={"budget": BudgetSettings(tools=1)}))

        assert hub.settings.limits.calls_per_key == 2
        async with hub.limits.running("alice", "shop"), hub.limits.running("alice", "shop"):
            pass
        await hub.reload(fewer)
        async with hub.limits.running("alice", "shop"):
            with pytest.raises(TooMuch):
                async with hub.limits.running("alice", "shop"):
                    raise AssertionError
