"""What the hub writes to its log, at every level, for a test to search."""

import io
import logging
from collections.abc import Generator
from contextlib import contextmanager

from pegboard.logs import QUIET, LogHandler


class Written:
    """The hub's own log handler, writing to a text."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.handler = LogHandler(self._stream, as_json=True, most=1_000_000)

    @property
    def text(self) -> str:
        """Everything so far."""
        self.handler.flush()
        return self._stream.getvalue()

    def take(self) -> str:
        """What was written since it was taken last."""
        text = self.text
        self._stream.seek(0)
        self._stream.truncate()
        return text


@contextmanager
def written() -> Generator[Written]:
    """Everything that is logged in the block, at debug, as `pegboard serve` would write it."""
    root, log = logging.getLogger(), Written()
    levels = {name: logging.getLogger(name).level for name in ("", *QUIET)}
    root.addHandler(log.handler)
    try:
        root.setLevel(logging.DEBUG)
        for name in QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)
        yield log
    finally:
        root.removeHandler(log.handler)
        log.handler.close()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
