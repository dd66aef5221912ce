"""A journal: lines handed over without waiting, and one thread that writes them to a file."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from pegboard.security.jsonlines import JsonLines

log = logging.getLogger(__name__)

ROOM = 8 * 1024 * 1024
"""Bytes of lines that may wait to be written."""

BATCH = 1000
"""Lines written at once at most."""

LINGER = 0.02
"""Seconds the thread lets lines come together: waking it for each costs a call more than writing it does."""

RETRY = 1.0
"""Seconds until it is tried again after a failure."""

WARN_EVERY = 60.0
CLOSE_TIMEOUT = 5.0
TRY_TIMEOUT = 2.0


FULL = "more lines wait than there is room for"

Work = Callable[[], None]


class Journal:
    """Writes lines of JSON to a file that may be rotated; an async context manager.

    `put` never waits. While the file cannot be written the lines wait, as many as there is room for, and it is tried
    again every second; `problem` says why. Leaving writes what is left, within 5 s.
    """

    def __init__(self, path: Path | None = None, *, room: int = ROOM, retry: float = RETRY) -> None:
        self.path = path
        self.lost = 0
        self._room = room
        self._retry = retry
        self._failure: str | None = None
        self._queue: SimpleQueue[bytes | Work] = SimpleQueue()
        # Each of the two counts up in one thread only, which needs no lock; the difference is what waits.
        self._handed = 0
        self._settled = 0
        self._warned_at = -math.inf
        self._has_warned = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._file: JsonLines | None = None

    async def __aenter__(self) -> Self:
        await self.move(self.path)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        thread = self._thread
        if thread is None:
            return
        self._queue.put(self._stopping.set)
        self._stopping.set()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(thread.join, CLOSE_TIMEOUT)
        if thread.is_alive():
            log.error("%s takes no lines, what waited is lost: %d bytes", self.path, self.waiting)

    @property
    def problem(self) -> str | None:
        """Why lines cannot be written at this moment."""
        return self._failure or (FULL if self.waiting > self._room else None)

    @property
    def waiting(self) -> int:
        """Bytes handed over and not written yet."""
        return self._handed - self._settled

    def put(self, line: bytes) -> None:
        """Hand over a line with its end; it is counted as lost when too much waits already."""
        if self.waiting > self._room:
            self.lost += 1
            self._warn(FULL)
            return
        self._handed += len(line)
        self._queue.put(line)

    async def move(self, path: Path | None) -> None:
        """Write what comes from now on to this file. Returns when it was opened, or has failed to, or after 2 s."""
        if path is not None and self._thread is None:
            # Not a worker of anyio's: the interpreter waits for those, and a dead network disk must not hold it.
            self._thread = threading.Thread(target=self._work, name="pegboard journal", daemon=True)
            self._thread.start()
        self.path = path
        if self._thread is not None:
            await self._reached(partial(self._turn, path), TRY_TIMEOUT)

    async def flush(self, timeout: float = CLOSE_TIMEOUT) -> bool:
        """Wait until everything handed over before is in the file; returns whether it is."""
        return await self._reached(lambda: None, timeout)

    async def _reached(self, work: Work, timeout: float) -> bool:
        """Have the thread do something after all that was handed over before; returns whether it has in time."""
        done = threading.Event()
        self._queue.put(work)
        self._queue.put(done.set)
        return await anyio.to_thread.run_sync(done.wait, timeout, abandon_on_cancel=True)

    def _work(self) -> None:
        while not self._stopping.is_set() or not self._queue.empty():
            lines, work = self._take()
            while not self._wrote(lines):
                if self._stopping.wait(self._retry):
                    self._give_up(lines)
                    return
                if self._file is not None and self.path not in (None, self._file.path):
                    self._turn(self.path)  # somebody has put the setting right
            if work is not None:
                work()
        self._turn(None)

    def _take(self) -> tuple[deque[bytes], Work | None]:
        """Wait for something to do, and take as much as can be done at once."""
        lines: deque[bytes] = deque()
        try:
            item = self._queue.get(timeout=self._retry if self._failure else None)
            if isinstance(item, bytes):
                self._stopping.wait(LINGER)
            while isinstance(item, bytes):
                lines.append(item)
                if len(lines) >= BATCH:
                    return lines, None
                item = self._queue.get_nowait()
        except Empty:
            return lines, None
        return lines, item

    def _turn(self, path: Path | None) -> None:
        """Leave the file and go on with the one at `path`."""
        if self._file is not None:
            self._file.close()
        self._file = JsonLines(path) if path is not None else None
        self._wrote(deque())

    def _wrote(self, lines: deque[bytes]) -> bool:
        """Write the lines, and keep those that could not be; returns whether there are none of these."""
        before = sum(map(len, lines))
        try:
            if self._file is not None:
                self._file.append(lines)
        except (OSError, ValueError) as error:  # a path with a zero byte in it is a ValueError
            self._failure = str(getattr(error, "strerror", None) or error)
            self._warn(self._failure)
        else:
            self._recovered()
        self._settled += before - sum(map(len, lines))
        return not lines

    def _recovered(self) -> None:
        if self._failure is not None and self._has_warned:
            log.warning("%s is written again; %d lines were lost", self.path, self.lost)
        self._failure, self._has_warned = None, False

    def _give_up(self, lines: deque[bytes]) -> None:
        if not self._wrote(lines) or self.waiting:
            log.error("%s is left, what waited is lost: %d bytes", self.path, self.waiting)

    def _warn(self, reason: str) -> None:
        """Say, once a minute, that lines cannot be written."""
        now = time.monotonic()
        if now - self._warned_at >= WARN_EVERY:
            self._warned_at, self._has_warned = now, True
            log.warning(
                "%s cannot be written: %s; %d bytes wait, %d lines are lost", self.path, reason, self.waiting, self.lost
            )
