"""A database that goes away and comes back: asked once more, then left alone, then found again."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.abc
import pytest
from anyio import fail_after
from tests.conftest import Database
from tests.plugins.postgres.conftest import MakeReader, Reader

from pegboard import ToolError
from pegboard_postgres import Target
from pegboard_postgres.embedded import Embedded
from pegboard_postgres.target import backend_of

AWAY = "cannot be used: nothing listens there"
PAUSED = "is not asked now, since it did not answer several times in a row"


class Road:
    """A road to a database that can be cut: whoever is on it loses the connection."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._travellers: set[anyio.abc.SocketStream] = set()
        self.trips = 0

    async def lead(self, client: anyio.abc.SocketStream) -> None:
        self.trips += 1
        self._travellers.add(client)
        async with client, await anyio.connect_unix(self._socket) as server, anyio.create_task_group() as tasks:

            async def carry(source: anyio.abc.SocketStream, target: anyio.abc.SocketStream) -> None:
                try:
                    async for data in source:
                        await target.send(data)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(carry, client, server)
            await carry(server, client)

    async def cut(self) -> None:
        for client in list(self._travellers):
            self._travellers.discard(client)
            await client.aclose()


@asynccontextmanager
async def road_to(server: Embedded) -> AsyncGenerator[tuple[Road, str]]:
    """A road over TCP, and the DSN that leads along it."""
    query = parse_qs(urlsplit(server.dsn).query)
    road = Road(str(Path(query["host"][0]) / f".s.PGSQL.{query['port'][0]}"))
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, road.lead)
            login, database = urlsplit(server.dsn).netloc.rpartition("@")[0], urlsplit(server.dsn).path
            yield road, f"postgresql://{login}@127.0.0.1:{port}{database}?sslmode=disable"
            tasks.cancel_scope.cancel()


async def refused(reader: Reader, sql: str = "SELECT 1") -> str:
    with pytest.raises(ToolError) as error:
        await reader.query(sql)
    return str(error.value)


async def test_a_read_whose_connection_breaks_is_asked_once_more(
    reader_of: MakeReader, postgres_server: Embedded
) -> None:
    """F-02: the client notices nothing."""
    values: list[int] = []
    with fail_after(10):
        async with road_to(postgres_server) as (road, dsn):
            reader = reader_of(dsn)
            assert await reader.value("SELECT 1") == 1
            async with anyio.create_task_group() as tasks:

                async def ask() -> None:
                    values.append(await reader.value("SELECT 7 FROM pg_sleep(0.3)"))

                tasks.start_soon(ask)
                await anyio.sleep(0.15)
                await road.cut()
            (state,) = reader.hub.pools.states()

    assert values == [7]
    assert road.trips == 2
    assert (state.retries, state.failures, state.breaker) == (1, 0, "closed")


async def test_a_database_that_is_away_is_left_alone_and_found_again(
    reader_of: MakeReader, private_postgres: Embedded
) -> None:
    """F-01, F-32: refused at once while it is away, and used again soon after it is back."""
    reader = reader_of(private_postgres.dsn, hub={"pools": {"failures": 3, "pause": 1, "retries": 0}})
    assert await reader.value("SELECT 1") == 1
    await private_postgres.kill()

    messages = [await refused(reader) for _ in range(3)]
    began = time.perf_counter()
    refusals = [await refused(reader, "SELECT 2") for _ in range(20)]
    took = (time.perf_counter() - began) / 20
    (state,) = reader.hub.pools.states()

    assert all(AWAY in message for message in messages)
    assert all(PAUSED in message for message in refusals)
    assert took < 0.05  # with the client, the protocol and the hub around it
    assert (state.breaker, state.failures, state.trips) == ("open", 3, 1)

    await private_postgres.start()
    with fail_after(10):
        while True:
            try:
                assert await reader.value("SELECT 1") == 1
            except ToolError:
                await anyio.sleep(0.1)
            else:
                break
    assert reader.hub.pools.paused() == []


async def test_a_query_that_is_slow_or_wrong_does_not_open_the_breaker(
    reader_of: MakeReader, postgres_server: Embedded
) -> None:
    """F-03: the database answers."""
    reader = reader_of(postgres_server.dsn, hub={"pools": {"failures": 1}}, statement_timeout=0.2)
    assert await reader.value("SELECT 1") == 1

    for sql in ("SELECT pg_sleep(5)", "SELECT * FROM nowhere", "SELECT pg_sleep(5)"):
        await refused(reader, sql)

    assert await reader.value("SELECT 1") == 1


async def test_a_wrong_password_is_an_answer(
    reader_of: MakeReader, postgres: Database, postgres_server: Embedded
) -> None:
    url = postgres_server.url(postgres.name, "wrong", database=postgres.name)
    reader = reader_of(url, hub={"pools": {"failures": 1}})

    assert "refuses the user or the password" in await refused(reader)
    assert "refuses the user or the password" in await refused(reader)
    (state,) = reader.hub.pools.states()
    assert (state.failures, state.retries) == (0, 0)


async def test_the_state_of_a_pool_tells_how_much_of_it_is_taken(
    reader_of: MakeReader, postgres_server: Embedded
) -> None:
    reader = reader_of(postgres_server.dsn, max_connections=2)
    database = await reader.pool()
    async with database.read(), anyio.create_task_group() as tasks:

        async def wait() -> None:
            async with database.read():
                await anyio.sleep_forever()

        for _ in range(2):
            tasks.start_soon(wait)
        with fail_after(5):
            while (state := reader.hub.pools.states()[0]).waiting != 1 or state.size != 2:
                await anyio.sleep(0.01)
        assert (state.in_use, state.limit) == (2, 2)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("postgresql://ann:a@db/shop", "postgresql://bob:b@db/shop", True),
        ("postgresql://ann:a@db/shop", "postgresql://ann:a@db/other", False),
        ("postgresql://ann:a@db/shop", "postgresql://ann:a@dc/shop", False),
        ("postgresql:///shop?host=/run/a", "postgresql:///shop?host=/run/b", False),
        ("postgresql://ann:a@db/shop?host=x", "postgresql://ann:a@db/shop?host=y", False),
    ],
)
def test_databases_of_one_server_are_one_backend_whoever_logs_in(one: str, other: str, same: bool) -> None:
    assert (backend_of(Target(one)) == backend_of(other)) is same
