"""The graph of foreign keys: what is around a table, and how to join two of them."""

from typing import Any

import pytest
from tests.conftest import Database
from tests.plugins.postgres.conftest import Reader, execute

from pegboard import ToolError

SHOP = (
    "CREATE SCHEMA sales",
    "CREATE TABLE customer (id int PRIMARY KEY)",
    "CREATE TABLE employee (id int PRIMARY KEY, manager_id int REFERENCES employee)",
    """CREATE TABLE sales.orders (id int PRIMARY KEY, customer_id int REFERENCES customer,
        seller_id int REFERENCES employee, approver_id int REFERENCES employee)""",
    "CREATE TABLE product (maker text, code text, PRIMARY KEY (maker, code))",
    """CREATE TABLE sales.line (order_id int REFERENCES sales.orders, maker text, "Code" text,
        FOREIGN KEY (maker, "Code") REFERENCES product)""",
    "CREATE TABLE lonely (id int PRIMARY KEY)",
    "CREATE TABLE event (id int, at date, customer_id int REFERENCES customer) PARTITION BY RANGE (at)",
    "CREATE TABLE event_2024 PARTITION OF event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
    "INSERT INTO customer VALUES (1), (2)",
    "INSERT INTO employee VALUES (1, NULL), (2, 1)",
    "INSERT INTO sales.orders VALUES (1, 1, 1, 2)",
    "INSERT INTO product VALUES ('acme', 'x')",
    "INSERT INTO sales.line VALUES (1, 'acme', 'x')",
)


@pytest.fixture
async def shop(owner: Reader, postgres: Database) -> Reader:
    await execute(postgres.dsn, *SHOP)
    return owner


async def ask(reader: Reader, **arguments: Any) -> dict[str, Any]:
    return await reader.call("postgres_relationships", **arguments)


def ends(answer: dict[str, Any]) -> set[tuple[str, str]]:
    return {(key["table"], key["references"]) for key in answer["foreign_keys"]}


async def test_all_foreign_keys_are_shown_with_the_condition_of_their_join(shop: Reader) -> None:
    answer = await ask(shop)

    assert {
        "table": "sales.line",
        "references": "public.product",
        "on": 'sales.line.maker = public.product.maker AND sales.line."Code" = public.product.code',
    } in answer["foreign_keys"]
    assert len(answer["foreign_keys"]) == 7


async def test_the_keys_around_a_table_are_shown_step_by_step(shop: Reader) -> None:
    one, two = await ask(shop, table="customer"), await ask(shop, table="customer", depth=2)

    assert ends(one) == {("sales.orders", "public.customer"), ("public.event", "public.customer")}
    assert ends(two) - ends(one) == {("sales.orders", "public.employee"), ("sales.line", "sales.orders")}
    assert {key["hops"] for key in two["foreign_keys"]} == {1, 2}


async def test_the_way_from_one_table_to_another_is_ready_to_be_used(shop: Reader) -> None:
    (path,) = (await ask(shop, table="customer", to="product"))["paths"]

    assert path["tables"] == ["public.customer", "sales.orders", "sales.line", "public.product"]
    assert path["sql"] == (
        "FROM public.customer JOIN sales.orders ON sales.orders.customer_id = public.customer.id "
        "JOIN sales.line ON sales.line.order_id = sales.orders.id "
        'JOIN public.product ON sales.line.maker = public.product.maker AND sales.line."Code" = public.product.code'
    )


@pytest.mark.parametrize(
    ("table", "to", "paths"),
    [
        ("customer", "sales.orders", 1),
        ("sales.orders", "customer", 1),
        ("sales.orders", "employee", 2),
        ("customer", "employee", 2),
        ("employee", "employee", 1),
        ("event_2024", "customer", 0),
    ],
)
async def test_every_shortest_way_runs_as_it_stands(shop: Reader, table: str, to: str, paths: int) -> None:
    found = (await ask(shop, table=table, to=to))["paths"]

    assert len(found) == paths
    assert len({path["sql"] for path in found}) == paths
    for path in found:
        assert (await shop.value(f"SELECT count(*) {path['sql']}")) == 1


async def test_no_way_is_said_to_be_none(shop: Reader) -> None:
    assert await ask(shop, table="lonely", to="customer") == {
        "paths": [],
        "notice": "no foreign keys lead from lonely to customer",
    }
    assert (await ask(shop, table="lonely"))["notice"] == "no foreign key begins or ends at lonely"
    assert (await ask(shop, table="customer", to="customer"))["paths"] == []


async def test_a_database_without_foreign_keys_says_so(owner: Reader) -> None:
    assert "no foreign keys" in (await ask(owner))["notice"]


async def test_a_way_needs_both_ends_and_names_that_exist(shop: Reader) -> None:
    with pytest.raises(ToolError, match="give `table` as well"):
        await ask(shop, to="customer")
    with pytest.raises(ToolError, match=r"did you mean public\.customer"):
        await ask(shop, table="customr")
