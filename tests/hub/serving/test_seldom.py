"""Seldom: what anybody can cause is told once a minute, and how often it was."""

import logging

import pytest

from pegboard.serving.seldom import EVERY, Seldom


def test_each_warning_is_written_once_a_minute_with_its_number(caplog: pytest.LogCaptureFixture) -> None:
    """S-24."""
    now = 1000.0
    log = Seldom(logging.getLogger(__name__), lambda: now)

    for _ in range(1000):
        log.warning("odd")
    log.warning("even")
    now += EVERY
    log.warning("odd")
    now += EVERY
    log.warning("odd")

    assert caplog.messages == ["odd", "even", "odd (1000 times since the last line about it)", "odd"]


def test_errors_are_all_written(caplog: pytest.LogCaptureFixture) -> None:
    log = Seldom(logging.getLogger(__name__))
    log.error("%s", "one")
    log.error("%s", "one")

    assert caplog.messages == ["one", "one"]
