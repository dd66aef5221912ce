"""Checks of what is stored: dead rows, indexes, sequences."""

from collections.abc import Iterator, Mapping
from typing import Any

from pegboard_postgres.driver import Connection
from pegboard_postgres.health import queries
from pegboard_postgres.health.finding import Remark, Report, duration, size

DEAD_ROWS = 10_000
DEAD_SHARE = 0.2
BLOATED_PAGES = 1280
"""10 MB."""
BLOAT = 0.5
OLD_AGE = 1_000_000_000
LAST_AGE = 1_800_000_000
"""Transactions since the oldest frozen row; PostgreSQL stops at 2 147 000 000."""
UNUSED_PAGES = 128
"""1 MB."""
UNUSED_SECONDS = 7 * 86_400
SCANS = 100
SCANNED_ROWS = 10_000
SPENT, ALMOST_SPENT = 0.95, 0.8


async def vacuum(connection: Connection) -> Report:
    """Dead rows, files bigger than their rows, and transaction ids that are running out."""
    remarks = [_dead(table) for table in await connection.fetch(queries.VACUUM, DEAD_ROWS, DEAD_SHARE)]
    remarks += [_bloated(table) for table in await connection.fetch(queries.BLOATED, BLOATED_PAGES, BLOAT)]
    ages = await connection.fetch(queries.AGES)
    remarks += [remark for database in ages for remark in _old(database)]
    return Report(remarks, {"oldest_transaction_age": ages[0]["age"]})


def _dead(table: Mapping[str, Any]) -> Remark:
    ago = f"{duration(table['seconds'])} ago" if table["seconds"] is not None else "never"
    off = "autovacuum is off for it: ALTER TABLE ... RESET (autovacuum_enabled); " if table["is_off"] else ""
    return Remark(
        "warning",
        f"{table['label']} has {table['dead']:,} dead rows beside {table['live']:,} live ones; last vacuumed: {ago}",
        f"{off}VACUUM (ANALYZE) {table['label']}; if they stay, an old transaction holds them (check activity)",
    )


def _bloated(table: Mapping[str, Any]) -> Remark:
    return Remark(
        "info",
        f"about {table['share']:.0%} of {table['label']} ({size(table['bytes'])}) is empty space, by estimate",
        "VACUUM FULL gives it back but locks the table; pg_repack does so without; new rows will use it too",
    )


def _old(database: Mapping[str, Any]) -> Iterator[Remark]:
    if database["age"] >= OLD_AGE:
        yield Remark(
            "critical" if database["age"] >= LAST_AGE else "warning",
            f"the oldest transaction of database {database['name']} is {database['age']:,} transactions ago, and "
            f"PostgreSQL stops writing at 2,147,000,000",
            "VACUUM FREEZE its oldest tables, and see what keeps autovacuum from it",
        )


async def indexes(connection: Connection) -> Report:
    """Indexes that are invalid, double or unused, and places where one is missing."""
    since: float = await connection.fetchval(queries.SINCE) or 0.0
    remarks = [_invalid(index) for index in await connection.fetch(queries.INVALID)]
    remarks += [_duplicate(index) for index in await connection.fetch(queries.DUPLICATES)]
    remarks += [_unused(index, since) for index in await connection.fetch(queries.UNUSED, UNUSED_PAGES)]
    remarks += [_unindexed(key) for key in await connection.fetch(queries.FOREIGN_KEYS, SCANNED_ROWS)]
    remarks += [_scanned(table) for table in await connection.fetch(queries.SCANNED, SCANS, SCANNED_ROWS)]
    return Report(remarks)


def _invalid(index: Mapping[str, Any]) -> Remark:
    text = f"the index {index['label']} on {index['table']} is invalid: it costs writes and serves no query"
    return Remark("warning", text, f"REINDEX INDEX CONCURRENTLY {index['label']}, or DROP INDEX {index['label']}")


def _duplicate(index: Mapping[str, Any]) -> Remark:
    remedy = f"DROP INDEX CONCURRENTLY {index['label']}"
    if index["is_same"]:
        text = f"the index {index['label']} ({size(index['bytes'])}) is the same as {index['other']}"
        return Remark("warning", text, remedy)
    text = f"the index {index['label']} ({size(index['bytes'])}) is the beginning of {index['other']}, which serves too"
    return Remark("info", text, f"{remedy}, unless queries need the smaller one for speed")


def _unused(index: Mapping[str, Any], since: float) -> Remark:
    return Remark(
        "warning" if since >= UNUSED_SECONDS else "info",
        f"the index {index['label']} ({size(index['bytes'])}) has not been used in the {duration(since)} counted",
        f"if no replica uses it and the time is long enough: DROP INDEX CONCURRENTLY {index['label']}",
    )


def _unindexed(key: Mapping[str, Any]) -> Remark:
    place = f"{key['label']} ({key['columns']})"
    text = f"the foreign key {place} has no index, so a DELETE in {key['other']} reads all of {key['label']}"
    return Remark("warning", text, f"CREATE INDEX CONCURRENTLY ON {place}")


def _scanned(table: Mapping[str, Any]) -> Remark:
    return Remark(
        "warning",
        f"{table['label']} ({table['rows']:,} rows) was read from end to end {table['scans']:,} times, "
        f"{table['each']:,} rows each time",
        "postgres_explain of the queries on it says which index is missing",
    )


async def sequences(connection: Connection) -> Report:
    """Sequences that will soon have no next value."""
    return Report([_spent(sequence) for sequence in await connection.fetch(queries.SEQUENCES, ALMOST_SPENT)])


def _spent(sequence: Mapping[str, Any]) -> Remark:
    last, most = sequence["last_value"], sequence["most"]
    share = last / most
    behind = f" behind {sequence['column']}" if sequence["column"] else ""
    alter = f"ALTER TABLE ... ALTER COLUMN of {sequence['column']} TYPE bigint, and " if sequence["column"] else ""
    return Remark(
        "critical" if share >= SPENT else "warning",
        f"the sequence {sequence['label']}{behind} is at {last:,} of {most:,} ({share:.1%})",
        f"{alter}ALTER SEQUENCE {sequence['label']} AS bigint, before it ends",
    )
