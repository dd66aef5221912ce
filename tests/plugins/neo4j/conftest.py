"""Graph servers: two for the whole session, and new ones for tests that break them."""

import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from tests.plugins.neo4j.engines import Engine, run_arcadedb, run_neo4j
from tests.plugins.neo4j.maven import installed_neo4j


@contextmanager
def folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="pegtest-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def neo4j_libraries() -> Path:
    """What Neo4j runs from; tests that ask for it are skipped where there is no Java or no Maven."""
    return installed_neo4j()


@pytest.fixture(scope="session")
def neo4j_server(neo4j_libraries: Path) -> Generator[Engine]:
    """The Neo4j of the whole session, in a thread of its own: use it, but do not stop, restart or freeze it."""
    with (
        folder() as home,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(run_neo4j(home, neo4j_libraries)) as engine,
    ):
        yield engine


@pytest.fixture(scope="session")
def arcadedb_server() -> Generator[Engine]:
    """The ArcadeDB of the whole session: use it, but do not stop, restart or freeze it."""
    with (
        folder() as home,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(run_arcadedb(home)) as engine,
    ):
        yield engine


@pytest.fixture(scope="session", params=["neo4j_server", "arcadedb_server"])
def graph_server(request: pytest.FixtureRequest) -> Engine:
    """Each of the session's servers in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
async def private_neo4j(neo4j_libraries: Path) -> AsyncGenerator[Engine]:
    """A Neo4j of one test, which may kill, restart or freeze it."""
    with folder() as home:
        async with run_neo4j(home, neo4j_libraries) as engine:
            yield engine


@pytest.fixture
async def private_arcadedb() -> AsyncGenerator[Engine]:
    """An ArcadeDB of one test, which may kill, restart or freeze it."""
    with folder() as home:
        async with run_arcadedb(home) as engine:
            yield engine


@pytest.fixture(params=["private_neo4j", "private_arcadedb"])
def private_graph(request: pytest.FixtureRequest) -> Engine:
    """A server of one test, of each kind in turn."""
    return request.getfixturevalue(request.param)
