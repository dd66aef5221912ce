"""A writer: lines handed over without waiting, and one thread that writes them to a stream that may be stuck."""

import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from io import UnsupportedOperation
from typing import Any, TextIO

MOST = 5000
"""Lines that may wait to be written."""

GATHER = 0.05
"""Seconds in which lines are gathered: a thread that wakes up for each costs more than the line."""

FLUSH_TIMEOUT = 2.0

Fields = dict[str, Any]
Render = Callable[[Fields], str]


class Writer:
    """Renders lines and writes them to a stream, from a thread, in the order they came.

    `put` never waits. What there is no room for is lost and counted; `lost_line` makes a line of it when there is room
    again. The stream's own buffer is not used, so that a pipe that nobody reads holds up this thread only.
    """

    def __init__(self, stream: TextIO, render: Render, lost_line: Callable[[int], Fields], *, most: int = MOST) -> None:
        self.lost = 0
        self._stream = stream
        self._render = render
        self._lost_line = lost_line
        self._most = most
        self._told = 0
        self._waiting: deque[Fields | threading.Event] = deque()
        self._losing = threading.Lock()
        self._work_is_there = threading.Event()
        self._hurry = threading.Event()
        self._closing = False
        self._descriptor = _descriptor(stream)
        self._thread = threading.Thread(target=self._work, name="pegboard log", daemon=True)
        self._thread.start()

    def put(self, fields: Fields) -> None:
        """Hand over what a line says, from any thread."""
        if len(self._waiting) >= self._most or self._closing:
            with self._losing:
                self.lost += 1
            return
        self._waiting.append(fields)
        if not self._work_is_there.is_set():
            self._work_is_there.set()

    def flush(self, timeout: float = FLUSH_TIMEOUT) -> bool:
        """Wait until everything handed over before is written; returns whether it is."""
        done = threading.Event()
        self._waiting.append(done)
        self._hurry.set()
        self._work_is_there.set()
        return done.wait(timeout)

    def close(self, timeout: float = FLUSH_TIMEOUT) -> None:
        """Write what is left, as far as there is time; what comes from now on is lost."""
        self._closing = True
        self._hurry.set()
        self._work_is_there.set()
        self._thread.join(timeout)

    def _work(self) -> None:
        while not self._closing or self._waiting:
            self._work_is_there.wait()
            self._hurry.wait(GATHER)
            self._work_is_there.clear()
            self._hurry.clear()
            self._write_waiting()
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _write_waiting(self) -> None:
        items = [self._waiting.popleft() for _ in range(len(self._waiting))]
        lost, self._told = self.lost - self._told, self.lost
        if lost:
            items.append(self._lost_line(lost))
        self._write([self._render(item) for item in items if not isinstance(item, threading.Event)])
        for item in items:
            if isinstance(item, threading.Event):
                item.set()

    def _write(self, lines: Sequence[str]) -> None:
        # A stream that is closed or gone takes nothing, and there is no other place to say so.
        with suppress(OSError, ValueError):
            if self._descriptor is None:
                self._stream.write("".join(lines))
                self._stream.flush()
            else:
                for piece in pieces(line.encode(errors="backslashreplace") for line in lines):
                    _write_all(self._descriptor, piece)


def pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, as many at a time as a pipe takes whole, so that those of several processes do not mix in it."""
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > select.PIPE_BUF:
            yield piece
            piece = b""
        piece += line
    if piece:
        yield piece


def _descriptor(stream: TextIO) -> int | None:
    """A descriptor of the stream's file that is ours: writing past its lock, which others may wait for."""
    try:
        return os.dup(stream.fileno())
    except (OSError, UnsupportedOperation, ValueError):
        return None


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # whoever shares the pipe has made it so
            select.select([], [descriptor], [])
