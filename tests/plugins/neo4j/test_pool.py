"""The pool when things go wrong: servers that are away, slow, frozen or restarted, and calls that are given up."""

import logging
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.plugins.neo4j.engines import Engine
from tests.plugins.neo4j.fixtures import PEOPLE, ask, client_on, graph, more, refused, rows

import pegboard_neo4j
from pegboard import ToolError
from pegboard.pools import Pools
from pegboard.testing import connect
from pegboard_neo4j import NEO4J, Graph, Target
from pegboard_neo4j.bolt import connected, run

SLOW = "UNWIND range(1, 20000) AS x UNWIND range(1, 20000) AS y WITH x WHERE x % 7 = 9 RETURN count(x)"


def target(engine: Engine, **bounds: Any) -> Target:
    return Target(engine.url, engine.admin.user, engine.admin.password, engine.database, **bounds)


@asynccontextmanager
async def pool(engine: Engine, **bounds: Any) -> AsyncGenerator[Graph]:
    async with Pools() as pools:
        yield await pools.get(NEO4J, target(engine, **bounds))


async def running(engine: Engine, text: str) -> list[str]:
    """The statements with this text that still run on the server."""
    async with connected(engine.admin, engine.database) as session:
        found = await run(session, "SHOW TRANSACTIONS")
    return [str(row) for row in found if text in str(row) and "SHOW TRANSACTIONS" not in str(row)]


async def test_a_server_that_is_away_is_told_within_a_second(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"url": f"bolt://127.0.0.1:{port}", "password": "hunter2"}
    async with connect(pegboard_neo4j, settings={"plugins": {"neo4j": place}}) as client:
        with anyio.fail_after(1):
            message = await refused(client, "query", cypher="RETURN 1")

    assert message == (
        f"the graph at bolt://127.0.0.1:{port} cannot be used: nothing listens there; start the server or correct the "
        "plugin's url"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong"}, "it refuses the user or the password"),
        ({"user": "nobody"}, "it refuses the user or the password"),
        ({"database": "nowhere"}, "it has no database of this name"),
    ],
)
async def test_a_wrong_login_or_database_is_told_without_secrets(
    neo4j_server: Engine, change: dict[str, Any], said: str
) -> None:
    async with client_on(neo4j_server, **change) as client:
        message = await refused(client, "query", cypher="RETURN 1")

    assert said in message
    assert neo4j_server.admin.password not in message


async def test_what_is_no_graph_is_told(tmp_path: Path) -> None:
    async def greet(stream: Any) -> None:
        async with stream:
            await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    message = ""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, greet)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with connect(
            pegboard_neo4j, settings={"plugins": {"neo4j": {"url": f"bolt://127.0.0.1:{port}"}}}
        ) as client:
            with anyio.fail_after(8):
                message = await refused(client, "query", cypher="RETURN 1")
        tasks.cancel_scope.cancel()

    assert "does not speak Bolt" in message


async def test_a_statement_that_takes_too_long_is_stopped_on_the_server_too(graph_server: Engine) -> None:
    async with client_on(graph_server, query_timeout=1) as client:
        await rows(client, "RETURN 1")
        with anyio.fail_after(5):
            message = await refused(client, "query", cypher=f"{SLOW} AS slow1")
        with anyio.fail_after(5):
            while await running(graph_server, "slow1"):
                await anyio.lowlevel.checkpoint()
        assert await rows(client, "RETURN 2") == [[2]]

    assert message.startswith("the query was stopped ")
    assert "neo4j_explain" in message


async def test_the_plugins_message_comes_before_the_hubs_deadline(graph_server: Engine) -> None:
    async with client_on(graph_server, hub={"calls": {"deadline": 2}}) as client:
        await rows(client, "RETURN 1")
        with anyio.fail_after(3):
            message = await refused(client, "query", cypher=SLOW)

    assert "narrow it down" in message


async def test_a_call_that_is_given_up_frees_its_connection_within_two_seconds(graph_server: Engine) -> None:
    async with pool(graph_server, max_connections=1) as found:
        async with found.read() as transaction:
            await transaction.rows("RETURN 1")
        async with anyio.create_task_group() as tasks:

            async def slow() -> None:
                async with found.read() as transaction:
                    await transaction.rows(f"{SLOW} AS slow2")

            tasks.start_soon(slow)
            with anyio.fail_after(10):
                while not await running(graph_server, "slow2"):
                    await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

        with anyio.fail_after(2):
            async with found.read() as transaction:
                assert await transaction.rows("RETURN 3") == [[3]]
            while await running(graph_server, "slow2"):
                await anyio.lowlevel.checkpoint()


async def test_a_reading_left_early_stops_at_once(graph_server: Engine) -> None:
    async with pool(graph_server, max_connections=1) as found:
        with anyio.fail_after(10):
            async with found.read(fetch_size=10) as transaction:
                cursor = await transaction.run(
                    "UNWIND range(1, 20000) AS x UNWIND range(1, 1000) AS y RETURN y AS slow3"
                )
                assert await cursor.fetch(2) == [[1], [2]]
        with anyio.fail_after(2):
            async with found.read() as transaction:
                assert await transaction.rows("RETURN 4") == [[4]]


