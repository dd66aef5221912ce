"""Logs: one line for each event on standard error, which says during which call it came, and no secret."""

import io
import json
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, redirect_stderr
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.trace import TracerProvider
from pydantic import SecretStr
from tests.hub.callers import client_as

from pegboard import Call, Plugin, PoolKind, ToolError
from pegboard.logs import QUIET, LogHandler, configure_logging, flush, learn, lines_lost, session_mark
from pegboard.plugin import PluginSettings
from pegboard.security.principal import Principal
from pegboard.security.redaction import Redactor
from pegboard.security.scopes import Scopes
from pegboard.testing import client_of, hub_of

Read = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def untouched_logging() -> Generator[None]:
    """Put the process's logging back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in QUIET}
    shown = logging.logThreads, logging.logProcesses, logging.logMultiprocessing
    # `force` closes the handlers there are, and pytest's have to live on.
    root.handlers.clear()
    yield
    for handler in root.handlers:
        if isinstance(handler, LogHandler):
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.logThreads, logging.logProcesses, logging.logMultiprocessing = shown
    for name, quiet in levels.items():
        logging.getLogger(name).setLevel(quiet)


@pytest.fixture
def lines() -> Read:
    """Log as JSON; what was written so far."""
    stream = io.StringIO()
    with redirect_stderr(stream):
        configure_logging("info", "json")

    def read() -> list[dict[str, Any]]:
        flush()
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    return read


def written(capsys: pytest.CaptureFixture[str]) -> str:
    flush()
    return capsys.readouterr().err


def fail(text: str) -> None:
    raise ValueError(text)


def crash(logger: str, text: str) -> None:
    """Log the traceback of an error with this text."""
    try:
        fail(text)
    except ValueError:
        logging.getLogger(logger).exception("it failed")


def test_on_a_terminal_an_event_is_a_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")

    logging.getLogger("pegboard.hub").info("plugin %s is served", "weather")
    logging.getLogger("pegboard.hub").debug("unseen")

    (line,) = written(capsys).splitlines()
    assert line.endswith(" INFO    pegboard.hub: plugin weather is served")


def test_as_json_an_event_is_an_object_in_a_line(lines: Read) -> None:
    logging.getLogger("pegboard.hub").warning("plugin %s is served", "weather")

    (line,) = lines()
    assert list(line) == ["timestamp", "level", "event", "logger"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["event"]) == ("WARNING", "plugin weather is served")


@pytest.mark.parametrize(("is_terminal", "as_json"), [(True, False), (False, True)])
def test_auto_is_json_where_nobody_looks_on(is_terminal: bool, as_json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: is_terminal)

    with redirect_stderr(stream):
        configure_logging("info", "auto")
    logging.getLogger("x").info("here")
    flush()

    assert stream.getvalue().startswith("{") is as_json


@pytest.mark.parametrize("name", QUIET)
def test_others_are_heard_from_warning_on_only(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("debug")

    logging.getLogger(name).info("POST /messages/?session_id=hunter2")
    logging.getLogger(name).warning("a stream broke")

    assert "hunter2" not in (err := written(capsys))
    assert "a stream broke" in err


@pytest.mark.parametrize(
    ("name", "shown"), [("mcp.server.sse", False), ("sse_starlette.sse", False), ("pegboard.x", True)]
)
def test_tracebacks_of_the_sdk_show_no_bodies(name: str, shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")

    crash(name, "hunter2")

    err = written(capsys)
    assert "it failed" in err
    assert ("hunter2" in err) is shown


def test_of_the_sdk_there_is_one_line_and_no_whole_session_id(lines: Read) -> None:
    """S-06: an id by which a session could be taken over is not in the log."""
    session = "0123456789abcdef0123456789abcdef"

    logging.getLogger("mcp.server.sse").warning("no session for %s\ninput_value={'password': 'hunter2'}", session)

    (line,) = lines()
    assert line["event"] == f"no session for {session_mark(session)}"


def test_a_second_time_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("error")
    configure_logging("warning")

    logging.getLogger("pegboard").warning("once")

    assert written(capsys).count("once") == 1


# What a line says about a call


async def test_each_call_is_a_line_without_its_arguments_and_its_answer(lines: Read) -> None:
    async def greet(name: str) -> str:
        return f"hello {name}"

    async with hub_of(Plugin(name="p", tools=[greet])) as hub, client_of(hub) as client:
        await client.call_tool("p_greet", {"name": "Ada"})

    (line,) = [line for line in lines() if line["event"] == "call"]
    assert set(line) == {
        *("timestamp", "level", "event", "plugin", "tool", "environment", "session", "duration_ms"),
        *("logger", "outcome"),
    }
    assert (line["plugin"], line["tool"], line["environment"], line["outcome"]) == ("p", "p_greet", "default", "ok")
    assert 0 < line["duration_ms"] < 5000
    assert len(line["session"]) == 12
    assert "Ada" not in str(line)


async def test_a_call_that_fails_says_how(lines: Read) -> None:
    async def refuse() -> None:
        raise ToolError("no such row: Ada")

    async def crash() -> None:
        raise LookupError("Ada")

    async with hub_of(Plugin(name="p", tools=[refuse, crash])) as hub, client_of(hub) as client:
        await client.call_tool("p_refuse", {})
        await client.call_tool("p_crash", {})

    refused, crashed = [line for line in lines() if line["event"] == "call"]
    assert (refused["error"], refused.get("ref")) == ("error", None)
    assert (crashed["error"], len(crashed["ref"])) == ("crash", 8)
    assert "Ada" not in str(refused)


async def test_for_people_a_call_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> None: ...

    configure_logging("info")
    async with hub_of(Plugin(name="p", tools=[work])) as hub, client_of(hub) as client:
        await client.call_tool("p_work", {})

    (line,) = [line for line in written(capsys).splitlines() if "pegboard.calls" in line]
    assert " INFO    pegboard.calls: p_work ok in default, " in line


@pytest.mark.parametrize("settings", [{"log": {"calls": False}}, {}])
async def test_no_line_for_calls_where_the_operator_wants_none(settings: dict[str, Any], lines: Read) -> None:
    async def work() -> None: ...

    if not settings:
        logging.getLogger().setLevel(logging.WARNING)
    async with hub_of(Plugin(name="p", tools=[work]), settings=settings) as hub, client_of(hub) as client:
        await client.call_tool("p_work", {})

    assert not [line for line in lines() if line["event"] == "call"]


async def test_every_line_written_during_a_call_says_which_call(lines: Read) -> None:
    async def work(call: Call[PluginSettings]) -> None:
        call.log.warning("asking")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(aside)
        await anyio.to_thread.run_sync(logging.getLogger("driver").warning, "in a thread")

    async def aside() -> None:
        logging.getLogger("driver").warning("in a task")

    async with hub_of(Plugin(name="p", tools=[work])) as hub, client_of(hub) as client:
        await client.call_tool("p_work", {})
    logging.getLogger("driver").warning("later")

    by_event = {line["event"]: line for line in lines()}
    sessions = {by_event[event]["session"] for event in ("p_work: asking", "in a task", "in a thread", "call")}
    assert len(sessions) == 1
    assert {by_event[event]["tool"] for event in ("p_work: asking", "in a task", "in a thread")} == {"p_work"}
    assert {"plugin", "tool", "session"}.isdisjoint(by_event["later"])


async def test_what_outlives_the_call_that_opened_it_is_not_of_that_call(lines: Read) -> None:
    @asynccontextmanager
    async def opened(_: str) -> AsyncGenerator[str]:
        yield "pool"
        logging.getLogger("driver").warning("closed")

    kind = PoolKind("x", opened)

    async def work(call: Call[PluginSettings]) -> None:
        await call.pool(kind, "x")

    async with hub_of(Plugin(name="p", tools=[work])) as hub, client_of(hub) as client:
        await client.call_tool("p_work", {})

    (closed,) = [line for line in lines() if line["event"] == "closed"]
    assert "tool" not in closed


async def test_a_line_says_for_whom(lines: Read) -> None:
    async def work() -> None: ...

    somebody = Principal("k1", Scopes.of(["*"]), tenant="acme")
    settings: dict[str, Any] = {"tenants": {"acme": {}}}
    async with (
        hub_of(Plugin(name="p", tools=[work]), settings=settings) as hub,
        client_as(hub, somebody, "", "stateless") as client,
    ):
        await client.call_tool("p_work", {})

    (line,) = [line for line in lines() if line["event"] == "call"]
    assert line["tenant_id"] == "acme"


def test_a_line_within_a_span_names_its_trace(lines: Read) -> None:
    provider = TracerProvider(shutdown_on_exit=False)

    with provider.get_tracer("test").start_as_current_span("call") as span:
        logging.getLogger("x").warning("traced")

    assert lines()[0]["trace_id"] == f"{span.get_span_context().trace_id:032x}"


def test_a_session_is_marked_as_in_the_audit_log() -> None:
    assert session_mark("abc") == "ba7816bf8f01"


# Secrets and hostile values

HOSTILE = "a\r\nINFO fake\x1b[31m\x00\u2028\u2029\x85\x7f\u202e\ud800b"


def test_no_value_ends_or_hides_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """S-24: line ends, ANSI, NUL, U+2028 and half a character in a value stay in one line of JSON."""
    configure_logging("info", "json")

    logging.getLogger("x").warning("no tool %s", HOSTILE)

    text = written(capsys)
    (line,) = text.splitlines()
    assert json.loads(line)["event"] == f"no tool {HOSTILE}"
    assert text.isascii()
    assert all(character.isprintable() for character in line)


def test_no_value_ends_or_hides_a_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """S-24: and on a terminal."""
    configure_logging("info")

    logging.getLogger("x").warning("no tool %s", HOSTILE)
    crash("x", HOSTILE)

    first, second, *traceback = written(capsys).split("\n")
    assert first.endswith(r"no tool a\r\nINFO fake\x1b[31m\x00\u2028\u2029\x85\x7f\u202e\ud800b")
    assert second.endswith("x: it failed")
    assert all(line.startswith("    | ") for line in traceback if line)
    assert all(line.isprintable() for line in (first, second, *traceback))


@pytest.mark.parametrize("as_json", [True, False])
def test_a_very_long_value_is_cut(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """S-24: a megabyte in a message is a short line."""
    configure_logging("info", "json" if as_json else "text")

    logging.getLogger("x").warning("no tool %s", "x" * 1_000_000)
    crash("x", "y" * 1_000_000)

    text = written(capsys)
    assert "characters more" in text
    assert len(text) < 15_000


@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_are_masked_wherever_they_stand(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """S-22, S-23: known ones by their value, others by their look; in messages, errors and tracebacks."""
    configure_logging("info", "json" if as_json else "text")
    learn(Redactor(["correct-horse"]))
    learn(Redactor(["battery-staple"]))

    logging.getLogger("x").warning("connecting with %s", "correct-horse")
    logging.getLogger("x").warning("to postgres://app:hunter2@db/shop")
    crash("x", "battery-staple is refused; password=hunter2")

    text = written(capsys)
    assert not [secret for secret in ("correct-horse", "battery-staple", "hunter2") if secret in text]
    assert text.count("[redacted]") >= 4


def test_what_a_setting_wants_is_no_secret(lines: Read) -> None:
    help_text = "[plugins.postgres]: dsn: required; write `dsn = ...` or `token = '...'`"

    logging.getLogger("pegboard.hub").info("plugin postgres: %s", help_text)

    assert lines()[0]["event"] == f"plugin postgres: {help_text}"


def test_a_secret_is_masked_before_the_line_is_cut(lines: Read) -> None:
    """S-23: the cut goes through the secret, and no part of it is left."""
    learn(Redactor(["correct-horse"]))

    for before in range(985, 1005):
        logging.getLogger("x").warning("%s", "-" * before + "correct-horse" + "-" * 3000)

    assert not [line for line in lines() if "correct"[:4] in line["event"]]


async def test_the_log_learns_the_secrets_of_a_hub(lines: Read) -> None:
    """S-22: the client reads a reference only, and the log has the traceback without the secret."""

    class Settings(PluginSettings):
        token: SecretStr

    async def work(call: Call[Settings]) -> None:
        raise RuntimeError(f"the server said: {call.settings.token.get_secret_value()} has no rights")

    settings = {"plugins": {"p": {"token": "swordfish-7"}}}
    async with hub_of(Plugin(name="p", tools=[work], settings=Settings), settings=settings) as hub:
        async with client_of(hub) as client:
            answer = await client.call_tool("p_work", {})

    told = lines()
    (crashed,) = [line for line in told if "traceback" in line]
    assert crashed["ref"] in str(answer.content)
    assert "swordfish-7" not in str(told) + str(answer)
    assert "has no rights" in crashed["traceback"]
    assert (crashed["plugin"], crashed["tool"]) == ("p", "p_work")


# What cannot be written


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("hunter2")


def test_a_line_that_cannot_be_made_is_told_of_without_its_values(lines: Read) -> None:
    (handler,) = [one for one in logging.getLogger().handlers if isinstance(one, LogHandler)]
    odd = logging.getLogger("x")
    odd.propagate = False  # pytest's own handlers would fail
    odd.addHandler(handler)

    odd.warning("%s", Hostile())
    odd.warning("%d", "hunter2")

    odd.removeHandler(handler)
    odd.propagate = True

    assert [line["event"] for line in lines()] == [
        "a line of x could not be made (RuntimeError)",
        "a line of x could not be made (TypeError)",
    ]


def test_a_line_that_cannot_be_written_is_not_the_last(lines: Read) -> None:
    logging.getLogger("x").warning("odd", extra={"ref": object()})
    logging.getLogger("x").warning("fine")

    odd, fine = lines()
    assert (odd["event"], fine["event"]) == ("a line could not be written (TypeError)", "fine")


class Stuck(io.StringIO):
    """A stream whose reader has stopped reading."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.read_on = threading.Event(), threading.Event()

    def write(self, text: str, /) -> int:
        self.reached.set()
        self.read_on.wait(5)
        return super().write(text)


def test_nobody_waits_for_a_stream_that_is_stuck_and_what_is_lost_is_told() -> None:
    stream = Stuck()
    handler = LogHandler(stream, as_json=True, most=10)
    logging.getLogger().addHandler(handler)

    for number in range(1 + 10 + 5):
        logging.getLogger("x").warning("line %d", number)
        if not number:
            assert stream.reached.wait(5)
    lost = lines_lost()
    stream.read_on.set()
    flush()

    told = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert lost == 5
    assert told[:-1] == [f"line {number}" for number in range(11)]
    assert told[-1] == "5 lines of the log were lost: nobody reads it, or too slowly"
