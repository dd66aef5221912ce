"""Token buckets: how often something may happen, by name."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegboard.security.buckets import MOST_NAMES, Buckets, Rate


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def taken(buckets: Buckets, name: str, rate: Rate, times: int) -> int:
    return sum(not buckets.take(name, rate) for _ in range(times))


def test_a_bucket_has_as_many_as_its_burst_and_then_one_an_interval() -> None:
    clock = Clock()
    buckets, rate = Buckets(clock), Rate(per_minute=60, burst=5)

    assert taken(buckets, "a", rate, 20) == 5
    assert buckets.take("a", rate) == pytest.approx(1.0)
    clock.now += 0.5
    assert buckets.take("a", rate) == pytest.approx(0.5)
    clock.now += 0.5
    assert taken(buckets, "a", rate, 20) == 1
    clock.now += 3600
    assert taken(buckets, "a", rate, 20) == 5


def test_what_was_refused_costs_nothing() -> None:
    clock = Clock()
    buckets, rate = Buckets(clock), Rate(per_minute=60, burst=1)
    taken(buckets, "a", rate, 1000)

    clock.now += 1

    assert buckets.take("a", rate) == 0


def test_one_name_takes_nothing_from_another() -> None:
    buckets, rate = Buckets(Clock()), Rate(per_minute=1, burst=1)

    assert [buckets.take(name, rate) > 0 for name in ("a", "b", "a", "b")] == [False, False, True, True]


def test_another_rate_counts_at_once_and_nobody_waits_by_the_old_one() -> None:
    clock = Clock()
    buckets = Buckets(clock)
    taken(buckets, "a", Rate(per_minute=1, burst=100), 100)

    assert buckets.take("a", Rate(per_minute=60, burst=2)) == pytest.approx(1.0)


@pytest.mark.parametrize("names", [MOST_NAMES + 1, MOST_NAMES * 3])
def test_names_beyond_number_take_no_memory_and_the_latest_are_remembered(names: int) -> None:
    buckets, rate = Buckets(Clock()), Rate(per_minute=1, burst=1)

    for name in range(names):
        buckets.take(str(name), rate)

    assert len(buckets) == MOST_NAMES
    assert buckets.take(str(names - 1), rate) > 0
    assert buckets.take("0", rate) == 0


@given(st.integers(1, 600), st.integers(1, 50), st.integers())
def test_there_are_never_more_in_a_time_than_the_burst_and_the_rate_allow(
    per_minute: int, burst: int, seed: int
) -> None:
    clock, chance = Clock(), random.Random(seed)
    buckets, rate, start, through = Buckets(clock), Rate(per_minute, burst), clock.now, 0

    for _ in range(200):
        clock.now += chance.choice((0, 0, 0.01, 1, 5))
        through += not buckets.take("a", rate)
        assert through <= burst + (clock.now - start) * per_minute / 60 + 1e-3


@given(st.integers(1, 600), st.integers(1, 50))
def test_who_waits_as_long_as_was_said_is_let_through(per_minute: int, burst: int) -> None:
    clock = Clock()
    buckets, rate = Buckets(clock), Rate(per_minute, burst)

    for _ in range(3 * burst):
        clock.now += buckets.take("a", rate)
        wait = buckets.take("a", rate)
        clock.now += wait
        assert not wait or buckets.take("a", rate) == 0
