"""Results that fit: what is too long for one answer is kept for a while, and read on with a cursor."""

import secrets
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

import anyio
import anyio.lowlevel

from pegboard.apart import Aparts
from pegboard.call import Call
from pegboard.cursors import Cursors
from pegboard.errors import ToolError
from pegboard.fitting import Fitted, dump, fit, fits
from pegboard.output import Result, text_block
from pegboard.page import ENVELOPE, Choice, Line, Page
from pegboard.reader import Reader
from pegboard.rows import Column, Limits, Rows
from pegboard.seal import Seal
from pegboard.settings import ResultSettings

FETCH_MORE = "fetch_more"

SCAN = 20_000
"""Rows one call looks at for a filter."""
SCAN_BYTES = 8 * 1024 * 1024
"""Bytes of them."""
PAUSE = 500
"""Rows after which others are served."""
SHELF_MEMORY = 2000
"""Bytes an answer that goes on takes beside its rows and its last page, about."""

UNLIMITED = 1000
"""Rows asked of a source at once where nobody said how many."""

CLOSE_TIMEOUT = 5.0
"""Seconds in which all sources close, when the hub does."""

OWN_KEYS = frozenset({"returned", "total", "has_more", "cursor", "cut", "notice"})


@dataclass(eq=False, slots=True)
class _Shelf:
    """What one answer goes on with: its reader, how far that was read, and the page given last."""

    tool: str
    owner: str | None
    session: Hashable | None
    reader: Reader
    expires: float
    columns: Sequence[Column] | None = None
    total: int | None = None
    limit: int | None = None
    position: int = 0
    name: str = field(default_factory=lambda: secrets.token_hex(4))
    last: tuple[int, Choice, Result] | None = None
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def memory(self) -> int:
        """About how many bytes of memory it takes; a page is there as text and as a value."""
        page = 0 if self.last is None else 4 * len(self.last[2]["content"][0]["text"])
        return self.reader.memory + page + SHELF_MEMORY


