"""Logs: one line for each event on standard error, which says during which call it came, and no secret."""

import json
import logging
import re
import sys
import traceback
from collections.abc import Hashable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TextIO

from opentelemetry import trace
from pydantic_core import to_json

from pegboard.running import RUNNING
from pegboard.security.redaction import Redactor, fingerprint
from pegboard.writer import MOST, Fields, Writer

if TYPE_CHECKING:
    from pegboard.call import Call

Format = Literal["auto", "text", "json"]

QUIET = ("httpx", "httpcore", "mcp", "sse_starlette", "uvicorn", "asyncio")
"""Loggers of others that tell every request at INFO, and whole bodies at DEBUG or in their tracebacks."""

SDK = ("mcp.", "sse_starlette")
"""Loggers whose tracebacks and second lines show messages of clients."""

CALL = "call"
"""The event of the line about a call that has ended."""
TEXTS = frozenset(("event", "error", "traceback"))
"""The fields that may hold more than names and numbers."""

LONGEST = 2000
"""Characters of a message that are shown."""
LONGEST_TRACEBACK = 8000
LONGEST_KEPT = 100_000
"""Characters of a text that are looked through for secrets."""
SESSION_DIGITS = 12

NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]")
"""Characters that end a line, change what a terminal shows, or show nothing."""
SESSION_ID = re.compile(r"\b[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\b")

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_calls = logging.getLogger("pegboard.calls")


def configure_logging(
    level: str,
    format: Format = "text",  # noqa: A002 # the setting's name
    worker: str | None = None,
) -> None:
    """Write the hub's log to standard error from now on; called by the command line only.

    Each line names the `worker`, where this process is one of several.

    Lines are written by a thread, so nobody waits for a terminal or a pipe; what waits at the end of the process is
    written then.
    """
    as_json = format == "json" or (format == "auto" and not sys.stderr.isatty())
    handler = LogHandler(sys.stderr, as_json=as_json, worker=worker)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Looked up for each record otherwise, and no line shows them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def learn(redactor: Redactor) -> None:
    """Mask the secrets that this one knows in the process's log from now on, beside those it knows already."""
    for handler in _handlers():
        handler.learn(redactor)


def lines_lost() -> int:
    """How many lines of the process's log were lost, since nobody read what it writes to."""
    return sum(handler.writer.lost for handler in _handlers())


def flush() -> None:
    """Wait, for at most 2 s, until what was logged before is written."""
    for handler in _handlers():
        handler.flush()


def tell_ended(call: "Call[Any]", outcome: str, seconds: float, ref: str | None) -> None:
    """Write one line about a call that has ended, without its arguments or its answer."""
    if not _calls.isEnabledFor(logging.INFO):
        return
    # Made by hand: looking for the line of code that logs takes a third of the time.
    record = logging.LogRecord(_calls.name, logging.INFO, __file__, 0, CALL, None, None)
    record.outcome, record.duration_ms, record.ref = outcome, round(seconds * 1000, 3), ref
    if outcome not in ("ok", "asked"):
        record.error = outcome
    record.call = call
    _calls.handle(record)


