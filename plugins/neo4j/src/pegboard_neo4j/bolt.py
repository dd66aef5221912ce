"""One-off sessions over Bolt, for those who look after a server; tools use the pool."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString, cast

from neo4j import AsyncGraphDatabase, AsyncSession, AsyncTransaction
from neo4j.exceptions import DriverError, Neo4jError


@dataclass(frozen=True, slots=True)
class Login:
    """A user of a server, with what it takes to be let in."""

    url: str
    user: str
    password: str = field(repr=False)


@asynccontextmanager
async def connected(login: Login, database: str) -> AsyncGenerator[AsyncSession]:
    """A session on a connection of its own, closed on leaving; it waits five seconds for the server at most."""
    async with AsyncGraphDatabase.driver(  # pyright: ignore[reportUnknownMemberType] # its options are untyped
        login.url,
        auth=(login.user, login.password),
        connection_timeout=5,
        connection_acquisition_timeout=5,
        telemetry_disabled=True,
    ) as driver:
        async with driver.session(database=database) as session:  # pyright: ignore[reportUnknownMemberType]
            yield session


async def run(runner: AsyncSession | AsyncTransaction, cypher: str, **parameters: Any) -> list[list[Any]]:
    """Run a statement to its end and return its rows."""
    result = await runner.run(cast(LiteralString, cypher), parameters)
    return await result.values()


async def answers(login: Login, database: str) -> bool:
    """Whether the server lets this user in and has this database ready."""
    try:
        async with connected(login, database) as session:
            await run(session, "RETURN 1")
    except (DriverError, Neo4jError):
        return False
    return True