class Results:
    """The answers of one hub that go on, and the tasks that read them; an async context manager.

    A cursor names an answer and a place in it, belongs to whoever asked, and expires. The one used last gives the same
    page again, so that a client that lost an answer can repeat its call. Leaving closes every source; one that ignores
    that is left behind after `CLOSE_TIMEOUT`, and `left` gets its name.
    """

    def __init__(
        self, settings: ResultSettings, seal: Seal | None = None, left: Callable[[str], None] = lambda _: None
    ) -> None:
        self.change(settings)
        self.seal = seal or Seal()
        self._cursors = Cursors(self.seal)
        self._shelves: dict[str, _Shelf] = {}
        self._tasks = Aparts(left)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._tasks.cancel()
        with anyio.CancelScope(shield=True):
            await self._tasks.end(anyio.current_time() + CLOSE_TIMEOUT)

    def change(self, settings: ResultSettings) -> None:
        """Go by other settings from now on."""
        self.settings = settings
        self.limits = Limits(settings.tokens, settings.bytes, settings.cell)
        """What one answer may take; made here, since every call asks for it."""

    @property
    def open_cursors(self) -> int:
        """How many sources hold something between calls."""
        return sum(shelf.reader.pins for shelf in self._shelves.values())

    async def rows(self, rows: Rows, call: Call[Any]) -> Result:
        """The first page of rows, or the one after a cursor.

        Raises `ToolError` for a cursor that is none of the caller's, and whatever the source raises.
        """
        choice = Choice(rows.filter, rows.columns and tuple(dict.fromkeys(rows.columns)))
        if rows.cursor is None:
            return await self._first(rows, choice, call)
        shelf, position = self._find(rows.cursor, call)
        async with shelf.lock:
            if position != shelf.position:
                return _again(shelf, position, choice)
            shelf.session, shelf.limit = call.session, rows.limit or shelf.limit
            return await self._turn(shelf, choice, call.limits)

    def fit(self, answer: Result, call: Call[Any], *, may_add: bool = True) -> Result:
        """The answer within its limits: as it is, or cut, with a cursor for what it goes on with.

        `may_add` says whether its schema lets the object have more keys.
        """
        content = answer["content"]
        if len(content) != 1 or content[0].get("type") != "text" or fits(content[0]["text"], call.limits):
            return answer
        if "structuredContent" not in answer:
            return {**answer, "content": [text_block(self._fit_text(content[0]["text"], call))]}
        fitted = fit(answer["structuredContent"], _less(call.limits))
        about = self._about(fitted, call)
        if not may_add or OWN_KEYS & set(fitted.value):
            # Of keys of the tool's own only this one would be false now.
            is_cut = fitted.cut is not None and "has_more" in fitted.value
            value = {**fitted.value, "has_more": True} if is_cut else fitted.value
            return {**answer, "content": [text_block(dump(value)), text_block(dump(about))], "structuredContent": value}
        value = {**fitted.value, **about}
        return {**answer, "content": [text_block(dump(value))], "structuredContent": value}

    async def leave(self, session: Hashable) -> None:
        """A session has ended: what its readings hold is let go."""
        for shelf in [shelf for shelf in self._shelves.values() if shelf.session == session]:
            if shelf.reader.pins:
                await shelf.reader.close("the session that read them has ended")

    async def _first(self, rows: Rows, choice: Choice, call: Call[Any]) -> Result:
        assert rows.source is not None
        reader = Reader(rows.source, self.settings.expire, self.settings.idle)
        reader.want((rows.limit or UNLIMITED) + 1, call.limits.bytes)
        await self._open(reader, call)
        shelf = self._shelf(reader, call)
        if reader.reading is not None:
            shelf.columns, shelf.total = reader.reading.columns, reader.reading.total
        shelf.limit = rows.limit
        try:
            answer = await self._turn(shelf, choice, call.limits)
        except BaseException:
            await reader.close("the call that asked for them has failed")
            raise
        if answer["structuredContent"]["has_more"]:
            self._keep(shelf)
            await self._close_some()
        return answer

    async def _open(self, reader: Reader, call: Call[Any]) -> None:
        task = self._tasks.start(f"the rows of {call.tool}", reader.run)
        try:
            await reader.opened.wait()
        except BaseException:
            await reader.close("the call that asked for them was cancelled")
            raise
        if reader.reading is None:
            await task.ended()
            task.result()

    async def _turn(self, shelf: _Shelf, choice: Choice, limits: Limits) -> Result:
        """The next page of a shelf, which is kept there to be given again."""
        page = Page(limits, shelf.columns, shelf.limit, choice)
        reader, start = shelf.reader, shelf.position
        if start == 0 and reader.reading is not None:
            page.note(reader.reading.notice)
        await _fill(page, reader)
        if not page.scanned and reader.error is not None:
            raise reader.error
        shelf.position += page.scanned
        shelf.expires = anyio.current_time() + self.settings.expire
        answer = page.write(shelf.total, self._cursor(shelf) if reader.has_more else None)
        shelf.last = (start, choice, answer)
        return answer

    def _about(self, fitted: Fitted, call: Call[Any]) -> dict[str, Any]:
        """What was cut off an answer, and the cursor of what a list goes on with."""
        about: dict[str, Any] = {}
        if fitted.cut is not None:
            shelf = self._shelf(Reader.of(fitted.rest), call)
            shelf.position = _length_at(fitted.value, fitted.cut)
            shelf.total = shelf.position + len(fitted.rest)
            self._keep(shelf)
            about = {"returned": shelf.position, "total": shelf.total, "has_more": True, "cursor": self._cursor(shelf)}
            about |= {} if fitted.cut == "result" else {"cut": fitted.cut}
        return {**about, "notice": _notice(fitted, call.limits)}

    def _fit_text(self, text: str, call: Call[Any]) -> str:
        """The beginning of a text; the cursor goes on by lines."""
        lines = [piece for line in text.splitlines() for piece in _pieces(line, call.limits.cell)]
        fitted = fit(lines, _less(call.limits))
        shelf = self._shelf(Reader.of(fitted.rest), call)
        shelf.position, shelf.total = len(fitted.value), len(lines)
        self._keep(shelf)
        more = f"…(+{len(fitted.rest)} lines; {FETCH_MORE} goes on with the cursor {self._cursor(shelf)})"
        return "\n".join([*fitted.value, more])

    def _shelf(self, reader: Reader, call: Call[Any]) -> _Shelf:
        expires = anyio.current_time() + self.settings.expire
        return _Shelf(call.tool, call.owner, call.session, reader, expires)

    def _find(self, cursor: str, call: Call[Any]) -> tuple[_Shelf, int]:
        """The shelf and the place a cursor names; whatever is wrong with it, nobody learns of others' answers."""
        name, position = self._cursors.read(cursor, call.owner) or ("", 0)
        shelf = self._shelves.get(name)
        if shelf is None or shelf.expires < anyio.current_time():
            minutes = f"{self.settings.expire / 60:.3g} min"
            raise ToolError(f"there is no such cursor; one lives for {minutes}, so run the tool that gave it once more")
        if call.tool not in (FETCH_MORE, shelf.tool):
            raise ToolError(f"this cursor is one of {shelf.tool}; go on with that or with {FETCH_MORE}")
        return shelf, position

    def _cursor(self, shelf: _Shelf) -> str:
        return self._cursors.write(shelf.name, shelf.position, shelf.owner)

    def _keep(self, shelf: _Shelf) -> None:
        """Keep a shelf; what has expired goes, and the oldest beyond the memory there is."""
        self._shelves[shelf.name] = shelf
        now, size = anyio.current_time(), 0
        for other in sorted(self._shelves.values(), key=lambda other: other.expires, reverse=True):
            size += other.memory
            if other.expires < now or (size > self.settings.store_bytes and other is not shelf):
                del self._shelves[other.name]
                self._end(other.reader)

    def _end(self, reader: Reader) -> None:
        if not reader.ended:
            self._tasks.start("the end of rows that have expired", partial(reader.close, "they have expired"))

    async def _close_some(self) -> None:
        """Close what was read on longest ago where too many sources hold something."""
        pinned = [shelf for shelf in self._shelves.values() if shelf.reader.pins and not shelf.lock.locked()]
        pinned.sort(key=lambda shelf: shelf.expires)
        for shelf in pinned[: max(0, len(pinned) - self.settings.open_cursors)]:
            await shelf.reader.close(f"only {self.settings.open_cursors} can stay open ([results] open_cursors)")


