"""Recurrence rules: what AWX accepts of them, and when they fire."""

import calendar
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pegboard_awx.double.refusals import bad_field

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
STEPS = {
    "MINUTELY": timedelta(minutes=1),
    "HOURLY": timedelta(hours=1),
    "DAILY": timedelta(days=1),
    "WEEKLY": timedelta(weeks=1),
}
MAX_COUNT = 999
MOST = 10_000
START = re.compile(r"DTSTART(?:;TZID=([^:]+))?:(\d{8}T\d{6})(Z?)")
RULE = re.compile(r"RRULE:(\S+)")
NO_START = "Valid DTSTART required in rrule. Value should start with: DTSTART:YYYYMMDDTHHMMSSZ"
NO_RULE = "One or more rule required in rrule."
NAIVE = "DTSTART cannot be a naive datetime.  Specify ;TZINFO= or YYYYMMDDTHHMMSSZZ."
NO_ZONE = "rrule parsing failed validation: A valid TZID must be provided (e.g., America/New_York)"

NO_PARTS = "rrule parsing failed validation: not enough values to unpack (expected 2, got 1)"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was accepted: when it starts, in which zone, and how it goes on."""

    start: datetime
    zone: str
    parts: Mapping[str, str]

    def moments(self) -> Iterator[datetime]:
        """When it fires, from the start on."""
        until = self.parts.get("UNTIL")
        last = None if until is None else datetime.strptime(until.rstrip("Z"), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        count = int(self.parts.get("COUNT", MOST))
        for moment in islice(self._candidates(), count):
            if last is not None and moment > last:
                return
            yield moment

    def next_after(self, now: datetime) -> datetime | None:
        """The first time it fires after a moment, in UTC."""
        found = next((moment for moment in self.moments() if moment > now), None)
        return None if found is None else found.astimezone(UTC)

    def end(self) -> datetime | None:
        """The last time it fires; `None` when it goes on for ever."""
        if "COUNT" not in self.parts and "UNTIL" not in self.parts:
            return None
        return max(self.moments(), default=self.start).astimezone(UTC)

    def _candidates(self) -> Iterator[datetime]:
        moment, interval = self.start, int(self.parts["INTERVAL"])
        days = [DAYS.index(day[-2:]) for day in self.parts.get("BYDAY", "").split(",") if day[-2:] in DAYS]
        while True:
            yield from self._within(moment, days)
            moment = self._later(moment, interval)

    def _within(self, moment: datetime, days: list[int]) -> Iterator[datetime]:
        """The days of a week that a weekly rule names; of a daily one whether it names this day."""
        frequency = self.parts["FREQ"]
        if frequency != "WEEKLY" or not days:
            if not days or moment.weekday() in days:
                yield moment
            return
        monday = moment - timedelta(days=moment.weekday())
        yield from (one for day in sorted(days) if (one := monday + timedelta(days=day)) >= self.start)

    def _later(self, moment: datetime, interval: int) -> datetime:
        step = STEPS.get(self.parts["FREQ"])
        if step is not None:
            return moment + step * interval
        months = interval * (12 if self.parts["FREQ"] == "YEARLY" else 1)
        total = moment.year * 12 + moment.month - 1 + months
        year, month = divmod(total, 12)
        day = min(self.start.day, calendar.monthrange(year, month + 1)[1])
        return moment.replace(year=year, month=month + 1, day=day)


def read(text: str) -> Rule:
    """Read a rule; refuses it with all its mistakes, in the words of AWX."""
    start, rules = START.search(text), RULE.findall(text)
    reasons: list[str] = []
    zone = _zone(start)
    if start is None:
        reasons.append(NO_START)
    elif zone is None:
        reasons.append(NAIVE)
    if not rules:
        reasons.append(NO_RULE)
    reasons += [reason for rule in rules for reason in _reasons(rule)]
    if start is None and "=" not in text:
        reasons.append(NO_PARTS)
    elif zone is None and (start is not None or not rules):
        reasons.append(NO_ZONE)
    if reasons or start is None or zone is None:
        raise bad_field("rrule", *reasons)
    moment = datetime.strptime(start[2], "%Y%m%dT%H%M%S").replace(tzinfo=zone)
    return Rule(moment, start[1] or "UTC", _parts(rules[0]))


def _zone(start: re.Match[str] | None) -> tzinfo | None:
    if start is None:
        return None
    if start[3]:
        return UTC
    try:
        return ZoneInfo(start[1]) if start[1] else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


def _reasons(rule: str) -> list[str]:
    parts, shown = _parts(rule), f"RULE:{rule}"
    reasons: list[str] = []
    if "INTERVAL" not in parts:
        reasons.append(f"INTERVAL required in rrule: {shown}")
    if parts.get("FREQ") == "SECONDLY":
        reasons.append(f"SECONDLY is not supported: {shown}")
    if "COUNT" in parts and "UNTIL" in parts:
        reasons.append(f"RRULE may not contain both COUNT and UNTIL: {shown}")
    if int(parts.get("COUNT", 0)) > MAX_COUNT:
        reasons.append(f"COUNT > {MAX_COUNT} is unsupported: {shown}")
    if parts.get("FREQ") not in (*STEPS, "MONTHLY", "YEARLY", "SECONDLY"):
        reasons.append("rrule parsing failed validation: invalid 'FREQ'")
    return reasons


def _parts(rule: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in rule.split(";") if "=" in part)
