"""Writing: only where the operator allows it, shown before it is committed, and undone when it is not wanted."""

from typing import Any

import pytest
from mcp.types import ElicitRequestParams, ElicitResult
from tests.plugins.neo4j.engines import Engine
from tests.plugins.neo4j.fixtures import PEOPLE, ask, client_on, graph, refused, rows

NAMES = "MATCH (n:Person) RETURN n.name ORDER BY n.name"
EVE = "CREATE (n:Person {name: $name})-[:KNOWS]->(:Person {name: 'Fay'}) RETURN n.name AS name"
EVE_ITSELF = EVE.replace("n.name AS name", "n")


async def test_there_is_no_tool_to_write_unless_the_operator_says_so(graph_server: Engine) -> None:
    async with client_on(graph_server, writes="deny") as client:
        assert "neo4j_write" not in {tool.name for tool in (await client.list_tools()).tools}


async def test_a_write_is_committed_and_counted(graph_server: Engine) -> None:
    async with graph(graph_server, PEOPLE), client_on(graph_server, writes="allow") as client:
        answer = await ask(client, "write", cypher=EVE, params={"name": "Eve"})
        found = await rows(client, NAMES)

    assert answer["rows"] == [["Eve"]]
    assert answer["changed"]["nodes_created"] == 2
    assert answer["changed"]["relationships_created"] == 1
    assert found == [["Ann"], ["Bob"], ["Cid"], ["Eve"], ["Fay"]]


@pytest.mark.parametrize("era", ["handshake", "stateless"])
@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_the_user_sees_what_would_change_and_decides(graph_server: Engine, action: Any, era: Any) -> None:
    asked: list[str] = []

    async def answer(_: Any, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action=action)

    own: dict[str, Any] = {"writes": "confirm"}
    async with graph(graph_server, PEOPLE):
        async with client_on(graph_server, client={"elicitation_callback": answer, "era": era}, **own) as client:
            result = await client.call_tool("neo4j_write", {"cypher": EVE_ITSELF, "params": {"name": "Eve"}})
            found = [name for (name,) in await rows(client, NAMES)]

    (message,) = asked
    assert "2 nodes created, 1 relationships created" in message
    assert "[[{'_type': 'node', 'labels': ['Person'], 'properties': {'name': 'Eve'}}]]" in message
    assert result.is_error == (action == "decline")
    assert ("Eve" in found) == (action == "accept")


async def test_a_client_that_cannot_ask_writes_nothing(graph_server: Engine) -> None:
    async with graph(graph_server, PEOPLE), client_on(graph_server, writes="confirm") as client:
        message = await refused(client, "write", cypher="MATCH (n) DETACH DELETE n")
        found = await rows(client, NAMES)

    assert "needs the agreement of your user" in message
    assert "Commit it?" in message
    assert len(found) == 3


async def test_a_client_that_cannot_ask_confirms_by_a_second_call(graph_server: Engine) -> None:
    cypher = "CREATE (n:Person {name: 'Eve', at: datetime()}) RETURN n"
    async with graph(graph_server, PEOPLE), client_on(graph_server, writes="confirm") as client:
        message = await refused(client, "write", cypher=cypher)
        token = message.partition('confirmation="')[2].partition('"')[0]
        result = await client.call_tool("neo4j_write", {"cypher": cypher, "confirmation": token})
        found = await rows(client, NAMES)

    assert not result.is_error
    assert len(found) == 4


async def test_a_write_that_changes_nothing_asks_nobody(graph_server: Engine) -> None:
    async with graph(graph_server, PEOPLE), client_on(graph_server, writes="confirm") as client:
        answer = await ask(client, "write", cypher="MATCH (n:Nobody) SET n.x = 1")

    assert answer["changed"] == {}


async def test_a_write_that_breaks_a_rule_is_undone(neo4j_server: Engine) -> None:
    async with graph(neo4j_server, PEOPLE), client_on(neo4j_server, writes="allow") as client:
        message = await refused(
            client, "write", cypher="CREATE (:Person {name: 'Eve'}) WITH 1 AS x MATCH (n:City) DELETE n"
        )
        found = await rows(client, NAMES)

    assert "ConstraintValidationFailed" in message
    assert ["Eve"] not in found


async def test_the_schema_and_users_are_out_of_reach(graph_server: Engine) -> None:
    async with client_on(graph_server, writes="allow") as client:
        assert "changes the schema" in await refused(client, "write", cypher="CREATE INDEX x FOR (n:X) ON (n.y)")
        assert "DROP" in await refused(client, "write", cypher="DROP USER neo4j")
