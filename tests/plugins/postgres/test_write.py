"""Changes are shown before they are committed, and nothing is changed unless they are."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.abc
import anyio.lowlevel
import pytest
from anyio import fail_after
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult
from tests.conftest import Database
from tests.plugins.postgres.conftest import execute
from tests.plugins.postgres.debian import Debian
from tests.plugins.postgres.debian import debian as debian  # a fixture

import pegboard_postgres
from pegboard.testing import connect
from pegboard_postgres.embedded import connected

SETUP = (
    "CREATE TABLE item (id int PRIMARY KEY, name text, price numeric, stock int CHECK (stock >= 0))",
    "CREATE TABLE sale (id int PRIMARY KEY, item_id int REFERENCES item ON DELETE CASCADE DEFERRABLE)",
    "CREATE TABLE plain (a int, b int)",
    "CREATE TABLE archive (LIKE item)",
    "INSERT INTO item SELECT n, 'item ' || n, n + 0.5, 10 FROM generate_series(1, 8) AS n",
    "INSERT INTO sale SELECT n, n % 4 + 1 FROM generate_series(1, 12) AS n",
    "INSERT INTO plain VALUES (1, 1), (2, 2)",
)

STATE = """SELECT (SELECT json_agg(i ORDER BY id) FROM item AS i)::text AS items, (SELECT count(*) FROM sale) AS sales,
(SELECT json_agg(p ORDER BY a) FROM plain AS p)::text AS plain, (SELECT count(*) FROM archive) AS archived"""


class Writer:
    """A client whose user answers each question as told."""

    def __init__(self, dsn: str, writes: str = "allow", era: str = "handshake", **settings: Any) -> None:
        self.dsn = dsn
        self.asked: list[str] = []
        self.answer: Any = "accept"
        self.meanwhile: Callable[[], Awaitable[Any]] = anyio.lowlevel.checkpoint
        self.era: Any = era
        postgres = {"dsn": dsn, "writes": writes, **settings}
        self.settings = {"plugins": {"postgres": postgres}}

    @asynccontextmanager
    async def connected(self, *, can_ask: bool = True) -> AsyncGenerator[Client]:
        ask: dict[str, Any] = {"elicitation_callback": self._ask} if can_ask else {}
        async with connect(pegboard_postgres, settings=self.settings, era=self.era, **ask) as client:
            yield client

    async def write(self, sql: str, *params: Any, can_ask: bool = True) -> dict[str, Any]:
        """What the tool answers, or its error under the key `error`."""
        with fail_after(30):
            async with self.connected(can_ask=can_ask) as client:
                return await written(client, sql, *params)

    async def state(self) -> dict[str, Any]:
        async with connected(self.dsn) as connection:
            return dict(await connection.fetchrow(STATE))

    async def _ask(self, _: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        self.asked.append(params.message)
        await self.meanwhile()
        return ElicitResult(action=self.answer)


async def written(client: Client, sql: str, *params: Any) -> dict[str, Any]:
    result = await client.call_tool("postgres_write", {"sql": sql, "params": list(params)})
    if result.is_error:
        return {"error": "".join(getattr(block, "text", "") for block in result.content)}
    return cast(dict[str, Any], result.structured_content)


@pytest.fixture
async def dsn(postgres: Database) -> str:
    await execute(postgres.dsn, *SETUP)
    return postgres.dsn


async def test_the_tool_is_there_only_where_writing_is_allowed(dsn: str) -> None:
    for writes, there in (("deny", False), ("confirm", True), ("allow", True)):
        async with Writer(dsn, writes).connected() as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
        assert ("postgres_write" in names) is there


async def test_an_update_shows_what_differs_before_and_after(dsn: str) -> None:
    writer = Writer(dsn)

    answer = await writer.write("UPDATE item SET stock = $1, name = name WHERE id <= $2", 3, "2")

    assert answer == {
        "command": "UPDATE",
        "table": "public.item",
        "rows": 2,
        "sample": [
            {"before": {"id": 1, "stock": 10}, "after": {"id": 1, "stock": 3}},
            {"before": {"id": 2, "stock": 10}, "after": {"id": 2, "stock": 3}},
        ],
    }
    assert writer.asked == []
    assert '"stock":3' in (await writer.state())["items"]


async def test_a_table_without_a_key_is_shown_whole(dsn: str) -> None:
    answer = await Writer(dsn).write("UPDATE plain SET b = 5 WHERE a = 1")

    assert answer["sample"] == [{"before": {"a": 1, "b": 1}, "after": {"a": 1, "b": 5}}]


async def test_an_insert_and_a_delete_show_the_rows(dsn: str) -> None:
    writer = Writer(dsn)

    inserted = await writer.write("INSERT INTO plain SELECT n, 0 FROM generate_series(10, 30) AS n")
    deleted = await writer.write("DELETE FROM plain WHERE a = 10")

    assert (inserted["rows"], len(inserted["sample"])) == (21, 5)
    assert inserted["sample"][0] == {"after": {"a": 10, "b": 0}}
    assert deleted["sample"] == [{"before": {"a": 10, "b": 0}}]


async def test_an_upsert_shows_which_rows_were_there(dsn: str) -> None:
    answer = await Writer(dsn).write(
        "INSERT INTO item VALUES (1, 'a', 1, 1), (9, 'b', 2, 2) ON CONFLICT (id) DO UPDATE SET name = excluded.name"
    )

    assert answer["rows"] == 2
    assert answer["sample"][0] == {"before": {"id": 1, "name": "item 1"}, "after": {"id": 1, "name": "a"}}
    assert answer["sample"][1] == {"after": {"id": 9, "name": "b", "price": 2, "stock": 2}}


async def test_a_merge_shows_its_rows(dsn: str) -> None:
    answer = await Writer(dsn).write(
        """MERGE INTO plain USING (VALUES (1), (3)) AS s(a) ON plain.a = s.a
        WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.a, 0);"""
    )

    assert answer["rows"] == 2
    assert {"before": {"a": 1, "b": 1}} in answer["sample"]
    assert {"after": {"a": 3, "b": 0}} in answer["sample"]


async def test_returning_answers_with_its_own_rows(dsn: str) -> None:
    answer = await Writer(dsn).write(
        "UPDATE item SET name = repeat('é', 5000) WHERE id < 3 "
        "RETURNING id, id + 1, id AS id, name, price * 12345678901234567890.125"
    )

    first = answer["returned"][0]
    assert list(first) == ["id", "?column?", "id_2", "name", "?column?_2"]
    assert (first["id"], first["?column?"], first["id_2"]) == (1, 2, 1)
    assert first["name"].endswith("chars)")
    assert first["?column?_2"] == "18518518351851851835.1875"
    assert "sample" not in answer


async def test_more_than_a_hundred_returned_rows_are_counted_but_not_sent(dsn: str) -> None:
    answer = await Writer(dsn).write("INSERT INTO plain SELECT n, 0 FROM generate_series(1, 5000) AS n RETURNING a")

    assert (answer["rows"], len(answer["returned"])) == (5000, 100)


async def test_cascades_and_triggers_do_not_go_unseen(dsn: str) -> None:
    answer = await Writer(dsn).write("DELETE FROM item WHERE id = 2")

    assert answer["rows"] == 1
    assert answer["also_changed"] == [{"table": "public.sale", "inserted": 0, "updated": 0, "deleted": 3}]


async def test_a_with_clause_that_changes_rows_too_is_run_and_told(dsn: str) -> None:
    writer = Writer(dsn, "confirm")

    answer = await writer.write(
        "WITH gone AS (DELETE FROM item RETURNING *), x AS (SELECT 1) INSERT INTO archive SELECT * FROM gone -- all"
    )

    assert answer["rows"] == 8
    assert {"table": "public.item", "inserted": 0, "updated": 0, "deleted": 8} in answer["also_changed"]
    assert "WARNING: no WHERE, so EVERY row of item is affected." in writer.asked[0]


async def test_the_user_sees_the_change_before_it_is_made(dsn: str) -> None:
    writer = Writer(dsn, "confirm")
    before = await writer.state()
    seen: list[dict[str, Any]] = []

    async def look() -> None:
        seen.append(await writer.state())

    writer.meanwhile = look
    await writer.write("UPDATE item SET stock = $1 WHERE id = 1", 4)

    assert writer.asked == [
        "Update 1 row of public.item?\n"
        '{"id": 1, "stock": 10} becomes {"id": 1, "stock": 4}\n'
        "SQL: UPDATE item SET stock = $1 WHERE id = 1\n"
        "Values: [4]"
    ]
    assert seen == [before]
    assert await writer.state() != before


@pytest.mark.parametrize("sql", ["DELETE FROM sale", "UPDATE public.sale SET id = id + 100"])
async def test_a_change_without_where_is_warned_about(dsn: str, sql: str) -> None:
    writer = Writer(dsn, "confirm")
    writer.answer = "decline"

    await writer.write(sql)

    assert "WARNING: no WHERE, so EVERY row of" in writer.asked[0].splitlines()[1]
    assert "12 rows of public.sale?" in writer.asked[0]


@pytest.mark.parametrize("era", ["handshake", "stateless"])
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_user_who_refuses_leaves_everything_as_it_was(dsn: str, era: str, action: str) -> None:
    writer = Writer(dsn, "confirm", era)
    writer.answer = action
    before = await writer.state()

    answer = await writer.write("DELETE FROM item WHERE id < 5")

    assert "the user did not confirm postgres_write" in answer["error"]
    assert "nothing was changed" in answer["error"]
    assert len(writer.asked) == 1
    assert await writer.state() == before


@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_a_user_who_agrees_is_asked_once_and_it_happens_once(dsn: str, era: str) -> None:
    writer = Writer(dsn, "confirm", era)

    answer = await writer.write("UPDATE item SET stock = stock - 1 WHERE id = 1")

    assert answer["sample"] == [{"before": {"id": 1, "stock": 10}, "after": {"id": 1, "stock": 9}}]
    assert len(writer.asked) == 1
    assert '"id":1,"name":"item 1","price":1.5,"stock":9' in (await writer.state())["items"]


@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_rows_that_look_different_in_every_run_are_confirmed_once(dsn: str, era: str) -> None:
    await execute(dsn, "CREATE TABLE visit (id serial, at timestamptz DEFAULT clock_timestamp())")
    writer = Writer(dsn, "confirm", era)

    answer = await writer.write("INSERT INTO visit DEFAULT VALUES")

    assert answer["rows"] == 1
    assert len(writer.asked) == 1
    assert writer.asked[0].startswith("Insert 1 row of public.visit?\n")


async def test_a_user_is_asked_again_when_more_would_change_than_was_shown(dsn: str) -> None:
    writer = Writer(dsn, "confirm", "stateless")

    async def add_once() -> None:
        if len(writer.asked) == 1:
            await execute(dsn, "INSERT INTO plain VALUES (3, 3)")

    writer.meanwhile = add_once
    answer = await writer.write("DELETE FROM plain WHERE a > 0")

    assert [question.splitlines()[0] for question in writer.asked] == [
        "Delete 2 rows of public.plain?",
        "Delete 3 rows of public.plain?",
    ]
    assert answer["rows"] == 3


async def test_a_client_that_cannot_ask_changes_nothing(dsn: str) -> None:
    writer = Writer(dsn, "confirm")
    before = await writer.state()

    answer = await writer.write("DELETE FROM item", can_ask=False)

    assert "postgres_write needs the agreement of your user" in answer["error"]
    assert "nothing was changed" in answer["error"]
    assert await writer.state() == before


async def test_a_client_that_cannot_ask_confirms_by_a_second_call(dsn: str) -> None:
    writer, sql = Writer(dsn, "confirm"), "INSERT INTO plain VALUES (77) RETURNING *, clock_timestamp()"

    with fail_after(30):
        async with writer.connected(can_ask=False) as client:
            refused = (await written(client, sql))["error"]
            token = refused.partition('confirmation="')[2].partition('"')[0]
            result = await client.call_tool("postgres_write", {"sql": sql, "params": [], "confirmation": token})

    assert result.structured_content is not None
    assert result.structured_content["rows"] == 1


async def test_a_user_who_does_not_answer_in_time_changes_nothing_and_holds_no_lock(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pegboard_postgres import writing

    monkeypatch.setattr(writing, "MARGIN", 59.0)
    writer = Writer(dsn, "confirm")
    writer.meanwhile = anyio.sleep_forever
    before = await writer.state()

    answer = await writer.write("DELETE FROM item")

    assert "the user did not answer in time" in answer["error"]
    assert "nothing was changed" in answer["error"]
    assert await writer.state() == before
    async with connected(dsn) as other:
        await other.execute("SET lock_timeout = 100; UPDATE item SET stock = 1")


async def test_a_client_that_leaves_while_it_is_asked_changes_nothing(dsn: str) -> None:
    writer = Writer(dsn, "confirm")
    before = await writer.state()
    asked = anyio.Event()

    async def hang() -> None:
        asked.set()
        await anyio.sleep_forever()

    writer.meanwhile = hang
    with fail_after(10):
        async with writer.connected() as client, anyio.create_task_group() as tasks:
            tasks.start_soon(written, client, "DELETE FROM item")
            await asked.wait()
            tasks.cancel_scope.cancel()
        async with connected(dsn) as other:
            await other.execute("UPDATE item SET stock = stock")
    assert await writer.state() == before


@pytest.mark.parametrize(
    ("sql", "params", "message"),
    [
        ("UPDATE item SET stock = -1", [], "violates check constraint"),
        ("UPDATE item SET nope = 1", [], 'column "nope" of relation "item" does not exist (42703, line 1, column 17'),
        ("INSERT INTO nowhere VALUES (1)", [], "42P01"),
        ("INSERT INTO sale VALUES (100, 99)", [], "violates foreign key constraint"),
        ("UPDATE item SET stock = $1", [], "sql has 1 parameter ($1) and params has 0 values"),
        ("UPDATE item SET stock = $1", ["many"], "invalid input syntax for type integer"),
        ("UPDATE item SET stock = 1; DELETE FROM item", [], "more than one statement"),
        ("SELECT 1", [], "INSERT, UPDATE, DELETE or MERGE"),
        ("DROP TABLE item", [], "INSERT, UPDATE, DELETE or MERGE"),
        ("TRUNCATE item", [], "INSERT, UPDATE, DELETE or MERGE"),
        ("COMMIT", [], "INSERT, UPDATE, DELETE or MERGE"),
        ("COPY item FROM STDIN", [], "INSERT, UPDATE, DELETE or MERGE"),
        ("DO $$ BEGIN DELETE FROM item; END $$", [], "INSERT, UPDATE, DELETE or MERGE"),
        ("WITH x AS (DELETE FROM item RETURNING *) SELECT * FROM x", [], "INSERT, UPDATE, DELETE or MERGE"),
        ("INSERT INTO item (name) SELECT pg_read_file('/etc/passwd')", [], "pg_read_file"),
        ("UPDATE item SET name = set_config('role', 'postgres', true)", [], "set_config"),
        ("UPDATE pg_catalog.pg_class SET relname = 'x'", [], "belongs to PostgreSQL itself"),
        ("WITH x AS (DELETE FROM pg_proc) UPDATE item SET stock = 1", [], "belongs to PostgreSQL itself"),
        ("DELETE", [], "syntax error"),
        ("", [], "sql is empty"),
    ],
)
async def test_what_fails_says_why_and_that_nothing_was_changed(
    dsn: str, sql: str, params: list[Any], message: str
) -> None:
    writer = Writer(dsn)
    before = await writer.state()

    answer = await writer.write(sql, *params)

    assert message in answer["error"]
    assert await writer.state() == before


async def test_a_constraint_that_waits_for_the_end_is_checked_before_the_user_is_asked(dsn: str) -> None:
    await execute(dsn, "ALTER TABLE sale ALTER CONSTRAINT sale_item_id_fkey DEFERRABLE INITIALLY DEFERRED")
    writer = Writer(dsn, "confirm")

    answer = await writer.write("INSERT INTO sale VALUES (100, 99)")

    assert "violates foreign key constraint" in answer["error"]
    assert "nothing was changed" in answer["error"]
    assert writer.asked == []


async def test_a_lock_somebody_else_holds_is_waited_for_only_shortly(dsn: str) -> None:
    writer = Writer(dsn)
    async with connected(dsn) as other, other.transaction():
        await other.execute("UPDATE item SET stock = 1 WHERE id = 1")

        answer = await writer.write("UPDATE item SET stock = 2 WHERE id = 1")

    assert "somebody else holds the lock" in answer["error"]
    assert "nothing was changed" in answer["error"]


async def test_a_statement_that_takes_too_long_is_cancelled(dsn: str) -> None:
    await execute(dsn, "CREATE FUNCTION doze() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1 FROM pg_sleep(30)'")

    answer = await Writer(dsn, statement_timeout=0.3).write("UPDATE item SET stock = doze()")

    assert "57014" in answer["error"] or "was cancelled" in answer["error"]
    assert "nothing was changed" in answer["error"]


async def test_functions_of_ones_own_and_triggers_run(dsn: str) -> None:
    await execute(
        dsn,
        "CREATE FUNCTION next_price() RETURNS numeric LANGUAGE sql VOLATILE AS 'SELECT 7.25'",
        "CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO plain VALUES (NEW.id, 0); RETURN NEW; END'",
        "CREATE TRIGGER logs AFTER UPDATE ON item FOR EACH ROW EXECUTE FUNCTION log()",
    )

    answer = await Writer(dsn).write("UPDATE item SET price = next_price() WHERE id = 1")

    assert answer["sample"][0]["after"] == {"id": 1, "price": 7.25}
    assert answer["also_changed"] == [{"table": "public.plain", "inserted": 1, "updated": 0, "deleted": 0}]


async def test_a_role_that_may_write_but_not_read_gets_the_number_only(postgres: Database) -> None:
    await execute(postgres.dsn, *SETUP, "GRANT INSERT ON plain TO PUBLIC")

    answer = await Writer(postgres.reader_dsn).write("INSERT INTO plain VALUES (7, 7), (8, 8)")

    assert answer == {"command": "INSERT", "table": "public.plain", "rows": 2}


async def test_a_role_that_may_not_write_is_told_what_to_do(postgres: Database) -> None:
    await execute(postgres.dsn, *SETUP)

    answer = await Writer(postgres.reader_dsn).write("INSERT INTO plain VALUES (7, 7)")

    assert "permission denied for table plain" in answer["error"]
    assert "have the owner of the table grant it" in answer["error"]


async def test_a_change_through_a_view_and_through_a_rule_works(dsn: str) -> None:
    await execute(
        dsn,
        "CREATE VIEW cheap AS SELECT * FROM item WHERE price < 3",
        "CREATE TABLE ruled (a int)",
        "CREATE RULE elsewhere AS ON INSERT TO ruled DO ALSO INSERT INTO plain VALUES (NEW.a, NEW.a)",
    )
    writer = Writer(dsn)

    viewed = await writer.write("UPDATE cheap SET stock = 1")
    ruled = await writer.write("INSERT INTO ruled VALUES (5)")

    assert (viewed["table"], viewed["rows"]) == ("public.cheap", 2)
    assert ruled["rows"] == 1
    assert ruled["also_changed"] == [{"table": "public.plain", "inserted": 1, "updated": 0, "deleted": 0}]


async def test_a_partition_is_no_other_table(dsn: str) -> None:
    await execute(
        dsn,
        "CREATE TABLE events (day int, note text) PARTITION BY RANGE (day)",
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (10) TO (20)",
    )
    writer = Writer(dsn)

    whole = await writer.write("INSERT INTO events VALUES (1, 'a'), (11, 'b')")
    moved = await writer.write("UPDATE events SET day = 12 WHERE day = 1")
    part = await writer.write("DELETE FROM events_2")

    assert [answer["rows"] for answer in (whole, moved, part)] == [2, 1, 2]
    assert not any("also_changed" in answer for answer in (whole, moved, part))


async def test_odd_names_and_values_are_written_exactly(dsn: str) -> None:
    await execute(dsn, 'CREATE TABLE "Odd ""name" (old int PRIMARY KEY, "new" text, "{x}" jsonb, "WHERE" date[])')

    answer = await Writer(dsn).write(
        'INSERT INTO "Odd ""name" AS "né" VALUES ($1, $2, $3, $4)', "1", "{0} é '\n", {"a": [1.5]}, ["2024-02-29"]
    )

    row = {"old": 1, "new": "{0} é '\n", "{x}": {"a": [1.5]}, "WHERE": ["2024-02-29"]}
    assert answer["sample"] == [{"after": row}]
    assert answer["table"] == 'public."Odd ""name"'


async def test_the_sample_is_short_however_long_the_values_are(dsn: str) -> None:
    answer = await Writer(dsn).write("UPDATE item SET name = repeat('x', 3000000) WHERE id = 1")

    assert answer["sample"][0]["after"]["name"] == "x" * 200 + "…(+2999800 chars)"


async def test_writing_works_on_another_major_version(debian: Debian) -> None:
    async with connected(debian.url()) as admin:
        await admin.execute("CREATE DATABASE written")
        try:
            dsn = debian.url(database="written")
            await execute(dsn, *SETUP)
            writer = Writer(dsn)
            updated = await writer.write("UPDATE item SET stock = 3 WHERE id = 1")
            deleted = await writer.write("DELETE FROM item AS i WHERE i.id = 2")
            merged = await writer.write(
                "MERGE INTO plain USING (VALUES (1)) AS s(a) ON plain.a = s.a WHEN MATCHED THEN DELETE"
            )
        finally:
            await admin.execute("DROP DATABASE written WITH (FORCE)")

    assert updated["sample"] == [{"after": {"id": 1, "name": "item 1", "price": 1.5, "stock": 3}}]
    assert deleted["sample"][0]["before"]["id"] == 2
    assert deleted["also_changed"][0]["deleted"] == 3
    assert merged == {"command": "MERGE", "table": "public.plain", "rows": 1}


GONE = (anyio.EndOfStream, anyio.BrokenResourceError)


class Wire:
    """A server between the client and PostgreSQL that loses the connection at COMMIT, before or after it passed."""

    def __init__(self, dsn: str, *, passes: bool, comes_back: bool) -> None:
        query = parse_qs(urlsplit(dsn).query)
        self._socket = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
        self._dsn = dsn
        self._passes = passes
        self._comes_back = comes_back
        self._cut = False

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[str]:
        """The DSN that goes over this wire."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        url = urlsplit(self._dsn)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._carry)
            yield f"postgresql://{url.username}:{url.password}@127.0.0.1:{port}{url.path}?sslmode=disable"
            tasks.cancel_scope.cancel()

    async def _carry(self, client: anyio.abc.SocketStream) -> None:
        async with client:
            if self._cut and not self._comes_back:
                return
            async with await anyio.connect_unix(self._socket) as server, anyio.create_task_group() as tasks:
                committing = anyio.Event()
                tasks.start_soon(self._back, server, client, committing, tasks.cancel_scope)
                await self._forth(client, server, committing)
                tasks.cancel_scope.cancel()

    async def _forth(
        self, client: anyio.abc.SocketStream, server: anyio.abc.SocketStream, committing: anyio.Event
    ) -> None:
        with suppress(*GONE):
            while True:
                data = await client.receive()
                if b"COMMIT\0" in data:
                    self._cut = True
                    committing.set()
                    if not self._passes:
                        return
                await server.send(data)

    async def _back(
        self,
        server: anyio.abc.SocketStream,
        client: anyio.abc.SocketStream,
        committing: anyio.Event,
        both: anyio.CancelScope,
    ) -> None:
        with suppress(*GONE):
            while (data := await server.receive()) and not committing.is_set():
                await client.send(data)
        both.cancel()


