"""Logs: one line for each event on standard error, and no message bodies of anybody."""

import logging
from collections.abc import Generator

import pytest

from pegboard.logs import QUIET, configure_logging


@pytest.fixture(autouse=True)
def untouched_logging() -> Generator[None]:
    """Put the process's logging back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in QUIET}
    # `force` closes the handlers there are, and pytest's have to live on.
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, quiet in levels.items():
        logging.getLogger(name).setLevel(quiet)


def fail(text: str) -> None:
    raise ValueError(text)


def test_the_hubs_events_are_lines_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")

    logging.getLogger("pegboard.hub").info("plugin %s is served", "weather")
    logging.getLogger("pegboard.hub").debug("unseen")

    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.endswith(" INFO    pegboard.hub: plugin weather is served")
    assert captured.out == ""


@pytest.mark.parametrize("name", QUIET)
def test_others_are_heard_from_warning_on_only(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("debug")

    logging.getLogger(name).info("POST /messages/?session_id=hunter2")
    logging.getLogger(name).warning("a stream broke")

    assert "hunter2" not in (err := capsys.readouterr().err)
    assert "a stream broke" in err


@pytest.mark.parametrize(
    ("name", "shown"), [("mcp.server.sse", False), ("sse_starlette.sse", False), ("pegboard.x", True)]
)
def test_tracebacks_of_the_sdk_show_no_bodies(name: str, shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")

    try:
        fail("hunter2")
    except ValueError:
        logging.getLogger(name).exception("cannot parse the message")

    err = capsys.readouterr().err
    assert "cannot parse the message" in err
    assert ("hunter2" in err) is shown


def test_a_second_time_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("error")
    configure_logging("warning")

    logging.getLogger("pegboard").warning("once")

    assert capsys.readouterr().err.count("once") == 1
