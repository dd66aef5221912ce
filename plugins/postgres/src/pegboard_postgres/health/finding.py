"""What a check finds, and how times, sizes and other people's queries are written in it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from pegboard_postgres.driver import Connection
from pegboard_postgres.safety.tokens import tokenize
from pegboard_postgres.values import shorten

MOST = 10
"""Rows of one kind in the findings of a check."""
MAX_QUERY = 200

LITERALS = frozenset({"string", "dollar", "number"})
HIDDEN = "<insufficient privilege>"

Severity = Literal["critical", "warning", "info"]


class Finding(TypedDict):
    """Something worth knowing."""

    check: str
    severity: Severity
    finding: str
    remedy: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding before its check has put its name on it."""

    severity: Severity
    text: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What one check has found, and the numbers it has seen."""

    remarks: Sequence[Remark] = ()
    numbers: Mapping[str, int | float] = field(default_factory=dict[str, int | float])


Check = Callable[[Connection], Awaitable[Report]]


def without_literals(query: str | None) -> str:
    """A query with `?` for every value in it, on one line and short; for the eyes of somebody else."""
    if query is None or query == HIDDEN:
        return "a hidden statement"
    # The text may be cut anywhere, so the scanner has to do; comments may hold anything and are left out.
    words: list[str] = []
    end = 0
    for token in tokenize(query):
        words += [" "] * (token.start > end and end > 0)
        words.append("?" if token.kind in LITERALS else token.text)
        end = token.end
    return shorten("".join(words), MAX_QUERY) or "no statement yet"


def duration(seconds: float) -> str:
    """A time as a person would say it."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(count: float) -> str:
    """A number of bytes as a person would say it."""
    for unit, factor in (("GB", 2**30), ("MB", 2**20)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1024:.0f} kB"