async def test_nothing_a_read_does_is_kept(arcadedb_server: Engine) -> None:
    async with graph(arcadedb_server, PEOPLE), pool(arcadedb_server) as found:
        async with found.read() as transaction:
            await transaction.rows("MATCH (n:Person) SET n.hacked = 1")  # past the guard, on an engine that lets it
        async with found.read() as transaction:
            assert await transaction.rows("MATCH (n) WHERE n.hacked = 1 RETURN n") == []


async def test_neo4j_itself_refuses_to_write_in_a_read(neo4j_server: Engine) -> None:
    """S-16: the second line, should the guard ever let one through."""
    async with graph(neo4j_server, PEOPLE), pool(neo4j_server) as found:
        with pytest.raises(ToolError, match="this tool only reads"):
            async with found.read() as transaction:
                await transaction.rows("MATCH (n:Person) SET n.hacked = 1")


async def test_an_engine_that_does_not_keep_from_writing_is_warned_of(
    graph_server: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    async with graph(graph_server, PEOPLE):
        for as_reader in (False, True):
            caplog.clear()
            with caplog.at_level(logging.WARNING):
                async with client_on(graph_server, as_reader=as_reader) as client:
                    await rows(client, "RETURN 1")
            lets_write = graph_server.name == "ArcadeDB" and not as_reader
            assert ("only the plugin's own guard does" in caplog.text) == lets_write
            assert graph_server.admin.password not in caplog.text


async def test_who_finds_every_connection_busy_hears_so_after_two_seconds(graph_server: Engine) -> None:
    async with pool(graph_server, max_connections=1) as found, found.read() as holder:
        await holder.rows("RETURN 1")
        with anyio.fail_after(3), pytest.raises(ToolError, match=r"all 1 connections .* are busy"):
            async with found.read():
                pass


async def test_twice_as_many_calls_as_connections_all_get_an_answer(graph_server: Engine) -> None:
    answers: list[Any] = []
    async with client_on(graph_server, max_connections=2) as client:

        async def one(number: int) -> None:
            answers.append(await rows(client, "RETURN $x", x=number))

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for number in range(8):
                    tasks.start_soon(one, number)

    assert sorted(answers) == [[[number]] for number in range(8)]


async def test_a_server_that_was_restarted_is_met_again_without_an_error(private_graph: Engine) -> None:
    async with client_on(private_graph, max_connections=2) as client:
        await rows(client, "RETURN 1")
        await private_graph.process.restart()
        with anyio.fail_after(10):
            assert await rows(client, "RETURN 2") == [[2]]


async def test_a_server_that_dies_in_a_query_is_told_and_met_again(private_graph: Engine) -> None:
    async with client_on(private_graph) as client:
        await rows(client, "RETURN 1")
        messages: list[str] = []

        async def slow() -> None:
            messages.append(await refused(client, "query", cypher=f"{SLOW} AS slow5"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(slow)
            with anyio.fail_after(10):
                while not await running(private_graph, "slow5"):
                    await anyio.lowlevel.checkpoint()
            await private_graph.process.kill()
            with anyio.fail_after(5):
                while not messages:
                    await anyio.lowlevel.checkpoint()
        away = await refused(client, "query", cypher="RETURN 1")
        await private_graph.process.start()
        with anyio.fail_after(10):
            assert await rows(client, "RETURN 2") == [[2]]

    # A read whose connection broke is asked once more, so that the caller hears what is true now.
    assert "nothing listens there" in messages[0]
    assert "nothing listens there" in away


async def test_a_frozen_server_takes_no_longer_than_its_timeouts(private_graph: Engine) -> None:
    async with client_on(private_graph, connect_timeout=1, query_timeout=1, max_connections=1) as client:
        await rows(client, "RETURN 1")
        private_graph.process.freeze()
        try:
            with anyio.fail_after(6):
                message = await refused(client, "query", cypher="RETURN 2")
        finally:
            private_graph.process.thaw()
        with anyio.fail_after(10):
            assert await rows(client, "RETURN 3") == [[3]]

    assert "no answer within 1 s" in message


async def test_the_driver_is_not_imported_before_it_is_needed() -> None:
    lines = "import sys, pegboard_neo4j; pegboard_neo4j.hub_plugin(); print('neo4j' in sys.modules)"
    result = await anyio.run_process([sys.executable, "-c", lines])

    assert result.stdout.strip() == b"False"


async def test_a_hundred_thousand_rows_arrive_complete_and_in_order(neo4j_server: Engine) -> None:
    hub = {"results": {"tokens": 2_000_000, "bytes": 8 * 1024 * 1024}}
    expected = 1
    async with client_on(neo4j_server, hub=hub) as client:
        answer = await ask(client, "query", cypher="UNWIND range(1, 100000) AS x RETURN x", limit=10_000)
        while True:
            for (x,) in answer["rows"]:
                assert x == expected
                expected += 1
            if not answer["has_more"]:
                break
            answer = await more(client, answer)

    assert expected == 100_001
