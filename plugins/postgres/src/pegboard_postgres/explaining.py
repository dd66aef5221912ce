"""Explains how PostgreSQL runs a statement: its plan in words and numbers, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from pegboard import Call, ToolError, tool
from pegboard_postgres import advice, driver, failures, parameters, values
from pegboard_postgres.advice import Advice, Known, Table
from pegboard_postgres.changes import COMMANDS
from pegboard_postgres.driver import Connection, Type
from pegboard_postgres.hypothetical import Hypothetical, hypothetical
from pegboard_postgres.plans import Node, Step
from pegboard_postgres.pool import POSTGRES
from pegboard_postgres.safety import Statement, check, check_change, check_cost, check_functions
from pegboard_postgres.safety.tree import parse_tree
from pegboard_postgres.settings import Settings

MARGIN = 0.3
"""Seconds before the call's deadline at which a statement ends, so that the client still gets the reason."""

MAX_STEPS = 200

PLANNED = "EXPLAIN (VERBOSE, SUMMARY, FORMAT JSON) "
ANALYZED = "EXPLAIN (ANALYZE, BUFFERS, VERBOSE, FORMAT JSON) "

FIGURES = {
    "Planning Time": "planning_ms",
    "Execution Time": "execution_ms",
    "Shared Hit Blocks": "pages_from_cache",
    "Shared Read Blocks": "pages_from_disk",
    "Temp Written Blocks": "pages_spilled",
}

# How many rows were counted, what has changed since, and what the indexes begin with; partial ones do not count.
TABLES = """SELECT n.nspname AS schema, c.relname AS name, format('%I.%I', n.nspname, c.relname) AS label,
  nullif(c.reltuples, -1)::float8 AS rows, coalesce(pg_stat_get_mod_since_analyze(c.oid), 0) AS modified,
  (SELECT json_object_agg(attname, format_type(atttypid, NULL)) FROM pg_attribute
    WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)::text AS types,
  (SELECT coalesce(json_agg(ARRAY(SELECT pg_get_indexdef(indexrelid, place, true)
      FROM generate_series(1, indnkeyatts) AS place)), '[]')
    FROM pg_index WHERE indrelid = c.oid AND indisvalid AND indpred IS NULL)::text AS indexes
FROM unnest($1::text[], $2::text[]) AS given(schema, name)
JOIN pg_namespace AS n ON n.nspname = given.schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = given.name WHERE n.nspname <> 'pg_catalog'"""

IMMUTABLE = """SELECT proname::text AS name FROM pg_proc WHERE proname = ANY($1::text[]) GROUP BY proname
HAVING bool_and(provolatile = 'i')"""


class Total(TypedDict):
    """The figures of the whole statement; a page is 8 kB."""

    cost: float
    rows: int
    planning_ms: NotRequired[float]
    execution_ms: NotRequired[float]
    pages_from_cache: NotRequired[int]
    pages_from_disk: NotRequired[int]
    pages_spilled: NotRequired[int]


class Explained(TypedDict):
    """The plan from its top, what it takes in all, and what is wrong with it."""

    total: Total
    warnings: list[Advice]
    plan: list[Step]
    hypothetical_indexes: NotRequired[list[Hypothetical]]
    cost_without: NotRequired[float]
    notice: NotRequired[str]


