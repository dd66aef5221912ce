"""The sample shop: it is there after the first start, it is the reader's to look at, and there is something to find."""

import os
import time
from collections.abc import AsyncGenerator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import anyio
import asyncpg  # pyright: ignore[reportMissingTypeStubs] # the driver has no types
import pytest
from tests.conftest import open_folder

from pegboard_postgres import sample
from pegboard_postgres.demo import demo
from pegboard_postgres.embedded import connected, embedded


@pytest.fixture(scope="module")
async def shop() -> AsyncGenerator[Any]:
    """A connection to the sample shop, as the hub gets it."""
    with open_folder() as folder:
        async with demo(folder, print) as offered, connected(offered["settings"]["dsn"]) as connection:
            yield connection


def test_the_entry_point_names_the_demo() -> None:
    (point,) = entry_points(group="pegboard.demo", name="postgres")
    assert point.load().demo is demo


async def test_it_offers_settings_a_line_and_three_questions(server_folder: Path) -> None:
    said: list[str] = []
    began = time.monotonic()
    async with demo(server_folder / "first" / "start", said.append) as offered:
        assert time.monotonic() - began < 10
        assert set(offered["settings"]) == {"dsn"}
        assert "\n" not in offered["about"]
        assert len(offered["questions"]) == 3
    assert said == ["creating the database (first start only)", "loading the sample shop"]

    began = time.monotonic()
    async with demo(server_folder / "first" / "start", said.append):
        assert time.monotonic() - began < 1.5
    assert len(said) == 2


@pytest.mark.parametrize(
    ("table", "least", "most"),
    [
        ("suppliers", 16, 16),
        ("products", 300, 340),
        ("customers", 2_000, 2_000),
        ("orders", 12_000, 12_000),
        ("order_items", 28_000, 36_000),
        ("returns", 1_000, 2_000),
        ("reviews", 4_000, 4_000),
        ("support_tickets", 1_000, 2_000),
    ],
)
async def test_every_table_has_its_rows(shop: Any, table: str, least: int, most: int) -> None:
    assert least <= await shop.fetchval(f"SELECT count(*) FROM {table}") <= most


async def test_every_table_and_view_has_a_comment(shop: Any) -> None:
    silent = await shop.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'v')"
        " AND obj_description(oid) IS NULL"
    )
    assert silent == []


