"""One explicit transaction: every wait in it has a deadline, and its rows are read as they are wanted."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from pegboard_neo4j import failures
from pegboard_neo4j.engine import Engine

if TYPE_CHECKING:
    from neo4j import AsyncResult, AsyncTransaction, Record, ResultSummary

ALL = 10_000
MIN_SECONDS = 0.05


class Transaction:
    """An explicit transaction on a lent connection.

    Each wait ends at `end`, or where that is `None` after `seconds`. `mark` is a comment behind each statement, by
    which a server that does not notice a lost client can be told to stop.
    """

    def __init__(
        self, transaction: "AsyncTransaction", engine: Engine, seconds: float, end: float | None, mark: str = ""
    ) -> None:
        self.engine = engine
        self._transaction = transaction
        self._seconds = seconds
        self._end = end
        self._mark = mark
        self._cursors: list[Cursor] = []
        self._interrupted = False

    async def run(self, cypher: str, params: Mapping[str, Any] | None = None) -> "Cursor":
        """Run a statement; its rows wait to be fetched. Never give it text the guard has not seen."""
        async with self.waiting():
            result = await self._transaction.run(f"{cypher}{self._mark}", dict(params or {}))  # pyright: ignore[reportArgumentType]
        cursor = Cursor(self, result)
        self._cursors.append(cursor)
        return cursor

    async def rows(self, cypher: str, **params: Any) -> list[list[Any]]:
        """All rows of a statement that is known to have few."""
        cursor = await self.run(cypher, params)
        rows = await cursor.fetch(ALL)
        await cursor.summary()
        return rows

    async def commit(self) -> None:
        """Make what was done last."""
        async with self.waiting():
            await self._transaction.commit()

    @property
    def is_finished(self) -> bool:
        """Whether the server has answered all; with rows left, it may compute for long before it answers on."""
        return not self._interrupted and all(cursor.done for cursor in self._cursors)

    @asynccontextmanager
    async def waiting(self) -> AsyncGenerator[None]:
        """Raise `ToolError` if what happens inside does not end in time."""
        end = anyio.current_time() + self._seconds if self._end is None else self._end
        self._interrupted = True
        with anyio.CancelScope(deadline=max(end, anyio.current_time() + MIN_SECONDS)) as scope:
            yield
            self._interrupted = False
        if scope.cancelled_caught:
            raise failures.timed_out(self._seconds)


class Cursor:
    """The rows of one statement."""

    def __init__(self, transaction: Transaction, result: "AsyncResult") -> None:
        self.columns: Sequence[str] = result.keys()
        self.done = False
        """Whether all rows have been fetched."""
        self._transaction = transaction
        self._result = result

    async def fetch(self, count: int) -> list[list[Any]]:
        """Up to `count` more rows, in the driver's values."""
        if self.done:
            return []
        async with self._transaction.waiting():
            records = await self._result.fetch(count)
        self.done = len(records) < count
        return [_values(record) for record in records]

    async def summary(self) -> "ResultSummary":
        """What the server says about the whole; drops the rows that are left."""
        async with self._transaction.waiting():
            summary = await self._result.consume()
        self.done = True
        return summary


def _values(record: "Record") -> list[Any]:
    from neo4j.exceptions import BrokenRecordError

    try:
        return record.values()
    except BrokenRecordError:  # one value Python has no word for, such as a year beyond 9999
        return [_value(record, index) for index in range(len(record))]


def _value(record: "Record", index: int) -> Any:
    from neo4j.exceptions import BrokenRecordError

    try:
        return record[index]
    except BrokenRecordError as error:
        return {"_type": "unreadable", "reason": str(error.__cause__ or error), "hint": "select it as toString(value)"}
