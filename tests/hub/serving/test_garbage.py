"""Garbage: looked for less often while the hub serves, and as before when it is over."""

import gc
import weakref

import pytest

from pegboard.serving.garbage import THRESHOLDS, collected_seldom


class Knot:
    """Something only the collector can take away."""

    def __init__(self) -> None:
        self.own = self


def test_what_was_there_before_is_left_alone() -> None:
    frozen = gc.get_freeze_count()

    with collected_seldom():
        assert gc.get_freeze_count() > frozen
        assert gc.get_threshold() == THRESHOLDS


def test_garbage_is_collected_all_the_same() -> None:
    with collected_seldom():
        knot = weakref.ref(Knot())
        gc.collect(0)

    assert knot() is None


def test_everything_is_as_before_at_the_end_however_it_ends() -> None:
    before = gc.get_threshold()

    with pytest.raises(LookupError), collected_seldom():
        raise LookupError

    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
