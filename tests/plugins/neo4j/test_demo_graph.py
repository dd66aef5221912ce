"""The demo's graph: it equals the sample shop in PostgreSQL, is the reader's to look at, and has something to find."""

import tempfile
from collections.abc import AsyncGenerator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from neo4j import AsyncSession
from neo4j.exceptions import ClientError
from tests.plugins.neo4j.engines import Engine
from tests.plugins.neo4j.export_sample import encoded, exported

from pegboard_neo4j import sample
from pegboard_neo4j.bolt import Login, connected, run
from pegboard_neo4j.demo import SOURCES, demo, load
from pegboard_neo4j.embedded import DATABASE, embedded
from pegboard_neo4j.settings import Settings

COUNT_NODES = "MATCH (n) RETURN labels(n)[0] AS label, count(n) ORDER BY label"
COUNT_EDGES = "MATCH ()-[r]->() RETURN type(r) AS type, count(r) ORDER BY type"


@pytest.fixture(scope="module")
def graph() -> sample.Sample:
    return sample.sample()


@pytest.fixture(scope="module")
async def shop() -> AsyncGenerator[AsyncSession]:
    """A session on the demo's graph, as the hub gets it."""
    with tempfile.TemporaryDirectory() as folder:
        async with demo(Path(folder), print) as offered, opened(offered["settings"]) as session:
            yield session


def opened(settings: dict[str, Any]) -> Any:
    return connected(Login(settings["url"], settings["user"], settings["password"]), settings["database"])


def counted(graph: sample.Sample) -> tuple[list[list[Any]], list[list[Any]]]:
    """What the two counting queries give when all of the graph is there."""
    types = sorted({edges.type for edges in graph.edges})
    edges = [[name, sum(len(edges.rows) for edges in graph.edges if edges.type == name)] for name in types]
    return [[label, len(graph.nodes[label])] for label in sorted(graph.nodes)], edges


def test_the_entry_point_names_the_demo() -> None:
    (point,) = entry_points(group="pegboard.demo", name="neo4j")
    assert point.load().demo is demo


def test_the_data_file_is_what_the_sample_shop_gives() -> None:
    stale = "the sample shop has changed: python -m tests.plugins.neo4j.export_sample"
    assert sample.read() == encoded(exported()), stale


async def test_it_offers_settings_a_line_and_three_questions(tmp_path: Path) -> None:
    said: list[str] = []
    async with demo(tmp_path, said.append) as offered:
        assert Settings(**offered["settings"]).database == DATABASE
        assert "\n" not in offered["about"]
        assert len(offered["questions"]) == 3
    assert said == ["creating the graph (first start only)", "loading the graph of the sample shop"]

    async with demo(tmp_path, said.append) as offered, opened(offered["settings"]) as session:
        assert await run(session, "MATCH (p:Product {id: 1}) RETURN p.sku") == [["AUD-0001"]]
    assert len(said) == 2


async def test_a_new_version_replaces_the_old_one(tmp_path: Path, graph: sample.Sample) -> None:
    said: list[str] = []
    async with embedded(tmp_path) as server, connected(server.admin, DATABASE) as session:
        await run(session, "CREATE (:Customer {id: 1})-[:PLACED]->(:Older)")
        (server.data / "sample").write_text("older")

    async with demo(tmp_path, said.append) as offered, opened(offered["settings"]) as session:
        assert (await run(session, COUNT_NODES), await run(session, COUNT_EDGES)) == counted(graph)
    assert said == ["loading the new version of the sample graph"]


async def test_all_of_the_sample_is_there(shop: AsyncSession, graph: sample.Sample) -> None:
    nodes, edges = counted(graph)
    assert await run(shop, COUNT_NODES) == nodes
    assert await run(shop, COUNT_EDGES) == edges
    assert sum(count for _, count in nodes) < 5_000


@pytest.mark.parametrize("label", sample.KEYS)
async def test_nodes_have_the_properties_of_their_rows(shop: AsyncSession, graph: sample.Sample, label: str) -> None:
    key = sample.KEYS[label]
    found = await run(shop, f"MATCH (n:{label}) RETURN properties(n) ORDER BY n.{key}")
    native = [{name: native_value(value) for name, value in row.items()} for (row,) in found]
    assert native == sorted(graph.nodes[label], key=lambda row: row[key])


def native_value(value: Any) -> Any:
    return value.to_native() if hasattr(value, "to_native") else value


async def test_relationships_connect_what_the_rows_connect(shop: AsyncSession, graph: sample.Sample) -> None:
    for edges in graph.edges:
        ends = f"(a:{edges.start})-[r:{edges.type}]->(b:{edges.end})"
        keys = f"a.{sample.KEYS[edges.start]}, b.{sample.KEYS[edges.end]}"
        found = await run(shop, f"MATCH {ends} RETURN {keys}, properties(r)")
        native = [[start, end, {name: native_value(each) for name, each in row.items()}] for start, end, row in found]
        assert sorted(native, key=repr) == sorted(([*row.values()] for row in edges.rows), key=repr)


async def test_the_late_supplier_depends_on_a_maker_that_stands_still(shop: AsyncSession) -> None:
    path = "MATCH p = (s:Supplier)-[:SOURCES_FROM*1..4]->(m:Maker) WHERE m.halted_on IS NOT NULL"
    late = await run(shop, f"{path} AND s.name = 'Nordwind Trading' RETURN [n IN nodes(p) | n.name]")
    assert late == [[["Nordwind Trading", "Ostsee Import", sample.STANDS_STILL]]]

    suppliers = await run(shop, f"{path} RETURN DISTINCT s.name ORDER BY s.name")
    assert suppliers == [["Elbe Instruments"], ["Lumen Works"], ["Nordwind Trading"]]


async def test_only_one_city_has_a_single_carrier_and_most_returns(shop: AsyncSession) -> None:
    carriers = "MATCH (c:Carrier)-[:DELIVERS_TO]->(t:City) WITH t, collect(c.name) AS names"
    assert await run(shop, f"{carriers} WHERE size(names) = 1 RETURN t.name, names") == [
        ["Lisbon", [sample.ONLY_CARRIER]]
    ]
    lines = "MATCH (t:City)<-[:LIVES_IN]-()-[:PLACED]->()-[line:CONTAINS]->() WHERE line.delivered_on IS NOT NULL"
    returned = f"{lines} RETURN t.name, count(line.returned) * 1.0 / count(*) AS share ORDER BY share DESC LIMIT 1"
    assert (await run(shop, returned))[0][0] == "Lisbon"


async def test_the_reader_of_the_demo_writes_nothing(shop: AsyncSession) -> None:
    with pytest.raises(ClientError, match="Forbidden"):
        await run(shop, "MATCH (p:Product {id: 1}) SET p.price = 0.1")


async def test_the_graph_loads_into_neo4j_too(private_neo4j: Engine, graph: sample.Sample) -> None:
    async with connected(private_neo4j.admin, private_neo4j.database) as session:
        await load(session)
        assert (await run(session, COUNT_NODES), await run(session, COUNT_EDGES)) == counted(graph)


def test_the_version_covers_all_that_makes_the_graph() -> None:
    folder = Path(sample.__file__).parent
    assert all((folder / name).is_file() for name in SOURCES)
