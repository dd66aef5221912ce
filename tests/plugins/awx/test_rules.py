"""Recurrence rules: built so that AWX takes them, and told in words."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from pegboard_awx.double import rrules
from pegboard_awx.failures import AwxError
from pegboard_awx.rules import Plan, tidy, words

START = datetime(2027, 1, 5, 22, 30)  # noqa: DTZ001 # a time of the wall


@pytest.mark.parametrize(
    ("plan", "rule"),
    [
        ({"frequency": "daily"}, "DTSTART:20270105T223000Z RRULE:FREQ=DAILY;INTERVAL=1"),
        ({"frequency": "once"}, "DTSTART:20270105T223000Z RRULE:FREQ=DAILY;INTERVAL=1;COUNT=1"),
        (
            {"frequency": "weekly", "weekdays": ["MO", "FR"], "interval": 2, "timezone": "Europe/Zurich", "count": 5},
            "DTSTART;TZID=Europe/Zurich:20270105T223000 RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;COUNT=5",
        ),
        (
            {"frequency": "monthly", "timezone": "Europe/Zurich", "until": datetime(2027, 7, 1, 12)},  # noqa: DTZ001
            "DTSTART;TZID=Europe/Zurich:20270105T223000 RRULE:FREQ=MONTHLY;INTERVAL=1;UNTIL=20270701T100000Z",
        ),
        (
            {"frequency": "hourly", "start": datetime(2027, 1, 5, 22, 30, tzinfo=UTC), "timezone": "Europe/Zurich"},
            "DTSTART;TZID=Europe/Zurich:20270105T233000 RRULE:FREQ=HOURLY;INTERVAL=1",
        ),
        (
            {"frequency": "yearly", "start": datetime(2027, 1, 5, 0, 30, tzinfo=timezone(timedelta(hours=2)))},
            "DTSTART:20270104T223000Z RRULE:FREQ=YEARLY;INTERVAL=1",
        ),
    ],
)
def test_a_plan_becomes_a_rule_that_awx_takes(plan: dict[str, Any], rule: str) -> None:
    given: dict[str, Any] = {"start": START, **plan}
    built = Plan(**given).rule()

    assert built == rule
    assert next(rrules.read(built).moments())


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ({"count": 2, "until": START}, "not both"),
        ({"count": 1000}, "count must be 1 to 999"),
        ({"count": 0}, "count must be 1 to 999"),
        ({"frequency": "monthly", "weekdays": ["MO"]}, "weekdays do not go with frequency=monthly"),
        ({"timezone": "Europe/Zurik"}, "did you mean Europe/Zurich"),
        ({"timezone": "../../etc/passwd"}, "there is no time zone"),
        ({"timezone": ""}, "there is no time zone"),
    ],
)
def test_a_plan_that_cannot_be_a_rule_says_why(plan: dict[str, Any], reason: str) -> None:
    given: dict[str, Any] = {"start": START, "frequency": "daily", **plan}
    with pytest.raises(AwxError, match=reason) as raised:
        Plan(**given).rule()

    assert raised.value.kind == "validation"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("RRULE:FREQ=DAILY;INTERVAL=1", "every day at 22:30"),
        ("RRULE:FREQ=DAILY;INTERVAL=3;COUNT=4", "every 3 days at 22:30, 4 times"),
        ("RRULE:FREQ=DAILY;INTERVAL=1;BYDAY=MO,TU", "every day on Monday and Tuesday at 22:30"),
        ("RRULE:FREQ=DAILY;INTERVAL=1;COUNT=1", "once, on 2027-01-05 at 22:30"),
        ("RRULE:FREQ=WEEKLY;INTERVAL=1", "every week on Tuesday at 22:30"),
        ("RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=SU", "every Sunday at 22:30"),
        (
            "RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;UNTIL=20280101T000000Z",
            "every 2 weeks on Sunday at 22:30, until 2028-01-01",
        ),
        ("RRULE:FREQ=MONTHLY;INTERVAL=1", "every month on day 5 at 22:30"),
        ("RRULE:FREQ=MONTHLY;INTERVAL=1;BYMONTHDAY=1", "every month at 22:30 (BYMONTHDAY=1)"),
        ("RRULE:FREQ=MONTHLY;INTERVAL=1;BYDAY=1MO", "every month on 1MO at 22:30"),
        ("RRULE:FREQ=YEARLY;INTERVAL=1", "every year on January 5 at 22:30"),
        ("RRULE:FREQ=HOURLY;INTERVAL=4", "every 4 hours at :30"),
        ("RRULE:FREQ=MINUTELY;INTERVAL=15", "every 15 minutes"),
    ],
)
def test_a_rule_is_told_in_words(rule: str, text: str) -> None:
    assert words(f"DTSTART;TZID=Europe/Zurich:20270105T223000 {rule}") == text


@pytest.mark.parametrize(
    "rule",
    [
        "every day",
        "DTSTART:20270105T223000Z RRULE:FREQ=SECONDLY;INTERVAL=1",
        "DTSTART:20270105T223000Z RRULE:FREQ=DAILY;INTERVAL=x",
        "DTSTART:20270105T223000Z RRULE:FREQ=DAILY;INTERVAL=1 EXRULE:FREQ=WEEKLY;INTERVAL=1",
        "DTSTART:20270105T223000Z RRULE:FREQ=DAILY;INTERVAL=1 RRULE:FREQ=WEEKLY;INTERVAL=1",
    ],
)
def test_a_rule_there_are_no_words_for_stays_as_it_is(rule: str) -> None:
    assert words(rule) == rule


def test_a_rule_on_two_lines_is_put_on_one() -> None:
    assert tidy("DTSTART:20270105T223000Z\r\nRRULE:FREQ=DAILY;INTERVAL=1\n") == (
        "DTSTART:20270105T223000Z RRULE:FREQ=DAILY;INTERVAL=1"
    )
