"""The schema in pieces: a list of tables, and everything about one of them, from PostgreSQL's catalogs."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NotRequired

from typing_extensions import TypedDict

from pegboard import Column as Heading
from pegboard import Reading, ToolError
from pegboard_postgres import catalog, names
from pegboard_postgres.driver import Connection
from pegboard_postgres.pool import Database
from pegboard_postgres.values import shorten

KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table"}
HEADINGS = [Heading(name) for name in ("schema", "name", "kind", "rows", "size_bytes", "comment")]
MAX_COMMENT = 500
MAX_LISTED = 100
"""How many indexes, foreign keys or enum values are listed of one table or type."""


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


class TableDetails(TypedDict):
    """Everything about one table."""

    schema: str
    name: str
    kind: str
    rows: int | None
    size_bytes: int | None
    comment: str | None
    columns: list[Column]
    primary_key: list[str]
    unique: list[list[str]]
    foreign_keys: list[ForeignKey]
    referenced_by: list[ForeignKey]
    checks: list[str]
    indexes: list[str]
    sample: NotRequired[list[dict[str, Any]]]


@asynccontextmanager
async def tables(
    database: Database, schema: str | None, pattern: str | None, *, timeout: float
) -> AsyncGenerator[Reading]:
    """The tables that the role may read, by schema and name; nothing is held between two reads."""
    last: tuple[str, str] = ("", "")
    like = None if pattern is None else _like(pattern)

    async def read(count: int) -> Sequence[Any]:
        nonlocal last
        async with database.read(timeout=timeout) as connection:
            found = [_line(record) for record in await connection.fetch(catalog.TABLES, schema, like, *last, count)]
            if not found and last == ("", "") and schema is not None:
                await _check_schema(connection, schema)
        if found:
            last = found[-1][0], found[-1][1]
        return found

    yield Reading(read, HEADINGS)


async def table(connection: Connection, oid: int) -> TableDetails:
    """Everything about one table but its rows."""
    summary = zip(HEADINGS, _line(await connection.fetchrow(catalog.TABLE, oid)), strict=True)
    constraints = await connection.fetch(catalog.CONSTRAINTS, oid)
    keys = {kind: [c["columns"] for c in constraints if c["kind"] == kind] for kind in "pu"}
    columns = [_column(record) for record in await connection.fetch(catalog.COLUMNS, oid)]
    details: dict[str, Any] = {heading.name: value for heading, value in summary}
    return {
        "schema": details["schema"],
        "name": details["name"],
        "kind": details["kind"],
        "rows": details["rows"],
        "size_bytes": details["size_bytes"],
        "comment": details["comment"],
        "columns": columns,
        "primary_key": keys["p"][0] if keys["p"] else [],
        "unique": keys["u"],
        "foreign_keys": _foreign_keys(constraints, "table_oid", oid),
        "referenced_by": _foreign_keys(constraints, "references_oid", oid),
        "checks": [c["definition"] for c in constraints if c["kind"] in "cx"],
        "indexes": [i["definition"] for i in await connection.fetch(catalog.INDEXES, oid)][:MAX_LISTED],
    }


def _line(record: Any) -> list[Any]:
    comment: str | None = record["comment"]
    return [
        record["schema"],
        record["name"],
        KINDS[record["kind"]],
        record["rows"],
        record["size_bytes"],
        None if comment is None else shorten(comment, MAX_COMMENT),
    ]


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
    there = [record["name"] for record in await connection.fetch(catalog.SCHEMAS)]
    if schema not in there:
        near = names.near_labels(schema, [(name, name) for name in there])
        guess = f"; did you mean {near[0]}?" if near else ""
        raise ToolError(f"no schema named {schema!r}{guess}; there are {', '.join(there[:MAX_LISTED])}")
