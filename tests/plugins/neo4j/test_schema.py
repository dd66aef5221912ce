"""The schema: what it tells, and that it stays short."""

from typing import Any

import pytest
from tests.plugins.neo4j.engines import Engine
from tests.plugins.neo4j.fixtures import PEOPLE, ask, client_on, graph

from pegboard_neo4j.schema import MAX_TOKENS, Schema, described, fit, tokens


async def test_a_small_graph_is_told_whole(graph_server: Engine) -> None:
    async with graph(graph_server, PEOPLE), client_on(graph_server) as client:
        schema = await ask(client, "schema")

    labels = {one["label"]: one for one in schema["labels"] if one.get("count")}
    types = {one["type"]: one for one in schema["relationships"] if one.get("count")}
    assert (labels["Person"]["count"], labels["City"]["count"]) == (3, 2)
    assert labels["Person"]["properties"]["born"] == "DATE 1993-04-05"
    assert labels["Person"]["properties"]["name"].startswith("STRING '")
    assert types["KNOWS"]["count"] == 2
    assert types["KNOWS"]["patterns"] == ["(:Person)-[:KNOWS]->(:Person)"]
    assert types["KNOWS"]["properties"]["since"].startswith("INTEGER 20")
    assert schema["notice"] is None


async def test_some_labels_are_told_with_what_touches_them(graph_server: Engine) -> None:
    async with graph(graph_server, PEOPLE), client_on(graph_server) as client:
        schema = await ask(client, "schema", labels=["City"])

    assert [one["label"] for one in schema["labels"]] == ["City"]
    assert [one["type"] for one in schema["relationships"]] == ["LIVES_IN"]


async def test_only_names_are_told_when_only_names_are_wanted(graph_server: Engine) -> None:
    async with graph(graph_server, PEOPLE), client_on(graph_server) as client:
        schema = await ask(client, "schema", detail="names")

    assert all("properties" not in one for one in schema["labels"])


async def test_indexes_and_constraints_are_told(graph_server: Engine) -> None:
    made = ["CREATE CONSTRAINT one_code FOR (n:Country) REQUIRE n.code IS UNIQUE", "CREATE (:Country {code: 'IT'})"]
    async with graph(graph_server, *made), client_on(graph_server) as client:
        schema = await ask(client, "schema", labels=["Country"])
    async with graph(graph_server, "DROP CONSTRAINT one_code"):
        pass

    assert any("(:Country) code" in index for index in schema["indexes"])
    assert any(constraint.startswith("one_code: UNIQUENESS") for constraint in schema["constraints"])


async def test_a_graph_of_three_hundred_labels_is_told_in_1_500_tokens(neo4j_server: Engine) -> None:
    many = [
        f"CREATE (:Sort{n} {{name: 'x', other_property: {n}, is_third: true}})-[:LEADS_TO_{n % 150}]->(:Sort{n + 1})"
        for n in range(0, 300, 2)
    ]
    async with graph(neo4j_server, *many), client_on(neo4j_server) as client:
        overview = await ask(client, "schema")
        one = await ask(client, "schema", labels=["Sort42"])

    assert tokens(overview) <= 1500
    assert "name some in labels" in overview["notice"]
    assert one["labels"][0]["properties"]["other_property"] == "INTEGER 42"


def large(labels: int, properties: int) -> Schema:
    return {
        "labels": [
            {
                "label": f"Label{n}",
                "count": 10_000 - n,
                "properties": {f"property{p}": f"STRING 'example {p}', 'another'" for p in range(properties)},
            }
            for n in range(labels)
        ],
        "relationships": [
            {"type": f"TYPE_{n}", "count": 5, "patterns": [f"(:Label{n})-[:TYPE_{n}]->(:Label{n + 1})"]}
            for n in range(labels)
        ],
        "indexes": [f"index_{n}: RANGE (:Label{n}) name" for n in range(labels)],
        "constraints": [],
        "notice": None,
    }


@pytest.mark.parametrize(
    ("labels", "properties", "left_out"),
    [
        (3, 3, None),
        (14, 10, "examples are left out"),
        (20, 20, "properties are left out"),
        (45, 5, "patterns"),
        (900, 9, "of 900 labels"),
    ],
)
def test_what_matters_least_is_left_out_first(labels: int, properties: int, left_out: str | None) -> None:
    schema = fit(large(labels, properties))

    assert tokens(schema) <= MAX_TOKENS + 100
    assert (left_out or "") in (schema["notice"] or "")
    assert schema["labels"][0]["label"] == "Label0"


def test_all_of_a_label_is_told_to_who_asks_for_it() -> None:
    whole = large(20, 20)

    assert fit(whole, exact=True) == whole


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["Ann", "Bob", "Ann"], "STRING 'Ann', 'Bob'"),
        ([1, "1"], "INTEGER|STRING 1, '1'"),
        ([True, 0.5], "BOOLEAN|FLOAT True, 0.5"),
        ([[0.1] * 1536], "LIST<FLOAT>(1536)"),
        (["x" * 100], "STRING"),
        ([b"x"], "BYTES"),
    ],
)
def test_the_values_of_a_property_are_told_by_type_and_example(values: list[Any], told: str) -> None:
    assert described(values) == told
