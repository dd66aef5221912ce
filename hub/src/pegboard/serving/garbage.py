"""Garbage: collected less often than Python would, since a hub holds on to many objects for long."""

import gc
from collections.abc import Generator
from contextlib import contextmanager

THRESHOLDS = (10_000, 5, 20)
"""With Python's own a hub of 1 000 sessions spends more than half of a call on looking through what stays anyway. The
second keeps each pause short: with 20, what 1 000 new sessions have left is looked through at once, for 0.14 s. The
last is how soon sessions that are gone are taken away: with 200, each thousand left 16 MB until then."""


@contextmanager
def collected_seldom() -> Generator[None]:
    """Leave alone what there is before the block, and look through the rest less often, while the block runs.

    It is the process that collects, so that this is for one that serves and does nothing else.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
