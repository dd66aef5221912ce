"""An error in the SQL: where it is, and what was probably meant."""

import pytest
from tests.conftest import Database
from tests.plugins.postgres.conftest import MakeReader, Reader, execute

from pegboard import ToolError
from pegboard_postgres.embedded import Embedded, connected

SHOP = (
    "CREATE SCHEMA sales",
    "CREATE TABLE customer (id int PRIMARY KEY, email text, full_name text)",
    "CREATE TABLE sales.orders (id int PRIMARY KEY, customer_id int REFERENCES customer, placed_at date)",
    'CREATE TABLE "Odd Name" ("A.b" int)',
    "CREATE TABLE secret (id int)",
    "CREATE FUNCTION total_price(int, numeric) RETURNS numeric IMMUTABLE LANGUAGE sql AS 'SELECT $1 * $2'",
)


@pytest.fixture
async def shop(owner: Reader, postgres: Database) -> Reader:
    await execute(postgres.dsn, *SHOP)
    return owner


async def error_of(reader: Reader, sql: str, *params: object) -> str:
    with pytest.raises(ToolError) as error:
        await reader.query(sql, *params)
    return str(error.value)


@pytest.mark.parametrize(
    ("sql", "guess"),
    [
        ("SELECT * FROM custmer", "did you mean public.customer?"),
        ("SELECT * FROM orders", "did you mean sales.orders?"),
        ("SELECT * FROM public.orders", "did you mean sales.orders?"),
        ("SELECT * FROM sale.orders", "did you mean sales.orders?"),
        ('SELECT * FROM "Customer"', "did you mean public.customer?"),
        ("SELECT * FROM odd_name", 'did you mean public."Odd Name"?'),
        ("SELECT emial FROM customer", "did you mean customer.email?"),
        ("SELECT c.fullname FROM customer AS c", "did you mean customer.full_name?"),
        ("SELECT o.custmer_id FROM customer c JOIN sales.orders o ON true", "did you mean orders.customer_id?"),
        ("SELECT zzz FROM customer", "customer has id, email, full_name"),
        ("SELECT uper('x')", "did you mean upper"),
        ("SELECT totalprice(1, 2)", "did you mean total_price?"),
        ("SELECT total_price('a'::bytea, 2)", "there is total_price(integer,numeric)"),
        ("SELECT sale.f(1)", "did you mean sales?"),
        ("EXPLAIN SELECT * FROM custmer", "did you mean public.customer?"),
    ],
)
async def test_a_name_that_is_nearly_right_is_put_right(shop: Reader, sql: str, guess: str) -> None:
    assert guess in await error_of(shop, sql)


async def test_nothing_is_suggested_that_may_not_be_read(
    shop: Reader, reader_of: MakeReader, postgres: Database
) -> None:
    await execute(postgres.dsn, "GRANT SELECT ON customer TO pegboard_reader")
    reader = reader_of(postgres.reader_dsn)

    assert "did you mean public.customer?" in await error_of(reader, "SELECT * FROM customr")
    assert "public.secret" not in await error_of(reader, "SELECT * FROM secrets")


async def test_the_line_of_the_error_is_shown_with_a_caret(shop: Reader) -> None:
    message = await error_of(shop, "SELECT id,\n\temial,\n  full_name\nFROM customer")

    assert message.split("\n")[:3] == [
        'PostgreSQL says: column "emial" does not exist (42703, line 2, column 2)',
        "   emial,",
        "   ^",
    ]


async def test_of_a_long_line_the_part_around_the_error_is_shown(shop: Reader) -> None:
    _, line, caret, *_ = (await error_of(shop, f"SELECT {'1, ' * 500} nope {', 2' * 500} FROM customer")).split("\n")

    assert len(line) <= 102
    assert line[caret.index("^") :].startswith("nope")


async def test_the_place_counts_characters_and_not_bytes(shop: Reader) -> None:
    _, line, caret, *_ = (await error_of(shop, "SELECT 'éé', nope FROM customer")).split("\n")

    assert line[caret.index("^") :].startswith("nope")


async def test_a_statement_without_an_error_asks_the_catalog_nothing(shop: Reader, postgres: Database) -> None:
    await shop.query("SELECT 1 AS once")

    async with connected(postgres.admin_dsn) as admin:
        last = await admin.fetchval("SELECT query FROM pg_stat_activity WHERE usename = $1", postgres.name)
    assert last.startswith("ROLLBACK")


async def test_a_table_that_changes_between_two_calls_is_read_as_it_is_now(shop: Reader, postgres: Database) -> None:
    sql = "SELECT * FROM customer"
    await execute(postgres.dsn, "INSERT INTO customer VALUES (1, 'a@b', 'A B')")
    assert await shop.rows(sql) == [[1, "a@b", "A B"]]

    await execute(postgres.dsn, "ALTER TABLE customer ALTER COLUMN id TYPE bigint", "ALTER TABLE customer DROP email")
    answer = await shop.query(sql)

    assert [column["type"] for column in answer["columns"]] == ["int8", "text"]
    assert answer["rows"] == [[1, "A B"]]


async def test_a_table_that_is_dropped_between_two_calls_is_told_with_its_place(
    shop: Reader, postgres: Database
) -> None:
    await shop.query("SELECT * FROM secret")

    await execute(postgres.dsn, "DROP TABLE secret")

    assert "(42P01, line 1, column 15)" in await error_of(shop, "SELECT * FROM secret")


async def test_a_query_that_costs_too_much_is_refused_before_it_runs(
    reader_of: MakeReader, postgres_server: Embedded
) -> None:
    reader = reader_of(postgres_server.dsn, max_cost=1000)

    message = await error_of(reader, "SELECT count(*) FROM generate_series(1, $1) AS a, pg_attribute AS b", 10_000)

    assert "max_cost" in message
    assert await reader.value("SELECT $1::int", 5) == 5


async def test_behind_a_pooler_nothing_is_kept_prepared(reader_of: MakeReader, postgres_server: Embedded) -> None:
    reader = reader_of(postgres_server.dsn, prepared_statements=0, max_connections=1)

    assert [await reader.value("SELECT $1::int", n) for n in range(3)] == [0, 1, 2]
    assert await reader.value("SELECT count(*) FROM pg_prepared_statements") == 0
