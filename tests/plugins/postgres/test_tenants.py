"""Tenants on one PostgreSQL: each with a role of its own, and connections of its own."""

from typing import Any

import anyio
from tests.conftest import Database
from tests.hub.callers import client_as, somebody

import pegboard_postgres
from pegboard.hub import Hub
from pegboard.testing import hub_of

WHO = "SELECT current_user AS who, pg_backend_pid() AS pid"


async def asked(hub: Hub, tenant: str | None, times: int = 5) -> list[list[Any]]:
    """Who the database takes a tenant's caller for, and on which connection, time after time."""
    rows: list[list[Any]] = []
    async with client_as(hub, somebody("*", tenant=tenant), "/postgres") as client:
        for _ in range(times):
            result = await client.call_tool("postgres_query", {"sql": WHO})
            assert result.structured_content is not None, result.content
            rows += result.structured_content["rows"]
    return rows


async def test_no_connection_is_lent_to_another_tenant(postgres: Database) -> None:
    """S-40: also when both call at once, again and again."""
    settings: dict[str, Any] = {
        "plugins": {"postgres": {"dsn": postgres.dsn}},
        "tenants": {"acme": {"plugins": {"postgres": {"dsn": postgres.reader_dsn}}}},
    }
    rows: dict[str | None, list[list[Any]]] = {}

    async def ask(hub: Hub, tenant: str | None) -> None:
        rows[tenant] = await asked(hub, tenant)

    with anyio.fail_after(20):
        async with hub_of(pegboard_postgres, settings=settings) as hub:
            async with anyio.create_task_group() as tasks:
                for tenant in (None, "acme"):
                    tasks.start_soon(ask, hub, tenant)

    own, theirs = ({tuple(row) for row in rows[tenant]} for tenant in (None, "acme"))
    assert {who for who, _ in own} == {postgres.name}
    assert {who for who, _ in theirs} == {"pegboard_reader"}
    assert {pid for _, pid in own}.isdisjoint({pid for _, pid in theirs})
