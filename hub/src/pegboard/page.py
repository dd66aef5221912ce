"""A page: as many rows as one answer can take, and how they are written. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pegboard.fitting import MOST_TOKENS_PER_BYTE, dump, estimate, fit, shorten
from pegboard.matching import chosen, keeps
from pegboard.output import Result, result, text_block
from pegboard.rows import Column, Limits

ENVELOPE = 120
"""Tokens kept for what stands around the rows: the numbers, the cursor, a notice."""

SHORTENED_ROW = "a row is too long for one answer and was shortened; choose fewer columns"


@dataclass(frozen=True, slots=True)
class Line:
    """A row, and how it is written."""

    row: Any
    text: str

    @classmethod
    def of(cls, row: Any) -> "Line":
        return cls(row, dump(row))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows, and which of their columns, a client wants."""

    filter: Mapping[str, Any] | None = None
    columns: Sequence[str] | None = None

    def of(self, line: Line, names: Sequence[str] | None) -> Line | None:
        """The line as wanted, or `None`; raises `ToolError` for columns there are not."""
        if self.filter and not keeps(line.row, self.filter, names):
            return None
        return line if not self.columns else Line.of(chosen(line.row, self.columns, names))


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

    @property
    def wanted(self) -> int | None:
        """How many more rows it has room for by number."""
        return None if self.limit is None else self.limit - len(self._lines)

    def add(self, line: Line) -> bool:
        """Take a row, or pass it by where it is not wanted; returns whether it is dealt with."""
        wanted = self.choice.of(line, self._names)
        if wanted is not None and not self._take(wanted):
            self.is_full = True
            return False
        self.scanned += 1
        self.is_full = self.wanted == 0
        return True

    def note(self, notice: str | None) -> None:
        """Say something with the answer."""
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
        head, key = self._head(), "items" if self.columns is None else "rows"
        # Each row was written when it came; the text is put together from those.
        before = f"{dump(head)[:-1]}," if head else "{"
        text = f'{before}"{key}":[{",".join(line.text for line in self._lines)}],{dump(about)[1:]}'
        return result([text_block(text)], {**head, key: [line.row for line in self._lines], **about})

    @property
    def _names(self) -> list[str] | None:
        return None if self.columns is None else [column.name for column in self.columns]

    def _head(self) -> dict[str, Any]:
        if self.columns is None:
            return {}
        by_name = {column.name: column for column in self.columns}
        shown = [by_name[name] for name in self.choice.columns] if self.choice.columns else self.columns
        return {"columns": [{"name": column.name, "type": column.type} for column in shown]}

    def _take(self, line: Line) -> bool:
        if not self._has_room(line.text):
            if self._lines:
                self.note(f"the answer is full at {self.limits.tokens} tokens; go on with the cursor, or ask for less")
                return False
            line = Line.of(squeezed(line.row, self.limits))
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

    @property
    def _room(self) -> int:
        return self.limits.tokens - ENVELOPE - len(self.columns or ()) * 10

    def _has_tokens(self, text: str) -> bool:
        for line in self._lines[self._counted :]:
            self._tokens += estimate(line.text) + 1
        self._counted = len(self._lines)
        return self._tokens + estimate(text) + 1 <= self._room


def squeezed(row: Any, limits: Limits) -> Any:
    """A row that is too long for an answer, each of its values made to fit."""
    if not isinstance(row, list | dict) or not row:
        return fit(row, limits).value
    share = max(20, (limits.tokens - ENVELOPE) // len(cast("list[Any]", row)))
    bounds = Limits(share, limits.bytes // len(cast("list[Any]", row)), min(limits.cell, share * 2))
    if isinstance(row, list):
        return [_fitted(value, bounds) for value in cast(list[Any], row)]
    return {key: _fitted(value, bounds) for key, value in cast(dict[str, Any], row).items()}


def _fitted(value: Any, limits: Limits) -> Any:
    return shorten(value, limits.cell) if isinstance(value, str) else fit(value, limits).value
