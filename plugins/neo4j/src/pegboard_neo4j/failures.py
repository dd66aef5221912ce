"""What went wrong with the graph, as a sentence the caller can act on."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from pegboard import BackendError, ToolError
from pegboard_neo4j import driver
from pegboard_neo4j.target import Target

CONNECTING = {
    "Neo.ClientError.Security.Unauthorized": "it refuses the user or the password; correct the plugin's settings",
    "Neo.ClientError.Security.AuthenticationRateLimit": "too many wrong passwords; correct the plugin's settings, then "
    "wait some seconds",
    "Neo.ClientError.Security.CredentialsExpired": "the password has expired; set a new one, then correct the settings",
    "Neo.ClientError.Security.TokenExpired": "the token has expired; correct the plugin's settings",
    "Neo.ClientError.Database.DatabaseNotFound": "it has no database of this name; correct the plugin's settings",
    "Neo.TransientError.General.DatabaseUnavailable": "the database is not available; try again in a moment",
    "Neo.TransientError.Database.DatabaseUnavailable": "the database is not available; try again in a moment",
}
"""Why the server does not let us in, by its code."""

UNAVAILABLE = ("Neo.TransientError.General.DatabaseUnavailable", "Neo.TransientError.Database.DatabaseUnavailable")
"""Of those, what means that there is a server and no graph yet."""

REMEDIES = {
    "Neo.ClientError.Security.Forbidden": "the user of the plugin may not do this",
    "Neo.ClientError.Statement.AccessMode": "this tool only reads",
    "Neo.ClientError.Statement.ParameterMissing": "give every $name of the query in params",
    "Neo.ClientError.Procedure.ProcedureNotFound": "SHOW PROCEDURES lists those there are",
    "Neo.TransientError.General.MemoryPoolOutOfMemoryError": "the query needs more memory than it may have; narrow it "
    "down with WHERE or LIMIT",
    "Neo.TransientError.Transaction.DeadlockDetected": "somebody else writes there; try again",
    "Neo.TransientError.Transaction.LockAcquisitionTimeout": "somebody else writes there; try again",
}
"""What to do about an error in a statement, by code, where the server's words do not say it."""

TIMED_OUT = (
    "Neo.ClientError.Transaction.TransactionTimedOut",
    "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration",
    "Neo.TransientError.Transaction.Terminated",
    "Neo.ClientError.Transaction.Terminated",
)
POSITION = re.compile(r"\(line (\d+), column (\d+)(?: \(offset: \d+\))?\)")
LUCENE = "org.apache.lucene.queryparser"
LONGEST = 600


def code(error: BaseException) -> str | None:
    """The server's code, if the error is its answer."""
    found = getattr(error, "code", None)
    return found if isinstance(found, str) and found.startswith("Neo.") else None


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, so that another one may still do."""
    return code(error) is None


@contextmanager
def explained(target: Target) -> Generator[None]:
    """Turn what the driver raises inside into a `ToolError`; anything else passes."""
    try:
        yield
    except driver.errors() as error:
        raise explanation(target, error) from error


def explanation(target: Target, error: BaseException) -> ToolError:
    """Why a statement or its connection failed."""
    answer = code(error)
    if answer in CONNECTING:
        return unreachable(target, error)
    if answer in TIMED_OUT:
        return timed_out()
    if answer is not None:
        return statement_error(error)
    if type(error).__name__ in ("ServiceUnavailable", "SessionExpired", "IncompleteCommit") or isinstance(
        error, OSError
    ):
        return lost(target)
    return ToolError(f"the driver says: {str(error)[:LONGEST]}")


def unreachable(target: Target, error: BaseException) -> ToolError:
    """Why no connection could be made: nobody answers, or a refusal."""
    message = f"the graph at {target} cannot be used: {_reason(target, error)}"
    if code(error) in (None, *UNAVAILABLE) and not isinstance(error, ValueError):
        return BackendError(message, target=target)
    return ToolError(message)


def lost(target: Target) -> ToolError:
    """The connection ended while it was in use."""
    return BackendError(
        f"the connection to the graph at {target} was lost; try again, the next call connects anew", target=target
    )


def busy(target: Target) -> ToolError:
    """Nobody gave a connection back in time."""
    return ToolError(
        f"all {target.max_connections} connections to the graph at {target} are busy; try again in a moment, or raise "
        f"max_connections"
    )


def timed_out(seconds: float | None = None) -> ToolError:
    """The statement took too long, and was stopped: by us after so many seconds, or by the server."""
    when = "by the server" if seconds is None else f"after {seconds:.3g} s"
    return ToolError(
        f"the query was stopped {when} (timeout); narrow it down with labels, WHERE or LIMIT, or look "
        f"at its plan with neo4j_explain"
    )


def statement_error(error: Any) -> ToolError:
    """The server's own words, with the place in the query if it names one."""
    answer, message = code(error) or "", str(getattr(error, "message", None) or error)
    position = POSITION.search(message)
    said = POSITION.sub("", message.partition("\n")[0]).strip().rstrip(".")[:LONGEST]
    place = f", line {position[1]}, column {position[2]}" if position else ""
    remedy = f"; {REMEDIES[answer]}" if answer in REMEDIES else ""
    if LUCENE in message:
        remedy = "; put the words in quotes, or a backslash before the signs of Lucene's syntax"
    return ToolError(f"the graph says: {said} ({answer.removeprefix('Neo.')}{place}){remedy}")


def _reason(target: Target, error: BaseException) -> str:
    answer = code(error)
    if answer is not None:
        return CONNECTING.get(answer) or str(statement_error(error))
    if isinstance(error, TimeoutError):
        return f"no answer within {target.connect_timeout:g} s; is the server up, and the network open?"
    return _cause(error)


def _cause(error: BaseException) -> str:
    """What the operating system, or TLS, or the handshake says; the driver wraps it several times."""
    text = " ".join(str(one) for one in _chain(error))
    if "refused" in text or "Errno 111" in text:
        return "nothing listens there; start the server or correct the plugin's url"
    if "Name or service not known" in text or "nodename nor servname" in text or "Cannot resolve" in text:
        return "the host name is unknown; correct the plugin's url"
    if "timed out" in text.lower():
        return "it does not answer; is the server up, and the network open?"
    if "ssl" in text.lower() or "certificate" in text.lower():
        return "TLS failed; use bolt:// or neo4j:// for a server without it, +ssc for a self-signed certificate"
    if "routing" in text.lower():
        return "it gives no routing table; use bolt:// for a single server, or correct the plugin's database"
    return "it broke off, or does not speak Bolt; correct the plugin's url, and its scheme"


def _chain(error: BaseException | None) -> Generator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
