"""The circuit breaker: who may try, and what their news does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegboard.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(limit=3, pause=5.0, clock=clock)


def admitted(breaker: Breaker) -> int:
    ticket = breaker.admit()
    assert ticket is not None
    return ticket


def opened(breaker: Breaker) -> None:
    for _ in range(breaker.limit):
        breaker.failed(admitted(breaker))


def test_it_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    """F-32: not before, and then nobody may try."""
    breaker.failed(admitted(breaker))
    breaker.failed(admitted(breaker))
    assert breaker.state == "closed"

    breaker.failed(admitted(breaker))

    assert (breaker.state, breaker.wait, breaker.admit()) == ("open", 5.0, None)
    assert (breaker.failures, breaker.trips) == (3, 1)


def test_an_answer_between_failures_begins_the_row_anew(breaker: Breaker) -> None:
    for _ in range(4):
        breaker.failed(admitted(breaker))
        breaker.failed(admitted(breaker))
        breaker.answered(admitted(breaker))

    assert breaker.state == "closed"
    assert breaker.failures == 8


def test_exactly_one_may_try_after_the_pause_and_its_answer_closes(breaker: Breaker, clock: Clock) -> None:
    """F-32: half open, one probe."""
    opened(breaker)
    clock.now += 4.9
    assert breaker.admit() is None

    clock.now += 0.1
    assert breaker.state == "half_open"
    probe = admitted(breaker)
    assert (breaker.state, breaker.admit()) == ("half_open", None)
    breaker.answered(probe)

    assert (breaker.state, breaker.wait) == ("closed", 0.0)
    assert breaker.admit() is not None


def test_a_try_that_fails_opens_it_for_another_pause(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 5

    breaker.failed(admitted(breaker))

    assert (breaker.state, breaker.wait, breaker.admit()) == ("open", 5.0, None)
    assert breaker.trips == 1  # it has been open all the time


def test_a_try_that_tells_nothing_lets_the_next_one_try_at_once(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 5

    breaker.left(admitted(breaker))

    assert breaker.state == "half_open"
    breaker.answered(admitted(breaker))
    assert breaker.state == "closed"


def test_a_try_that_is_never_heard_of_holds_up_nobody_for_longer_than_a_pause(breaker: Breaker, clock: Clock) -> None:
    """F-01: a slow probe does not keep the others from a backend that is back."""
    opened(breaker)
    clock.now += 5
    slow = admitted(breaker)
    clock.now += 5

    breaker.answered(admitted(breaker))

    assert breaker.state == "closed"
    breaker.failed(slow)
    assert breaker.state == "closed"


def test_news_of_calls_from_before_it_opened_count_no_more(breaker: Breaker, clock: Clock) -> None:
    old = [admitted(breaker) for _ in range(9)]
    for ticket in old[:3]:
        breaker.failed(ticket)
    breaker.answered(old[3])
    assert breaker.state == "open"

    clock.now += 5
    probe = admitted(breaker)
    breaker.failed(old[4])
    breaker.left(old[5])
    breaker.late(old[6])
    assert (breaker.state, breaker.admit()) == ("half_open", None)
    breaker.answered(probe)
    for ticket in old[6:]:
        breaker.failed(ticket)
    assert breaker.state == "closed"


def test_news_without_a_ticket_are_of_now(breaker: Breaker, clock: Clock) -> None:
    for _ in range(5):
        breaker.failed()
    assert (breaker.state, breaker.failures, breaker.wait) == ("open", 5, 5.0)
    clock.now += 1
    breaker.failed()
    assert breaker.wait == 4.0  # nobody makes it longer who was not let through

    breaker.answered()
    assert breaker.state == "closed"


def test_a_call_that_is_late_speaks_against_a_backend_that_has_never_answered(breaker: Breaker) -> None:
    for _ in range(3):
        breaker.late(admitted(breaker))

    assert breaker.state == "open"


def test_a_call_that_is_late_may_be_slow_where_the_backend_has_answered(breaker: Breaker, clock: Clock) -> None:
    breaker.answered(admitted(breaker))
    for _ in range(9):
        breaker.late(admitted(breaker))
    assert (breaker.state, breaker.failures) == ("closed", 0)

    opened(breaker)
    clock.now += 5
    breaker.late(admitted(breaker))
    assert breaker.state == "open"


Step = st.tuples(st.sampled_from(["admit", "answered", "failed", "late", "left"]), st.integers(0, 3))


@given(st.lists(Step, max_size=60))
def test_however_it_goes_an_open_one_lets_one_through_in_a_pause(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    breaker = Breaker(limit=2, pause=5.0, clock=clock)
    tickets: list[int] = []

    for what, seconds in steps:
        clock.now += seconds
        if what == "admit":
            was_closed, ticket = breaker.state == "closed", breaker.admit()
            assert was_closed <= (ticket is not None)
            tickets += [] if ticket is None else [ticket]
            assert breaker.state == "closed" or breaker.admit() is None
        elif tickets:
            getattr(breaker, what)(tickets.pop(0))
        assert 0 <= breaker.wait <= breaker.pause

    clock.now += breaker.pause
    breaker.answered(admitted(breaker))
    assert breaker.state == "closed"
