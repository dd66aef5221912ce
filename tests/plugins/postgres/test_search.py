"""Searching the schema: the best matches first, with the reason."""

from typing import Any

import pytest
from tests.conftest import Database
from tests.plugins.postgres.conftest import MakeReader, Reader, execute

SHOP = (
    "CREATE SCHEMA sales",
    "CREATE TYPE order_status AS ENUM ('open', 'paid', 'refunded')",
    "CREATE TABLE customer (id int PRIMARY KEY, email text, city text)",
    "COMMENT ON TABLE customer IS 'People and companies that buy'",
    "COMMENT ON COLUMN customer.city IS 'Where invoices are sent'",
    "CREATE TABLE sales.orders (id int PRIMARY KEY, customer_id int REFERENCES customer, status order_status)",
    'CREATE TABLE "OrderLines" (id int, "unitPrice" numeric)',
    "CREATE TABLE category (id int)",
    "CREATE VIEW sales.customer_totals AS SELECT customer_id, count(*) AS orders FROM sales.orders GROUP BY 1",
    "CREATE FUNCTION refund(order_id int) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "COMMENT ON FUNCTION refund IS 'Gives the money back'",
)


@pytest.fixture
async def shop(owner: Reader, postgres: Database) -> Reader:
    await execute(postgres.dsn, *SHOP)
    return owner


async def search(reader: Reader, text: str, **arguments: Any) -> list[dict[str, Any]]:
    return (await reader.call("postgres_search_schema", text=text, **arguments))["items"]


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("customer", "table", "public.customer"),
        ("customers", "table", "public.customer"),
        ("CUSTOMER", "table", "public.customer"),
        ("order", "table", "sales.orders"),
        ("categories", "table", "public.category"),
        ("customer email", "column", "public.customer.email"),
        ("order status", "column", "sales.orders.status"),
        ("unit price", "column", 'public."OrderLines"."unitPrice"'),
        ("refunded", "enum", "public.order_status 'refunded'"),
        ("customer totals", "view", "sales.customer_totals"),
        ("invoice", "column", "public.customer.city"),
        ("companies", "table", "public.customer"),
        ("money", "function", "refund(integer)"),
        ("refund", "function", "refund(integer)"),
    ],
)
async def test_the_best_match_comes_first(shop: Reader, text: str, kind: str, name: str) -> None:
    best = (await search(shop, text))[0]

    assert (best["kind"], best["name"]) == (kind, name)


async def test_a_match_says_why_and_what_it_is(shop: Reader) -> None:
    assert (await search(shop, "invoices"))[0] == {
        "kind": "column",
        "name": "public.customer.city",
        "type": "text",
        "comment": "Where invoices are sent",
        "why": "comment has 'invoices'",
    }
    assert (await search(shop, "customer email"))[0]["why"] == "table has 'customer', name has 'email'"
    assert (await search(shop, "paid"))[0]["why"] == "label has 'paid'"


async def test_only_the_kinds_asked_for_are_found(shop: Reader) -> None:
    assert {match["kind"] for match in await search(shop, "customer", kinds=["view", "column"])} == {"view", "column"}


async def test_the_rest_of_many_matches_is_read_on(shop: Reader) -> None:
    first = await shop.call("postgres_search_schema", text="id", limit=2)
    second = await shop.more(first)

    assert (first["returned"], first["has_more"], second["returned"] > 0) == (2, True, True)


@pytest.mark.parametrize("text", ["zzz", "%", "_", "'; DROP TABLE customer; --zzz", "...", "\\", "pg_class"])
async def test_what_is_not_there_is_said(shop: Reader, text: str) -> None:
    answer = await shop.call("postgres_search_schema", text=text)

    assert not [match for match in answer["items"] if match["name"].startswith("pg_")]
    if text != "'; DROP TABLE customer; --zzz":
        assert "nothing has these words" in answer["notice"]


async def test_nothing_is_found_that_may_not_be_read(shop: Reader, reader_of: MakeReader, postgres: Database) -> None:
    await execute(postgres.dsn, "GRANT SELECT (email) ON customer TO pegboard_reader")

    found = await search(reader_of(postgres.reader_dsn), "customer order id")

    assert {match["name"] for match in found if match["kind"] == "table"} == {"public.customer"}