@tool(title="Explain a PostgreSQL plan", read_only=True, idempotent=True, open_world=False)
async def explain(
    call: Call[Settings],
    sql: Annotated[str, Field(max_length=100_000, description="Without EXPLAIN.")],
    params: Annotated[list[Any] | None, Field(description="Values for $1, $2, ...")] = None,
    analyze: Annotated[bool, Field(description="Run it, to measure; only what reads.")] = False,
    hypothetical_indexes: Annotated[
        list[str] | None, Field(max_length=10, description="CREATE INDEX statements to plan with; needs hypopg.")
    ] = None,
) -> Explained:
    """Explain a statement's plan: costs, rows, and warnings with remedies such as a missing index."""
    statement = _checked(sql, analyze)
    if analyze and hypothetical_indexes:
        raise ToolError("hypothetical indexes have no rows to be measured on; leave analyze or them out")
    database = await call.pool(POSTGRES, call.settings.target)
    async with database.read(timeout=call.remaining - MARGIN) as connection:
        with database.span("EXPLAIN"):
            # First the functions: PostgreSQL runs some of them while it only parses.
            allow = call.settings.allow_functions
            await check_functions(connection, statement, allow=allow, cache=database.functions, planned=True)
            types = await _described(connection, statement.text)
            arguments = parameters.encode(params or [], types)
            query = parameters.with_casts(statement, types)
            if analyze and call.settings.max_cost is not None:
                await check_cost(connection, query, arguments, call.settings.max_cost)
            text = (ANALYZED if analyze else PLANNED) + query
            plan = await _plan(connection, text, arguments)
            explained = await _explained(connection, plan)
            if not hypothetical_indexes:
                return explained
            async with hypothetical(connection, hypothetical_indexes) as indexes:
                changed = await _explained(connection, await _plan(connection, text, arguments))
                tried = indexes.tried(changed["plan"])
    return {**changed, "hypothetical_indexes": tried, "cost_without": explained["total"]["cost"]}


def _checked(sql: str, analyze: bool) -> Statement:
    """The statement, if it may be explained; one that changes rows may be planned, but not run."""
    kinds = {next(iter(statement["stmt"])) for statement in parse_tree(sql)}
    statement = check_change(sql) if kinds & COMMANDS.keys() and not analyze else check(sql)
    if statement.keyword in ("EXPLAIN", "SHOW"):
        raise ToolError("leave EXPLAIN out of sql, and SHOW has no plan; analyze=true is the ANALYZE of EXPLAIN")
    return statement


async def _described(connection: Connection, sql: str) -> Sequence[Type]:
    """The types of the parameters; what PostgreSQL does not understand is told with its place in `sql`."""
    try:
        return (await connection.prepare(sql, name="")).get_parameters()
    except driver.errors() as error:
        if failures.is_lost(error) or failures.is_cancellation(error):
            raise
        raise failures.statement_error(error, sql) from error


async def _plan(connection: Connection, text: str, arguments: Sequence[str | None]) -> Mapping[str, Any]:
    """The plan, and the figures beside it."""
    return values.document(await connection.fetchval(text, *arguments))[0]


async def _explained(connection: Connection, plan: Mapping[str, Any]) -> Explained:
    top = Node(plan["Plan"])
    known = Known(await _tables(connection, top), await _immutable(connection, top))
    steps = [node.step() for node in top.walk()]
    explained: Explained = {
        "total": _total(top, plan),
        "warnings": advice.warnings(top, known, plan),
        "plan": steps[:MAX_STEPS],
    }
    if len(steps) > MAX_STEPS:
        explained["notice"] = f"the plan has {len(steps)} nodes; the first {MAX_STEPS} are shown"
    return explained


def _total(top: Node, plan: Mapping[str, Any]) -> Total:
    total: Total = {"cost": top.raw["Total Cost"], "rows": round(top.rows if top.actual is None else top.actual)}
    found = {name: plan.get(key, top.raw.get(key)) for key, name in FIGURES.items()}
    total.update({name: value for name, value in found.items() if value is not None})  # pyright: ignore[reportCallIssue, reportArgumentType] # the names are those of Total
    return total


async def _tables(connection: Connection, top: Node) -> dict[tuple[str, str], Table]:
    relations = sorted({node.relation for node in top.walk() if node.relation})
    if not relations:
        return {}
    schemas, names = zip(*relations, strict=True)
    found = await connection.fetch(TABLES, list(schemas), list(names))
    return {(record["schema"], record["name"]): _table(record) for record in found}


def _table(record: Any) -> Table:
    types = values.document(record["types"] or "{}")
    return Table(record["label"], record["rows"], record["modified"], types, values.document(record["indexes"]))


async def _immutable(connection: Connection, top: Node) -> frozenset[str]:
    names = sorted({name for node in top.walk() for name in advice.functions(node)})
    found = await connection.fetch(IMMUTABLE, names) if names else []
    return frozenset(record["name"] for record in found)
