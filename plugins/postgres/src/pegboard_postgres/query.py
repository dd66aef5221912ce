"""Runs one statement and reads its rows through a portal, rendered and cut to size by PostgreSQL itself."""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pegboard import Column, Reading, ToolError
from pegboard_postgres import driver, failures, parameters, suggestions, values
from pegboard_postgres.driver import Attribute, Portal, Prepared, Type
from pegboard_postgres.forms import Layout
from pegboard_postgres.pool import Database, Lent
from pegboard_postgres.safety import Statement, check_cost, check_functions

MIN_CELL = 50
"""Characters a value may have at least, so that the mark of a shortened one fits."""
FIRST_ROWS = 101
"""Rows that come with the first round trip, at most: a page of the usual size, and whether there is more."""


@dataclass(frozen=True, slots=True)
class Question:
    """A statement that has passed the gate, the values of its parameters, and the bounds of the answer.

    `cell` is how many characters a value may have, `allow` names functions that may be called although they are
    VOLATILE, and `max_cost` is what PostgreSQL may expect the query to cost.
    """

    statement: Statement
    params: Sequence[Any]
    cell: int
    allow: Collection[str] = ()
    max_cost: float | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What its description depends on."""
        return self.statement.text, self.cell


@dataclass(frozen=True, slots=True)
class Described:
    """What the server says about a statement, and the SQL that runs it."""

    columns: list[Column]
    types: Sequence[Type]
    layout: Layout
    sql: str


@asynccontextmanager
async def reading(
    database: Database, question: Question, *, timeout: float, notice: str | None = None
) -> AsyncGenerator[Reading]:
    """The rows of a statement, in a transaction that is open as long as the block.

    Raises `ToolError` for whatever is wrong with the statement.
    """
    async with database.hold(timeout=timeout) as lent:
        with database.span(question.statement.keyword), lent.bounded():
            described, portal, first = await _open(database, lent, question)
        waiting = iter(described.layout.rows(first))

        async def read(count: int) -> Sequence[Any]:
            if rows := [row for _, row in zip(range(count), waiting, strict=False)]:
                return rows
            if portal.is_at_end:
                return []
            with lent.bounded():
                records = await portal.fetch(count)
            lent.rest()
            return described.layout.rows(records)

        lent.rest()
        yield Reading(read, described.columns, pins=True, notice=notice)


@asynccontextmanager
async def listing(
    database: Database, question: Question, *, timeout: float, notice: str | None = None
) -> AsyncGenerator[Reading]:
    """The rows of EXPLAIN or SHOW, which cannot stand in a query and are few: read at once, the connection is free."""
    async with database.hold(timeout=timeout) as lent:
        with database.span(question.statement.keyword), lent.bounded():
            prepared = await _prepare(database, lent, question)
            types = prepared.get_parameters()
            arguments = parameters.encode(question.params, types)
            await _check_cost(lent, question, types, arguments)
            text = parameters.with_casts(question.statement, types)
            attributes = prepared.get_attributes()
            rows = [_plain(record, attributes) for record in await lent.connection.fetch(text, *arguments)]
    waiting = iter(rows)

    async def read(count: int) -> Sequence[Any]:
        return [row for _, row in zip(range(count), waiting, strict=False)]

    yield Reading(read, _columns(attributes), total=len(rows), notice=notice)


async def _open(database: Database, lent: Lent, question: Question) -> tuple[Described, Portal, list[Any]]:
    """Begin to read; the first rows come along, so that opening fails for whatever is wrong."""
    known: Described | None = database.descriptions.get(question.key)
    if known is not None:
        try:
            return known, *await _run(lent, question, known)
        except driver.errors() as error:
            if not failures.is_stale(error):
                raise
        # A table has changed since, perhaps: the server is asked again, and says what is wrong if it still is.
        database.descriptions.forget(question.key)
        await lent.begin_again()
    described = _described(question, await _prepare(database, lent, question))
    running = await _run(lent, question, described)
    database.descriptions.put(question.key, described)
    return described, *running


async def _prepare(database: Database, lent: Lent, question: Question) -> Prepared:
    """Have the server look at the statement as it was written, so that the place of an error is a place in it."""
    statement = question.statement
    # First the functions: PostgreSQL runs some of them while it only parses.
    await check_functions(lent.connection, statement, allow=question.allow, cache=database.functions)
    try:
        # It takes one statement only, so nothing can follow.
        prepared = await lent.connection.prepare(statement.text, name="")
    except driver.errors() as error:
        if failures.is_lost(error) or failures.is_cancellation(error):
            raise
        guess = await suggestions.near(lent, error, statement.text)
        raise failures.statement_error(error, statement.text, guess) from error
    if not prepared.get_attributes():
        raise ToolError("the statement returns no columns; only statements that read are run here")
    return prepared


def _described(question: Question, prepared: Prepared) -> Described:
    attributes, types = prepared.get_attributes(), prepared.get_parameters()
    layout = Layout.of(attribute.type for attribute in attributes)
    text = parameters.with_casts(question.statement, types)
    return Described(_columns(attributes), types, layout, layout.sql(text, max(MIN_CELL, question.cell)))


async def _run(lent: Lent, question: Question, described: Described) -> tuple[Portal, list[Any]]:
    arguments = parameters.encode(question.params, described.types)
    await _check_cost(lent, question, described.types, arguments)
    portal = await Portal.prepare(lent.connection, described.sql, arguments)
    return portal, await portal.fetch(FIRST_ROWS)


async def _check_cost(lent: Lent, question: Question, types: Sequence[Type], arguments: Sequence[Any]) -> None:
    query = question.statement.query
    if question.max_cost is not None and query is not None:
        await check_cost(lent.connection, parameters.with_casts(query, types), arguments, question.max_cost)


def _columns(attributes: Sequence[Attribute]) -> list[Column]:
    return [Column(attribute.name, attribute.type.name) for attribute in attributes]


def _plain(record: Sequence[Any], attributes: Sequence[Attribute]) -> list[Any]:
    """A row of EXPLAIN or SHOW, which is text already; a plan in JSON becomes a value."""
    return [
        values.document(text) if attribute.type.name == "json" else text
        for text, attribute in zip(record, attributes, strict=True)
    ]
