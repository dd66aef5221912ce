"""Checks of how statements have been doing: the slow ones, and how much of the data comes from memory."""

from collections.abc import Mapping
from typing import Any

from pegboard_postgres.changes import quote
from pegboard_postgres.driver import Connection
from pegboard_postgres.health import queries
from pegboard_postgres.health.finding import HIDDEN, Remark, Report, without_literals
from pegboard_postgres.health.sessions import MONITOR

SLOWEST = 5
SLOW_MS = 1000.0
SLOW_SHARE = 0.5
MIN_READ = 100_000
"""Pages read before the share of the cache means anything."""
LOW_HITS = 0.9

ENABLE = (
    "add pg_stat_statements to shared_preload_libraries, restart PostgreSQL, and have a superuser run "
    "CREATE EXTENSION pg_stat_statements in this database"
)


async def statements(connection: Connection) -> Report:
    """The statements that took the most time in all."""
    extension = await connection.fetchrow(queries.EXTENSION)
    if extension["schema"] is None:
        missing = "" if extension["available"] else " (its package, postgresql-contrib, is not installed either)"
        return Report([Remark("info", f"nothing is known of slow statements: no pg_stat_statements{missing}", ENABLE)])
    time = "total_exec_time" if extension["plans_too"] else "total_time"
    sql = queries.STATEMENTS.format(time=time, schema=quote(extension["schema"]), limit=SLOWEST)
    found = await connection.fetch(sql, HIDDEN)
    remarks = [_slow(statement) for statement in found]
    if found and found[0]["hidden"]:
        remarks.append(Remark("info", f"{found[0]['hidden']} statements of other roles are hidden", MONITOR))
    return Report(remarks)


def _slow(statement: Mapping[str, Any]) -> Remark:
    is_slow = statement["mean"] >= SLOW_MS or (statement["share"] or 0) >= SLOW_SHARE
    return Remark(
        "warning" if is_slow and statement["ms"] >= SLOW_MS else "info",
        f"{statement['ms'] / 1000:,.1f} s in {statement['calls']:,} calls of {statement['mean']:,.1f} ms "
        f"({statement['share'] or 0:.0%} of all time): {without_literals(statement['query'])}",
        "postgres_explain shows what takes the time" if is_slow else None,
    )


async def cache(connection: Connection) -> Report:
    """How many pages come from PostgreSQL's memory."""
    counts = await connection.fetchrow(queries.CACHE)
    asked = counts["hits"] + counts["reads"]
    share = counts["hits"] / asked if asked else 1.0
    remarks: list[Remark] = []
    if counts["reads"] >= MIN_READ and share < LOW_HITS:
        text = f"only {share:.0%} of the pages come from PostgreSQL's cache"
        remarks = [Remark("warning", text, "raise shared_buffers, or find what reads whole tables (check indexes)")]
    return Report(remarks, {"cache_hit_share": round(share, 4), "deadlocks": counts["deadlocks"]})
