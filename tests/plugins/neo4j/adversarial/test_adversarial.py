"""Hostile Cypher through the tool, as the administrator of real engines on purpose: afterwards nothing has changed."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from mcp import Client
from neo4j.exceptions import Neo4jError
from tests.plugins.neo4j.adversarial import inputs
from tests.plugins.neo4j.adversarial.less_obvious import LESS_OBVIOUS, READS, REFUSED_BY_THE_SERVER
from tests.plugins.neo4j.engines import Engine
from tests.plugins.neo4j.fixtures import PEOPLE, client_on, graph, refused

from pegboard import ToolError
from pegboard_neo4j.bolt import connected, run
from pegboard_neo4j.guard import check

HOSTILE = inputs.HOSTILE + LESS_OBVIOUS
LEGITIMATE = inputs.LEGITIMATE + READS

STATE = {
    "nodes": "MATCH (n) RETURN elementId(n), labels(n), properties(n)",
    "relationships": "MATCH (a)-[r]->(b) RETURN elementId(r), elementId(a), elementId(b), type(r), properties(r)",
    "labels": "CALL db.labels()",
    "types": "CALL db.relationshipTypes()",
    "indexes": "SHOW INDEXES YIELD name, type, labelsOrTypes, properties",
    "constraints": "SHOW CONSTRAINTS YIELD name, type, labelsOrTypes, properties",
    "procedures": "SHOW PROCEDURES YIELD name",
}
SYSTEM = {
    "users": "SHOW USERS YIELD user, passwordChangeRequired",
    "databases": "SHOW DATABASES YIELD name, currentStatus",
    "settings": "SHOW SETTINGS YIELD name, value, isDynamic",
}


async def state(engine: Engine) -> dict[str, list[str]]:
    """Everything there is on a server that a statement could change."""
    found: dict[str, list[str]] = {}
    for database, queries in (
        (engine.database, STATE),
        ("system" if engine.name == "Neo4j" else engine.database, SYSTEM),
    ):
        async with connected(engine.admin, database) as session:
            for name, query in queries.items():
                try:
                    found[name] = sorted(map(str, await run(session, query)))
                except Neo4jError:
                    assert engine.name != "Neo4j", query
                    found[name] = sorted(map(str, await run(session, "SHOW USERS"))) if name == "users" else []
    return found


@pytest.fixture(scope="module")
async def attacked(graph_server: Engine) -> AsyncGenerator[Client]:
    """A client of the administrator's hub; at the end of the module the server is as it was."""
    async with graph(graph_server, PEOPLE):
        before = await state(graph_server)
        async with client_on(graph_server, max_connections=2) as client:
            yield client
        assert await state(graph_server) == before


@pytest.mark.parametrize(("cypher", "reason"), HOSTILE, ids=lambda text: repr(text)[:60])
async def test_hostile_cypher_is_refused_with_the_reason(attacked: Client, cypher: str, reason: str) -> None:
    """S-16."""
    assert reason in await refused(attacked, "query", cypher=cypher)


@pytest.mark.parametrize(("cypher", "reason"), HOSTILE, ids=lambda text: repr(text)[:60])
async def test_what_is_refused_is_never_explained_either(attacked: Client, cypher: str, reason: str) -> None:
    """S-16."""
    assert reason in await refused(attacked, "explain", cypher=cypher)
    assert reason in await refused(attacked, "explain", cypher=cypher, profile=True)


@pytest.mark.parametrize("cypher", REFUSED_BY_THE_SERVER)
async def test_a_word_that_writes_is_a_name_or_a_mistake(attacked: Client, cypher: str) -> None:
    assert "the graph says" in await refused(attacked, "query", cypher=cypher)


@pytest.mark.parametrize(("cypher", "on_both"), LEGITIMATE, ids=lambda text: repr(text)[:60])
async def test_cypher_that_reads_is_answered(
    attacked: Client, graph_server: Engine, cypher: str, on_both: bool
) -> None:
    if not on_both and graph_server.name != "Neo4j":
        check(cypher)  # the guard lets it pass; this engine does not know it
        return
    result = await attacked.call_tool("neo4j_query", {"cypher": cypher, "params": {"create": 1, "set": 2}})

    assert not result.is_error, result.content


EVIL = "Person`) DETACH DELETE n //"

