"""A file of JSON lines that only grows, while others may rotate it."""

import json
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODE = 0o600

LONGEST_LINE = 1024 * 1024
"""How far back the beginning of a torn line is looked for."""

SHOWN = 500
"""Characters of a torn line that are kept."""

REMEMBERED = 256 * 1024
"""Bytes of the last lines that are remembered in case the file is cut."""


class JsonLines:
    """Appends lines to the file at `path`, for one thread; opens it when there is something to write.

    The file may be renamed or removed: the lines go on in a new one at the path. It may be copied and then cut to
    nothing: they go on at its beginning, with those that came between the two. It holds whole lines only: what an
    append that fails has written of a line is taken back, and what a killed process has left of one is replaced when
    the file is opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: _Open | None = None

    def append(self, lines: deque[bytes]) -> None:
        """Write the lines, and take those out of `lines` that are in the file.

        Raises `OSError`; the lines it could not write are still there then.
        """
        file = self._follow()
        lines.extendleft(reversed(file.missed(self.path)))
        data, done = memoryview(b"".join(lines)), 0
        try:
            while done < len(data):
                done += os.write(file.number, data[done:])
        finally:
            while lines and len(lines[0]) <= done:
                done -= len(lines[0])
                file.remember(lines.popleft())
            if lines and done:
                _take_back(file.number, done)

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._open is not None:
            os.close(self._open.number)
            self._open = None

    def _follow(self) -> "_Open":
        """The open file that is at the path now."""
        if self._open is not None and self._open.identity == _identity(self.path):
            return self._open
        number = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, MODE)
        self.close()
        _repair(number)
        self._open = _Open(number, _identity(number), os.fstat(number).st_size)
        return self._open


@dataclass(slots=True)
class _Open:
    """An open file, where it should end, and the last lines of ours in it."""

    number: int
    identity: tuple[int, int] | None
    end: int
    recent: deque[bytes] = field(default_factory=deque[bytes])
    remembered: int = 0

    def remember(self, line: bytes) -> None:
        self.end += len(line)
        self.remembered += len(line)
        self.recent.append(line)
        while self.remembered > REMEMBERED:
            self.remembered -= len(self.recent.popleft())

    def missed(self, path: Path) -> Sequence[bytes]:
        """The lines that were lost since the last look, because the file was copied, written to, and cut to nothing."""
        size = os.fstat(self.number).st_size
        if size >= self.end:
            return ()
        after: deque[bytes] = deque()
        while self.recent and sum(map(len, after)) < size:
            after.appendleft(self.recent.pop())
        before, self.recent = list(self.recent), after
        self.end, self.remembered = size, sum(map(len, after))
        copied = _newest_lines(path)
        last = max((index for index, line in enumerate(before) if line in copied), default=None)
        return before[last + 1 :] if last is not None else ()  # without a copy it was emptied on purpose


def _newest_lines(path: Path) -> frozenset[bytes]:
    """The last lines of the file that was made of this one the last."""
    found = [file for file in path.parent.glob(f"{path.name}[.-]*") if file.is_file() and file.suffix != ".gz"]
    newest = max(found, key=lambda file: file.stat().st_mtime_ns, default=None)
    if newest is None:
        return frozenset()
    with newest.open("rb") as copy:
        copy.seek(max(0, newest.stat().st_size - 2 * REMEMBERED))
        return frozenset(copy.read().splitlines(keepends=True))


def _identity(file: Path | int) -> tuple[int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 # an open file has no path
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _take_back(file: int, count: int) -> None:
    try:
        os.ftruncate(file, max(0, os.fstat(file).st_size - count))
    except OSError:  # a device, which keeps nothing anyway
        pass


def _repair(file: int) -> None:
    """Replace a last line without an end: it was torn, or is whole and lacks only that."""
    size = os.fstat(file).st_size
    tail = os.pread(file, LONGEST_LINE, max(0, size - LONGEST_LINE)) if size else b""
    if not tail or tail.endswith(b"\n"):
        return
    torn = tail[tail.rfind(b"\n") + 1 :]
    if _is_json(torn):
        os.write(file, b"\n")
        return
    os.ftruncate(file, size - len(torn))
    record: dict[str, Any] = {"event": "torn", "bytes": len(torn), "text": torn[:SHOWN].decode(errors="replace")}
    os.write(file, json.dumps(record).encode() + b"\n")


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
