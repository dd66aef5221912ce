"""The audit: one line for each call of a tool, prompt or resource that was run, and for each that was denied."""

import json
import time
from collections.abc import Hashable, Mapping, Set
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import anyio
from opentelemetry import trace
from pydantic_core import to_json

from pegboard.errors import ToolError
from pegboard.security.journal import Journal
from pegboard.security.redaction import Redactor, fingerprint

if TYPE_CHECKING:
    from pegboard.call import Call

OnFailure = Literal["open", "closed"]
"""What happens to calls while their records cannot be written."""

Outcome = Literal["ok", "error", "crash", "timeout", "cancelled", "asked", "denied"]
"""How a call ended. `asked`: the client has to ask its user and call again, which is a call of its own."""

FIELDS = (
    "time", "event", "outcome", "principal", "tenant", "session", "client", "address", "endpoint", "plugin", "tool",
    "environment", "reason", "times", "duration_ms", "bytes", "is_error", "trace_id", "ref", "arguments", "sha256",
    "before", "after", "changed",
)  # fmt: skip
"""What a record may say, in this order."""

LONGEST_NAME = 200
SESSION_DIGITS = 12

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class Audit:
    """Writes down who called what with which arguments, and how it ended; an async context manager.

    It is off without a file. Records are handed to a thread, so no call waits for a disk. While they cannot be written,
    calls go on (`open`), or those that do not only read are refused (`closed`).
    """

    def __init__(
        self, file: Path | None = None, on_failure: OnFailure = "open", redactor: Redactor | None = None
    ) -> None:
        self.journal = Journal(file)
        self.on_failure: OnFailure = on_failure
        self.redactor = redactor or Redactor()
        self._lost = 0

    async def __aenter__(self) -> Self:
        await self.journal.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.journal.__aexit__(kind, error, traceback)

    async def change(self, file: Path | None, on_failure: OnFailure, redactor: Redactor) -> None:
        """Go on by other settings; records that wait already may go to either file."""
        self.on_failure, self.redactor = on_failure, redactor
        if file != self.journal.path:
            await self.journal.move(file)

    def call(
        self,
        call: "Call[Any]",
        given: Mapping[str, Any] | None,
        *,
        secret_names: Set[str] = frozenset(),
        read_only: bool = False,
    ) -> "Record":
        """Begin the record of a call. Enter it, and it is written when it is left, whatever happens in between.

        The arguments are copied now, so that the tool cannot change what is written. Raises `ToolError` when the
        policy refuses the call, which is written down as soon as that is possible again.
        """
        if self.journal.path is None:
            return Record(None, call, "")
        record = Record(self, call, call.sent.mask(self.redactor.arguments(given, secret_names)))
        if self.on_failure == "closed" and not read_only and self.journal.problem is not None:
            record.refuse("audit")
            raise ToolError(
                f"{call.tool} was not run: what writes must be recorded, and the audit log of this hub cannot be "
                f"written now; tell its operator, or try again later"
            )
        return record

    def denied(self, reason: str, *, times: int | None = None, **told: str | None) -> None:
        """Write down that somebody was not let through; `reason` is one word, like `scope`.

        `told` are other fields of a record: `principal`, `address`, `endpoint`, `tool`; `times` is how often, where
        one record stands for several.
        """
        if self.journal.path is None:
            return
        said = {"event": "denied", "outcome": "denied", **told, "reason": reason, "trace_id": _trace_id()}
        record = {"time": _time(time.time()), **{name: _short(value) for name, value in said.items()}, "times": times}
        self.put({name: record.get(name) for name in FIELDS})

    def catalog(self, plugin: str, before: str, after: str, changed: str) -> None:
        """Write down that a plugin shows clients other tools than before, by the digests of both."""
        if self.journal.path is not None:
            said = {"event": "catalog", "plugin": plugin, "before": before, "after": after, "changed": changed}
            self.put({"time": _time(time.time()), **said})

    def put(self, record: Mapping[str, Any], arguments: str | None = None) -> None:
        """Hand a record over to be written, after one that says how many were lost before it, if any were."""
        lost = self.journal.lost - self._lost
        if lost and self.journal.problem is None:
            self._lost += lost
            self.journal.put(_line({"time": _time(time.time()), "event": "gap", "lost": lost}))
        self.journal.put(_line(record, arguments))


