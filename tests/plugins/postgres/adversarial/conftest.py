"""The bank on both engines, seen by a superuser on purpose, and its client."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from mcp import Client
from tests.plugins.postgres.adversarial.engines import Bank, bank_on
from tests.plugins.postgres.debian import Debian, debian

import pegboard_postgres
from pegboard.testing import connect
from pegboard_postgres.embedded import Embedded

__all__ = ["debian"]

Ask = Callable[[str], Awaitable[tuple[bool, str]]]


@pytest.fixture(scope="module", params=["embedded", "debian"])
def server_url(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The DSN of a database, as superuser, on one engine after the other."""
    if request.param == "embedded":
        embedded: Embedded = request.getfixturevalue("postgres_server")
        return lambda database: embedded.url("postgres", database=database)
    server: Debian = request.getfixturevalue("debian")
    return lambda database: server.url(database=database)


@pytest.fixture(scope="module")
async def bank(server_url: Callable[[str], str]) -> AsyncGenerator[Bank]:
    async with bank_on(server_url("postgres"), server_url("bank")) as bank:
        yield bank


def asking(client: Client) -> Ask:
    """Ask `postgres_query` and say whether that was an error, and the text of the answer."""

    async def ask(sql: str) -> tuple[bool, str]:
        result = await client.call_tool("postgres_query", {"sql": sql})
        return bool(result.is_error), "".join(getattr(block, "text", "") for block in result.content)

    return ask


def client_of(bank: Bank) -> AbstractAsyncContextManager[Client]:
    return connect(pegboard_postgres, settings={"plugins": {"postgres": {"dsn": bank.dsn}}})
