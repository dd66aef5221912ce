"""Sees what a change does to its rows: how many there are, and some of them before and after.

The change runs as a CTE with RETURNING, so it runs once, in one statement, and only a few short rows travel. Since
PostgreSQL 18 RETURNING knows the old rows as well as the new.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from typing_extensions import TypedDict

from pegboard import ToolError
from pegboard_postgres import values
from pegboard_postgres.changes import Change, quote
from pegboard_postgres.driver import Connection, Type

OLD_AND_NEW = 180000
"""The first version that returns old rows."""
MERGE_RETURNS = 170000
"""The first version whose MERGE has RETURNING."""

MAX_SAMPLE = 5
MAX_SAMPLE_CELL = 200
MAX_RETURNED = 100

NAME = "pegboard_changed"

Row = dict[str, Any]

# Who may not read the table cannot have RETURNING, and rules have their own.
TABLES = """SELECT given.name, format('%I.%I', n.nspname, c.relname) AS label,
  (SELECT format('%I.%I', rn.nspname, r.relname) FROM pg_class AS r JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
    WHERE r.oid = coalesce(pg_partition_root(c.oid), c.oid)) AS root,
  n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast') AS is_system,
  has_table_privilege(c.oid, 'SELECT') AND NOT EXISTS (
    SELECT FROM pg_rewrite AS r WHERE r.ev_class = c.oid AND r.ev_type <> '1') AS returns,
  current_setting('server_version_num')::int AS version,
  ARRAY(SELECT a.attname::text FROM pg_index AS i JOIN pg_attribute AS a
    ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey::int2[])
    WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY a.attnum) AS key
FROM unnest($1::text[]) AS given(name)
JOIN pg_class AS c ON c.oid = to_regclass(given.name) JOIN pg_namespace AS n ON n.oid = c.relnamespace"""

# A row as JSON with long values shortened, so that they do not travel.
SHORT = """(SELECT json_object_agg(key, CASE WHEN length(value #>> '{{}}') <= {cell} THEN value
  ELSE to_json(left(value #>> '{{}}', {cell}) || '…(+' || length(value #>> '{{}}') - {cell} || ' chars)') END)
  FROM json_each(to_json({row})))"""

THEN = """SELECT (SELECT count(*) FROM {name}) AS count,
  (SELECT coalesce(json_agg(line), '[]') FROM (SELECT {line} AS line FROM {name} LIMIT {limit}) AS t)::text AS lines"""


class RowChange(TypedDict, total=False):
    """One row: `before` is missing of a new row, `after` of a deleted one; of an update both have what differs."""

    before: Row
    after: Row


@dataclass(frozen=True, slots=True)
class Table:
    """The table that is changed."""

    label: str
    root: str
    """The table itself, or the one it is a partition of."""
    key: tuple[str, ...]
    returns: bool
    version: int


@dataclass(frozen=True, slots=True)
class Capture:
    """A query that runs the change and answers with a count and rows; `kind` says what the rows are."""

    sql: str
    kind: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a change did: the number of rows, and a few of them as far as they can be seen."""

    count: int
    sample: Sequence[RowChange] = ()
    returned: Sequence[Row] | None = None


async def look_up(connection: Connection, change: Change) -> Table:
    """What there is to know of the table; raises `ToolError` if it, or another one changed, is the system's."""
    names = [relation.sql for relation in change.tables]
    found = {record["name"]: record for record in await connection.fetch(TABLES, names)}
    for record in found.values():
        if record["is_system"]:
            raise ToolError(f"{record['label']} belongs to PostgreSQL itself; change it with its own commands, in psql")
    target = found[change.target.sql]
    return Table(target["label"], target["root"], tuple(target["key"]), target["returns"], target["version"])


def capture(change: Change, table: Table, columns: Sequence[str], types: Sequence[Type], cell: int) -> Capture | None:
    """How to see the rows, or `None` if only their number can be had; `columns` are those of its own RETURNING."""
    if change.has_returning:
        sql = change.wrapped(types, "", NAME, _distinct(columns), _then(cell, MAX_RETURNED))
        return Capture(sql, "returned")
    if not table.returns or (change.command == "MERGE" and table.version < MERGE_RETURNS):
        return None
    if table.version >= OLD_AND_NEW:
        clause = "RETURNING WITH (OLD AS pegboard_old, NEW AS pegboard_new) pegboard_old, pegboard_new"
        return Capture(change.wrapped(types, clause, NAME, ("before", "after"), _both()), "both")
    clause = f"RETURNING {quote(change.target.alias)}.*"
    sql = change.wrapped(types, clause, NAME, (), _then(MAX_SAMPLE_CELL, MAX_SAMPLE))
    return Capture(sql, "before" if change.command == "DELETE" else "after")


def seen(capture: Capture, answer: Any, table: Table) -> Seen:
    """What the query of the capture has answered."""
    count: int = answer["count"]
    rows = cast(list[Any], values.document(answer["lines"]))
    if capture.kind == "returned":
        return Seen(count, returned=rows)
    if capture.kind == "both":
        return Seen(count, [_difference(row, table.key) for row in rows])
    return Seen(count, [cast(RowChange, {capture.kind: row}) for row in rows])


def _both() -> str:
    before, after = (SHORT.format(row=f"{NAME}.{side}", cell=MAX_SAMPLE_CELL) for side in ("before", "after"))
    line = f"json_build_object('before', {before}, 'after', {after})"
    return THEN.format(name=NAME, line=line, limit=MAX_SAMPLE)


def _then(cell: int, limit: int) -> str:
    return THEN.format(name=NAME, line=SHORT.format(row=NAME, cell=cell), limit=limit)


def _difference(row: Mapping[str, Any], key: Sequence[str]) -> RowChange:
    """Both sides where there are both, each with the primary key and what differs."""
    before, after = row["before"], row["after"]
    if before is None:
        return RowChange(after=after)
    if after is None:
        return RowChange(before=before)
    names = [name for name in after if name in key or before[name] != after[name]]
    names = names if key else list(after)
    return RowChange(before={name: before[name] for name in names}, after={name: after[name] for name in names})


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, numbered where one comes again."""
    given: list[str] = []
    for name in names:
        number, distinct = 2, name
        while distinct in given:
            number, distinct = number + 1, f"{name}_{number}"
        given.append(distinct)
    return given
