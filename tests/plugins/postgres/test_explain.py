"""Plans in words and numbers, and what is wrong with them."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.plugins.postgres.conftest import MakeReader, Reader, execute
from tests.plugins.postgres.debian import Debian
from tests.plugins.postgres.debian import debian as debian  # a fixture

from pegboard import ToolError
from pegboard_postgres.embedded import Embedded, connected

SHOP = (
    "CREATE TABLE customers (id int PRIMARY KEY, city varchar, code text, joined timestamptz)",
    "CREATE TABLE orders (id int, customer_id int, status text, total numeric, note text)",
    "CREATE FUNCTION weight(t text) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN length(t); END'",
    """INSERT INTO customers SELECT n, 'city ' || n, n::text, '2025-01-01'::timestamptz + n * interval '1 minute'
    FROM generate_series(1, 20000) AS n""",
    """INSERT INTO orders
    SELECT n, n % 20000 + 1, CASE WHEN n % 1000 = 0 THEN 'open' ELSE 'done' END, n, repeat('x', 20)
    FROM generate_series(1, 40000) AS n""",
    "CREATE INDEX ON customers (code)",
    "SELECT pg_stat_force_next_flush()",  # otherwise the rows count as changed after they were analyzed
    "VACUUM ANALYZE customers",
    "VACUUM ANALYZE orders",
)


@pytest.fixture(scope="module")
async def template(postgres_server: Embedded) -> AsyncGenerator[str]:
    """The name of a database with the shop in it, to be copied."""
    async with connected(postgres_server.admin_dsn) as admin:
        await admin.execute("CREATE DATABASE explained")
        await execute(postgres_server.url("postgres", database="explained"), *SHOP)
        yield "explained"
        await admin.execute("DROP DATABASE explained WITH (FORCE)")


@dataclass(frozen=True, slots=True)
class Shop:
    """The copy of one test."""

    name: str
    dsn: str

    async def configure(self, *settings: str) -> None:
        """Have sessions from now on use these settings."""
        await execute(self.dsn, *(f"ALTER DATABASE {self.name} SET {setting}" for setting in settings))


@pytest.fixture
async def copy(postgres_server: Embedded, template: str) -> AsyncGenerator[Shop]:
    async with connected(postgres_server.admin_dsn) as admin:
        await admin.execute(f"CREATE DATABASE explained_now TEMPLATE {template}")
        yield Shop("explained_now", postgres_server.url("postgres", database="explained_now"))
        await admin.execute("DROP DATABASE explained_now WITH (FORCE)")


@pytest.fixture
async def shop(reader_of: MakeReader, copy: Shop) -> Reader:
    return reader_of(copy.dsn)


@pytest.fixture(scope="module")
async def with_hypopg(debian: Debian) -> AsyncGenerator[str]:
    """A database that has the extension, on the Debian server."""
    async with connected(debian.url()) as admin:
        await admin.execute("CREATE DATABASE advised")
        dsn = debian.url(database="advised")
        await execute(dsn, "CREATE EXTENSION hypopg", *SHOP)
        yield dsn
        await admin.execute("DROP DATABASE advised WITH (FORCE)")


async def explain(reader: Reader, sql: str, *params: Any, **arguments: Any) -> dict[str, Any]:
    return await reader.call("postgres_explain", sql=sql, params=list(params), **arguments)


def advice(explained: dict[str, Any]) -> str:
    return "\n".join(f"{found['warning']} -> {found['remedy']}" for found in explained["warnings"])


async def test_a_plan_is_told_step_by_step(shop: Reader) -> None:
    explained = await explain(shop, "SELECT city FROM customers WHERE id = $1", 7)

    (step,) = explained["plan"]
    assert (step["node"], step["on"], step["using"]) == ("Index Scan", "customers", "customers_pkey")
    assert (step["depth"], step["rows"], step["where"]) == (0, 1, "(customers.id = 7)")
    assert explained["total"].keys() == {"cost", "rows", "planning_ms"}
    assert explained["warnings"] == []


async def test_analyze_adds_what_it_really_took(shop: Reader) -> None:
    explained = await explain(
        shop, "SELECT count(*) FROM orders JOIN customers c ON c.id = customer_id WHERE c.id < 11", analyze=True
    )

    assert explained["total"]["execution_ms"] > 0
    assert explained["total"]["pages_from_cache"] > 0
    nodes = {step["node"]: step for step in explained["plan"]}
    assert nodes["Seq Scan"]["actual_rows"] == 40000
    assert max(step["depth"] for step in explained["plan"]) >= 2
    assert next(step for step in explained["plan"] if step.get("on") == "customers c")["actual_rows"] == 10


async def test_analyze_runs_in_a_read_only_transaction_and_only_what_reads(shop: Reader, copy: Shop) -> None:
    for sql in (
        "DELETE FROM orders",
        "WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x",
        "SELECT weight('a')",
    ):
        with pytest.raises(ToolError):
            await explain(shop, sql, analyze=True)

    assert await shop.value("SELECT count(*) FROM orders") == 40000


async def test_the_plan_of_a_change_is_shown_without_running_it(shop: Reader) -> None:
    explained = await explain(shop, "DELETE FROM orders WHERE id = $1", 3)

    assert explained["plan"][0]["node"] == "Delete"
    assert await shop.value("SELECT count(*) FROM orders") == 40000


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("EXPLAIN SELECT 1", "leave EXPLAIN out"),
        ("EXPLAIN (ANALYZE) DELETE FROM orders", "EXPLAIN ANALYZE runs the DELETE"),
        ("ANALYZE orders", "sql begins with 'ANALYZE'"),
        ("ANALYZE DELETE FROM orders", "syntax error"),
        ("(ANALYZE) DELETE FROM orders", "syntax error"),
        ("SELECT 1; DELETE FROM orders", "more than one statement"),
        ("DROP TABLE orders", "sql begins with 'DROP'"),
        ("SHOW work_mem", "SHOW has no plan"),
        ("SELECT nope\nFROM orders", r"column \"nope\" does not exist \(42703, line 1, column 8"),
        ("SELECT 1 FROM\norders WHERE (", r"syntax error at end of input \(42601, line 2, column 15"),
        ("", "sql is empty"),
    ],
)
async def test_what_cannot_be_explained_is_refused_with_the_place(shop: Reader, sql: str, message: str) -> None:
    with pytest.raises(ToolError, match=message):
        await explain(shop, sql)


@pytest.mark.parametrize(
    ("sql", "remedy"),
    [
        (
            "SELECT * FROM orders WHERE status = 'open'",
            "reads all 40,000 rows of public.orders to find",
        ),
        (
            "SELECT * FROM orders o WHERE o.total > 39990 AND customer_id = 5",
            "CREATE INDEX CONCURRENTLY ON public.orders (customer_id, total)",
        ),
        ("SELECT * FROM orders WHERE id = ANY('{1,2}')", "CREATE INDEX CONCURRENTLY ON public.orders (id)"),
        ("SELECT * FROM orders WHERE 39990 < id", "CREATE INDEX CONCURRENTLY ON public.orders (id)"),
        ("SELECT * FROM customers WHERE city = 'city 5'", "CREATE INDEX CONCURRENTLY ON public.customers (city)"),
        (
            "SELECT * FROM customers WHERE lower(code) = '5'",
            "lower() hides the column code: CREATE INDEX CONCURRENTLY ON public.customers (lower(code))",
        ),
        (
            "SELECT * FROM customers WHERE date_trunc('day', joined) = '2025-01-02'",
            "date_trunc() hides the column joined from indexes: compare joined itself",
        ),
        (
            "SELECT * FROM customers WHERE code::int = 5",
            "code is text and is converted to int4 before it is compared, which no plain index serves: compare it with "
            "a value of its own type",
        ),
        ("SELECT * FROM customers WHERE code LIKE '%999'", "USING gin (code gin_trgm_ops)"),
    ],
)
async def test_a_scan_of_a_big_table_for_a_few_rows_names_the_index(shop: Reader, sql: str, remedy: str) -> None:
    assert remedy in advice(await explain(shop, sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM orders WHERE status = 'done'",
        "SELECT * FROM orders",
        "SELECT * FROM customers WHERE id = 5 OR code = '6'",
        "SELECT count(*) FROM orders JOIN customers ON customers.id = customer_id",
        "SELECT * FROM pg_class WHERE relname = 'x'",
        "SELECT * FROM (VALUES (1), (2)) AS a(x), (VALUES (1), (2)) AS b(y)",
        "SELECT o.id, x FROM customers o, LATERAL generate_series(1, o.id) AS x WHERE o.id < 100",
        "SELECT 1",
    ],
)
async def test_a_plan_with_nothing_wrong_has_no_warnings(shop: Reader, sql: str) -> None:
    assert (await explain(shop, sql))["warnings"] == []


async def test_a_join_without_a_condition_is_told(shop: Reader) -> None:
    found = advice(await explain(shop, "SELECT * FROM customers c, orders o WHERE c.id < 1000"))

    assert "combines every row of" in found
    assert "join them by a condition" in found


async def test_a_wrong_estimate_is_told_where_it_begins(shop: Reader, copy: Shop) -> None:
    await execute(
        copy.dsn,
        "CREATE TABLE pairs AS SELECT n % 100 AS a, n % 100 AS b FROM generate_series(1, 50000) AS n",
        "VACUUM ANALYZE pairs",
    )

    explained = await explain(shop, "SELECT count(*) FROM pairs WHERE a = 1 AND b = 1", analyze=True)

    assert "Seq Scan on pairs was estimated at" in advice(explained)
    assert "CREATE STATISTICS ON a, b FROM public.pairs" in advice(explained)


async def test_missing_and_stale_statistics_are_told(shop: Reader, copy: Shop) -> None:
    await execute(
        copy.dsn,
        "CREATE TABLE fresh (id int) WITH (autovacuum_enabled = false)",
        "ALTER TABLE customers SET (autovacuum_enabled = false)",
        "UPDATE customers SET city = 'elsewhere'",
        "SELECT pg_stat_force_next_flush()",
    )

    found = advice(await explain(shop, "SELECT * FROM fresh JOIN customers USING (id)"))

    assert "public.fresh was never analyzed, so the estimates are guesses -> ANALYZE public.fresh" in found
    assert "20,000 rows of public.customers have changed since it was analyzed" in found


async def test_a_sort_that_went_to_disk_is_told(shop: Reader, copy: Shop) -> None:
    await copy.configure("work_mem = '64kB'")

    found = advice(await explain(shop, "SELECT * FROM orders ORDER BY note, total DESC", analyze=True))

    assert "Sort did not fit into memory and was written to disk" in found
    assert "raise work_mem to about" in found


@pytest.mark.parametrize(
    ("sql", "warning"),
    [
        ("SELECT * FROM orders a JOIN orders b ON a.id = b.id + 1", "Hash did not fit into memory"),
        ("SELECT id, note, count(*) FROM orders GROUP BY id, note", "Aggregate did not fit into memory"),
    ],
)
async def test_a_hash_that_went_to_disk_is_told(shop: Reader, copy: Shop, sql: str, warning: str) -> None:
    methods = (f"enable_{method} = off" for method in ("mergejoin", "nestloop", "sort"))
    await copy.configure(
        "work_mem = '64kB'", "hash_mem_multiplier = 1", "max_parallel_workers_per_gather = 0", *methods
    )

    assert warning in advice(await explain(shop, sql, analyze=True))


async def test_a_bitmap_that_is_too_big_is_told(shop: Reader, copy: Shop) -> None:
    await copy.configure("work_mem = '64kB'", "enable_seqscan = off", "enable_indexscan = off")
    await execute(
        copy.dsn,
        "CREATE TABLE wide AS SELECT n, repeat('x', 3000) AS x FROM generate_series(1, 6000) AS n",
        "ALTER TABLE wide ALTER x SET STORAGE PLAIN",
        "UPDATE wide SET x = x || 'y'",
        "CREATE INDEX ON wide (n)",
        "VACUUM ANALYZE wide",
    )

    found = advice(await explain(shop, "SELECT x FROM wide WHERE n > 10", analyze=True))

    assert "the bitmap did not fit into memory" in found


async def test_an_index_only_scan_of_a_table_that_was_not_vacuumed_is_told(shop: Reader, copy: Shop) -> None:
    await copy.configure("enable_seqscan = off", "enable_bitmapscan = off", "max_parallel_workers_per_gather = 0")
    await execute(copy.dsn, "ALTER TABLE customers SET (autovacuum_enabled = false)", "UPDATE customers SET city = 'x'")

    found = advice(await explain(shop, "SELECT count(id) FROM customers WHERE id > 0", analyze=True))

    assert "the index-only scan looked into public.customers" in found
    assert "VACUUM public.customers" in found


async def test_a_statement_that_costs_too_much_is_planned_but_not_measured(reader_of: MakeReader, copy: Shop) -> None:
    reader = reader_of(copy.dsn, max_cost=10)

    assert (await explain(reader, "SELECT * FROM orders"))["total"]["cost"] > 10
    with pytest.raises(ToolError, match="max_cost"):
        await explain(reader, "SELECT * FROM orders", analyze=True)


async def test_a_nested_loop_that_reads_a_table_again_and_again_is_told(shop: Reader, copy: Shop) -> None:
    await copy.configure(
        *(f"enable_{method} = off" for method in ("hashjoin", "mergejoin", "material", "memoize")),
        "max_parallel_workers_per_gather = 0",
    )

    found = advice(await explain(shop, "SELECT * FROM orders a JOIN orders b USING (customer_id) WHERE a.id < 5000"))

    assert "reads all of public.orders" in found
    assert "times, once for every row of orders" in found
    assert "CREATE INDEX CONCURRENTLY ON public.orders (customer_id)" in found


async def test_an_index_that_finds_too_much_is_told(shop: Reader, copy: Shop) -> None:
    await copy.configure("enable_seqscan = off", "enable_bitmapscan = off")
    await execute(copy.dsn, "CREATE INDEX by_status ON orders (status)")

    explained = await explain(shop, "SELECT * FROM orders WHERE status = 'done' AND total = 77", analyze=True)

    assert (
        "the index by_status finds 39,960 rows, and 1 are wanted -> "
        "CREATE INDEX CONCURRENTLY ON public.orders (status, total)" in advice(explained)
    )


async def test_the_rows_of_a_parallel_plan_are_those_of_all_processes(shop: Reader, copy: Shop) -> None:
    await copy.configure("parallel_setup_cost = 0", "parallel_tuple_cost = 0", "min_parallel_table_scan_size = 0")

    explained = await explain(shop, "SELECT count(*) FROM orders", analyze=True)

    scan = explained["plan"][-1]
    assert scan["node"].startswith("Parallel")
    assert scan["actual_rows"] == 40000
    assert abs(scan["rows"] - 40000) < 10
    assert scan["loops"] == 1


async def test_a_long_plan_is_cut_and_says_so(shop: Reader) -> None:
    sql = " UNION ALL ".join(f"SELECT id FROM orders WHERE id = {n}" for n in range(250))

    explained = await explain(shop, sql)

    assert "the plan has 2" in explained["notice"]
    assert len(explained["warnings"]) <= 12


async def test_without_hypopg_the_remedy_is_told(shop: Reader) -> None:
    with pytest.raises(ToolError, match="install the package postgresql-18-hypopg there, then have a superuser run"):
        await explain(shop, "SELECT 1", hypothetical_indexes=["CREATE INDEX ON orders (status)"])


async def test_a_hypothetical_index_is_planned_with_and_gone_afterwards(
    with_hypopg: str, reader_of: MakeReader
) -> None:
    reader = reader_of(with_hypopg, max_connections=1)
    sql = "SELECT * FROM orders WHERE status = 'open'"
    wanted, useless = "CREATE INDEX ON orders (status)", "CREATE INDEX ON orders (note)"

    explained = await explain(reader, sql, hypothetical_indexes=[wanted, useless])
    afterwards = await explain(reader, sql)

    used = {found["index"]: found["used"] for found in explained["hypothetical_indexes"]}
    assert used == {wanted: True, useless: False}
    assert all(found["size_bytes"] > 0 for found in explained["hypothetical_indexes"])
    assert explained["total"]["cost"] < explained["cost_without"] == afterwards["total"]["cost"]
    assert "hypothetical_indexes" not in afterwards


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("DROP TABLE orders", "takes CREATE INDEX statements"),
        ("CREATE INDEX ON orders (status); DROP TABLE orders", "takes CREATE INDEX statements"),
        ("CREATE INDEX ON orders (nope)", "nope"),
        ("orders(status)", "syntax error"),
    ],
)
async def test_a_bad_hypothetical_index_is_refused_and_leaves_none_behind(
    with_hypopg: str, reader_of: MakeReader, index: str, message: str
) -> None:
    reader = reader_of(with_hypopg, max_connections=1)
    sql = "SELECT * FROM orders WHERE status = 'open'"

    with pytest.raises(ToolError, match=message):
        await explain(reader, sql, hypothetical_indexes=["CREATE INDEX ON orders (status)", index])

    assert (await explain(reader, sql))["plan"][0]["node"] == "Seq Scan"


async def test_hypothetical_indexes_are_not_for_analyze(shop: Reader) -> None:
    with pytest.raises(ToolError, match="have no rows to be measured on"):
        await explain(shop, "SELECT 1", analyze=True, hypothetical_indexes=["CREATE INDEX ON orders (status)"])


async def test_explain_works_on_another_major_version(with_hypopg: str, reader_of: MakeReader) -> None:
    reader = reader_of(with_hypopg)

    explained = await explain(reader, "SELECT * FROM orders WHERE status = $1", "open", analyze=True)

    assert "CREATE INDEX CONCURRENTLY ON public.orders (status)" in advice(explained)
