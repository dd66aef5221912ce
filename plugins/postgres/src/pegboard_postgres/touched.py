"""Counts the rows a transaction has changed in any table, so that cascades and triggers do not go unseen."""

from collections.abc import Mapping

from typing_extensions import TypedDict

from pegboard_postgres.driver import Connection

MAX_TABLES = 20

# What the server has counted for this session and not yet handed on, so only the difference of two looks is ours.
# A partition counts as its table.
COUNTED = """SELECT coalesce(pg_partition_root(relid), relid)::oid AS oid,
  (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = coalesce(pg_partition_root(relid), relid)) AS name,
  sum(n_tup_ins)::bigint AS inserted, sum(n_tup_upd)::bigint AS updated, sum(n_tup_del)::bigint AS deleted
FROM pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 GROUP BY 1, 2 ORDER BY 2"""

Counts = Mapping[str, tuple[int, int, int]]


class Touched(TypedDict):
    """How many rows of a table were changed."""

    table: str
    inserted: int
    updated: int
    deleted: int


async def counted(connection: Connection) -> Counts:
    """What this session has changed lately, by table."""
    found = await connection.fetch(COUNTED)
    return {record["name"]: (record["inserted"], record["updated"], record["deleted"]) for record in found}


def touched(before: Counts, after: Counts) -> list[Touched]:
    """What was changed between two looks."""
    found: list[Touched] = []
    for table, counts in after.items():
        earlier = before.get(table, (0, 0, 0))
        inserted, updated, deleted = (now - then for now, then in zip(counts, earlier, strict=True))
        if inserted or updated or deleted:
            found.append({"table": table, "inserted": inserted, "updated": updated, "deleted": deleted})
    return found[:MAX_TABLES]
