"""The plugin as a client of the hub sees it."""

from collections.abc import Sequence
from typing import Any

import pytest
from mcp import Client
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from tests.conftest import Database
from tests.plugins.postgres.conftest import WAITING, Reader, execute

import pegboard_postgres
from pegboard import ToolError
from pegboard.budget import tokens_of
from pegboard.testing import connect
from pegboard_postgres import Target, tracing

NAMES = (
    "postgres_query",
    "postgres_explain",
    "postgres_list_tables",
    "postgres_describe_table",
    "postgres_search_schema",
    "postgres_relationships",
    "postgres_health",
)


def settings(dsn: str, **hub: Any) -> dict[str, Any]:
    return {"plugins": {"postgres": {"dsn": dsn, "writes": "deny"}}, **hub}


async def call(client: Client, name: str, **arguments: Any) -> tuple[Any, str]:
    result = await client.call_tool(name, arguments)
    return result.structured_content, "".join(getattr(block, "text", "") for block in result.content)


async def test_the_tools_say_that_they_only_read_and_describe_every_parameter(postgres: Database) -> None:
    async with connect(pegboard_postgres, settings=settings(postgres.dsn)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools if tool.name != "fetch_more"}

    assert tuple(tools) == NAMES
    for tool in tools.values():
        hints = tool.annotations
        assert hints is not None
        assert (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint) == (
            True,
            False,
            True,
            False,
        )
        assert tool.output_schema
        assert all("description" in parameter for parameter in tool.input_schema["properties"].values())
        assert "call" not in tool.input_schema["properties"]


async def test_the_default_tools_fit_the_small_budget(postgres: Database) -> None:
    async with connect(pegboard_postgres, settings=settings(postgres.dsn)) as client:
        tools = (await client.list_tools()).tools

    assert len(tools) <= 8
    assert sum(tokens_of(tool.name, tool.description or "", tool.input_schema) for tool in tools) <= 1500


async def test_a_client_finds_a_table_looks_at_it_and_asks(postgres: Database) -> None:
    await execute(
        postgres.dsn,
        "CREATE TABLE city (id int PRIMARY KEY, name text NOT NULL, area numeric)",
        "INSERT INTO city VALUES (1, 'Rome', 1285.31), (2, 'Oslo', 454.00)",
    )
    async with connect(pegboard_postgres, settings=settings(postgres.dsn)) as client:
        tables, _ = await call(client, "postgres_list_tables", pattern="cit")
        table, _ = await call(client, "postgres_describe_table", table="city")
        answer, text = await call(
            client, "postgres_query", sql="SELECT name, area FROM city WHERE id = $1", params='["2"]', limit="10"
        )

    assert [row[:4] for row in tables["rows"]] == [["public", "city", "table", None]]
    assert [column["name"] for column in table["columns"]] == ["id", "name", "area"]
    assert answer == {
        "columns": [{"name": "name", "type": "text"}, {"name": "area", "type": "numeric"}],
        "rows": [["Oslo", "454.00"]],
        "returned": 1,
        "has_more": False,
    }
    assert '"Oslo"' in text


async def test_a_refused_statement_reaches_the_client_with_its_reason(postgres: Database) -> None:
    async with connect(pegboard_postgres, settings=settings(postgres.dsn)) as client:
        result = await client.call_tool("postgres_query", {"sql": "DROP TABLE city"})

    assert result.is_error
    assert "only statements that read are run here" in str(result.content)


async def test_a_query_ends_before_the_hubs_deadline_with_the_better_message(postgres: Database) -> None:
    with_deadline = settings(postgres.dsn, calls={"deadline": 1})
    with_deadline["plugins"]["postgres"]["allow_functions"] = WAITING
    async with connect(pegboard_postgres, settings=with_deadline) as client:
        _, text = await call(client, "postgres_query", sql="SELECT pg_sleep(20)")

    assert "the query was cancelled after" in text
    assert "EXPLAIN" in text


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer", provider.get_tracer("test"))
    return exporter


def named(spans: Sequence[ReadableSpan]) -> dict[str, dict[str, Any]]:
    return {span.name: dict(span.attributes or {}) for span in spans}


async def test_a_query_is_traced_without_its_text_and_values(
    owner: Reader, postgres: Database, spans: InMemorySpanExporter
) -> None:
    await owner.query("SELECT $1::text AS secret", "hunter2")

    finished = spans.get_finished_spans()
    common = {"db.system.name": "postgresql", "db.namespace": postgres.name}
    assert named(finished) == {
        "postgres acquire": common,
        f"SELECT {postgres.name}": {**common, "db.operation.name": "SELECT"},
    }
    assert "hunter2" not in "".join(span.to_json() for span in finished)


async def test_an_error_is_traced_by_its_class_and_not_by_its_text(reader: Reader, spans: InMemorySpanExporter) -> None:
    with pytest.raises(ToolError):
        await reader.query("SELECT 'hunter2'::int WHERE $1 = 'x'", "y")

    failed = spans.get_finished_spans()[-1]
    assert failed.status.status_code is StatusCode.ERROR
    assert (failed.attributes or {})["db.response.status_code"] == "22P02"
    assert "hunter2" not in failed.to_json()


async def test_where_the_server_is_belongs_to_the_trace(spans: InMemorySpanExporter) -> None:
    known = tracing.attributes(Target("postgresql://u:p@db:6/shop"))
    with pytest.raises(KeyError), tracing.span("x", known):
        raise KeyError
    with tracing.span("y", tracing.attributes(Target("postgresql://"))):
        pass

    assert named(spans.get_finished_spans())["y"] == {"db.system.name": "postgresql"}
    assert named(spans.get_finished_spans())["x"] == {
        "db.system.name": "postgresql",
        "db.namespace": "shop",
        "server.address": "db",
        "server.port": 6,
        "error.type": "KeyError",
    }
