"""What the server says, as a sentence for the caller; and spans without what the caller said."""

import pytest
from neo4j.exceptions import Neo4jError, ServiceUnavailable
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pegboard import BackendError
from pegboard_neo4j import Target, failures, tracing

CLIENT = "Neo.ClientError"
TARGET = Target("neo4j+s://graph.example.com", password="hunter2", database="shop")


class SaidError(Neo4jError):
    """What a server said."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self._neo4j_code, self._message = code, message

    @property
    def code(self) -> str:
        return self._neo4j_code

    @property
    def message(self) -> str:
        return self._message


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        (
            f"{CLIENT}.Statement.SyntaxError",
            "Unknown function 'f' (line 2, column 8 (offset: 9))\n\"RETURN f()\"\n   ^",
            "the graph says: Unknown function 'f' (ClientError.Statement.SyntaxError, line 2, column 8)",
        ),
        (
            f"{CLIENT}.Security.Forbidden",
            "Access denied.",
            "the graph says: Access denied (ClientError.Security.Forbidden); the user of the plugin may not do this",
        ),
        (f"{CLIENT}.Transaction.TransactionTimedOutClientConfiguration", "", "was stopped by the server (timeout)"),
        ("Neo.TransientError.General.MemoryPoolOutOfMemoryError", "", "narrow it down with WHERE or LIMIT"),
        (f"{CLIENT}.Security.AuthenticationRateLimit", "wait", "too many wrong passwords"),
        (f"{CLIENT}.Database.DatabaseNotFound", "no", "graph.example.com/shop cannot be used: it has no database"),
    ],
)
def test_what_the_server_says_is_told_with_the_place_and_the_remedy(code: str, message: str, told: str) -> None:
    assert told in str(failures.explanation(TARGET, SaidError(code, message)))


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "nothing listens there"),
        (OSError("Name or service not known"), "the host name is unknown"),
        (OSError("timed out"), "it does not answer"),
        (OSError("SSL: CERTIFICATE_VERIFY_FAILED"), "+ssc for a self-signed certificate"),
        (OSError("Unable to retrieve routing information"), "use bolt:// for a single server"),
        (OSError("incomplete handshake"), "does not speak Bolt"),
    ],
)
def test_why_nobody_answers_is_told_with_what_to_correct(cause: OSError, told: str) -> None:
    error = ServiceUnavailable("Couldn't connect")
    error.__cause__ = cause

    assert told in str(failures.unreachable(TARGET, error))
    assert "hunter2" not in str(failures.unreachable(TARGET, error))


@pytest.mark.parametrize(
    ("error", "is_away"),
    [
        (ServiceUnavailable("Couldn't connect"), True),
        (TimeoutError(), True),
        (SaidError("Neo.TransientError.General.DatabaseUnavailable", "no"), True),
        (SaidError(f"{CLIENT}.Security.Unauthorized", "no"), False),
        (ValueError("no such scheme"), False),
    ],
)
def test_who_does_not_answer_is_told_apart_from_who_refuses(error: Exception, is_away: bool) -> None:
    """F-32: only the first is a failure of the backend."""
    assert isinstance(failures.unreachable(TARGET, error), BackendError) is is_away


def test_a_connection_that_breaks_is_a_failure_of_the_backend_and_a_wrong_query_is_none() -> None:
    assert isinstance(failures.explanation(TARGET, ServiceUnavailable("gone")), BackendError)
    assert not isinstance(failures.explanation(TARGET, SaidError(f"{CLIENT}.Statement.SyntaxError", "x")), BackendError)


def test_a_span_names_the_place_and_an_error_by_its_code_only(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer", provider.get_tracer("test"))

    with pytest.raises(SaidError), tracing.span(TARGET, "search"):
        raise SaidError("Neo.ClientError.Statement.SyntaxError", "hunter2")

    (span,) = exporter.get_finished_spans()
    assert span.name == "search shop"
    assert dict(span.attributes or {}) == {
        "db.system.name": "neo4j",
        "db.operation.name": "search",
        "db.namespace": "shop",
        "server.address": "graph.example.com",
        "server.port": 7687,
        "error.type": "SaidError",
        "db.response.status_code": "Neo.ClientError.Statement.SyntaxError",
    }
    assert "hunter2" not in span.to_json()
