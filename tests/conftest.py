"""Fixtures for every suite: the event loop, and real PostgreSQL servers."""

import itertools
import logging
import os
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import settings

from pegboard.logs import QUIET
from pegboard_postgres.embedded import READER, Embedded, connected, embedded

if not os.environ.get("CI"):  # there Hypothesis has no deadline of its own accord
    settings.register_profile("local", deadline=None)
    settings.load_profile("local")

LONG = (
    "deploy/", "system/faults/", "system/test_proxies.py", "system/test_rolling_update.py", "system/test_scale.py",
    "system/test_workers.py",
)  # fmt: skip
"""Suites that `make long` runs."""

UNSAFE = {"fsync": "off", "full_page_writes": "off"}
"""Nothing here has to survive a power cut."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if str(item.path.relative_to(Path(__file__).parent)).startswith(LONG):
            item.add_marker(pytest.mark.long)


@dataclass(frozen=True, slots=True)
class Database:
    """A database of one test: `dsn` as its owner, who is no superuser, `reader_dsn` as one who owns nothing."""

    name: str
    dsn: str
    reader_dsn: str
    admin_dsn: str


@contextmanager
def open_folder() -> Generator[Path]:
    """A temporary folder with a short path that, as root, the server's user may enter; pytest's is 0700 and long."""
    with tempfile.TemporaryDirectory(prefix="pegtest-", dir="/tmp") as folder:
        if os.geteuid() == 0:
            Path(folder).chmod(0o711)
        yield Path(folder)


@contextmanager
def same_logging() -> Generator[None]:
    """Put back what commands that run in this process do to logging."""
    root = logging.getLogger()
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in ("root", *QUIET)}
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server_folder() -> Generator[Path]:
    """A folder a test may run its own server in."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres_server() -> Generator[Embedded]:
    """The server of the whole session, in a thread of its own: connect to it, but do not stop or restart it."""
    with (
        open_folder() as folder,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(embedded(folder, options=UNSAFE)) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def database_names() -> "itertools.count[int]":
    return itertools.count(1)


@pytest.fixture
async def postgres(postgres_server: Embedded, database_names: "itertools.count[int]") -> AsyncGenerator[Database]:
    """A fresh, empty database on the session's server."""
    name = f"test_{next(database_names)}"
    url = postgres_server.url
    async with connected(postgres_server.admin_dsn) as admin:
        await admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'")
        await admin.execute(f"CREATE DATABASE {name} OWNER {name}")
        yield Database(
            name,
            dsn=url(name, name, database=name),
            reader_dsn=url(READER, database=name),
            admin_dsn=url("postgres", database=name),
        )
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.execute(f"DROP ROLE {name}")


@pytest.fixture
async def private_postgres(server_folder: Path) -> AsyncGenerator[Embedded]:
    """A server of one test, which may kill, restart or freeze it."""
    async with embedded(server_folder, options=UNSAFE) as server:
        yield server