ARGUMENTS: list[tuple[str, dict[str, Any]]] = [
    ("list_nodes", {"label": EVIL}),
    ("list_nodes", {"label": "Person\\u0060) DETACH DELETE n //"}),
    ("list_nodes", {"label": "Person:City"}),
    ("list_nodes", {"label": ""}),
    ("list_nodes", {"label": "Person", "order_by": "name` SET n.x = 1 //"}),
    ("list_nodes", {"label": "Person", "order_by": "-name, n.age"}),
    ("list_nodes", {"label": "Person", "filter": {"name` = 'x' OR true //": 1}}),
    ("list_nodes", {"label": "Person", "filter": {"name": {"= 'x' OR true //": 1}}}),
    ("list_nodes", {"label": "Person", "filter": {"name\0": 1}}),
    ("get_relationships", {"node": "x' OR true //"}),
    ("get_relationships", {"node": {"label": EVIL, "key": "name", "value": "Ann"}}),
    ("get_relationships", {"node": {"label": "Person", "key": "name` OR true //", "value": "Ann"}}),
    (
        "get_relationships",
        {"node": {"label": "Person", "key": "name", "value": "Ann"}, "types": ["KNOWS]->() DELETE r //"]},
    ),
    (
        "get_relationships",
        {"node": {"label": "Person", "key": "name", "value": "Ann"}, "direction": "]->() DELETE r //"},
    ),
    ("find_path", {"start": "a", "end": "b", "types": ["KNOWS*..99]-(b) DELETE b //"]}),
    ("find_path", {"start": "a", "end": "b", "max_depth": 99}),
    ("search", {"index": "x') YIELD node DELETE node //", "text": "x"}),
    ("schema", {"labels": [EVIL]}),
    ("schema", {"labels": ["Person"], "sample": 10**9}),
    ("query", {"cypher": "RETURN $x", "params": {"x": 2**63}}),
    ("query", {"cypher": "MATCH (n:$label) RETURN n", "params": {"label": EVIL}}),
    ("query", {"cypher": "RETURN $x", "params": {"x": {"_type": "node", "element_id": "1"}}}),
]


@pytest.mark.parametrize(("tool", "arguments"), ARGUMENTS, ids=lambda text: repr(text)[:60])
async def test_names_in_arguments_cannot_become_cypher(
    attacked: Client, graph_server: Engine, tool: str, arguments: dict[str, Any]
) -> None:
    """S-15 and S-16."""
    result = await attacked.call_tool(f"neo4j_{tool}", arguments)
    message = "".join(getattr(block, "text", "") for block in result.content)

    # An engine that does not list its properties is asked for one of this odd name, and finds none.
    assert result.is_error or (tool == "list_nodes" and graph_server.name == "ArcadeDB")
    assert "Traceback" not in message
    assert "crashed" not in message


def test_the_suite_is_as_large_as_promised() -> None:
    assert len(HOSTILE) >= 70
    assert len(LEGITIMATE) >= 40


@pytest.mark.parametrize(
    "cypher",
    [
        "CREATE (n:Person {name: $name}) RETURN n",
        "CREATE p = (a)-[:X]->(b) RETURN p",
        "MERGE (n:Person {name: 'Ann'}) ON CREATE SET n.x = 1 ON MATCH SET n.x = 2",
        "MATCH (n:Person) WHERE n.name = 'Ann' SET n.age = 32 REMOVE n.x",
        "MATCH (n:Person) DETACH DELETE n",
        "UNWIND [1] AS x FOREACH (y IN [x] | CREATE (:X))",
    ],
)
def test_a_write_that_is_allowed_passes(cypher: str) -> None:
    assert check(cypher, writes=True).text == cypher


@pytest.mark.parametrize(
    "cypher",
    [
        "CREATE INDEX x FOR (n:X) ON (n.y)",
        "CREATE OR REPLACE DATABASE x",
        "CREATE CONSTRAINT FOR (n:X) REQUIRE n.y IS UNIQUE",
        "CREATE USER eve SET PASSWORD 'password1'",
        "MATCH (n) CREATE FULLTEXT INDEX x FOR (n:X) ON EACH [n.y]",
        "DROP INDEX x",
        "LOAD CSV FROM 'file:///x' AS l CREATE (:X)",
        "USE system CREATE (:X)",
        "MATCH (n) CALL { CREATE (:X) } IN TRANSACTIONS",
        "CALL apoc.create.node([], {})",
        "ALTER USER neo4j SET PASSWORD 'x'",
        "CREATE (:X); CREATE (:Y)",
    ],
)
def test_a_write_beyond_nodes_and_relationships_is_refused(cypher: str) -> None:
    with pytest.raises(ToolError):
        check(cypher, writes=True)
