"""A real PostgreSQL behind a real hub: cancelled queries end, a dead database is survived."""

import json
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.system.installed import Installed
from tests.system.processes import HubProcess, serving
from tests.system.wire import OPENERS, Era, Json, Peer, call, client, connected, envelope, rpc, sse

from pegboard_postgres.embedded import Embedded
from pegboard_postgres.embedded import connected as connected_to

SOON = 1.0


@pytest.fixture
async def hub(private_postgres: Embedded, probe: Installed, tmp_path: Path) -> AsyncGenerator[HubProcess]:
    """A hub with a database of its own, which tests may harm."""
    settings = {"plugins": {"postgres": {"dsn": private_postgres.dsn}}}
    with serving(tmp_path, probe, settings=settings) as started:
        yield started


async def query(peer: Peer, sql: str) -> Json:
    answer = await peer.request("tools/call", {"name": "postgres_query", "arguments": {"sql": sql}})
    return answer["result"]


async def running(admin: Any, mark: str) -> int:
    """How many queries with a mark in their text run on the server."""
    return await admin.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()",
        f"%{mark}%",
    )


async def becomes(admin: Any, mark: str, count: int, within: float) -> None:
    """Wait until so many queries with a mark run; the server tells nobody, so it has to be asked."""
    with anyio.fail_after(within):
        while await running(admin, mark) != count:
            await anyio.sleep(0.02)


@pytest.mark.parametrize("era", ["sse", "modern"])
async def test_a_client_that_leaves_ends_its_query(hub: HubProcess, private_postgres: Embedded, era: Era) -> None:
    sql = f"SELECT pg_sleep(30) AS {era}_left"
    async with connected_to(private_postgres.admin_dsn) as admin, client(hub.url) as http:
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                async with OPENERS[era](http) as peer:
                    await query(peer, sql)

            tasks.start_soon(ask)
            await becomes(admin, f"{era}_left", 1, 10)
            tasks.cancel_scope.cancel()
        await becomes(admin, f"{era}_left", 0, SOON)


async def test_a_client_that_leaves_frees_its_cursor(hub: HubProcess, private_postgres: Embedded) -> None:
    sql = "SELECT pg_backend_pid() AS pid FROM generate_series(1, 1000000)"
    held = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'idle in transaction'"
    async with connected_to(private_postgres.admin_dsn) as admin:
        async with connected("sse", hub.url) as peer:
            answer = (await query(peer, sql))["structuredContent"]
            pid = answer["rows"][0][0]
            assert answer["has_more"]
            assert await admin.fetchval(held, pid) == 1
        with anyio.fail_after(2):
            while await admin.fetchval(held, pid):
                await anyio.sleep(0.02)


@pytest.mark.parametrize("era", ["sse", "legacy"])
async def test_a_cancelled_call_ends_its_query(hub: HubProcess, private_postgres: Embedded, era: Era) -> None:
    params = {"name": "postgres_query", "arguments": {"sql": f"SELECT pg_sleep(30) AS {era}_cancelled"}}
    async with connected_to(private_postgres.admin_dsn) as admin, connected(era, hub.url) as peer:
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                await peer.request("tools/call", params, request_id=77)

            tasks.start_soon(ask)
            await becomes(admin, f"{era}_cancelled", 1, 10)
            await peer.notify("notifications/cancelled", {"requestId": 77})
            await becomes(admin, f"{era}_cancelled", 0, SOON)
            tasks.cancel_scope.cancel()
        assert "two" in json.dumps(await query(peer, "SELECT 2 AS two"))


async def test_a_call_over_its_deadline_ends_its_query(hub: HubProcess, private_postgres: Embedded) -> None:
    params, headers = envelope(
        "tools/call",
        {
            "name": "postgres_query",
            "arguments": {"sql": "SELECT pg_sleep(30) AS over_deadline"},
            "_meta": {"pegboard/deadline": 0.5},
        },
    )
    async with connected_to(private_postgres.admin_dsn) as admin, client(hub.url) as http:
        began = time.monotonic()
        answer = await http.post("/mcp", json=rpc("tools/call", params, 1), headers=headers)
        assert answer.json()["result"]["isError"]
        assert time.monotonic() - began < 0.5 + SOON
        await becomes(admin, "over_deadline", 0, SOON)


async def test_a_database_that_dies_is_an_error_at_once_and_comes_back(
    hub: HubProcess, private_postgres: Embedded
) -> None:
    async with client(hub.url) as http, sse(http) as peer, connected("modern", hub.url) as other:
        assert "two" in json.dumps(await query(peer, "SELECT 2 AS two"))
        lost: list[tuple[float, Json]] = []
        killed = 0.0
        async with connected_to(private_postgres.admin_dsn) as admin, anyio.create_task_group() as tasks:

            async def ask() -> None:
                answer = await query(peer, "SELECT pg_sleep(30) AS during")
                lost.append((time.monotonic(), answer))

            tasks.start_soon(ask)
            await becomes(admin, "during", 1, 10)
            killed = time.monotonic()
            await private_postgres.kill()
        ((answered, answer),) = lost
        assert answer["isError"]
        assert answered - killed < SOON

        began = time.monotonic()
        assert (await query(peer, "SELECT 2 AS two"))["isError"]
        assert time.monotonic() - began < SOON
        assert await call(other, "probe_echo", {"payload": "unaffected"}) == "unaffected"
        assert (await http.get("/ready")).status_code == 200

        await private_postgres.start()
        assert "two" in json.dumps(await query(peer, "SELECT 2 AS two"))
        assert "Traceback" not in hub.log.text


async def test_a_database_that_is_not_there_stops_nobody(probe: Installed, tmp_path: Path) -> None:
    """F-01."""
    settings = {"plugins": {"postgres": {"dsn": "postgresql://reader@127.0.0.1:1/nothing"}}}
    with serving(tmp_path, probe, settings=settings) as hub:
        async with connected("sse", hub.url) as peer:
            began = time.monotonic()
            answer = await query(peer, "SELECT 1")
            assert time.monotonic() - began < SOON
            assert answer["isError"]
            assert await call(peer, "probe_echo", {"payload": "unaffected"}) == "unaffected"
