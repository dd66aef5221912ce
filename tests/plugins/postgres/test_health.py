"""What is wrong with a server is found, with a remedy, and nothing that somebody else typed is shown."""

import os
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio import fail_after
from tests.conftest import Database, open_folder
from tests.plugins.postgres import debian as servers
from tests.plugins.postgres.conftest import MakeReader, Reader, execute
from tests.plugins.postgres.debian import Debian

from pegboard import ToolError
from pegboard_postgres.binaries import unprivileged
from pegboard_postgres.cluster import environment
from pegboard_postgres.embedded import connected
from pegboard_postgres.health import finding, sessions, statements, storage, tool

SECRET = "hunter2"

WATCHED = {
    "shared_preload_libraries": "pg_stat_statements",
    "max_prepared_transactions": "3",
    "max_connections": "20",
    "wal_level": "replica",
}
"""What a server needs for some of the checks."""


@pytest.fixture(scope="module")
def watched() -> Generator[Debian]:
    """A server of another major version with pg_stat_statements, prepared transactions and replication slots."""
    programs = servers.binaries()
    if programs is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(servers.MISSING)
    with pytest.MonkeyPatch.context() as patch, open_folder() as folder:
        patch.setattr(servers, "OPTIONS", {**servers.OPTIONS, **WATCHED})
        with servers.running(programs, folder) as server:
            yield server


