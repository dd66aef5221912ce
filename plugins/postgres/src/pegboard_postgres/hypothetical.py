"""Indexes that exist only for the planner of one session, by the extension hypopg."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from typing_extensions import TypedDict

from pegboard import ToolError
from pegboard_postgres.changes import quote
from pegboard_postgres.driver import Connection
from pegboard_postgres.plans import Step
from pegboard_postgres.safety.tree import parse_tree

SCHEMA = """SELECT (SELECT n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
  WHERE e.extname = 'hypopg') AS schema,
  EXISTS (SELECT FROM pg_available_extensions WHERE name = 'hypopg') AS available,
  current_setting('server_version_num')::int / 10000 AS major"""


class Hypothetical(TypedDict):
    """An index that was tried: whether the plan uses it, and about how big it would be."""

    index: str
    used: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Indexes:
    """The indexes of one block: statement, name and size of each."""

    made: Sequence[tuple[str, str, int]]

    def tried(self, plan: Sequence[Step]) -> list[Hypothetical]:
        """Which of them the plan uses."""
        used = {step.get("using") for step in plan}
        return [{"index": sql, "used": name in used, "size_bytes": size} for sql, name, size in self.made]


@asynccontextmanager
async def hypothetical(connection: Connection, statements: Sequence[str]) -> AsyncGenerator[Indexes]:
    """Plan with these indexes inside the block; raises `ToolError` where that cannot be done."""
    texts = [_checked(sql) for sql in statements]
    schema = quote(await _schema(connection))
    try:
        yield Indexes([await _make(connection, schema, sql) for sql in texts])
        await connection.execute(f"SELECT {schema}.hypopg_reset()")
    except BaseException:
        # They outlive the transaction, and a failed one cannot reset them: nobody else may get this session.
        connection.terminate()
        raise


def _checked(sql: str) -> str:
    kinds = [next(iter(statement["stmt"])) for statement in parse_tree(sql)]
    if kinds != ["IndexStmt"]:
        raise ToolError("hypothetical_indexes takes CREATE INDEX statements, as in CREATE INDEX ON orders (status)")
    return sql


async def _schema(connection: Connection) -> str:
    found = await connection.fetchrow(SCHEMA)
    if found["schema"] is not None:
        return found["schema"]
    install = "" if found["available"] else f"install the package postgresql-{found['major']}-hypopg there, then "
    raise ToolError(
        f"hypothetical indexes need the extension hypopg, which this database does not have: {install}have a superuser "
        f"run CREATE EXTENSION hypopg; without it, leave hypothetical_indexes out"
    )


async def _make(connection: Connection, schema: str, sql: str) -> tuple[str, str, int]:
    made: Any = await connection.fetchrow(
        f"SELECT indexname, {schema}.hypopg_relation_size(indexrelid) AS size "  # noqa: S608 # a quoted name
        f"FROM {schema}.hypopg_create_index($1)",
        sql,
    )
    return sql, made["indexname"], made["size"]
