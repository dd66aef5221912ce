"""Garbage: collected less often than Python would, since a hub holds on to many objects for long."""

import gc
from collections.abc import Generator
from contextlib import contextmanager

THRESHOLDS = (10_000, 20, 50)
"""With Python's own a hub of 1 000 sessions spends more than half of a call on looking through what stays anyway."""


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