@pytest.fixture
def standby(watched: Debian) -> Generator[str]:
    """The DSN of a standby of the watched server."""
    programs, account = servers.binaries(), unprivileged()
    assert programs is not None
    with open_folder() as folder:
        home = folder / "standby"
        home.mkdir(mode=0o700)
        if account is not None:
            os.chown(home, account.uid, account.gid)

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), *arguments]
            subprocess.run(
                command if account is None else account.command(command),
                check=True,
                cwd=folder,
                env=environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

        data, options = str(home / "data"), {**servers.OPTIONS, **WATCHED, "unix_socket_directories": str(home)}
        run("pg_basebackup", "-D", data, "-R", "-h", str(watched.sockets), "-U", "postgres", "--checkpoint=fast")
        given = " ".join(f"--{name}={value}" for name, value in options.items())
        run("pg_ctl", "start", "-D", data, "-w", "-l", str(home / "log"), "-o", given)
        try:
            yield Debian(watched.major, home).url()
        finally:
            run("pg_ctl", "stop", "-D", data, "-w", "-m", "immediate")


@pytest.fixture
async def admin(reader_of: MakeReader, postgres: Database) -> Reader:
    """A reader of the test's own database as somebody who may see everything."""
    return reader_of(postgres.admin_dsn)


async def findings(reader: Reader, *checks: str) -> str:
    """The findings of these checks, one a line, as `severity: finding -> remedy`."""
    answer = await reader.call("postgres_health", checks=list(checks))
    assert {found["check"] for found in answer["findings"]} <= set(checks)
    return "\n".join(f"{f['severity']}: {f['finding']} -> {f.get('remedy')}" for f in answer["findings"])


@asynccontextmanager
async def session(dsn: str, *sqls: str) -> AsyncGenerator[Any]:
    """A connection that has run this and stays open."""
    async with connected(dsn) as connection:
        for sql in sqls:
            await connection.execute(sql)
        yield connection


async def test_a_server_with_nothing_wrong_is_said_to_be_well(admin: Reader) -> None:
    answer = await admin.call("postgres_health")

    assert answer["summary"] == "all well: 9 checks found nothing to worry about"
    assert {found["severity"] for found in answer["findings"]} <= {"info"}
    assert answer["numbers"]["max_connections"] > 50
    assert 0 <= answer["numbers"]["cache_hit_share"] <= 1


async def test_only_the_checks_asked_for_are_made(admin: Reader) -> None:
    answer = await admin.call("postgres_health", checks=["connections", "connections"])

    assert answer["summary"] == "all well: 1 checks found nothing to worry about"
    assert answer["numbers"].keys() == {"connections", "max_connections"}
    with pytest.raises(ToolError, match="activity"):
        await admin.call("postgres_health", checks=["everything"])


async def test_an_idle_transaction_is_told_without_the_values_in_it(
    admin: Reader, postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "IDLE_SECONDS", 0)
    async with session(postgres.dsn, "BEGIN", f"SELECT '{SECRET}', 4711 AS n, $${SECRET}$$ /* {SECRET} */"):
        found = await findings(admin, "activity")

    assert f"({postgres.name}, {postgres.name}) has been idle in a transaction for " in found
    assert "after: SELECT ?, ? AS n, ?" in found
    assert "pg_terminate_backend" in found
    assert SECRET not in found


async def test_a_long_transaction_is_told(admin: Reader, postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "LONG_SECONDS", 0)
    monkeypatch.setattr(sessions, "CRITICAL_SECONDS", 0)
    async with session(postgres.dsn, "SET application_name = 'till'", "BEGIN", "SELECT 1"):
        found = await findings(admin, "activity")

    assert f"({postgres.name}, till, {postgres.name}) has been in one transaction" in found
    assert found.startswith("critical: ")


async def test_sessions_a_role_may_not_see_are_counted(reader_of: MakeReader, postgres: Database) -> None:
    async with session(postgres.admin_dsn, "BEGIN", f"SELECT '{SECRET}'"):
        found = await findings(reader_of(postgres.reader_dsn), "activity")

    assert "sessions of other roles are hidden from this one -> have a superuser GRANT pg_monitor" in found
    assert SECRET not in found


WAITING = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid = ANY($1)"


async def test_who_waits_for_whom_is_told_by_the_head_of_the_queue(
    admin: Reader, postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await execute(postgres.dsn, "CREATE TABLE account (id int)", "INSERT INTO account VALUES (1)")
    found = critical = ""
    pids: list[int] = []
    async with session(postgres.dsn, "BEGIN", "LOCK TABLE account") as head:
        async with connected(postgres.dsn) as second, connected(postgres.dsn) as third:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(second.execute, f"UPDATE account SET id = 2 WHERE id = 1 AND '{SECRET}' <> ''")
                # In one statement, since whichever of the two gets the lock first must let go of it again.
                tasks.start_soon(third.execute, "BEGIN; LOCK TABLE account; ROLLBACK")
                waiting = [second.get_server_pid(), third.get_server_pid()]
                with fail_after(5):
                    while await head.fetchval(WAITING, waiting) != 2:
                        await anyio.sleep(0.01)
                found = await findings(admin, "locks")
                monkeypatch.setattr(sessions, "WAIT_SECONDS", 0)
                critical = await findings(admin, "locks")
                pids = [head.get_server_pid(), *waiting]
                await head.execute("ROLLBACK")

    assert found.startswith(f"warning: session {pids[0]} ({postgres.name}, idle in transaction: ")
    assert "blocks 2: " in found
    assert str(pids[1]) in found
    assert "Lock on account" in found
    assert f"have {pids[0]} commit or roll back" in found
    assert SECRET not in found
    assert len(found.splitlines()) == 1
    assert critical.startswith("critical: ")


async def test_dead_rows_and_empty_space_are_told(
    admin: Reader, postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "BLOATED_PAGES", 10)
    await execute(
        postgres.dsn,
        "CREATE TABLE log (id int, note text) WITH (autovacuum_enabled = false)",
        "CREATE TABLE hollow (id int, note text) WITH (autovacuum_enabled = false)",
        "INSERT INTO log SELECT n, 'x' FROM generate_series(1, 30000) AS n",
        "INSERT INTO hollow SELECT n, 'x' FROM generate_series(1, 30000) AS n",
        "DELETE FROM log WHERE id > 1000",
        "DELETE FROM hollow WHERE id BETWEEN 10 AND 29990",
        "SELECT pg_stat_force_next_flush()",
        "VACUUM ANALYZE hollow",
    )

    found = await findings(admin, "vacuum")

    assert "public.log has 29,000 dead rows beside 1,000 live ones; last vacuumed: never -> autovacuum is off" in found
    assert "% of public.hollow (" in found
    assert "VACUUM (ANALYZE) public.log" in found


async def test_transaction_ids_that_run_out_are_told(admin: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "OLD_AGE", 1)

    found = await findings(admin, "vacuum")

    assert "warning: the oldest transaction of database" in found
    assert "VACUUM FREEZE" in found


async def test_indexes_that_only_cost_are_told(
    admin: Reader, postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "UNUSED_PAGES", 1)
    await execute(
        postgres.dsn,
        "CREATE TABLE t (id int PRIMARY KEY, a int, b int, c text)",
        "INSERT INTO t SELECT n, n % 10, n, 'x' FROM generate_series(1, 1000) AS n",
        "CREATE INDEX t_a ON t (a)",
        "CREATE INDEX t_a_again ON t (a)",
        "CREATE INDEX t_a_b ON t (a, b)",
        "CREATE INDEX t_pk_again ON t (id)",
        "CREATE INDEX t_a_down ON t (a DESC)",
        "CREATE INDEX t_a_some ON t (a) WHERE b > 5",
        "CREATE INDEX t_lower ON t (lower(c))",
        "CREATE INDEX t_hash ON t USING hash (a)",
    )
    async with connected(postgres.dsn) as connection:
        with pytest.raises(Exception, match="could not create unique index"):
            await connection.execute("CREATE UNIQUE INDEX CONCURRENTLY t_broken ON t (a)")
    await execute(postgres.dsn, "VACUUM ANALYZE t")

    found = await findings(admin, "indexes")

    assert "warning: the index public.t_broken on public.t is invalid" in found
    assert "REINDEX INDEX CONCURRENTLY public.t_broken" in found
    assert "warning: the index public.t_a_again (" in found
    assert "is the same as t_a -> DROP INDEX CONCURRENTLY public.t_a_again" in found
    assert "warning: the index public.t_pk_again (" in found
    assert "the index public.t_a (16 kB) is the beginning of t_a_b" in found
    assert "info: the index public.t_lower (16 kB) has not been used in the" in found
    same = [line for line in found.splitlines() if "is the same as" in line]
    assert len(same) == 2
    assert "t_pkey (" not in found


async def test_indexes_that_are_missing_are_told(
    admin: Reader, postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "SCANS", 3)
    monkeypatch.setattr(storage, "SCANNED_ROWS", 100)
    await execute(
        postgres.dsn,
        "CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b))",
        'CREATE TABLE child (id int, "A" int, b int, FOREIGN KEY ("A", b) REFERENCES parent)',
        "CREATE TABLE fine (a int, b int, FOREIGN KEY (a, b) REFERENCES parent)",
        "CREATE INDEX ON fine (b, a)",
        "INSERT INTO parent VALUES (1, 1)",
        "INSERT INTO child SELECT n, 1, 1 FROM generate_series(1, 500) AS n",
        "INSERT INTO fine SELECT 1, 1 FROM generate_series(1, 500) AS n",
        "SELECT pg_stat_force_next_flush()",
        "ANALYZE",
        *["SELECT count(*) FROM child WHERE id = 5"] * 4,
        "SELECT pg_stat_force_next_flush()",
    )

    found = await findings(admin, "indexes")

    assert (
        'the foreign key public.child ("A", b) has no index, so a DELETE in parent reads all of public.child' in found
    )
    assert 'CREATE INDEX CONCURRENTLY ON public.child ("A", b)' in found
    assert "public.child (500 rows) was read from end to end" in found
    assert "public.fine" not in found


async def test_sequences_near_their_end_are_told(admin: Reader, postgres: Database) -> None:
    await execute(
        postgres.dsn,
        "CREATE TABLE ticket (id serial, big bigserial, small smallint GENERATED ALWAYS AS IDENTITY)",
        "CREATE SEQUENCE alone MAXVALUE 1000",
        "CREATE SEQUENCE round MAXVALUE 1000 CYCLE",
        "SELECT setval('ticket_id_seq', 2100000000), setval('ticket_big_seq', 2100000000)",
        "SELECT setval('ticket_small_seq', 30000), setval('alone', 850), setval('round', 999)",
    )

    found = await findings(admin, "sequences")

    assert "critical: the sequence public.ticket_id_seq behind ticket.id is at 2,100,000,000 of 2,147,483,647" in found
    assert "warning: the sequence public.ticket_small_seq behind ticket.small is at 30,000 of 32,767" in found
    assert "warning: the sequence public.alone is at 850 of 1,000 (85.0%)" in found
    assert "ticket_big" not in found
    assert "round" not in found


async def test_full_connections_and_a_cold_cache_are_told(admin: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "ALMOST_FULL", 0.0)
    monkeypatch.setattr(statements, "MIN_READ", 0)
    monkeypatch.setattr(statements, "LOW_HITS", 1.1)

    found = await findings(admin, "connections", "cache")

    assert "connections are in use -> close idle ones, use a pooler" in found
    assert "of the pages come from PostgreSQL's cache" in found


async def test_without_pg_stat_statements_the_way_to_have_it_is_told(admin: Reader) -> None:
    found = await findings(admin, "queries")

    assert "no pg_stat_statements (its package, postgresql-contrib, is not installed either)" in found
    assert "add pg_stat_statements to shared_preload_libraries" in found


async def test_slow_statements_are_told_with_their_share(
    watched: Debian, reader_of: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "SLOW_MS", 100)
    await execute(
        watched.url(),
        "CREATE SCHEMA IF NOT EXISTS ext",
        "CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA ext",
        "GRANT USAGE ON SCHEMA ext TO PUBLIC",
        f"SELECT pg_sleep(0.3), '{SECRET}'",
        f"CREATE ROLE somebody LOGIN PASSWORD '{SECRET}'",
    )

    found = await findings(reader_of(watched.url()), "queries")
    seen_by_another = await findings(reader_of(watched.url("somebody")), "queries")

    assert "in 1 calls of 3" in found
    assert "SELECT pg_sleep($1), $2 -> postgres_explain shows what takes the time" in found
    assert found.startswith("warning: ")
    assert len(found.splitlines()) <= 5
    assert "statements of other roles are hidden" in seen_by_another
    assert SECRET not in found + seen_by_another


async def test_prepared_transactions_and_idle_slots_are_told(
    watched: Debian, reader_of: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "LONG_SECONDS", 0)
    monkeypatch.setattr(sessions, "RETAINED_BYTES", -1)
    async with session(watched.url(), "BEGIN", "CREATE TABLE half (id int)", "PREPARE TRANSACTION 'left'") as admin:
        await admin.execute("SELECT pg_create_physical_replication_slot('forgotten', true)")

        found = await findings(reader_of(watched.url()), "activity", "replication")

        await admin.execute("ROLLBACK PREPARED 'left'")
        await admin.execute("SELECT pg_drop_replication_slot('forgotten')")
    assert "the transaction 'left' in postgres has been prepared for " in found
    assert "COMMIT PREPARED or ROLLBACK PREPARED 'left'" in found
    assert "critical: nobody reads the replication slot forgotten" in found


async def test_a_replica_that_lags_is_told_on_both_sides(
    watched: Debian, standby: str, reader_of: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await execute(watched.url(), "DROP ROLE IF EXISTS onlooker", "CREATE ROLE onlooker LOGIN")
    async with connected(standby) as replica:
        with fail_after(20):
            while await replica.fetchval("SELECT pg_last_xact_replay_timestamp()") is None:
                await execute(watched.url(), "CREATE TABLE beat ()", "DROP TABLE beat")
            await replica.execute("SELECT pg_wal_replay_pause()")
            while await replica.fetchval("SELECT pg_get_wal_replay_pause_state()") != "paused":
                await anyio.sleep(0.01)
            while await replica.fetchval("SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()"):
                await execute(watched.url(), "CREATE TABLE beat ()", "DROP TABLE beat")
        untroubled = await findings(reader_of(watched.url()), "replication")
        monkeypatch.setattr(sessions, "LAG_BYTES", 1)
        monkeypatch.setattr(sessions, "LAG_SECONDS", 0)
        on_primary = await findings(reader_of(watched.url()), "replication")
        for_onlooker = await findings(reader_of(watched.url("onlooker")), "replication")
        on_standby = await reader_of(standby).call("postgres_health")

    assert untroubled == ""
    assert "(streaming, async) is " in on_primary
    assert "behind -> look at its disk, its network" in on_primary
    assert "cannot be seen by this role -> have a superuser GRANT pg_monitor" in for_onlooker
    told = [found["finding"] for found in on_standby["findings"]]
    assert any(finding.startswith("this standby is ") for finding in told)
    assert not any("could not be made" in finding for finding in told)


async def test_every_check_works_on_another_major_version(watched: Debian, reader_of: MakeReader) -> None:
    answer = await reader_of(watched.url()).call("postgres_health")

    assert not [found for found in answer["findings"] if "could not be made" in found["finding"]]


async def test_a_check_that_may_not_be_made_says_so_and_the_others_go_on(
    reader_of: MakeReader, postgres: Database
) -> None:
    await execute(postgres.admin_dsn, "REVOKE SELECT ON pg_stat_user_tables FROM PUBLIC")

    answer = await reader_of(postgres.reader_dsn).call("postgres_health")

    refused = {found["check"]: found for found in answer["findings"] if "could not be made" in found["finding"]}
    assert refused.keys() == {"vacuum", "indexes"}
    assert "permission denied for view pg_stat_user_tables" in refused["vacuum"]["finding"]
    assert "GRANT pg_monitor" in refused["vacuum"]["remedy"]
    assert answer["numbers"].keys() >= {"sessions", "connections", "replicas"}


async def test_a_check_that_takes_too_long_is_given_up_and_the_others_go_on(
    admin: Reader, postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "MAX_SECONDS", 0.3)
    async with session(postgres.admin_dsn, "BEGIN", "LOCK TABLE pg_sequence"):
        answer = await admin.call("postgres_health", checks=["sequences", "connections"])

    (late,) = answer["findings"]
    assert late["check"] == "sequences"
    assert "this check could not be made" in late["finding"]
    assert answer["numbers"]["connections"] > 0


async def test_a_server_that_is_gone_is_told_as_that(reader_of: MakeReader) -> None:
    with pytest.raises(ToolError, match="cannot be used"):
        await reader_of("postgresql://bob:secret@127.0.0.1:1/shop").call("postgres_health")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("SELECT  *\nFROM t WHERE a = 'x''y' AND b=5", "SELECT * FROM t WHERE a = ? AND b=?"),
        ("UPDATE t SET a = E'\\'' || $1 -- hunter2\n, b = -1.5e3", "UPDATE t SET a = ? || $1 , b = -?"),
        ("/* hunter2 */ SELECT U&'\\0041'", "SELECT U&?"),
        ("ALTER ROLE a PASSWORD 'hun", "ALTER ROLE a PASSWORD ?"),
        ('SELECT $x$ hunter2 $x$, "hunter"', 'SELECT ?, "hunter"'),
        ("<insufficient privilege>", "a hidden statement"),
        (None, "a hidden statement"),
        ("", "no statement yet"),
        ("SELECT " + "a, " * 200, "SELECT " + "a, " * 64 + "a…(+406 chars)"),
    ],
)
def test_values_in_other_peoples_statements_are_not_shown(query: str | None, shown: str) -> None:
    assert finding.without_literals(query) == shown


def test_times_and_sizes_are_written_as_people_say_them() -> None:
    assert [finding.duration(n) for n in (0, 59, 119, 120, 7200, 400_000)] == [
        "0 s",
        "59 s",
        "119 s",
        "2 min",
        "2 h",
        "5 d",
    ]
    assert [finding.size(n) for n in (2048, 3 * 2**20, 5 * 2**30)] == ["2 kB", "3.0 MB", "5.0 GB"]