async def _fill(page: Page, reader: Reader) -> None:
    """Move rows from the reader to the page until that is full, or there are no more; if that fails none is moved."""
    moved: list[Line] = []
    try:
        await _move(page, reader, moved)
        if not reader.rows:
            await reader.wait_for(1, page.limits.bytes)  # to know whether there is one more
    except BaseException:
        reader.give_back(moved)
        raise


async def _move(page: Page, reader: Reader, moved: list[Line]) -> None:
    size = 0
    while not page.is_full:
        if len(moved) >= SCAN or size > SCAN_BYTES:
            page.note(f"{len(moved)} rows were looked at; go on with the cursor")
            return
        if not reader.rows:
            wanted = UNLIMITED if page.wanted is None else page.wanted
            await reader.wait_for(wanted + 1, page.limits.bytes)
        if not reader.rows or not page.add(reader.rows[0]):
            return
        moved.append(reader.take())
        size += len(moved[-1].text)
        if len(moved) % PAUSE == 0:
            await anyio.lowlevel.checkpoint()


def _again(shelf: _Shelf, position: int, choice: Choice) -> Result:
    if shelf.last is not None and shelf.last[:2] == (position, choice):
        return shelf.last[2]
    raise ToolError("this cursor was read on already; go on with the cursor of the last answer")


def _less(limits: Limits) -> Limits:
    return Limits(max(1, limits.tokens - ENVELOPE), limits.bytes - ENVELOPE * 4, limits.cell)


def _length_at(value: Any, path: str) -> int:
    for key in path.split("."):
        value = cast(list[Any], value)[int(key)] if isinstance(value, list) else value[key]
    return len(value)


def _notice(fitted: Fitted, limits: Limits) -> str:
    parts = [f"the answer was cut at {limits.tokens} tokens"]
    parts += [f"{FETCH_MORE} goes on with the cursor"] * (fitted.cut is not None)
    parts += [f"long strings were shortened to {fitted.length} characters"] * (fitted.length is not None)
    parts += [f"{fitted.dropped} further items were left out; ask for less at a time"] * bool(fitted.dropped)
    return "; ".join(parts)


def _pieces(line: str, length: int) -> list[str]:
    return [line[at : at + length] for at in range(0, len(line), length)] or [""]