class LogHandler(logging.Handler):
    """Takes from a record what its line will say, and hands that to a writer."""

    def __init__(self, stream: TextIO, *, as_json: bool, most: int = MOST, worker: str | None = None) -> None:
        super().__init__()
        self._worker = worker
        self._redactor = Redactor()
        self._render = self._as_json if as_json else self._as_text
        self.writer = Writer(stream, self._rendered, _lost, most=most)

    def learn(self, redactor: Redactor) -> None:
        """Mask these secrets, too."""
        self._redactor = self._redactor.joined(redactor)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the line over; one that cannot be made, by a bug of who logs, is told of without its values."""
        try:
            fields = _fields(record)
        except Exception as error:  # noqa: BLE001 # whatever a value raises that is to be shown
            fields = _own_line(f"a line of {record.name} could not be made ({type(error).__name__})")
        self.writer.put(fields)

    def flush(self) -> None:
        """Wait until what was handed over is written."""
        self.writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()
        super().close()

    def _rendered(self, fields: Fields) -> str:
        try:
            return self._render(fields)
        except Exception as error:  # noqa: BLE001 # one line that cannot be written must not be the last one
            return self._render(_own_line(f"a line could not be written ({type(error).__name__})"))

    def _as_json(self, fields: Fields) -> str:
        said = self._shown(fields)
        try:
            line = to_json(said).decode()
        except ValueError:  # half a character
            line = ""
        if not line.isascii() or not line:
            line = _encode(said)
        return line.replace("\x7f", "\\u007f") + "\n"

    def _as_text(self, fields: Fields) -> str:
        said = self._shown(fields)
        what = _call_line(said) if said["event"] == CALL and "outcome" in said else said["event"]
        who = f"{self._worker} " if self._worker else ""
        lines = [f"{said['timestamp']} {said['level']:7} {who}{said['logger']}: {_escaped(what)}"]
        # Behind a mark, so that no line of what a traceback shows can look like one of ours.
        lines += [f"    | {_escaped(line)}" for line in said.get("traceback", "").splitlines()]
        return "\n".join(lines) + "\n"

    def _shown(self, fields: Fields) -> Fields:
        """What is written of them, where they are not `None`."""
        shown: Fields = {name: value for name, value in {**fields, "worker": self._worker}.items() if value is not None}
        shown["timestamp"] = _time(shown["timestamp"])
        if "session" in shown:
            shown["session"] = session_mark(shown["session"])
        if shown["event"] != CALL:
            for name in TEXTS & shown.keys():
                shown[name] = self._masked(shown[name], LONGEST_TRACEBACK if name == "traceback" else LONGEST)
        return shown

    def _masked(self, text: str, longest: int) -> str:
        """The text without secrets, and cut; a secret that the cut goes through is masked before."""
        text = self._redactor.text(text)
        if len(text) <= longest:
            return text
        half = longest // 2
        return f"{text[:half]}…({len(text) - 2 * half} characters more)…{text[-half:]}"


@lru_cache(1024)
def session_mark(session: Hashable) -> str:
    """A session by a few digits of its id's hash, as in the audit log."""
    return fingerprint(str(session))[:SESSION_DIGITS]


def _fields(record: logging.LogRecord) -> Fields:
    """What a line says, taken now: the call goes on, and its values may change."""
    more = record.__dict__
    call: Call[Any] | None = more.get("call") or RUNNING.get()
    is_sdk = record.name.startswith(SDK)
    error = record.exc_info[1] if record.exc_info and not is_sdk else None
    fields = {
        "timestamp": record.created,
        "level": record.levelname,
        "event": _event(record.getMessage(), is_sdk=is_sdk),
        "plugin": more.get("plugin") or (call and call.plugin),
        "tool": more.get("tool") or (call and call.tool),
        "environment": call and call.environment,
        "tenant_id": call and call.tenant,
        "session": call and call.session,
        "trace_id": _trace_id(),
        "duration_ms": more.get("duration_ms"),
        "error": more.get("error") if error is None else _kept("".join(traceback.format_exception_only(error)).strip()),
        "logger": record.name,
        "outcome": more.get("outcome"),
        "ref": more.get("ref"),
        "traceback": None if error is None else _kept("".join(traceback.format_exception(error))),
    }
    if call is not None and call.sent.secrets:  # what came with this request is known here only
        fields |= {name: call.sent.mask(str(fields[name])) for name in TEXTS if fields[name] is not None}
    return fields


def _event(text: str, *, is_sdk: bool) -> str:
    """The message; of the SDK's only the first line, and sessions by their marks."""
    if not is_sdk:
        return _kept(text)
    return SESSION_ID.sub(lambda found: session_mark(found[0]), text.partition("\n")[0])


def _kept(text: str) -> str:
    """Both ends of a text that is too long to be looked through; of those only the outer parts will be shown."""
    half = LONGEST_KEPT // 2
    return text if len(text) <= LONGEST_KEPT else text[:half] + text[-half:]


def _lost(count: int) -> Fields:
    return _own_line(f"{count} lines of the log were lost: nobody reads it, or too slowly")


def _own_line(text: str) -> Fields:
    return _fields(logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None))


def _call_line(said: Fields) -> str:
    more = "".join(f", {name} {said[name]}" for name in ("session", "ref") if name in said)
    return f"{said['tool']} {said['outcome']} in {said['environment']}, {said['duration_ms']:g} ms{more}"


def _trace_id() -> str | None:
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


def _escaped(text: str) -> str:
    return NO_TEXT.sub(lambda found: ascii(found[0])[1:-1], text)


def _time(seconds: float) -> str:
    return f"{_second(int(seconds))}.{int(seconds % 1 * 1000):03d}Z"


@lru_cache(4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")


def _handlers() -> list[LogHandler]:
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, LogHandler)]
