"""Rules: recurrence rules as AWX takes them, built from plain fields and told in words."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pegboard_awx.failures import AwxError

Frequency = Literal["once", "minutely", "hourly", "daily", "weekly", "monthly", "yearly"]
Weekday = Literal["MO", "TU", "WE", "TH", "FR", "SA", "SU"]

MOST_RUNS = 999
STAMP = "%Y%m%dT%H%M%S"
START = re.compile(r"DTSTART(?:;TZID=[^:]+)?:(\d{8}T\d{6})Z?")
RULE = re.compile(r"RRULE:(\S+)")
UNITS: Mapping[str, str] = MappingProxyType(
    {
        "MINUTELY": "minute",
        "HOURLY": "hour",
        "DAILY": "day",
        "WEEKLY": "week",
        "MONTHLY": "month",
        "YEARLY": "year",
    }
)
DAYS: Mapping[str, str] = MappingProxyType(
    {
        "MO": "Monday",
        "TU": "Tuesday",
        "WE": "Wednesday",
        "TH": "Thursday",
        "FR": "Friday",
        "SA": "Saturday",
        "SU": "Sunday",
    }
)
TOLD = frozenset({"FREQ", "INTERVAL", "BYDAY", "COUNT", "UNTIL", "WKST"})
"""The parts of a rule that there are words for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """When something shall run, in plain fields. A time without an offset is one of the time zone."""

    start: datetime
    frequency: Frequency
    interval: int = 1
    timezone: str = "UTC"
    weekdays: Sequence[Weekday] = ()
    count: int | None = None
    until: datetime | None = None

    def rule(self) -> str:
        """The rule AWX takes; raises `AwxError` "validation" for what cannot be one."""
        zone = _zone(self.timezone)
        self._check()
        local = _in_zone(self.start, zone).strftime(STAMP)
        begin = f"DTSTART:{local}Z" if self.timezone == "UTC" else f"DTSTART;TZID={self.timezone}:{local}"
        return f"{begin} RRULE:{self._repeats(zone)}"

    def _check(self) -> None:
        if self.count is not None and self.until is not None:
            raise AwxError("validation", "a schedule ends after count runs or at until, not both", hint="give one")
        if self.count is not None and not 1 <= self.count <= MOST_RUNS:
            raise AwxError("validation", f"count must be 1 to {MOST_RUNS}", hint="use until, or leave both out")
        if self.weekdays and self.frequency not in ("daily", "weekly"):
            raise AwxError("validation", f"weekdays do not go with frequency={self.frequency}", hint="use weekly")

    def _repeats(self, zone: ZoneInfo) -> str:
        if self.frequency == "once":
            return "FREQ=DAILY;INTERVAL=1;COUNT=1"
        parts = [f"FREQ={self.frequency.upper()}", f"INTERVAL={self.interval}"]
        if self.weekdays:
            parts.append(f"BYDAY={','.join(self.weekdays)}")
        if self.count is not None:
            parts.append(f"COUNT={self.count}")
        if self.until is not None:
            parts.append(f"UNTIL={_in_zone(self.until, zone).astimezone(UTC).strftime(STAMP)}Z")
        return ";".join(parts)


def tidy(rule: str) -> str:
    """A rule in one line, as AWX wants it; calendars write one on two."""
    return " ".join(rule.split())


def words(rule: str) -> str:
    """A rule in words, without its time zone: "every 2 weeks on Monday at 02:30". What has none stays as it is."""
    start, rules = START.search(rule), RULE.findall(rule)
    if start is None or len(rules) != 1 or "EXRULE" in rule:
        return rule
    parts = dict(part.split("=", 1) for part in rules[0].split(";") if "=" in part)
    if parts.get("FREQ") not in UNITS or not str(parts.get("INTERVAL", "1")).isdecimal():
        return rule
    moment = datetime.strptime(start[1], STAMP)  # noqa: DTZ007 # a time of the wall
    if parts.get("COUNT") == "1":
        return f"once, on {moment:%Y-%m-%d} at {moment:%H:%M}"
    return f"{_every(parts)}{_at(parts, moment)}{_end(parts)}{_rest(parts)}"


def _every(parts: Mapping[str, str]) -> str:
    unit, interval = UNITS[parts["FREQ"]], int(parts.get("INTERVAL", 1))
    days = [DAYS.get(day, day) for day in parts.get("BYDAY", "").split(",") if day]
    if days and parts["FREQ"] == "WEEKLY" and interval == 1:
        return f"every {' and '.join(days)}"
    every = f"every {unit}" if interval == 1 else f"every {interval} {unit}s"
    return f"{every} on {' and '.join(days)}" if days else every


def _at(parts: Mapping[str, str], start: datetime) -> str:
    if parts["FREQ"] == "MINUTELY":
        return ""
    if parts["FREQ"] == "HOURLY":
        return f" at :{start:%M}"
    day = {"WEEKLY": "" if parts.get("BYDAY") else f" on {start:%A}", "YEARLY": f" on {start:%B} {start.day}"}
    if parts["FREQ"] == "MONTHLY" and not any(name in parts for name in ("BYDAY", "BYMONTHDAY")):
        return f" on day {start.day} at {start:%H:%M}"
    return f"{day.get(parts['FREQ'], '')} at {start:%H:%M}"


def _end(parts: Mapping[str, str]) -> str:
    if "COUNT" in parts:
        return f", {parts['COUNT']} times"
    until = parts.get("UNTIL", "")
    return f", until {until[:4]}-{until[4:6]}-{until[6:8]}" if until else ""


def _rest(parts: Mapping[str, str]) -> str:
    rest = [f"{name}={value}" for name, value in parts.items() if name not in TOLD]
    return f" ({', '.join(rest)})" if rest else ""


def _in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        near = get_close_matches(name, available_timezones(), n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "use a name like Europe/Zurich"
        raise AwxError("validation", f"there is no time zone {name!r}", hint=hint) from error
