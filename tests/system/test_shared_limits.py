"""Limits in a real Redis that several hubs share, and what happens while it is away (F-35)."""

import logging
import signal
import time
from collections.abc import AsyncGenerator, Generator
from typing import Any

import anyio
import pytest
from pydantic import SecretStr
from tests.hub.security.test_buckets import Clock
from tests.hub.security.test_limits import ALICE, admitted
from tests.system.redis_server import PASSWORD, RedisServer, redis_server

from pegboard.security.buckets import Rate
from pegboard.security.limits import Limits
from pegboard.settings import LimitSettings
from pegboard.shared import link
from pegboard.shared.buckets import SharedBuckets
from pegboard.shared.link import PAUSE, Link

MINUTE = Rate(per_minute=60, burst=5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> float:
    """A busy machine may take long to answer; returns the deadline as it is."""
    before = link.DEADLINE
    monkeypatch.setattr(link, "DEADLINE", 5.0)
    return before


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def hubs(server: RedisServer, clock: Clock) -> AsyncGenerator[list[Limits]]:
    """The limits of two hubs."""
    settings = LimitSettings(calls_per_minute=6, burst=5)
    async with linked(server.url, clock) as one, linked(server.url, clock) as other:
        await one.client.execute_command("FLUSHALL")
        yield [Limits(settings, clock=clock, shared=SharedBuckets(each)) for each in (one, other)]


def linked(url: str, clock: Clock) -> Link:
    return Link(SecretStr(url), clock)


async def command(limits: Limits, *words: str) -> Any:
    """One command to the Redis of these limits."""
    return await shared_of(limits)._link.client.execute_command(*words)  # pyright: ignore[reportPrivateUsage]


def shared_of(limits: Limits) -> SharedBuckets:
    found = limits._shared  # pyright: ignore[reportPrivateUsage]
    assert found is not None
    return found


async def test_two_hubs_share_a_limit(hubs: list[Limits]) -> None:
    one, other = hubs

    assert await admitted(one, ALICE, 3) == 3
    assert await admitted(other, ALICE, 9) == 2
    assert await admitted(one, ALICE, 9) == 0
    assert one.is_shared is other.is_shared is True


async def test_two_hubs_share_the_failures_of_an_address(hubs: list[Limits]) -> None:
    answers = [await hubs[number % 2].failed("192.0.2.1") for number in range(30)]

    assert answers.count(None) == 10


async def test_two_hubs_never_take_the_same_token(hubs: list[Limits]) -> None:
    through: list[int] = []

    async def send(limits: Limits) -> None:
        through.append(await admitted(limits, ALICE, 1))

    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(send, hubs[number % 2])

    assert sum(through) == 5


async def test_what_is_kept_says_who_and_nothing_secret_and_goes_by_itself(hubs: list[Limits]) -> None:
    await admitted(hubs[0], ALICE, 2)
    await hubs[0].failed("2001:db8::7")

    keys = await command(hubs[0], "KEYS", "*")
    left = await command(hubs[0], "PTTL", "pegboard:limits:rate:alice")

    assert sorted(keys) == [b"pegboard:limits:address:2001:db8::/64", b"pegboard:limits:rate:alice"]
    assert 0 < left <= 20_000


async def test_a_clock_of_redis_that_was_ahead_keeps_nobody_waiting(hubs: list[Limits]) -> None:
    """F-27: an hour that Redis has gone back."""
    await command(hubs[0], "SET", "pegboard:limits:rate:a", str(time.time() + 3600))

    wait = await shared_of(hubs[0]).take("rate:a", MINUTE)

    assert wait == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_while_redis_is_away_each_hub_counts_for_itself(
    server: RedisServer,
    hubs: list[Limits],
    clock: Clock,
    how: str,
    patient: float,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """F-35: local at once, one line in the log, back again by itself."""
    caplog.set_level(logging.INFO, "pegboard")
    one, other = hubs
    assert await admitted(one, ALICE, 5) == 5
    if how == "killed":
        server.kill()
    else:
        server.signal(signal.SIGSTOP)
    try:
        monkeypatch.setattr(link, "DEADLINE", patient)
        began = time.perf_counter()
        assert await admitted(one, ALICE, 20) == 5
        assert time.perf_counter() - began < 1  # one deadline of a tenth, not twenty
        assert (one.is_shared, other.is_shared) == (False, True)
        clock.now += PAUSE
        assert await admitted(one, ALICE, 1) == 0  # asked again, in vain
        assert await admitted(other, ALICE, 20) == 5
    finally:
        if how == "killed":
            server.start()
        else:
            server.signal(signal.SIGCONT)
        monkeypatch.setattr(link, "DEADLINE", 5.0)
    assert await admitted(one, ALICE, 1) == 0
    assert one.is_shared is False  # nobody asks before the pause is over
    clock.now += PAUSE
    await admitted(one, ALICE, 1)
    await admitted(other, ALICE, 1)

    assert (one.is_shared, other.is_shared) == (True, True)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(" (")[0] for line in lines].count("Redis does not answer") == 2
    assert lines.count("Redis answers again; replicas share what they did before") == 2
    assert PASSWORD not in caplog.text


async def test_of_those_who_come_at_once_one_asks_whether_redis_is_back(
    server: RedisServer, clock: Clock, patient: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "DEADLINE", patient)
    linked_to = linked(server.url, clock)
    buckets = SharedBuckets(linked_to)
    server.signal(signal.SIGSTOP)
    try:
        assert await buckets.take("a", MINUTE) is None
        clock.now += PAUSE
        began, answers = time.perf_counter(), list[float]()

        async def ask() -> None:
            assert await buckets.take("a", MINUTE) is None
            answers.append(time.perf_counter() - began)

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
    finally:
        server.signal(signal.SIGCONT)
        await linked_to.__aexit__()

    assert sum(answer > 0.09 for answer in answers) == 1


async def test_a_wrong_password_is_a_redis_that_is_away(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async with linked(server.url.replace(PASSWORD, "swordfish"), Clock()) as wrong:
        limits = Limits(LimitSettings(calls_per_minute=1), shared=SharedBuckets(wrong))
        assert await admitted(limits, ALICE, 9) == 1
        assert limits.is_shared is False
    assert "swordfish" not in caplog.text
    assert len(caplog.records) == 1