@pytest.mark.parametrize("view", ["order_totals", "monthly_sales", "supplier_punctuality"])
async def test_every_view_can_be_read(shop: Any, view: str) -> None:
    assert await shop.fetchval(f"SELECT count(*) FROM {view}") > 100


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM orders",
        "UPDATE products SET price = 1",
        "INSERT INTO suppliers VALUES (99, 'x', 'x', 'x', '2025-01-01')",
        "CREATE TABLE shop.mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "DROP VIEW monthly_sales",
        "TRUNCATE reviews",
        "ALTER TABLE customers ADD COLUMN x int",
    ],
)
async def test_the_reader_cannot_write(shop: Any, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await shop.execute(statement)


async def test_orders_are_plausible(shop: Any) -> None:
    assert await shop.fetchval("SELECT min(ordered_at)::date FROM orders") == sample.FIRST_DAY
    assert await shop.fetchval("SELECT max(ordered_at)::date FROM orders") == sample.LAST_DAY
    assert not await shop.fetchval(
        "SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id"
        " WHERE o.ordered_at::date < c.joined_at::date"
    )
    assert not await shop.fetchval(
        "SELECT count(*) FROM order_items i JOIN orders o ON o.id = i.order_id"
        " WHERE i.delivered_on < o.ordered_at::date"
    )
    statuses = {row["status"] for row in await shop.fetch("SELECT DISTINCT status FROM orders")}
    assert statuses == {"pending", "paid", "shipped", "delivered", "cancelled"}
    assert await shop.fetchval("SELECT max(written_at)::date FROM reviews") <= sample.LAST_DAY


async def test_sales_double_before_christmas(shop: Any) -> None:
    revenue = {
        row["month"].month: row["revenue"]
        for row in await shop.fetch(
            "SELECT month, sum(revenue) AS revenue FROM monthly_sales GROUP BY month ORDER BY month"
        )
    }
    assert float(revenue[12] / revenue[8]) > 1.7


async def test_one_category_declines_while_the_shop_grows(shop: Any) -> None:
    ratios = {
        row["category"]: row["ratio"]
        for row in await shop.fetch(
            "SELECT category, sum(pieces) FILTER (WHERE month >= '2025-07-01')"
            "  / sum(pieces) FILTER (WHERE month BETWEEN '2024-07-01' AND '2024-12-01') AS ratio"
            " FROM monthly_sales GROUP BY category"
        )
    }
    assert min(ratios, key=lambda category: ratios[category]) == sample.DECLINING
    assert ratios.pop(sample.DECLINING) < 0.65
    assert all(ratio > 1 for ratio in ratios.values())


async def test_one_supplier_is_late_since_summer_2025(shop: Any) -> None:
    rates = await shop.fetch(
        "SELECT name, quarter >= '2025-07-01' AS recent, sum(late) / sum(deliveries) AS rate"
        " FROM supplier_punctuality GROUP BY name, recent ORDER BY rate DESC"
    )
    assert (rates[0]["name"], rates[0]["recent"]) == (sample.LATE, True)
    assert rates[0]["rate"] > 0.35
    assert rates[1]["rate"] < 0.12


async def test_late_deliveries_cost_stars(shop: Any) -> None:
    before, after = [
        row["rating"]
        for row in await shop.fetch(
            "SELECT avg(r.rating) AS rating FROM reviews r JOIN products p ON p.id = r.product_id"
            " JOIN suppliers s ON s.id = p.supplier_id WHERE s.name = $1"
            " GROUP BY r.written_at >= '2025-08-01' ORDER BY r.written_at >= '2025-08-01'",
            sample.LATE,
        )
    ]
    assert float(before - after) > 0.3


async def test_one_city_returns_most_and_for_damage(shop: Any) -> None:
    rates = await shop.fetch(
        "SELECT c.city, count(r.id)::float / count(*) AS rate,"
        "  count(*) FILTER (WHERE r.reason = 'damaged')::float / count(r.id) AS damaged"
        " FROM order_items i JOIN orders o ON o.id = i.order_id JOIN customers c ON c.id = o.customer_id"
        " LEFT JOIN returns r USING (order_id, line) WHERE i.delivered_on IS NOT NULL"
        " GROUP BY c.city ORDER BY rate DESC"
    )
    assert rates[0]["city"] == sample.FRAGILE_CITY
    assert rates[0]["rate"] > 2 * rates[1]["rate"]
    assert rates[0]["damaged"] > 0.6


async def test_products_are_described_each_in_its_own_words(shop: Any) -> None:
    row = await shop.fetchrow(
        "SELECT count(*), count(DISTINCT description) AS different, min(length(description)) FROM products"
    )
    assert row["count"] == row["different"]
    assert row["min"] > 80


def test_the_rows_are_always_the_same() -> None:
    assert sample.tables() == sample.tables()


async def test_an_interrupted_load_is_done_again(server_folder: Path) -> None:
    async with embedded(server_folder, database="shop"):
        pass
    for seconds in (0.2, 0.5, 0.8):
        with anyio.move_on_after(seconds):
            async with demo(server_folder, print):
                pass

    async with demo(server_folder, print) as offered, connected(offered["settings"]["dsn"]) as connection:
        assert await connection.fetchval("SELECT count(*) FROM orders") == sample.ORDERS
        assert await connection.fetchval("SELECT count(*) FROM reviews") == sample.REVIEWS


async def test_another_version_of_the_sample_is_replaced(server_folder: Path) -> None:
    async with demo(server_folder, print):
        pass
    async with embedded(server_folder, database="shop") as server, connected(server.admin_dsn) as admin:
        await admin.execute("COMMENT ON DATABASE shop IS 'sample of last year'; DROP TABLE shop.reviews")

    said: list[str] = []
    async with demo(server_folder, said.append) as offered, connected(offered["settings"]["dsn"]) as connection:
        assert await connection.fetchval("SELECT count(*) FROM reviews") == sample.REVIEWS
    assert said == ["loading the new version of the sample shop"]


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
async def test_root_keeps_the_data_where_the_server_can_enter(
    server_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pegboard_postgres.demo.ROOT_FOLDER", server_folder)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    said: list[str] = []
    async with demo(closed / "demo" / "postgres", said.append) as offered:
        assert str(server_folder) in offered["settings"]["dsn"]
    assert str(server_folder / "demo" / "postgres") in said[0]
    assert list(closed.iterdir()) == []