async def over(wire: Wire, sql: str) -> dict[str, Any]:
    async with wire.opened() as dsn:
        return await Writer(dsn).write(sql)


async def test_a_commit_whose_answer_was_lost_is_found_out_about(dsn: str) -> None:
    answer = await over(Wire(dsn, passes=True, comes_back=True), "DELETE FROM plain")

    assert answer["rows"] == 2
    assert answer["notice"] == "the connection was lost during COMMIT; the server says that the change was committed"
    assert (await Writer(dsn).state())["plain"] is None


async def test_a_commit_that_never_arrived_has_changed_nothing(dsn: str) -> None:
    before = await Writer(dsn).state()

    answer = await over(Wire(dsn, passes=False, comes_back=True), "DELETE FROM plain")

    assert "the connection to PostgreSQL" in answer["error"]
    assert "nothing was changed" in answer["error"]
    assert await Writer(dsn).state() == before


async def test_a_commit_nobody_can_tell_about_is_said_to_be_unsure_with_a_way_to_check(dsn: str) -> None:
    answer = await over(Wire(dsn, passes=True, comes_back=False), "DELETE FROM plain")

    assert "may or may not have been made" in answer["error"]
    assert "nothing was changed" not in answer["error"]
    (check,) = re.findall(r"SELECT txid_status\(\d+\)", answer["error"])
    async with connected(dsn) as connection:
        assert await connection.fetchval(check) == "committed"
