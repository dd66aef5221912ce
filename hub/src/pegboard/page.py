"""A page: as many rows as one answer can take, and how they are written. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pegboard.fitting import MOST_TOKENS_PER_BYTE, dump, estimate, fit, fits, readable, shorten
from pegboard.matching import chooser, keeper
from pegboard.output import Result, result, text_block
from pegboard.rows import Column, Limits

ENVELOPE = 120
"""Tokens kept for what stands around the rows: the numbers, the cursor, a notice."""

MAX_NOTICE = 1000
MAX_NAME = 200
SHORTENED_ROW = "a row is too long for one answer and was shortened; choose fewer columns"
CELLS = (60, 20, 6, 1)
"""To how many characters the strings of a row are shortened that is still too long."""

Select = Callable[["Line"], "Line | None"]
"""The line as it is wanted, or `None`."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row, and how it is written."""

    row: Any
    text: str

    @classmethod
    def of(cls, row: Any) -> "Line":
        try:
            return cls(row, dump(row))
        except ValueError:
            row = readable(row)
            return cls(row, dump(row))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows, and which of their columns, a client wants."""

    filter: Mapping[str, Any] | None = None
    columns: Sequence[str] | None = None

    def select(self, names: Sequence[str] | None, first: Line) -> Select:
        """Chooses so among lines like the first one; raises `ToolError` for columns and comparisons there are not."""
        if not self.filter and not self.columns:
            return lambda line: line
        keeps = keeper(self.filter, names, first.row) if self.filter else None
        changed = chooser(self.columns, names, first.row) if self.columns else None

        def select(line: Line) -> Line | None:
            if keeps is not None and not keeps(line.row):
                return None
            return line if changed is None else Line.of(changed(line.row))

        return select


@dataclass(slots=True)
class Page:
    """The rows of one answer; `add` takes them as long as there is room, and the first one always."""

    limits: Limits
    columns: Sequence[Column] | None
    limit: int | None
    choice: Choice = field(default_factory=Choice)
    scanned: int = 0
    """How many rows were looked at, those that were not wanted too."""
    is_full: bool = False
    _lines: list[Line] = field(default_factory=list[Line])
    _notices: list[str] = field(default_factory=list[str])
    _bytes: int = 0
    _tokens: int = 0
    _counted: int = 0
    """How many of the lines are counted exactly; while an upper bound will do, none are."""
    _select: Select | None = None
    _head: list[dict[str, str]] | None = None
    """The columns that are shown: those that were chosen, as many as have room."""
    _room: int = 0
    """Tokens for rows."""

    def __post_init__(self) -> None:
        self._room = self.limits.tokens - ENVELOPE
        if self.columns is not None:
            by_name = {column.name: column for column in self.columns}
            chosen = [by_name[name] for name in self.choice.columns or () if name in by_name]
            self._head = self._with_room([_described(column) for column in chosen or self.columns])

    @property
    def wanted(self) -> int | None:
        """How many more rows it has room for by number."""
        return None if self.limit is None else self.limit - len(self._lines)

    def add(self, line: Line) -> bool:
        """Take a row, or pass it by where it is not wanted; returns whether it is dealt with."""
        if self._select is None:
            self._select = self.choice.select(self._names, line)
        wanted = self._select(line)
        if wanted is not None and not self._take(wanted):
            self.is_full = True
            return False
        self.scanned += 1
        self.is_full = self.wanted == 0
        return True

    def note(self, notice: str | None) -> None:
        """Say something with the answer."""
        notice = shorten(notice or "", MAX_NOTICE)
        if notice and notice not in self._notices:
            self._notices.append(notice)

    def write(self, total: int | None, cursor: str | None) -> Result:
        """The result; `cursor` is where it goes on, if it does."""
        about: dict[str, Any] = {"returned": len(self._lines)}
        if total is not None and not self.choice.filter:
            about["total"] = total
        about["has_more"] = cursor is not None
        about |= {"cursor": cursor} if cursor is not None else {}
        about |= {"notice": "; ".join(self._notices)} if self._notices else {}
        head: dict[str, Any] = {} if self._head is None else {"columns": self._head}
        key = "items" if self._head is None else "rows"
        # Each row was written when it came; the text is put together from those.
        before = f"{dump(head)[:-1]}," if head else "{"
        text = f'{before}"{key}":[{",".join(line.text for line in self._lines)}],{dump(about)[1:]}'
        return result([text_block(text)], {**head, key: [line.row for line in self._lines], **about})

    @property
    def _names(self) -> list[str] | None:
        return None if self.columns is None else [column.name for column in self.columns]

    def _with_room(self, columns: list[dict[str, str]]) -> list[dict[str, str]]:
        """As many columns as take half of the answer with their names and types, taken from the room for rows."""
        least = self._room - self._room // 2
        for place, column in enumerate(columns):
            left = self._room - estimate(dump(column)) - 1
            if left < least and place:
                self.note(f"only {place} of {len(columns)} columns have room; select the ones you need")
                return columns[:place]
            self._room = left
        return columns

    def _take(self, line: Line) -> bool:
        if self._head is not None:
            line = _cut(line, len(self._head))
        if not self._has_room(line.text):
            if self._lines:
                self.note(f"the answer is full at {self.limits.tokens} tokens; go on with the cursor, or ask for less")
                return False
            line = Line.of(squeezed(line.row, Limits(max(1, self._room), self.limits.bytes, self.limits.cell)))
            self.note(SHORTENED_ROW)
        self._lines.append(line)
        return True

    def _has_room(self, text: str) -> bool:
        size = len(text) if text.isascii() else len(text.encode(errors="replace"))
        if self._bytes + size + 1 > self.limits.bytes:
            return False
        if (self._bytes + size) * MOST_TOKENS_PER_BYTE > self._room and not self._has_tokens(text):
            return False
        self._bytes += size + 1
        return True

    def _has_tokens(self, text: str) -> bool:
        for line in self._lines[self._counted :]:
            self._tokens += estimate(line.text) + 1
        self._counted = len(self._lines)
        return self._tokens + estimate(text) + 1 <= self._room


def squeezed(row: Any, limits: Limits) -> Any:
    """A row that is too long for an answer, each of its values made to fit, and of an object's as many as can."""
    if not isinstance(row, list | dict) or not row:
        return fit(row, limits).value
    count = len(cast("list[Any]", row))
    share = max(20, limits.tokens // count)
    short = _each(row, Limits(share, limits.bytes // count, min(limits.cell, share * 2)))
    for cell in CELLS:
        if fits(dump(short), limits):
            return short
        short = _each(row, Limits(share, limits.bytes // count, cell))
    return _beginning(cast(dict[str, Any], short), limits) if isinstance(short, dict) else short


def _each(row: Any, limits: Limits) -> Any:
    if isinstance(row, list):
        return [_fitted(value, limits) for value in cast(list[Any], row)]
    return {key: _fitted(value, limits) for key, value in cast(dict[str, Any], row).items()}


def _beginning(row: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """As many of the keys as have room."""
    short: dict[str, Any] = {}
    tokens = limits.tokens
    for key, value in row.items():
        tokens -= estimate(dump({key: value}))
        if tokens < 0:
            break
        short[key] = value
    return short


def _fitted(value: Any, limits: Limits) -> Any:
    return shorten(value, limits.cell) if isinstance(value, str) else fit(value, limits).value


def _cut(line: Line, count: int) -> Line:
    """The line with so many values at most."""
    row = line.row
    if not isinstance(row, list | tuple):
        raise TypeError("a row with columns is a list of values")
    values = cast("Sequence[Any]", row)
    return line if len(values) <= count else Line.of(values[:count])


def _described(column: Column) -> dict[str, str]:
    return {"name": shorten(column.name, MAX_NAME), "type": column.type}
