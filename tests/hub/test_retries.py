"""The budget of retries."""

from pegboard.retries import BY_TIME, MOST, Retries


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def taken(retries: Retries, times: int) -> int:
    return sum(retries.take() for _ in range(times))


def test_there_are_some_at_first_and_no_more() -> None:
    """F-31: no storm of retries."""
    retries = Retries(0.1, Clock())

    assert taken(retries, 100) == MOST
    assert retries.taken == MOST


def test_each_call_brings_its_share() -> None:
    """F-31: a tenth of the calls."""
    retries = Retries(0.1, Clock())
    taken(retries, 100)

    tried = 0
    for _ in range(1000):
        retries.earn()
        tried += retries.take()

    assert tried in (99, 100)


def test_time_brings_a_few_where_calls_are_rare() -> None:
    clock = Clock()
    retries = Retries(0.1, clock)
    taken(retries, 100)

    clock.now += 2 / BY_TIME + 0.001
    assert taken(retries, 100) == 2
    clock.now += 1e6
    assert taken(retries, 100) == MOST


def test_with_a_share_of_nothing_nothing_is_retried() -> None:
    retries = Retries(0.0, Clock())
    retries.earn()

    assert taken(retries, 100) == 0
