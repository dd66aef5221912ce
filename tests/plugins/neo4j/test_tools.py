"""The tools as a client of the hub sees them, on both engines."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from mcp import Client
from tests.plugins.neo4j.engines import Engine
from tests.plugins.neo4j.fixtures import PEOPLE, ask, client_on, graph, more, refused, rows, settings

import pegboard_neo4j
from pegboard.budget import tokens_of
from pegboard.testing import connect

TOOLS = {
    "neo4j_query",
    "neo4j_schema",
    "neo4j_list_nodes",
    "neo4j_get_relationships",
    "neo4j_find_path",
    "neo4j_search",
    "neo4j_explain",
}


@pytest.fixture
async def client(graph_server: Engine) -> AsyncGenerator[Client]:
    """A client of the small graph of people."""
    async with graph(graph_server, PEOPLE), client_on(graph_server) as client:
        yield client


def ann() -> dict[str, Any]:
    return {"label": "Person", "key": "name", "value": "Ann"}


async def test_the_tools_say_that_they_only_read_and_fit_the_small_budget(graph_server: Engine) -> None:
    async with connect(pegboard_neo4j, settings=settings(graph_server, writes="deny"), path="/neo4j") as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}

    assert set(tools) == TOOLS | {"fetch_more"}
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.values())
    assert sum(tokens_of(tool.name, tool.description or "", tool.input_schema) for tool in tools.values()) <= 1500


async def test_a_query_answers_with_columns_and_rows(client: Client) -> None:
    answer = await ask(
        client,
        "query",
        cypher="MATCH (n:Person) WHERE n.age > $age RETURN n.name AS name, n.born AS born ORDER BY name",
        params={"age": 30},
    )

    assert [column["name"] for column in answer["columns"]] == ["name", "born"]
    assert answer["rows"] == [["Ann", "1993-04-05"], ["Cid", None]]
    assert (answer["returned"], answer["total"], answer["has_more"]) == (2, 2, False)


async def test_a_long_result_is_read_on_without_running_the_query_again(client: Client) -> None:
    answer = await ask(client, "query", cypher="UNWIND range(1, 3000) AS x RETURN x, rand() AS r", limit=1000)
    found = [x for x, _ in answer["rows"]]
    while answer["has_more"]:
        answer = await more(client, answer)
        found += [x for x, _ in answer["rows"]]

    assert found == list(range(1, 3001))


async def test_the_tool_takes_its_own_cursor(client: Client) -> None:
    cypher = "UNWIND range(1, 10) AS x RETURN x"
    first = await ask(client, "query", cypher=cypher, limit=4)
    second = await ask(client, "query", cypher=cypher, limit=4, cursor=first["cursor"])

    assert first["rows"] + second["rows"] == [[x] for x in range(1, 9)]


async def test_a_label_that_is_not_there_is_answered_with_the_likeliest(client: Client) -> None:
    answer = await ask(client, "query", cypher="MATCH (n:Persn)-[:KNWS]->() RETURN n")

    assert answer["rows"] == []
    assert "no label 'Persn' in this graph; did you mean 'Person'?" in answer["notice"]
    assert "no relationship type 'KNWS' in this graph; did you mean 'KNOWS'?" in answer["notice"]


async def test_a_property_that_is_not_there_is_told_by_neo4j(neo4j_server: Engine) -> None:
    async with graph(neo4j_server, PEOPLE), client_on(neo4j_server) as client:
        answer = await ask(client, "query", cypher="MATCH (n:Person) RETURN n.nam")

    assert "no property 'nam' in this graph; did you mean 'name'?" in answer["notice"]


async def test_an_error_in_the_query_has_the_engines_words_and_the_place(client: Client, graph_server: Engine) -> None:
    message = await refused(client, "query", cypher="MATCH (n)\nRETURN m")

    assert message.startswith("the graph says: ")
    assert "SyntaxError" in message or "Error" in message
    if graph_server.name == "Neo4j":
        assert message == (
            "the graph says: Variable `m` not defined (ClientError.Statement.SyntaxError, line 2, column 8)"
        )


async def test_a_parameter_that_is_missing_is_asked_for(neo4j_server: Engine) -> None:
    async with client_on(neo4j_server) as client:
        assert "give every $name of the query in params" in await refused(client, "query", cypher="RETURN $x")


async def test_nodes_are_listed_by_conditions_and_in_an_order(client: Client) -> None:
    older = await ask(client, "list_nodes", label="Person", filter={"age": {"gt": 26, "lte": 31}}, order_by="-age")
    named = await ask(client, "list_nodes", label="Person", filter={"name": {"in": ["Bob", "Cid"]}}, order_by="name")
    born = await ask(client, "list_nodes", label="Person", filter={"born": {"_type": "date", "value": "1993-04-05"}})
    unborn = await ask(client, "list_nodes", label="Person", filter={"born": None, "name": {"contains": "B"}})

    def names(answer: dict[str, Any]) -> list[str]:
        return [item["properties"]["name"] for item in answer["items"]]

    assert (names(older), names(named)) == (["Ann", "Bob"], ["Bob", "Cid"])
    assert (names(born), names(unborn)) == (["Ann"], ["Bob"])
    assert older["items"][0]["labels"] == ["Person"]


@pytest.mark.parametrize("order_by", [None, "number", "-number"])
async def test_every_node_is_listed_once_over_many_pages(graph_server: Engine, order_by: str | None) -> None:
    numbers = "UNWIND range(1, 1700) AS x CREATE (:Number {number: x % 7, x: x})"
    async with graph(graph_server, numbers), client_on(graph_server, hub={"results": {"tokens": 20_000}}) as client:
        answer = await ask(client, "list_nodes", label="Number", order_by=order_by, limit=300)
        items, total = answer["items"], answer["total"]
        while answer["has_more"]:
            answer = await more(client, answer)
            items += answer["items"]

    found = [item["properties"] for item in items]
    assert total == 1700
    assert sorted(one["x"] for one in found) == list(range(1, 1701))
    if order_by:
        assert [one["number"] for one in found] == sorted((one["number"] for one in found), reverse=order_by[0] == "-")


async def test_a_property_to_filter_by_has_to_be_there(neo4j_server: Engine) -> None:
    async with graph(neo4j_server, PEOPLE), client_on(neo4j_server) as client:
        message = await refused(client, "list_nodes", label="Person", filter={"agee": 1})

    assert message == "no property 'agee' in this graph; did you mean 'age'?"


async def test_an_operator_that_is_not_known_is_refused_with_those_that_are(client: Client) -> None:
    assert "there are eq, ne, lt" in await refused(client, "list_nodes", label="Person", filter={"age": {"above": 1}})


async def test_relationships_come_with_their_properties_and_the_other_node(client: Client) -> None:
    every = await ask(client, "get_relationships", node=ann())
    out = await ask(client, "get_relationships", node=ann(), direction="out", types=["KNOWS"])
    none = await ask(client, "get_relationships", node=ann(), direction="in")

    assert {item["type"] for item in every["items"]} == {"KNOWS", "LIVES_IN"}
    (knows,) = out["items"]
    assert (knows["direction"], knows["properties"], knows["node"]["properties"]["name"]) == (
        "out",
        {"since": 2015},
        "Bob",
    )
    assert none["items"] == []

    by_id = await ask(client, "get_relationships", node=knows["node"]["element_id"], types=["KNOWS"])
    assert sorted((item["direction"], item["node"]["properties"]["name"]) for item in by_id["items"]) == [
        ("in", "Ann"),
        ("out", "Cid"),
    ]


async def test_a_node_that_is_not_there_or_not_one_is_told(client: Client) -> None:
    nobody = {"label": "Person", "key": "name", "value": "Eve"}
    assert "no node is (:Person {name: 'Eve'})" in await refused(client, "get_relationships", node=nobody)
    assert "neo4j_list_nodes" in await refused(client, "get_relationships", node="4:nowhere:99")
    assert "with all three" in await refused(client, "get_relationships", node={"label": "Person"})


async def test_the_shortest_path_is_found_and_its_absence_is_told(client: Client) -> None:
    oslo = {"label": "City", "key": "name", "value": "Oslo"}
    cid = {"label": "Person", "key": "name", "value": "Cid"}
    both = await ask(client, "find_path", start=ann(), end=cid, limit=5)
    knows = await ask(client, "find_path", start=ann(), end=cid, types=["KNOWS"], directed=True)
    none = await ask(client, "find_path", start=ann(), end=oslo)

    assert {len(path["relationships"]) for path in both["items"]} == {2}
    assert [node["properties"]["name"] for node in knows["items"][0]["nodes"]] == ["Ann", "Bob", "Cid"]
    assert (none["items"], none["notice"]) == ([], "no path of at most 4 steps")
    assert "the same node" in await refused(client, "find_path", start=ann(), end=ann())


async def test_the_plan_is_told_in_words_with_warnings(neo4j_server: Engine) -> None:
    async with graph(neo4j_server, PEOPLE), client_on(neo4j_server) as client:
        slow = await ask(client, "explain", cypher="MATCH (a:Person), (b) WHERE a.name = 'Ann' RETURN a, b.nam")
        profiled = await ask(client, "explain", cypher="MATCH (n:City) RETURN n.name", profile=True)

    assert any(line.strip().startswith("NodeByLabelScan a:Person") for line in slow["plan"])
    assert slow["plan"][0].startswith("ProduceResults")
    told = "\n".join(slow["warnings"])
    assert "AllNodesScan reads every node" in told
    assert "CartesianProduct combines" in told
    assert "CREATE INDEX FOR (n:Person) ON (n.name)" in told
    assert "no property 'nam' in this graph; did you mean 'name'?" in told
    assert "(~10 rows, 2 rows, " in profiled["plan"][-1]


async def test_another_engines_plan_is_told_as_it_tells_it(arcadedb_server: Engine) -> None:
    async with graph(arcadedb_server, PEOPLE), client_on(arcadedb_server) as client:
        plan = await ask(client, "explain", cypher="MATCH (n:Person) RETURN n")

    assert any("Person" in line for line in plan["plan"])


async def test_an_index_is_searched_by_text_or_by_vector_and_listed_when_unknown(neo4j_server: Engine) -> None:
    made = [
        "CREATE FULLTEXT INDEX about FOR (n:Doc) ON EACH [n.text]",
        "CREATE VECTOR INDEX near FOR (n:Doc) ON n.place "
        "OPTIONS {indexConfig: {`vector.dimensions`: 2, `vector.similarity_function`: 'cosine'}}",
        "CREATE (:Doc {text: 'a red lamp', place: [1.0, 0.0]}), (:Doc {text: 'a blue chair', place: [0.0, 1.0]})",
        "CALL db.awaitIndexes(30)",
        "CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()",
    ]
    async with graph(neo4j_server, *made), client_on(neo4j_server) as client:
        by_text = await ask(client, "search", index="about", text="lamp")
        by_vector = await ask(client, "search", index="near", vector=[0.1, 1.0], limit=1)
        unknown = await refused(client, "search", index="abut", text="lamp")
        wrong = await refused(client, "search", index="near", text="lamp")
        broken = await refused(client, "search", index="about", text="lamp ((~")
        neither = await refused(client, "search", index="about")
    async with graph(neo4j_server, "DROP INDEX about", "DROP INDEX near"):
        pass

    assert [item["properties"]["text"] for item in by_text["items"]] == ["a red lamp"]
    assert [item["properties"]["text"] for item in by_vector["items"]] == ["a blue chair"]
    assert by_vector["items"][0]["score"] > 0.9
    assert "did you mean 'about'?" in unknown
    assert "near: VECTOR (:Doc) place" in unknown
    assert wrong == "'near' is a VECTOR index; give vector"
    assert "quotes" in broken
    assert "give either text" in neither


async def test_what_the_server_remarks_is_not_logged_with_the_query(
    neo4j_server: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_on(neo4j_server) as client:
        await rows(client, "MATCH (n:Hunter2) RETURN n")

    assert "Hunter2" not in caplog.text


async def test_calls_at_once_do_not_mix_their_answers(client: Client) -> None:
    found: dict[int, list[list[Any]]] = {}

    async def one(number: int) -> None:
        found[number] = await rows(client, "RETURN $x AS x", x=number)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(one, number)

    assert found == {number: [[number]] for number in range(20)}
