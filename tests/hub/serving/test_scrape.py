"""`/metrics`: what was counted and how the hub is, for Prometheus."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pegboard import Plugin, PoolKind
from pegboard.kinds import PoolState
from pegboard.metrics import Reading
from pegboard.security.limits import Limits
from pegboard.serving import scrape
from pegboard.serving.app import HubApp
from pegboard.serving.scrape import memory_limit
from pegboard.testing import hub_of

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


async def ping() -> str:
    """Answer."""
    return "pong"


WEATHER = Plugin(name="weather", tools=[ping])


def key_of(name: str, *scopes: str) -> tuple[str, dict[str, Any]]:
    """A key, and its table in the settings."""
    secret = f"peg_{name}_{'s' * 43}"
    return secret, {"id": name, "sha256": hashlib.sha256(secret.encode()).hexdigest(), "scopes": list(scopes)}


@asynccontextmanager
async def serving(*plugins: Any, **settings: Any) -> AsyncGenerator[tuple[HubApp, httpx.AsyncClient]]:
    with anyio.fail_after(10):
        async with hub_of(*plugins, settings=settings, strict=False) as hub:
            app = HubApp(hub)
            transport = httpx.ASGITransport(app.asgi)
            async with app.run(), httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                yield app, http


async def scraped(http: httpx.AsyncClient) -> dict[str, float]:
    """Every sample by its name and labels."""
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    return {
        sample.name + "".join(f" {label}={value}" for label, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def call(http: httpx.AsyncClient, tool: str, method: str = "tools/call", **headers: str) -> httpx.Response:
    """One exchange of 2026-07-28."""
    named = {"accept": "application/json, text/event-stream", "mcp-protocol-version": MODERN}
    named |= {"mcp-method": method, "mcp-name": tool, **headers}
    params = {"name": tool, "arguments": {}, "_meta": META}
    return await http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, headers=named)


async def test_a_scrape_says_how_the_hub_is() -> None:
    async with serving(WEATHER) as (_, http):
        await call(http, "weather_ping")
        found = await scraped(http)

    assert found["pegboard_ready"] == 1
    assert found["pegboard_plugins state=served"] == 1
    assert found["pegboard_plugins state=failed"] == 0
    assert found["pegboard_uptime_seconds"] > 0
    assert found["pegboard_budget_listed_tools endpoint=weather"] == 1
    assert found["pegboard_budget_listed_tokens endpoint=all"] > 1
    assert found["pegboard_budget_hidden_tools endpoint=all"] == 0
    assert found["pegboard_calls_total outcome=ok plugin=weather tool=weather_ping"] == 1
    assert found["mcp_tool_calls_total status=success tool=weather_ping"] == 1
    assert found["mcp_requests_total method=tools/call status=ok transport=mcp"] == 1
    assert found["pegboard_sessions transport=mcp"] == 0
    assert found["pegboard_calls_in_flight"] == 0
    assert found["pegboard_log_lost_total"] == 0
    assert found["process_resident_memory_bytes"] < found["pegboard_memory_limit_bytes"]
    assert any(name.startswith("pegboard_build_info python=") for name in found)


async def test_a_hub_that_stops_is_not_ready() -> None:
    async with serving(WEATHER) as (app, http):
        app.traffic.leaving = True

        assert (await scraped(http))["pegboard_ready"] == 0


async def test_sessions_are_counted_by_transport() -> None:
    async with serving(WEATHER) as (_, http):
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
        await http.post("/mcp", json=message, headers={"accept": "application/json, text/event-stream"})

        found = await scraped(http)
        assert found["pegboard_sessions transport=mcp"] == 1
        assert found["mcp_requests_total method=initialize status=ok transport=mcp"] == 1


async def test_what_a_client_makes_up_becomes_no_label() -> None:
    """S-24, S-35: tools, methods and paths that nobody knows."""
    async with serving(WEATHER) as (_, http):
        for number in range(20):
            await call(http, f"evil_{number}")
            await call(http, "x", method=f"evil/{number}")
            await http.get(f"/evil/{number}")
        text = (await http.get("/metrics")).text

    assert "evil" not in text
    assert 'mcp_requests_total{method="other",status="error",transport="mcp"} 20.0' in text


async def test_pools_are_told_by_kind_and_target_without_secrets() -> None:
    """S-35: and those of one backend with other logins are one line."""

    @asynccontextmanager
    async def opened(_: str) -> AsyncGenerator[str]:
        yield "pool"

    async def ask() -> None: ...

    kind = PoolKind("db", opened)
    async with serving(Plugin(name="x", tools=[ask])) as (app, http):
        await app.hub.pools.get(kind, "postgres://ann:hunter2@db:5432/shop")
        await app.hub.pools.get(kind, "postgres://bob:hunter3@db:5432/shop")
        text = (await http.get("/metrics")).text
        found = await scraped(http)

    labels = "kind=db target=postgres://db:5432/shop"
    assert "hunter" not in text
    assert found[f"pegboard_pool_opens_total {labels}"] == 2
    assert found["pegboard_pool_breaker kind=db state=closed target=postgres://db:5432/shop"] == 1
    assert found["pegboard_pool_breaker kind=db state=open target=postgres://db:5432/shop"] == 0
    assert found[f"pegboard_pool_failures_total {labels}"] == 0


def test_connections_are_told_where_the_kind_can_tell() -> None:
    state = PoolState("db", "a", "open", size=4, in_use=3, waiting=2, limit=10, failures=5, trips=1)
    other = PoolState("db", "a", "open", size=1, in_use=0, waiting=0, limit=10, failures=5, trips=1)
    silent = PoolState("http", "b", "open")

    found: dict[str, Reading] = {one.name: one for one in scrape.pools([state, other, silent])}

    assert found["pegboard.pool.connections"].values == {("db", "a"): 5}
    assert found["pegboard.pool.connections.in_use"].values == {("db", "a"): 3}
    assert found["pegboard.pool.waiting"].values == {("db", "a"): 2}
    assert found["pegboard.pool.failures"].values == {("db", "a"): 5, ("http", "b"): 0}


async def test_the_audit_is_told_where_there_is_one(tmp_path: Path) -> None:
    async with serving(WEATHER, audit={"file": tmp_path / "audit.jsonl"}) as (_, http):
        with_audit = await scraped(http)
    async with serving(WEATHER) as (_, http):
        without = await scraped(http)

    assert (with_audit["pegboard_audit_writable"], with_audit["pegboard_audit_lost_total"]) == (1, 0)
    assert "pegboard_audit_waiting_bytes" in with_audit
    assert not [name for name in without if "audit" in name]


@pytest.mark.parametrize(("shared", "told"), [(None, None), (True, 1), (False, 0)])
async def test_whether_the_limits_are_shared_is_told_where_they_should_be(
    shared: bool | None, told: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Limits, "is_shared", shared)
    async with serving(WEATHER) as (_, http):
        found = await scraped(http)

    assert found.get("pegboard_limits_shared") == told


async def test_who_asks_for_openmetrics_gets_it() -> None:
    async with serving(WEATHER) as (_, http):
        answer = await http.get("/metrics", headers={"accept": "application/openmetrics-text"})

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


async def test_many_scrapes_at_once_all_get_their_answer() -> None:
    async with serving(WEATHER) as (_, http):
        answers: list[str] = []

        async def scrape_once() -> None:
            answers.append((await http.get("/metrics")).text)

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(scrape_once)

    assert [text.count("\npegboard_ready 1.0\n") for text in answers] == [1] * 5


async def test_switched_off_it_says_how_to_switch_it_on() -> None:
    async with serving(WEATHER, metrics={"enabled": False}) as (_, http):
        answer = await http.get("/metrics")

    assert answer.status_code == 404
    assert "[metrics] enabled = true" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("scopes", "status"), [(None, 401), (["read"], 403), (["weather:*"], 403), (["metrics"], 200), (["*"], 200)]
)
async def test_where_keys_are_asked_for_it_is_for_operators(scopes: list[str] | None, status: int) -> None:
    """S-35: without a key, or with one for tools, nobody learns what there is."""
    key, table = key_of("key1", *(scopes or ["*"]))
    async with serving(WEATHER, keys={"one": table}) as (_, http):
        headers = {"authorization": f"Bearer {key}"} if scopes is not None else {}
        answer = await http.get("/metrics", headers=headers)

    assert answer.status_code == status
    assert ("weather" in answer.text) is (status == 200)


async def test_it_can_be_public() -> None:
    _, table = key_of("key1", "*")
    async with serving(WEATHER, keys={"one": table}, metrics={"public": True}) as (_, http):
        answer = await http.get("/metrics")
        other = await http.get("/")

    assert (answer.status_code, other.status_code) == (200, 401)


@pytest.mark.parametrize(
    ("content", "limit"), [("1048576\n", 1_048_576), ("max\n", None), (None, None), (str(2**62), None)]
)
def test_memory_is_limited_by_the_container_or_the_machine(
    content: str | None, limit: int | None, tmp_path: Path
) -> None:
    file = tmp_path / "memory.max"
    if content is not None:
        file.write_text(content)

    assert memory_limit([file]) == (limit or memory_limit([]))
