"""Pages: every row once, in the order of the query, cut to size where the rows are."""

from typing import Any

import pytest
from tests.conftest import Database
from tests.plugins.postgres.conftest import MakeReader, Reader, execute

from pegboard_postgres.embedded import Embedded

# Rows from a few bytes to 20 kB, in an order that puts the long ones anywhere.
UNEVEN = """SELECT n, repeat('x', CASE n % 97 WHEN 0 THEN 20000 WHEN 1 THEN 1500 ELSE n % 13 END)
FROM generate_series(1, 10000) AS n ORDER BY n"""


@pytest.mark.parametrize(
    ("limit", "results"),
    [
        (997, {"tokens": 100_000}),
        (1000, {"bytes": 4096}),
        (333, {"tokens": 1_000_000, "bytes": 1024 * 1024}),
        (10, {"tokens": 1_000_000}),
    ],
)
async def test_pages_of_any_size_hold_every_row_once(
    reader_of: MakeReader, postgres_server: Embedded, limit: int, results: dict[str, Any]
) -> None:
    reader = reader_of(postgres_server.dsn, {"results": results})

    rows, pages = await reader.all_rows(await reader.query(UNEVEN, limit=limit))

    assert [row[0] for row in rows] == list(range(1, 10001))
    assert rows[96][1] == "x" * 2000 + "…(+18000 chars)"
    assert pages >= 10_000 / limit


async def test_a_page_ends_with_the_last_row(reader: Reader) -> None:
    result = await reader.query("SELECT * FROM generate_series(1, 10)", limit=10)

    assert (result["returned"], result["has_more"]) == (10, False)
    assert not {"cursor", "notice"} & set(result)


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 102, 200, 201, 1001])
async def test_no_row_is_lost_where_round_trips_meet(reader: Reader, count: int) -> None:
    rows, _ = await reader.all_rows(await reader.query("SELECT * FROM generate_series(1, $1)", count))

    assert [n for (n,) in rows] == list(range(1, count + 1))


async def test_an_empty_result_still_has_columns(reader: Reader) -> None:
    result = await reader.query("SELECT 1 AS one, 'x' AS two WHERE false")

    assert result["rows"] == []
    assert [column["name"] for column in result["columns"]] == ["one", "two"]


async def test_params_belong_to_every_page(reader: Reader) -> None:
    first = await reader.query("SELECT n * $1::int FROM generate_series(1, $2) AS n", 2, 7, limit=3)

    assert await reader.all_rows(first) == ([[2], [4], [6], [8], [10], [12], [14]], 3)


async def test_show_all_has_pages_too_and_holds_no_connection(reader_of: MakeReader, postgres_server: Embedded) -> None:
    reader = reader_of(postgres_server.dsn, max_connections=1)
    first = await reader.query("SHOW ALL")
    assert await reader.value("SELECT 1") == 1

    rows, pages = await reader.all_rows(first)

    names = [row[0] for row in rows]
    assert pages > 2
    assert len(set(names)) == len(names) == first["total"] > 200


async def test_a_row_that_is_too_long_for_any_answer_comes_alone_and_shortened(
    reader_of: MakeReader, postgres_server: Embedded
) -> None:
    reader = reader_of(postgres_server.dsn, {"results": {"bytes": 32 * 1024}})
    columns = ", ".join(f"repeat('{n % 10}', 3000) AS c{n}" for n in range(300))

    first = await reader.query(f"SELECT {columns} FROM generate_series(1, 3)")

    assert (first["returned"], first["has_more"]) == (1, True)
    assert "too long for one answer" in first["notice"]


async def test_a_megabyte_in_every_row_stays_on_the_server(reader_of: MakeReader, postgres_server: Embedded) -> None:
    reader = reader_of(postgres_server.dsn, {"results": {"tokens": 100_000}})

    result = await reader.query("SELECT repeat('é', 1000000), n FROM generate_series(1, 20) AS n")

    assert result["rows"][-1] == ["é" * 2000 + "…(+998000 chars)", 20]


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("repeat('é', 3000)", "é" * 60 + "…(+2940 chars)"),
        ("repeat('é', 60)", "é" * 60),
        ("convert_to(repeat('a', 500), 'UTF8')", "\\x" + "61" * 30 + "…(+940 chars)"),
        ("convert_to(repeat('a', 29), 'UTF8')", "\\x" + "61" * 29),
        ("to_jsonb(repeat('é', 100))", "é" * 60 + "…(+40 chars)"),
        ("to_jsonb(repeat('\"', 60))", '"' * 60),
        ("array_fill(7, ARRAY[50])", "[" + "7," * 29 + "7…(+41 chars)"),
        ('\'{"a": "\\ud800"}\'::json', {"a": "?"}),
        ("repeat('9', 100)::numeric", "9" * 60 + "…(+40 chars)"),
        ("repeat('01', 50)::varbit", "01" * 30 + "…(+40 chars)"),
        ("to_tsvector('simple', repeat('b', 100))", "'" + "b" * 59 + "…(+44 chars)"),
    ],
)
async def test_a_long_value_is_cut_where_it_is_and_says_how_much_is_missing(
    reader_of: MakeReader, postgres_server: Embedded, expression: str, shown: Any
) -> None:
    reader = reader_of(postgres_server.dsn, {"results": {"cell": 60}})
    assert await reader.value(f"SELECT {expression}") == shown


async def test_a_long_document_is_shortened_as_text(reader: Reader) -> None:
    result = await reader.query("SELECT jsonb_agg(n), 'short' FROM generate_series(1, 10000) AS n")

    document, short = result["rows"][0]
    assert document.startswith("[1, 2, 3")
    assert document.endswith(" chars)")
    assert (short, len(document) < 2100) == ("short", True)


async def test_a_limit_beyond_the_settings_says_so(reader_of: MakeReader, postgres_server: Embedded) -> None:
    reader = reader_of(postgres_server.dsn, max_rows=5)

    result = await reader.query("SELECT * FROM generate_series(1, 10)", limit=1000)

    assert result["returned"] == 5
    assert result["notice"] == "a page has at most 5 rows (max_rows)"


async def test_rows_keep_the_order_of_the_query(owner: Reader, postgres: Database) -> None:
    await execute(postgres.dsn, "CREATE TABLE t AS SELECT n, n % 7 AS k FROM generate_series(1, 5000) AS n")

    rows, _ = await owner.all_rows(await owner.query("SELECT n FROM t ORDER BY k DESC, n", limit=999))

    assert [n for (n,) in rows] == sorted(range(1, 5001), key=lambda n: (-(n % 7), n))


async def test_later_pages_show_what_was_there_when_the_first_was_read(owner: Reader, postgres: Database) -> None:
    await execute(postgres.dsn, "CREATE TABLE t AS SELECT n, repeat('x', 100) FROM generate_series(1, 20000) AS n")
    first = await owner.query("SELECT * FROM t")

    await execute(postgres.dsn, "DELETE FROM t WHERE n % 2 = 0", "INSERT INTO t VALUES (0, 'new')")

    rows, _ = await owner.all_rows(first)
    assert [row[0] for row in rows] == list(range(1, 20001))
