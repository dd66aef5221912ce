"""Rows: what a tool returns when its answer may be longer than a client can take."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may take: estimated tokens, bytes of JSON, and characters of one string in it."""

    tokens: int = 4000
    bytes: int = 256 * 1024
    cell: int = 2000


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the answer: its name, and its type in the words of the backend."""

    name: str
    type: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows that are being read.

    `read(n)` returns up to `n` more rows, at least one, and none when there are no more. It is called by one task at a
    time, the one that opened the source; a call that is cancelled or fails ends the reading.

    A row lists its values in the order of `columns`; without columns it is any JSON value, an object mostly.
    `total` is how many there are in all, where that is known. `pins` says that something others want, a connection
    say, is held until the end: the hub closes such a reading soon when nobody goes on. `notice` is a sentence for the
    client, on the first page.
    """

    read: Callable[[int], Awaitable[Sequence[Any]]]
    columns: Sequence[Column] | None = None
    total: int | None = None
    pins: bool = False
    notice: str | None = None


Source = Callable[[], AbstractAsyncContextManager[Reading]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Return it from a tool, annotated `-> Rows`; the hub answers with as many rows as fit, and a cursor for the rest.

        @tool(read_only=True)
        async def orders(call: Call[Settings], limit: int = 100) -> Rows:
            return Rows(partial(_orders, call), limit=limit)

    `source` is called once and entered in a task of its own, where it may hold a connection over several calls:
    `fetch_more` reads on. It is left when there are no more rows, when nobody goes on for a while, when the session
    that asked has ended, or with the hub. Whatever it raises reaches the client as if the tool had raised it.
    `limit` is how many rows a page has at most. What is already there is `Rows.of(...)`.
    """

    source: Source | None = None
    limit: int | None = None
    cursor: str | None = None
    filter: Mapping[str, Any] | None = None
    columns: Sequence[str] | None = None

    @classmethod
    def of(
        cls,
        rows: Sequence[Any],
        columns: Sequence[Column] | None = None,
        *,
        total: int | None = None,
        limit: int | None = None,
        notice: str | None = None,
    ) -> "Rows":
        """Rows that are there already."""
        return cls(lambda: _listed(rows, columns, len(rows) if total is None else total, notice), limit)

    @classmethod
    def more(
        cls,
        cursor: str,
        *,
        limit: int | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 # the argument of fetch_more
        columns: Sequence[str] | None = None,
    ) -> "Rows":
        """The rows that follow those of an earlier answer; for a tool that takes `cursor` itself.

        `filter` and `columns` choose among them, see `fetch_more`.
        """
        return cls(None, limit, cursor, filter, columns)


@asynccontextmanager
async def _listed(
    rows: Sequence[Any], columns: Sequence[Column] | None, total: int, notice: str | None
) -> AsyncGenerator[Reading]:
    left = iter(rows)

    async def read(count: int) -> Sequence[Any]:
        return [row for _, row in zip(range(count), left, strict=False)]

    yield Reading(read, columns, total, notice=notice)
