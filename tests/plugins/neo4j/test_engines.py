"""The engines of the tests and the demo: they start, answer, come back, and leave nothing behind."""

import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import anyio
import httpx
import psutil
import pytest
from anyio import fail_after
from neo4j.exceptions import ClientError, DriverError
from tests.plugins.neo4j import maven
from tests.plugins.neo4j.engines import Engine

from pegboard_neo4j.arcadedb import check_platform
from pegboard_neo4j.bolt import Login, answers, connected, run
from pegboard_neo4j.embedded import DATABASE, ServerError, embedded

HUB = """
import anyio, sys
from pathlib import Path
from pegboard_neo4j.embedded import embedded

async def main():
    async with embedded(Path(sys.argv[1])) as server:
        print(server.process.pid, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""

WRITES = (
    "CREATE (:Thing {id: 2})",
    "CREATE (:Unheard {id: 1})",
    "MERGE (:Thing {id: 3})",
    "MATCH (n:Thing) SET n.id = 4",
    "MATCH (n:Thing) SET n:Other",
    "MATCH (n:Thing) REMOVE n.id",
    "MATCH (n:Thing) DETACH DELETE n",
    "MATCH (a:Thing) CREATE (a)-[:KNOWS]->(a)",
    "FOREACH (x IN [1] | CREATE (:Thing {id: x}))",
    "UNWIND [1] AS x CALL { CREATE (n:Thing) RETURN n } RETURN n",
    "CREATE INDEX FOR (n:Thing) ON (n.name)",
    "CREATE CONSTRAINT FOR (n:Thing) REQUIRE n.id IS UNIQUE",
    "CREATE USER eve SET PASSWORD 'long enough'",
    "EXPLAIN CREATE USER eve SET PASSWORD 'long enough'",
    "SHOW USERS",
    "LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line",
    "LOAD CSV FROM 'http://127.0.0.1:1/x' AS line RETURN line",
)

CONTENT = (
    "MATCH (n) RETURN elementId(n) AS id, labels(n), properties(n) ORDER BY id",
    "MATCH ()-[r]->() RETURN elementId(r) AS id, type(r), properties(r) ORDER BY id",
    "SHOW INDEXES YIELD name RETURN name ORDER BY name",
    "SHOW USERS YIELD user RETURN user ORDER BY user",
)


async def ask(login: Login, database: str, cypher: str) -> object:
    async with connected(login, database) as session:
        rows = await run(session, cypher)
    return rows[0][0] if rows else None


async def gone(*processes: psutil.Process, seconds: float = 10) -> None:
    """Wait until none of the processes is there."""
    with fail_after(seconds):
        while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes):
            await anyio.sleep(0.02)


def start_hub(folder: Path) -> tuple["subprocess.Popen[str]", psutil.Process]:
    """A process with a server of its own, and the server."""
    hub = subprocess.Popen([sys.executable, "-c", HUB, str(folder)], stdout=subprocess.PIPE, text=True)
    assert hub.stdout is not None
    server = psutil.Process(int(hub.stdout.readline()))
    hub.stdout.close()
    return hub, server


async def test_neo4j_is_the_community_edition_of_5_26(neo4j_server: Engine) -> None:
    async with connected(neo4j_server.admin, neo4j_server.database) as session:
        ((name, (version,), edition),) = await run(session, "CALL dbms.components()")
    assert (name, edition) == ("Neo4j Kernel", "community")
    assert version.startswith("5.26.")


async def test_a_wrong_password_is_refused(graph_server: Engine) -> None:
    assert await answers(graph_server.reader, graph_server.database)
    assert not await answers(Login(graph_server.url, graph_server.reader.user, "guess"), graph_server.database)


async def test_a_killed_server_comes_back_with_its_data(private_graph: Engine) -> None:
    login, database = private_graph.admin, private_graph.database
    await ask(login, database, "CREATE (n:Kept {answer: 42})")
    killed = private_graph.process.pid

    with fail_after(120):
        await private_graph.process.kill()
        with pytest.raises(DriverError):
            await ask(login, database, "RETURN 1")
        await private_graph.process.restart()

    assert private_graph.process.pid != killed
    assert await ask(private_graph.reader, database, "MATCH (n:Kept) RETURN n.answer") == 42


async def test_a_restart_keeps_the_url_and_the_logins(private_arcadedb: Engine) -> None:
    await ask(private_arcadedb.admin, DATABASE, "CREATE (n:Kept {answer: 42})")
    with fail_after(60):
        await private_arcadedb.process.restart()
    assert await ask(private_arcadedb.admin, DATABASE, "RETURN 1") == 1
    assert await ask(private_arcadedb.reader, DATABASE, "MATCH (n:Kept) RETURN n.answer") == 42


async def test_a_frozen_server_answers_again_when_thawed(private_arcadedb: Engine) -> None:
    with fail_after(60):
        private_arcadedb.process.freeze()
        with anyio.move_on_after(0.5) as waited:
            await ask(private_arcadedb.reader, DATABASE, "RETURN 1")
        private_arcadedb.process.thaw()
        assert waited.cancelled_caught
        assert await ask(private_arcadedb.reader, DATABASE, "RETURN 1") == 1


async def test_a_frozen_server_can_be_stopped(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server:
        frozen = psutil.Process(server.process.pid)
        server.process.freeze()
        began = time.monotonic()
    await gone(frozen)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("cypher", WRITES)
async def test_the_reader_of_arcadedb_may_not(cypher: str, arcadedb_server: Engine) -> None:
    async with connected(arcadedb_server.admin, DATABASE) as session:
        await run(session, "MERGE (n:Thing {id: 1})")
        before = [await run(session, query) for query in CONTENT]
        with pytest.raises(ClientError) as refused:
            await ask(arcadedb_server.reader, DATABASE, cypher)
        assert [await run(session, query) for query in CONTENT] == before
    assert str(refused.value.code).endswith(".Forbidden")


async def test_the_administrator_of_arcadedb_reads_no_files(arcadedb_server: Engine) -> None:
    with pytest.raises(ClientError, match="LOAD CSV file:/// URLs are disabled"):
        await ask(arcadedb_server.admin, DATABASE, "LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line")


async def test_errors_of_arcadedb_have_a_text(arcadedb_server: Engine) -> None:
    with pytest.raises(ClientError, match="no_such"):
        await ask(arcadedb_server.reader, DATABASE, "RETURN no_such(1)")


async def test_arcadedb_listens_on_loopback_only_and_serves_no_mcp(arcadedb_server: Engine) -> None:
    connections = psutil.Process(arcadedb_server.process.pid).net_connections()
    listening = {each.laddr.ip: each.laddr.port for each in connections if each.status == "LISTEN"}
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}

    bolt = int(arcadedb_server.url.rpartition(":")[2])
    (http,) = {each.laddr.port for each in connections if each.status == "LISTEN"} - {bolt}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http}") as client:
        assert (await client.get("/api/v1/databases")).status_code == 401
        admin = (arcadedb_server.admin.user, arcadedb_server.admin.password)
        assert (await client.post("/api/v1/mcp", auth=admin, json={})).status_code == 404


async def test_passwords_are_for_the_owner_only(private_arcadedb: Engine) -> None:
    process = psutil.Process(private_arcadedb.process.pid)
    data = Path(process.cwd())
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    for name in ("secret", "arguments"):
        assert stat.S_IMODE((data / name).stat().st_mode) == 0o600
    for login in (private_arcadedb.admin, private_arcadedb.reader):
        assert login.password not in repr(private_arcadedb)
        assert not any(login.password in each for each in [*process.cmdline(), *process.environ().values()])


async def test_the_second_start_finds_the_data_and_says_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    async with embedded(tmp_path / "deep" / "er", say=said.append) as server:
        await ask(server.admin, DATABASE, "CREATE (n:Kept {answer: 42})")
    assert said == ["creating the graph (first start only)"]

    async with embedded(tmp_path / "deep" / "er", say=said.append) as server:
        assert await ask(server.reader, DATABASE, "MATCH (n:Kept) RETURN n.answer") == 42
    assert len(said) == 1


async def test_the_server_of_a_killed_process_is_gone_soon(tmp_path: Path) -> None:
    hub, server = await anyio.to_thread.run_sync(start_hub, tmp_path)

    hub.kill()
    hub.wait()

    await gone(server, seconds=5)
    async with embedded(tmp_path) as again:
        assert await ask(again.reader, DATABASE, "RETURN 1") == 1


async def test_a_frozen_server_of_a_killed_process_is_gone_soon(tmp_path: Path) -> None:
    hub, server = await anyio.to_thread.run_sync(start_hub, tmp_path)

    server.suspend()
    hub.kill()
    hub.wait()

    await gone(server, seconds=5)


async def test_cancelling_leaves_no_process(tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    started: list[psutil.Process] = []
    with fail_after(60), anyio.CancelScope() as scope:
        async with embedded(tmp_path):
            started = [one for one in psutil.Process().children(recursive=True) if one not in before]
            scope.cancel()
            await anyio.sleep_forever()

    assert len(started) == 2
    await gone(*started)


async def test_cancelling_the_first_start_leaves_a_folder_that_can_be_used(tmp_path: Path) -> None:
    for seconds in (0.1, 0.8, 1.6):
        with anyio.move_on_after(seconds):
            async with embedded(tmp_path):
                await anyio.sleep_forever()

    async with embedded(tmp_path) as server:
        assert await ask(server.reader, DATABASE, "RETURN 1") == 1


async def test_one_folder_has_one_server(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server:
        with pytest.raises(ServerError, match="another process runs the graph in"):
            async with embedded(tmp_path):
                pass
        assert await ask(server.reader, DATABASE, "RETURN 1") == 1


async def test_a_server_that_does_not_start_tells_why(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(ServerError, match=r"(?s)ArcadeDB did not start; its log, .*, ends with:.*[Pp]ort"):
            async with embedded(tmp_path, port=taken.getsockname()[1]):
                pass


async def test_a_missing_package_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ServerError, match=r"pip install 'pegboard-neo4j\[demo\]'"):
        async with embedded(tmp_path):
            pass


def test_windows_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ServerError, match="not supported on Windows"):
        check_platform()


async def test_ctrl_c_in_the_terminal_does_not_reach_the_server(arcadedb_server: Engine) -> None:
    assert os.getsid(arcadedb_server.process.pid) != os.getsid(0)


def test_without_java_its_tests_are_skipped_but_not_in_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="Neo4j needs Java 17 or later and Maven; not found: java, mvn"):
        maven.installed_neo4j()
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="not found: java, mvn"):
        maven.installed_neo4j()
