"""Metrics: what is counted about calls, requests and refusals."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Labels = tuple[str, ...]

MAX_SERIES = 1900
"""How many sets of labels one metric keeps apart; what comes beyond is `other`. OpenTelemetry ends at 2000."""

OTHER = "other"

DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds: a tool without a backend takes one thousandth, a client gives up after sixty."""

LAGS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

METHODS = frozenset((
    "completion/complete", "initialize", "logging/setLevel", "ping", "prompts/get", "prompts/list", "resources/list",
    "resources/read", "resources/subscribe", "resources/templates/list", "resources/unsubscribe", "server/discover",
    "subscriptions/listen", "tools/call", "tools/list",
))  # fmt: skip
"""The requests that are counted by name. A client may send any other word, and that must not become a label."""

FAILED = ("error", "crash", "timeout", "cancelled", "denied")
"""The outcomes of calls that are errors; the others are `ok` and `asked`."""

LIMITS = ("rate", "key", "plugin", "session", "sessions", "key_sessions", "address")
DENIALS = (
    "none",
    "several",
    "scheme",
    "basic",
    "credential",
    "token",
    "expired",
    "verifier",
    "scope",
    "environment",
    "endpoint",
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric as it is now: name and unit by the conventions of OpenTelemetry, and its values by their labels."""

    name: str
    about: str
    values: Mapping[Labels, float]
    labels: Labels = ()
    unit: str = ""
    only_grows: bool = False


@dataclass(slots=True)
class Cell:
    """How many values fell between which bounds, and their sum."""

    counts: list[int]
    sum: float = 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Values counted by size, for each set of labels.

    Not a histogram of OpenTelemetry's SDK: recording one value there takes 6 us, here a fourth of one.
    """

    name: str
    about: str
    labels: Labels
    bounds: tuple[float, ...] = DURATIONS
    unit: str = "s"
    cells: dict[Labels, Cell] = field(default_factory=dict[Labels, Cell])

    def add(self, labels: Labels, value: float) -> None:
        """Count one value."""
        cell = self.cells.get(labels) or self._new(labels)
        cell.counts[bisect_left(self.bounds, value)] += 1
        cell.sum += value

    def _new(self, labels: Labels) -> Cell:
        if len(self.cells) >= MAX_SERIES:
            labels = (OTHER,) * len(labels)
        return self.cells.setdefault(labels, Cell([0] * (len(self.bounds) + 1)))


class Metrics:
    """Counts; every method is cheap and none waits or raises. Only what the hub knows itself becomes a label."""

    def __init__(self) -> None:
        self.running = 0
        """Tool calls that run now."""
        self.calls: Counter[Labels] = Counter()
        self.requests: Counter[Labels] = Counter()
        # From zero on: a rate cannot be told of a series that begins with its first event.
        self.limits: Counter[Labels] = Counter({(limit,): 0 for limit in LIMITS})
        self.denials: Counter[Labels] = Counter({(reason,): 0 for reason in DENIALS})
        self.left: Counter[Labels] = Counter()
        self.call_seconds = Spread("pegboard.call.duration", "How long tool calls took.", ("plugin", "tool"))
        self.request_seconds = Spread(
            "mcp.requests.duration", "How long requests took until their answer.", ("method", "transport")
        )
        self.lag = Spread("pegboard.event_loop.lag", "How late the event loop woke up.", (), LAGS)

    def call(self, plugin: str, tool: str, outcome: str, seconds: float) -> None:
        """A tool call has ended; the outcome as in the audit log."""
        _count(self.calls, (plugin, tool, outcome))
        self.call_seconds.add((plugin, tool), seconds)

    def request(self, method: str, transport: str, status: str, seconds: float) -> None:
        """A JSON-RPC request has ended: over `sse`, `mcp` or `stdio`, `ok`, `error`, `refused` or `cancelled`."""
        if method not in METHODS:
            method = OTHER
        _count(self.requests, (method, transport, status))
        self.request_seconds.add((method, transport), seconds)

    def limited(self, limit: str) -> None:
        """Somebody met a limit: `rate`, `key`, `plugin`, `session`, `sessions`, `address`."""
        _count(self.limits, (limit,))

    def denied(self, reason: str) -> None:
        """A request was not let through: the reason as in the audit log."""
        _count(self.denials, (reason,))

    def lagged(self, seconds: float) -> None:
        """The event loop woke up this late."""
        self.lag.add((), seconds)

    def abandoned(self, plugin: str, what: str) -> None:
        """Something of a plugin goes on after its end: a `call`, a `task` of one, or its `lifespan`."""
        _count(self.left, (plugin, what))

    @property
    def spreads(self) -> tuple[Spread, ...]:
        """What is counted by size."""
        return (self.call_seconds, self.request_seconds, self.lag)

    def readings(self) -> Iterator[Reading]:
        """What was counted so far, also under the names that the servers before this one promised."""
        calls, requests = Counter(self.calls), Counter(self.requests)
        yield _counter("pegboard.calls", "Tool calls by how they ended.", ("plugin", "tool", "outcome"), calls)
        yield Reading("pegboard.calls.running", "Tool calls that run now.", {(): self.running})
        yield _counter("mcp.requests", "Requests by how they ended.", ("method", "transport", "status"), requests)
        yield _counter("mcp.tool_calls", "Tool calls.", ("tool", "status"), _by_tool(calls))
        yield _counter(
            "mcp.errors", "Calls that failed, by how, and requests with an error.", ("type",), _errors(calls, requests)
        )
        yield _counter("pegboard.limited", "Requests and calls that met a limit.", ("limit",), Counter(self.limits))
        about = "Calls, tasks of calls and lifespans that went on after their end."
        yield _counter("pegboard.abandoned", about, ("plugin", "what"), Counter(self.left))
        yield _counter("pegboard.denied", "Requests that were not let through.", ("reason",), Counter(self.denials))


def _count(counter: Counter[Labels], labels: Labels) -> None:
    if labels not in counter and len(counter) >= MAX_SERIES:
        labels = (OTHER,) * len(labels)
    counter[labels] += 1


def _counter(name: str, about: str, labels: Labels, values: Mapping[Labels, float]) -> Reading:
    return Reading(name, about, values, labels, only_grows=True)


def _by_tool(calls: Counter[Labels]) -> Counter[Labels]:
    tools: Counter[Labels] = Counter()
    for (_, tool, outcome), count in calls.items():
        tools[tool, "error" if outcome in FAILED else "success"] += count
    return tools


def _errors(calls: Counter[Labels], requests: Counter[Labels]) -> Counter[Labels]:
    errors: Counter[Labels] = Counter({(kind,): 0 for kind in (*FAILED, "request")})
    for (_, _, outcome), count in calls.items():
        if outcome in FAILED:
            errors[outcome,] += count
    for (_, _, status), count in requests.items():
        if status in ("error", "refused"):
            errors["request",] += count
    return errors
