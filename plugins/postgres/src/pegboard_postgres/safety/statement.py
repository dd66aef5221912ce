"""One statement that may be run: its text, and what the parse tree says about it."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

QUERIES = frozenset({"SELECT", "VALUES"})
"""Statements that can stand in a FROM clause."""
CHANGES = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
"""Statements that change rows."""


class Parameter(NamedTuple):
    """A `$1` in the text, and where it is."""

    text: str
    start: int
    end: int

    @property
    def number(self) -> int:
        return int(self.text[1:])


class Name(NamedTuple):
    """Something the statement names that can make PostgreSQL run a function.

    An `attribute` is the `x` of `t.x`, which may be a column or a function of the row.
    """

    kind: Literal["function", "operator", "type", "attribute"]
    schema: str | None
    name: str
    arguments: int | None
    """How many arguments a function is given; `None` where that cannot be told."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement that has passed the parse gate."""

    text: str
    """As written, without the semicolon at its end."""
    keyword: str
    """SELECT (also for WITH and TABLE), VALUES, EXPLAIN, SHOW, or INSERT, UPDATE, DELETE, MERGE."""
    parameters: tuple[Parameter, ...] = ()
    names: tuple[Name, ...] = field(default=(), repr=False)
    places: tuple[int, ...] = field(default=(), repr=False)
    """The byte of the text at which each of the names is first; 0 where that is not known."""
    explained: "Statement | None" = None
    """The statement that EXPLAIN is about."""
    analyzes: bool = False
    """Whether EXPLAIN runs that statement."""

    @property
    def is_query(self) -> bool:
        """Whether the statement can stand in a FROM clause."""
        return self.keyword in QUERIES

    @property
    def is_explain(self) -> bool:
        return self.keyword == "EXPLAIN"

    @property
    def is_change(self) -> bool:
        """Whether the statement changes rows, or would if it were not only explained."""
        return (self.explained or self).keyword in CHANGES

    @property
    def query(self) -> "Statement | None":
        """The query that PostgreSQL runs: the statement, what EXPLAIN ANALYZE is about, or nothing."""
        if self.analyzes:
            return self.explained
        return self if self.is_query else None
