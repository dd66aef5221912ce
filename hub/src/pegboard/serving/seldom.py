"""Warnings that anybody can cause, without a key: each is written once a minute, with how often there was a reason."""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

EVERY = 60.0
"""Seconds between two lines that say the same."""


class Seldom(logging.LoggerAdapter[logging.Logger]):
    """A logger that does not let its warnings fill the log. Those who warn have a few fixed sentences for it."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logger)
        self.level = logger.level  # uvicorn asks for it
        self._clock = clock
        self._told_at: dict[object, float] = {}
        self._since: Counter[object] = Counter()

    def warning(self, msg: object, *args: object, **options: Any) -> None:
        """Write it, or count it where the last minute had one like it."""
        self._since[msg] += 1
        now = self._clock()
        if now < self._told_at.get(msg, -math.inf) + EVERY:
            return
        self._told_at[msg] = now
        times = self._since.pop(msg)
        super().warning(msg if times == 1 else f"{msg} ({times} times since the last line about it)", *args, **options)
