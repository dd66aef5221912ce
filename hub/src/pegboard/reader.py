"""A reader: one source of rows, read ahead by a task of its own, in which it stays open between calls."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from pegboard.errors import ToolError
from pegboard.page import Line
from pegboard.rows import Reading, Source

AHEAD = 128 * 1024
"""Bytes of rows read before anybody asks, so that most sources end, and let go of what they hold, at once."""

FIRST_BATCH = 100
MOST_ROWS = 5000
ROW_MEMORY = 200
"""Bytes that a row takes beside its text, at least."""
CLOSE_TIMEOUT = 2.0


@dataclass(eq=False, slots=True)
class Reader:
    """Rows that wait to be taken, and the task that brings more.

    `patience` is how many seconds the source stays open when nobody takes any; `pinned_patience` when it pins
    something.
    """

    source: Source | None
    patience: float = 600.0
    pinned_patience: float = 30.0
    reading: Reading | None = None
    rows: deque[Line] = field(default_factory=deque[Line])
    size: int = 0
    """Bytes of the rows that wait."""
    total_read: int = 0
    ended: bool = False
    """Whether the source has no more rows; some may still wait, and the source may still be closing."""
    error: Exception | None = None
    """Why there are no more rows although there should be."""
    _wanted: int = 0
    _wanted_bytes: int = AHEAD
    _arrived: anyio.Event = field(default_factory=anyio.Event)
    _demand: anyio.Event = field(default_factory=anyio.Event)
    opened: anyio.Event = field(default_factory=anyio.Event)
    """Set when the source is open, or will never be."""
    _scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _closed: anyio.Event = field(default_factory=anyio.Event)

    @classmethod
    def of(cls, rows: Iterable[Any]) -> "Reader":
        """A reader of rows that are all there."""
        reader = cls(None, ended=True)
        reader._closed.set()
        reader._put(rows)
        return reader

    @property
    def has_more(self) -> bool:
        """Whether rows wait, or may come, or should have come."""
        return bool(self.rows) or not self.ended or self.error is not None

    @property
    def pins(self) -> bool:
        """Whether it holds something others may want."""
        return not self.ended and self.reading is not None and self.reading.pins

    @property
    def memory(self) -> int:
        """About how many bytes of memory the rows that wait take."""
        return self.size + ROW_MEMORY * len(self.rows)

    @property
    def _has_enough(self) -> bool:
        return self.size > self._wanted_bytes or (len(self.rows) >= self._wanted and self.size >= AHEAD)

    async def run(self) -> None:
        """Open the source and read it to its end; raises what opening raises."""
        assert self.source is not None
        try:
            with self._scope:
                async with self.source() as self.reading:
                    self.opened.set()
                    await self._read_on(self.reading)
        except (Exception, SystemExit) as error:  # noqa: BLE001 # a plugin's: whoever takes the next rows hears of it
            if self.reading is None:
                raise RuntimeError(repr(error)) if isinstance(error, SystemExit) else error from None
            self.error = self.error or (error if isinstance(error, Exception) else RuntimeError(repr(error)))
        finally:
            self.ended = True
            self.opened.set()
            self._arrived.set()
            self._closed.set()

    def want(self, rows: int, size: int) -> None:
        """Say how many rows, and bytes of them, shall be read now."""
        self._wanted, self._wanted_bytes = rows, size

    async def wait_for(self, rows: int, size: int) -> None:
        """Return when so many rows wait, or bytes of them, or there are no more; cancelled, the reading ends."""
        self.want(rows, size)
        try:
            while not self.ended and len(self.rows) < rows and self.size <= size:
                self._arrived = anyio.Event()
                self._demand.set()
                await self._arrived.wait()
        except anyio.get_cancelled_exc_class():
            await self.close("the call that read on was cancelled")
            raise
        self.want(0, AHEAD)

    def take(self) -> Line:
        """The next row."""
        line = self.rows.popleft()
        self.size -= len(line.text)
        if self.size < AHEAD // 2:
            self._demand.set()
        return line

    def give_back(self, lines: Sequence[Line]) -> None:
        """Put lines back to where they were taken from."""
        self.rows.extendleft(reversed(lines))
        self.size += sum(len(line.text) for line in lines)

    async def close(self, why: str) -> None:
        """Close the source now, within its time; the rows that wait can still be taken."""
        self.error = self.error or (None if self.ended else ToolError(f"there are no more rows here: {why}"))
        self._scope.cancel()
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await self._closed.wait()

    async def _read_on(self, reading: Reading) -> None:
        while rows := await reading.read(self._batch()):
            self._put(rows)
            self._arrived.set()
            while self._has_enough:
                await self._wait(reading)
        # Whoever waits need not wait for the source to close as well: a rollback takes as long as a query.
        self.ended = True
        self._arrived.set()

    async def _wait(self, reading: Reading) -> None:
        """Wait until somebody wants more; not for ever."""
        self._demand = anyio.Event()
        patience = self.pinned_patience if reading.pins else self.patience
        with anyio.move_on_after(patience) as waiting:
            await self._demand.wait()
        if waiting.cancelled_caught:
            raise ToolError(f"there are no more rows here: nobody went on for {patience:g} s")

    def _batch(self) -> int:
        """How many rows to ask for: what is wanted, or what fits into the room there is, by the size they had."""
        if not self.total_read:
            return max(1, min(self._wanted, FIRST_BATCH))
        average = max(1, self.size // max(1, len(self.rows))) if self.rows else 200
        room = max(self._wanted_bytes, AHEAD) - self.size
        return max(1, min(room // average, MOST_ROWS))

    def _put(self, rows: Iterable[Any]) -> None:
        for row in rows:
            line = Line.of(row)
            self.rows.append(line)
            self.size += len(line.text)
            self.total_read += 1
