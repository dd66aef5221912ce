"""The schema in pieces: a list of tables, and everything about one of them, from PostgreSQL's catalogs."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NotRequired

from typing_extensions import TypedDict

from pegboard import ToolError
from pegboard_postgres import catalog
from pegboard_postgres.driver import Connection
from pegboard_postgres.values import shorten

KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table"}
MAX_COMMENT = 500
MAX_LISTED = 100
"""How many indexes, foreign keys or enum values are listed of one table or type."""
PART = r'(?:"(?:[^"]|"")+"|[^".]+)'
NAME = re.compile(rf"{PART}(?:\.{PART})*")


class Table(TypedDict):
    """One line of the list."""

    schema: str
    name: str
    kind: str
    rows: int | None
    size_bytes: int | None
    comment: str | None


class Column(TypedDict):
    """A column; what is not there does not apply."""

    name: str
    type: str
    nullable: bool
    default: NotRequired[str]
    generated: NotRequired[str]
    values: NotRequired[list[str]]
    comment: NotRequired[str]


class ForeignKey(TypedDict):
    """`columns` of `table` refer to `referenced_columns` of `references`."""

    table: str
    columns: list[str]
    references: str
    referenced_columns: list[str]


class TableDetails(Table):
    """Everything about one table."""

    columns: list[Column]
    primary_key: list[str]
    unique: list[list[str]]
    foreign_keys: list[ForeignKey]
    referenced_by: list[ForeignKey]
    checks: list[str]
    indexes: list[str]


async def tables(
    connection: Connection, schema: str | None, pattern: str | None, limit: int, offset: int
) -> list[Table]:
    """At most `limit` tables that the role may read, by schema and name."""
    like = None if pattern is None else _like(pattern)
    found = [_table(record) for record in await connection.fetch(catalog.TABLES, schema, like, limit, offset)]
    if not found and schema is not None:
        await _check_schema(connection, schema)
    return found


async def table(connection: Connection, name: str) -> TableDetails:
    """Everything about the table of this name; raises `ToolError` with the nearest names if there is none."""
    oid = await _find(connection, name)
    summary = _table(await connection.fetchrow(catalog.TABLE, oid))
    constraints = await connection.fetch(catalog.CONSTRAINTS, oid)
    keys = {kind: [c["columns"] for c in constraints if c["kind"] == kind] for kind in "pu"}
    return {
        **summary,
        "columns": [_column(record) for record in await connection.fetch(catalog.COLUMNS, oid)],
        "primary_key": keys["p"][0] if keys["p"] else [],
        "unique": keys["u"],
        "foreign_keys": _foreign_keys(constraints, "table_oid", oid),
        "referenced_by": _foreign_keys(constraints, "references_oid", oid),
        "checks": [c["definition"] for c in constraints if c["kind"] in "cx"],
        "indexes": [i["definition"] for i in await connection.fetch(catalog.INDEXES, oid)][:MAX_LISTED],
    }


def _table(record: Any) -> Table:
    comment: str | None = record["comment"]
    return {
        "schema": record["schema"],
        "name": record["name"],
        "kind": KINDS[record["kind"]],
        "rows": record["rows"],
        "size_bytes": record["size_bytes"],
        "comment": None if comment is None else shorten(comment, MAX_COMMENT),
    }


def _column(record: Any) -> Column:
    column: Column = {"name": record["name"], "type": record["type"], "nullable": record["nullable"]}
    if record["generated"]:
        column["generated"] = record["generated"]
    if record["default"]:
        column["default"] = shorten(record["default"], MAX_COMMENT)
    if record["values"]:
        column["values"] = record["values"][:MAX_LISTED]
    if record["comment"]:
        column["comment"] = shorten(record["comment"], MAX_COMMENT)
    return column


def _foreign_keys(constraints: Sequence[Any], end: str, oid: int) -> list[ForeignKey]:
    """The foreign keys with the table at this end; one that refers to its own table is at both."""
    fields = ("table", "columns", "references", "referenced_columns")
    keys = [c for c in constraints if c["kind"] == "f" and c[end] == oid]
    return [ForeignKey(**{field: key[field] for field in fields}) for key in keys[:MAX_LISTED]]


def _like(pattern: str) -> str:
    """A pattern of ILIKE: `*` and `%` stand for anything, and a text without them is looked for anywhere."""
    escaped = re.sub(r"([\\_])", r"\\\1", pattern).replace("*", "%")
    return escaped if "%" in escaped else f"%{escaped}%"


async def _check_schema(connection: Connection, schema: str) -> None:
    names = [record["name"] for record in await connection.fetch(catalog.SCHEMAS)]
    if schema not in names:
        raise ToolError(f"no schema named {schema!r}; there are {', '.join(names[:MAX_LISTED])}")


async def _find(connection: Connection, name: str) -> int:
    schema, table = _split(name)
    found = await connection.fetch(catalog.FIND, name, _spellings(table), schema and _spellings(schema))
    # As PostgreSQL would: the search path counts for a bare name, and quotes or capitals are exact.
    best = [record for record in found if record["rank"] == found[0]["rank"]]
    if not best:
        raise await _unknown(connection, name)
    if len(best) > 1:
        raise ToolError(f"{name!r} could be {' or '.join(record['label'] for record in best)}; write the one you mean")
    return best[0]["oid"]


def _split(name: str) -> tuple[str | None, str]:
    """Schema and table as written, quotes kept; a name that is no SQL name is a table's as it stands."""
    if not NAME.fullmatch(name):
        return None, name
    *_, schema, table = (None, *re.findall(PART, name))
    return schema, table or name


def _spellings(part: str) -> list[str]:
    """What a written name can stand for, the likeliest first."""
    if part.startswith('"') and part.endswith('"') and len(part) > 1:
        return [part[1:-1].replace('""', '"')]
    return list(dict.fromkeys([part.lower(), part]))


async def _unknown(connection: Connection, name: str) -> ToolError:
    _, table = _split(name)
    (*_, written) = _spellings(table)
    labels: dict[str, list[str]] = {}
    for record in await connection.fetch(catalog.NAMES, written):
        labels.setdefault(record["name"].lower(), []).append(record["label"])
    near = [label for match in get_close_matches(written.lower(), labels) for label in labels[match]]
    guess = f"did you mean {' or '.join(near[:3])}?" if near else "postgres_list_tables lists what there is"
    return ToolError(f"no table named {name!r}; {guess}")
