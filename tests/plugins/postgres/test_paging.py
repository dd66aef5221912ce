"""Pages: bounded in rows and bytes, and a cursor that continues exactly where the page stopped."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.conftest import Database
from tests.plugins.postgres.conftest import Reader, execute

from pegboard import ToolError
from pegboard_postgres.embedded import Embedded

# Rows from a few bytes to 20 kB, in an order that puts the long ones anywhere.
UNEVEN = """SELECT n, repeat('x', CASE n % 97 WHEN 0 THEN 20000 WHEN 1 THEN 1500 ELSE n % 13 END)
FROM generate_series(1, 10000) AS n ORDER BY n"""


async def all_pages(reader: Reader, sql: str, *params: Any, limit: int) -> tuple[list[list[Any]], int]:
    rows: list[list[Any]] = []
    cursor: str | None = None
    pages = 0
    while pages == 0 or cursor:
        result = await reader.query(sql, *params, limit=limit, cursor=cursor)
        assert result["row_count"] == len(result["rows"]) > 0
        assert result["has_more"] == (result["cursor"] is not None)
        rows += result["rows"]
        cursor = result["cursor"]
        pages += 1
    return rows, pages


@pytest.mark.parametrize(("limit", "max_bytes"), [(997, 64 * 1024), (1000, 4096), (333, 1024 * 1024)])
async def test_pages_of_any_size_hold_every_row_once(
    reader_of: Callable[..., Reader], postgres_server: Embedded, limit: int, max_bytes: int
) -> None:
    reader = reader_of(postgres_server.dsn, max_bytes=max_bytes)

    rows, _ = await all_pages(reader, UNEVEN, limit=limit)

    assert [row[0] for row in rows] == list(range(1, 10001))
    assert rows[96][1] == "x" * 2000 + "…(+18000 chars)"


async def test_a_page_ends_with_the_last_row(reader: Reader) -> None:
    result = await reader.query("SELECT * FROM generate_series(1, 10)", limit=10)

    assert (result["row_count"], result["has_more"], result["cursor"], result["notice"]) == (10, False, None, None)


async def test_an_empty_result_still_has_columns(reader: Reader) -> None:
    result = await reader.query("SELECT 1 AS one, 'x' AS two WHERE false")

    assert result["rows"] == []
    assert [column["name"] for column in result["columns"]] == ["one", "two"]


async def test_params_belong_to_every_page(reader: Reader) -> None:
    rows, pages = await all_pages(reader, "SELECT n * $1::int FROM generate_series(1, $2) AS n", 2, 7, limit=3)

    assert ([row[0] for row in rows], pages) == ([2, 4, 6, 8, 10, 12, 14], 3)


async def test_show_all_has_pages_too(reader: Reader) -> None:
    rows, pages = await all_pages(reader, "SHOW ALL", limit=100)

    names = [row[0] for row in rows]
    assert pages > 2
    assert len(set(names)) == len(names) > 200


async def test_a_row_beyond_the_bytes_comes_alone_and_shortened(
    reader_of: Callable[..., Reader], postgres_server: Embedded
) -> None:
    reader = reader_of(postgres_server.dsn, max_bytes=4096)
    columns = ", ".join(f"repeat('{n % 10}', 3000) AS c{n}" for n in range(300))

    first = await reader.query(f"SELECT {columns} FROM generate_series(1, 3)")

    assert first["row_count"] == 1
    assert first["has_more"]
    assert "shortened" in str(first["notice"])
    assert "4096 bytes" in str(first["notice"])
    assert first["rows"][0][1] == "1" * 16 + "…(+2984 chars)"


async def test_a_megabyte_in_every_row_stays_on_the_server(reader: Reader) -> None:
    result = await reader.query("SELECT repeat('é', 1000000), n FROM generate_series(1, 20) AS n")

    assert result["rows"][-1] == ["é" * 2000 + "…(+998000 chars)", 20]


async def test_a_long_document_is_shortened_as_text(reader: Reader) -> None:
    result = await reader.query("SELECT jsonb_agg(n), 'short' FROM generate_series(1, 10000) AS n")

    document, short = result["rows"][0]
    assert document.startswith("[1, 2, 3")
    assert document.endswith(" chars)")
    assert (short, len(document) < 2100) == ("short", True)


async def test_a_limit_beyond_the_settings_says_so(reader_of: Callable[..., Reader], postgres_server: Embedded) -> None:
    reader = reader_of(postgres_server.dsn, max_rows=5)

    result = await reader.query("SELECT * FROM generate_series(1, 10)", limit=1000)

    assert result["row_count"] == 5
    assert result["notice"] == "a page has at most 5 rows; go on with the cursor"


@pytest.mark.parametrize(
    "forged",
    ["x", "3-" + "0" * 24, "4-{signature}", "-3-{signature}", "03-{signature}", "3-{signature}0", "9" * 5000],
)
async def test_a_forged_cursor_is_refused(reader: Reader, forged: str) -> None:
    sql = "SELECT * FROM generate_series(1, 10)"
    cursor = (await reader.query(sql, limit=3))["cursor"]
    assert cursor

    with pytest.raises(ToolError, match="does not belong to this request"):
        await reader.query(sql, cursor=forged.format(signature=cursor.removeprefix("3-")))


async def test_a_cursor_of_another_query_is_refused(reader: Reader, owner: Reader) -> None:
    sql = "SELECT * FROM generate_series(1, $1)"
    cursor = (await reader.query(sql, 10, limit=3))["cursor"]

    for other in (
        lambda: reader.query(sql, 11, cursor=cursor),
        lambda: reader.query(f"{sql} AS n", 10, cursor=cursor),
        lambda: owner.query(sql, 10, cursor=cursor),
        lambda: reader.tables(cursor=cursor),
    ):
        with pytest.raises(ToolError, match="does not belong to this request"):
            await other()
    assert (await reader.query(f"{sql};", 10, cursor=cursor))["rows"][0] == [4]


async def test_rows_keep_the_order_of_the_query(owner: Reader, postgres: Database) -> None:
    await execute(postgres.dsn, "CREATE TABLE t AS SELECT n, n % 7 AS k FROM generate_series(1, 5000) AS n")

    rows, _ = await all_pages(owner, "SELECT n FROM t ORDER BY k DESC, n", limit=999)

    assert [n for (n,) in rows] == sorted(range(1, 5001), key=lambda n: (-(n % 7), n))
