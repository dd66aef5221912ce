"""Runs one statement and returns one page of its rows, rendered and shortened by PostgreSQL itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pegboard import ToolError
from pegboard_postgres import driver, failures, parameters, values
from pegboard_postgres.driver import Attribute, Connection, Prepared
from pegboard_postgres.statement import Statement

# The bounds apply where the rows are: a value is shortened, and rows beyond the bytes are left out, before they travel.
# The first row always comes. `found` says whether there is more, `before` is the size of the rows before this one.
PAGE = """WITH page AS MATERIALIZED (
SELECT row_to_json(_q)::text AS line FROM ({query}
) AS _q({columns}) LIMIT {limit} OFFSET {offset}
), short AS MATERIALIZED (
SELECT CASE WHEN octet_length(line) <= {cell} THEN line ELSE (
  SELECT json_object_agg(key, CASE WHEN length(text) <= {cell} THEN value
    ELSE to_json(left(text, {cell}) || '…(+' || length(text) - {cell} || ' chars)') END)::text
  FROM json_each(line::json), LATERAL (SELECT value #>> '{{}}' AS text) AS t
) END AS line FROM page
)
SELECT line, found FROM (
  SELECT line, count(*) OVER () AS found,
    sum(octet_length(line)) OVER (ROWS UNBOUNDED PRECEDING) - octet_length(line) AS before
  FROM short
) AS bounded WHERE before <= {bytes}"""

MIN_CELL = 16
MARK = "…(+"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one page may take: rows, bytes of rows, characters of a value."""

    rows: int
    bytes: int
    cell: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a result, as JSON can carry them, and whether more follow."""

    columns: list[tuple[str, str]]
    rows: list[list[Any]]
    has_more: bool
    cut_by_size: bool
    has_shortened: bool


async def run(connection: Connection, statement: Statement, params: Sequence[Any], bounds: Bounds, offset: int) -> Page:
    """Return the page that begins after `offset` rows; raises `ToolError` for whatever is wrong with the statement."""
    described = await _describe(connection, statement)
    attributes = described.get_attributes()
    types = described.get_parameters()
    if not attributes:
        raise ToolError("the statement returns no columns; only statements that read are run here")
    arguments = parameters.encode(params, types)
    text = parameters.with_casts(statement, types)
    if statement.is_query:
        lines, found = await _fetch(connection, _paged(text, len(attributes), bounds, offset), arguments)
        rows = [_row(line, attributes) for line in lines]
    else:
        everything = await connection.fetch(text, *arguments)
        rows = [_plain_row(record, attributes, bounds) for record in everything[offset : offset + bounds.rows + 1]]
        found = len(rows)
    return _page([(a.name, a.type.name) for a in attributes], rows, found, bounds)


async def _describe(connection: Connection, statement: Statement) -> Prepared:
    try:
        # `prepare` takes one statement only, so nothing can follow it; the user's text is sent as it is, so that
        # the place of an error is a place in it.
        return await connection.prepare(statement.text)
    except driver.errors() as error:
        if failures.is_lost(error) or failures.is_cancellation(error):
            raise
        raise failures.statement_error(error, statement.text) from error


def _paged(text: str, columns: int, bounds: Bounds, offset: int) -> str:
    return PAGE.format(
        query=text,
        columns=", ".join(_key(index) for index in range(columns)),
        limit=bounds.rows + 1,
        offset=offset,
        cell=max(MIN_CELL, min(bounds.cell, bounds.bytes // columns)),
        bytes=2 * bounds.bytes,
    )


async def _fetch(connection: Connection, sql: str, arguments: Sequence[Any]) -> tuple[list[str], int]:
    """The lines of the page and how many rows there were, at most one more than asked for."""
    try:
        records = await connection.fetch(sql, *arguments)
    except driver.errors() as error:
        # Only a query can stand in a FROM clause; what was accepted alone and is refused there is something else.
        if getattr(error, "sqlstate", None) in ("0A000", "42601"):
            raise ToolError(
                f"only statements that read are run here, without INTO and without INSERT, UPDATE, DELETE or MERGE "
                f"in a WITH clause (PostgreSQL says: {error.args[0]})"
            ) from error
        raise
    return [record[0] for record in records], records[0][1] if records else 0


def _key(index: int) -> str:
    return f"c{index}"


def _row(line: str, attributes: Sequence[Attribute]) -> list[Any]:
    cells = values.parse(line)
    return [_cell(cells[_key(index)], attribute) for index, attribute in enumerate(attributes)]


def _cell(value: Any, attribute: Attribute) -> Any:
    return values.exact(value) if attribute.type.name in ("numeric", "numeric[]") else values.plain(value)


def _plain_row(record: Sequence[Any], attributes: Sequence[Attribute], bounds: Bounds) -> list[Any]:
    """A row of EXPLAIN or SHOW, which is text already; a plan in JSON becomes a value."""
    row: list[Any] = []
    for text, attribute in zip(record, attributes, strict=True):
        if attribute.type.name == "json" and len(text) <= bounds.bytes:
            row.append(values.plain(values.parse(text)))
        else:
            row.append(text and values.shorten(str(text), bounds.bytes))
    return row


def _page(columns: list[tuple[str, str]], rows: list[list[Any]], found: int, bounds: Bounds) -> Page:
    kept: list[list[Any]] = []
    total = 0
    for row in rows[: bounds.rows]:
        total += values.size(row)
        if kept and total > bounds.bytes:
            break
        kept.append(row)
    cut_by_size = len(kept) < min(found, bounds.rows)
    has_shortened = any(isinstance(cell, str) and MARK in cell for row in kept for cell in row)
    return Page(columns, kept, len(kept) < found, cut_by_size, has_shortened)
