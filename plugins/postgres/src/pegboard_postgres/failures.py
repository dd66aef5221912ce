"""What went wrong with PostgreSQL, as a sentence the caller can act on."""

import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from pegboard import BackendError, ToolError
from pegboard_postgres import driver
from pegboard_postgres.target import Target

CONNECTING: dict[str, str] = {
    "28P01": "it refuses the user or the password; correct the plugin's dsn",
    "28000": "it refuses this user from this host (pg_hba.conf); correct the plugin's dsn or let the user in",
    "3D000": "it has no database of this name; correct the plugin's dsn",
    "42501": "the user may not connect to this database; grant CONNECT or correct the plugin's dsn",
    "53300": "it has no connection left; try again, or lower max_connections",
    "57P03": "it is starting up or shutting down; try again in a moment",
}
"""Why PostgreSQL does not let us in, by SQLSTATE."""

REMEDIES: dict[str, str] = {
    "25006": "this tool only reads",
    "42501": "postgres_list_tables lists what may be read",
    "42703": "postgres_describe_table lists the columns",
    "42P01": "postgres_list_tables lists the tables",
    "42P18": "write the type of the parameter, as in $1::int",
    "26000": "behind a pooler that shares connections, set prepared_statements = 0",
    "42P05": "behind a pooler that shares connections, set prepared_statements = 0",
    "55P03": "somebody else holds the lock; try again later",
}
"""What to do about an error in a statement, by SQLSTATE, where PostgreSQL has no hint of its own."""

ON_PURPOSE = ("57P", "25P")
"""Of the SQLSTATEs below those of a server, or an administrator, that has ended a session and said so."""

LOST = ("08", "57P", "25P03", "25P04")
"""SQLSTATEs that begin so mean that the session is gone: connection errors, shutdowns, the server's own timeouts."""

CANCELED = "57014"

STALE = ("42", "3F", "0A000", "26000")
"""SQLSTATEs that may mean that a table has changed since the statement was prepared."""

MAX_LINE = 100
"""Characters of the line of SQL that is shown with an error."""


def is_lost(error: BaseException) -> bool:
    """Whether the error says that the connection is gone, so that another one may still do."""
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate is not None:
        return str(sqlstate).startswith(LOST)
    # Its subclasses are about a value or a feature; the class itself says "connection is closed".
    return isinstance(error, OSError) or type(error).__name__ == "InterfaceError"


def is_cancellation(error: BaseException) -> bool:
    """Whether the server cancelled the statement: at its timeout, or because an administrator asked for it."""
    return getattr(error, "sqlstate", None) == CANCELED


def is_stale(error: BaseException) -> bool:
    """Whether the error may be gone once the statement is prepared anew."""
    return str(getattr(error, "sqlstate", "")).startswith(STALE)


@contextmanager
def explained(target: Target) -> Generator[None]:
    """Turn what the driver raises inside into a `ToolError`; anything else passes."""
    try:
        yield
    except driver.errors() as error:
        if is_lost(error):
            raise lost(target, error) from error
        raise statement_error(error) from error


def unreachable(target: Target, error: BaseException) -> ToolError:
    """Why no connection could be made: nobody answers, or a refusal."""
    message = f"PostgreSQL at {target} cannot be used: {_reason(target, error)}"
    sqlstate = getattr(error, "sqlstate", None)
    is_away = isinstance(error, OSError) and not isinstance(error, ssl.SSLError)
    if is_away or str(sqlstate or "").startswith(LOST):
        return BackendError(message, target=target)
    return ToolError(message)


def lost(target: Target, error: BaseException) -> BackendError:
    """The connection ended while it was in use."""
    return BackendError(
        f"the connection to PostgreSQL at {target} was lost; try again, the next call connects anew",
        target=target,
        again=not _is_on_purpose(error) and not _is_on_purpose(error.__cause__),
    )


def busy(target: Target) -> ToolError:
    """Nobody gave a connection back in time."""
    return ToolError(
        f"all {target.max_connections} connections to PostgreSQL at {target} are busy; "
        f"try again in a moment, or raise max_connections"
    )


def taken(target: Target) -> ToolError:
    """The connection of a cursor was given to somebody else."""
    return ToolError(
        f"the cursor is closed: all {target.max_connections} connections to PostgreSQL at {target} were needed by "
        f"others; run the query again and skip what you have with a condition or OFFSET, or raise max_connections"
    )


def timed_out(seconds: float) -> ToolError:
    """The statement took too long, and was cancelled."""
    return ToolError(
        f"the query was cancelled after {seconds:.3g} s (timeout); narrow it down with WHERE or LIMIT, "
        f"or look at its plan with EXPLAIN"
    )


def statement_error(error: Any, sql: str | None = None, guess: str | None = None) -> ToolError:
    """PostgreSQL's own words, with SQLSTATE and hint, and the place in `sql` if that is what it complains about."""
    sqlstate = getattr(error, "sqlstate", None)
    message = str(error.args[0]) if error.args else type(error).__name__
    if sqlstate is None:
        return ToolError(f"the driver says: {message}; select that value as value::text or row_to_json(value)")
    place, shown = _place(sql, int(getattr(error, "position", None) or 0))
    detail, hint = getattr(error, "detail", None), getattr(error, "hint", None) or guess or REMEDIES.get(sqlstate)
    if guess and hint != guess:
        hint = f"{guess} {hint}"
    parts = [f"PostgreSQL says: {message} ({sqlstate}{place})", *shown]
    parts += [f"detail: {detail}"] * bool(detail) + [f"hint: {hint}"] * bool(hint)
    return ToolError("\n".join(parts))


def _is_on_purpose(error: BaseException | None) -> bool:
    return str(getattr(error, "sqlstate", None)).startswith(ON_PURPOSE)


def _place(sql: str | None, position: int) -> tuple[str, list[str]]:
    """Where the error is, in words and as the line with a caret below; nothing if that is not known."""
    if sql is None or not position:
        return "", []
    before = sql[: position - 1]
    start = before.rfind("\n") + 1
    line, column = sql[start:].split("\n", 1)[0].expandtabs(1), len(before) - start
    left = max(0, column - MAX_LINE // 2) if len(line) > MAX_LINE else 0
    shown = [f"  {line[left : left + MAX_LINE].rstrip()}", f"  {' ' * (column - left)}^"]
    return f", line {before.count(chr(10)) + 1}, column {column + 1}", shown


def _reason(target: Target, error: BaseException) -> str:
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate is not None:
        return CONNECTING.get(sqlstate) or f"{error.args[0]} ({sqlstate})"
    if isinstance(error, TimeoutError):
        return f"no answer within {target.connect_timeout:g} s; is the server up, and the network open?"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there; start the server or correct the plugin's dsn"
    if isinstance(error, socket.gaierror):
        return "the host name is unknown; correct the plugin's dsn"
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or "no reason given"
        return f"TLS failed ({reason}); correct sslmode or the certificates in the dsn"
    if isinstance(error, ConnectionError):
        return "it broke off; is this a PostgreSQL server, and does the sslmode in the dsn fit it?"
    if isinstance(error, OSError):
        return f"{error.strerror or 'none of its addresses can be reached'}; is the server up, and the dsn right?"
    return f"the dsn cannot be used ({type(error).__name__}); correct it in the plugin's settings"