class Record:
    """The record of one call that is running. Say how it ended; what is not said is seen from its answer or error."""

    __slots__ = ("_arguments", "_audit", "_began", "_call", "_start", "answer", "outcome", "ref", "seconds")

    def __init__(self, audit: Audit | None, call: "Call[Any]", arguments: str) -> None:
        self.answer: Any = None
        self.outcome: Outcome | None = None
        self.ref: str | None = None
        self.seconds = 0.0
        self._audit = audit
        self._call = call
        self._arguments = arguments
        self._began = time.time()
        self._start = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._start
        outcome = self.outcome or (_outcome(self.answer) if error is None else _ending(error))
        self.outcome = outcome
        if self._audit is None:
            return
        ended = {
            "duration_ms": round(self.seconds * 1000, 3),
            "bytes": _size(self.answer),
            "is_error": outcome not in ("ok", "asked"),
        }
        self._write("call", outcome, ended)

    def refuse(self, reason: str) -> None:
        """Write it down as a call that was denied and not run; do not enter it then."""
        self.outcome = "denied"
        self._write("denied", self.outcome, {"reason": reason})

    def _write(self, event: str, outcome: Outcome, ended: Mapping[str, Any]) -> None:
        audit, self._audit = self._audit, None
        if audit is not None:
            said = {"time": _time(self._began), "event": event, "outcome": outcome, **_origin(self._call), **ended}
            audit.put(said if self.ref is None else {**said, "ref": self.ref}, self._arguments)


def _line(record: Mapping[str, Any], arguments: str | None = None) -> bytes:
    """A record as a line. The arguments are JSON already, and writing them once more would take as long again."""
    line = _json({name: value for name, value in record.items() if value is not None})
    if arguments is not None:
        line = b'%b,"arguments":%b,"sha256":"%b"}' % (line[:-1], arguments.encode(), fingerprint(arguments).encode())
    return line.replace(b"\x7f", b"\\u007f") + b"\n"


def _json(record: Mapping[str, Any]) -> bytes:
    try:
        line = to_json(record)  # a fourth of the time of json.dumps, but it leaves U+2028 and its like as they are
    except ValueError:  # half a character
        line = b"\xff"
    return line if line.isascii() else _encode(record).encode()


def _origin(call: "Call[Any]") -> dict[str, Any]:
    """Who called what, from where."""
    return {
        "principal": _short(call.principal),
        "tenant": call.tenant,
        "session": _session(call.session),
        "client": _client(call.request),
        "address": _address(call.request),
        "endpoint": call.endpoint,
        "plugin": call.plugin,
        "tool": call.tool,
        "environment": call.environment,
        "trace_id": _trace_id(),
    }


def _session(session: Hashable | None) -> str | None:
    """A session by a few digits of its id's hash: enough to tell sessions apart, and useless to take one over."""
    return None if session is None else fingerprint(str(session))[:SESSION_DIGITS]


def _client(request: Any) -> str | None:
    """The name and version the client says it has."""
    parameters = getattr(getattr(request, "session", None), "client_params", None)
    if parameters is None:
        return None
    client = parameters.client_info
    return _short(f"{client.name} {client.version}")


def _address(request: Any) -> str | None:
    """Where the client is; nothing on standard input."""
    scope = getattr(getattr(request, "request", None), "scope", None)
    client = scope.get("client") if scope is not None else None
    return client[0] if client else None


def _trace_id() -> str | None:
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


def _ending(error: BaseException) -> Outcome:
    if isinstance(error, anyio.get_cancelled_exc_class()):
        return "cancelled"
    return "error" if isinstance(error, Exception) else "crash"


def _outcome(answer: Any) -> Outcome:
    if not isinstance(answer, dict):  # the protocol's own type for asking back, see `Runner`
        return "asked"
    return "error" if cast(dict[str, Any], answer).get("isError") else "ok"


def _size(answer: Any) -> int:
    """The bytes of the texts and data in an answer."""
    size = 0
    for block in cast(dict[str, Any], answer).get("content", ()) if isinstance(answer, dict) else ():
        size += _bytes(block.get("text") or block.get("data") or "")
    return size


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def _short(text: str | None) -> str | None:
    if text is None or len(text) <= LONGEST_NAME:
        return text
    return f"{text[:LONGEST_NAME]}…(+{len(text) - LONGEST_NAME} chars)"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
