"""Changes rows: one statement in one transaction, shown before it is committed."""

from collections.abc import Sequence
from typing import Annotated, Any, NotRequired, Protocol, cast

import anyio
from pydantic import Field
from typing_extensions import TypedDict

from pegboard import Call, ToolError, tool
from pegboard_postgres import captures, changes, driver, failures, parameters
from pegboard_postgres.captures import Row, RowChange, Seen, Table
from pegboard_postgres.changes import Change
from pegboard_postgres.commit import UnsureError, commit
from pegboard_postgres.driver import Connection, Prepared, Type
from pegboard_postgres.pool import POSTGRES
from pegboard_postgres.preview import preview
from pegboard_postgres.safety import check_functions
from pegboard_postgres.settings import Settings
from pegboard_postgres.touched import Touched, counted, touched

MARGIN = 0.5
"""Seconds before the call's deadline at which everything ends, so that the client still gets the reason."""
TIMEOUT = 60.0
"""Seconds for a call, most of them for the user who reads what would change."""

NO_PRIVILEGE = "42501"

UNCHANGED = "the transaction was rolled back: nothing was changed"


class Written(TypedDict):
    """What was committed. `also_changed` are rows of other tables, by cascades and triggers."""

    command: str
    table: str
    rows: int
    sample: NotRequired[list[RowChange]]
    returned: NotRequired[list[Row]]
    also_changed: NotRequired[list[Touched]]
    notice: NotRequired[str]


class _Runnable(Prepared, Protocol):
    """A prepared statement that tells how many rows it changed."""

    async def fetch(self, *args: Any) -> list[Any]: ...
    def get_statusmsg(self) -> str: ...


@tool(title="Change rows in PostgreSQL", destructive=True, open_world=False, confirms=True, timeout=TIMEOUT)
async def write(
    call: Call[Settings],
    sql: Annotated[str, Field(max_length=100_000)],
    params: Annotated[list[Any] | None, Field(description="Values for $1, $2, ...")] = None,
) -> Written:
    """Run one INSERT, UPDATE, DELETE or MERGE and commit it.

    Answers with the number of rows and a sample, or the rows of RETURNING. The user may be shown this first and
    refuse; then nothing is changed.
    """
    change = changes.parse(sql)
    database = await call.pool(POSTGRES, call.settings.target)
    try:
        async with database.write(timeout=call.remaining - MARGIN) as connection:
            with database.span(change.command):
                # First the functions: PostgreSQL runs some of them while it only parses.
                allowed = call.settings.allow_functions
                await check_functions(connection, change.statement, allow=allowed, cache=database.functions)
                written = await _run(connection, change, params or [], call.limits.cell)
            if call.writes == "confirm":
                # Rows may show the time or the next number of a sequence, and be others when it is run again.
                shown = preview(change, written, params or [], call.environment, rows=call.asks_once)
                await _confirm(call, shown)
            notice = await commit(database, connection)
    except UnsureError:
        raise
    except ToolError as error:
        raise ToolError("\n".join([str(error), *_remedy(error), UNCHANGED])) from error
    return {**written, "notice": notice} if notice else written


def _remedy(error: ToolError) -> list[str]:
    if getattr(error.__cause__, "sqlstate", None) != NO_PRIVILEGE:
        return []
    return ["the role of the dsn may not do this; have the owner of the table grant it, if it shall"]


async def _run(connection: Connection, change: Change, params: Sequence[Any], cell: int) -> Written:
    """Run the change, and see what it did; it is not committed yet."""
    columns, types = await _described(connection, change)
    table = await captures.look_up(connection, change)
    capture = captures.capture(change, table, columns, types, cell)
    text = capture.sql if capture else change.text(types)
    earlier = await counted(connection)
    prepared = cast(_Runnable, await connection.prepare(text, name=""))
    answer = await prepared.fetch(*parameters.encode(params, types))
    # What is deferred to the end is checked now, before anybody is asked.
    await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    seen = captures.seen(capture, answer[0], table) if capture else Seen(_count(prepared.get_statusmsg()))
    others = [other for other in touched(earlier, await counted(connection)) if other["table"] != table.root]
    return _written(change, table, seen, others)


async def _described(connection: Connection, change: Change) -> tuple[list[str], Sequence[Type]]:
    """The columns of RETURNING and the types of the parameters. Nothing is run yet."""
    text = change.statement.text
    try:
        prepared = await connection.prepare(text, name="")
    except driver.errors() as error:
        if failures.is_lost(error) or failures.is_cancellation(error):
            raise
        raise failures.statement_error(error, text) from error
    return [attribute.name for attribute in prepared.get_attributes()], prepared.get_parameters()


def _count(status: str) -> int:
    """The number at the end of `UPDATE 3` or `INSERT 0 3`."""
    return int(status.rpartition(" ")[2])


def _written(change: Change, table: Table, seen: Seen, others: list[Touched]) -> Written:
    written: Written = {"command": change.command, "table": table.label, "rows": seen.count}
    if seen.sample:
        written["sample"] = list(seen.sample)
    if seen.returned is not None:
        written["returned"] = list(seen.returned)
    if others:
        written["also_changed"] = others
    return written


async def _confirm(call: Call[Settings], question: str) -> None:
    """Ask the user, as long as there is time to commit afterwards."""
    with anyio.move_on_after(call.remaining - MARGIN) as scope:
        await call.confirm(question)
    if scope.cancelled_caught:
        raise ToolError("the user did not answer in time")
