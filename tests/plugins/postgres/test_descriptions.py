"""What the server said about a statement is believed for a few seconds, and of a few statements."""

from pegboard_postgres import descriptions
from pegboard_postgres.descriptions import Descriptions


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_description_is_believed_for_a_few_seconds_and_not_longer() -> None:
    clock = Clock()
    known = Descriptions(clock)
    known.put("SELECT 1", "one")
    clock.now += descriptions.LIFE - 0.1
    assert known.get("SELECT 1") == "one"

    clock.now += 0.2

    assert known.get("SELECT 1") is None
    assert known.get("SELECT 2") is None


def test_a_description_that_turned_out_wrong_is_forgotten() -> None:
    known = Descriptions(Clock())
    known.put("SELECT 1", "one")

    known.forget("SELECT 1")
    known.forget("SELECT 1")

    assert known.get("SELECT 1") is None


def test_the_oldest_description_makes_room() -> None:
    known = Descriptions(Clock())
    for number in range(descriptions.MOST + 1):
        known.put(number, number)

    assert known.get(0) is None
    assert known.get(1) == 1
