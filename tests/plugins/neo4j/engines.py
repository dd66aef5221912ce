"""The engines the plugin is tested on: a real Neo4j, and ArcadeDB; each in a process of its own."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from neo4j.exceptions import DriverError, Neo4jError

from pegboard_neo4j.bolt import Login, answers, connected, run
from pegboard_neo4j.embedded import DATABASE, embedded, free_port
from pegboard_neo4j.process import Program, ServerProcess

NEO4J = "neo4j"
"""The name of the database, and of its only user."""

PASSWORD = "for-the-tests-only"
FIRST_PASSWORD = "neo4j"

JAVA = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8")

SETTINGS = {
    "server.http.enabled": "false",
    "server.https.enabled": "false",
    "server.memory.pagecache.size": "32m",
    "dbms.usage_report.enabled": "false",
    "dbms.security.auth_lock_time": "0s",
    # It would otherwise wait ten seconds at its end, for connections that might still come.
    "internal.server.bolt.thread_pool_shutdown_wait_time": "0s",
    "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",
    "internal.dbms.bolt.netty_server_shutdown_timeout": "1s",
}


@dataclass(frozen=True, slots=True)
class Engine:
    """A running server. `reader` may only read, where the engine knows such users; Neo4j Community does not."""

    name: str
    database: str
    admin: Login
    reader: Login
    process: ServerProcess

    @property
    def url(self) -> str:
        return self.admin.url

    @property
    def enforces_roles(self) -> bool:
        return self.reader != self.admin


@asynccontextmanager
async def run_neo4j(folder: Path, libraries: Path) -> AsyncGenerator[Engine]:
    """A Neo4j Community server, run from `libraries`, with one user, who may do everything."""
    port = free_port()
    login = Login(f"bolt://127.0.0.1:{port}", NEO4J, PASSWORD)

    async def ready() -> bool:
        return await answers(login, NEO4J) or await _set_first_password(login)

    program = Program("Neo4j", _command(folder, libraries, port), folder, folder / "log", ready, seconds=120)
    process = ServerProcess(program)
    try:
        await process.start()
        yield Engine("Neo4j", NEO4J, login, login, process)
    finally:
        await process.stop()


@asynccontextmanager
async def run_arcadedb(folder: Path) -> AsyncGenerator[Engine]:
    """An ArcadeDB server with an administrator and a reader."""
    async with embedded(folder) as server:
        yield Engine("ArcadeDB", DATABASE, server.admin, server.reader, server.process)


def _command(folder: Path, libraries: Path, port: int) -> list[str]:
    address = f"127.0.0.1:{port}"
    places = {"server.bolt.listen_address": address, "server.bolt.advertised_address": address}
    lines = [f"{name}={value}" for name, value in {**SETTINGS, **places}.items()]
    (folder / "conf").mkdir()
    (folder / "conf" / "neo4j.conf").write_text("\n".join([*lines, ""]))
    where = [f"--home-dir={folder}", f"--config-dir={folder / 'conf'}"]
    return ["java", *JAVA, "-cp", f"{libraries}/*", "org.neo4j.server.CommunityEntryPoint", *where]


async def _set_first_password(login: Login) -> bool:
    """Change the password a new server is delivered with; that alone does not make it ready."""
    with suppress(DriverError, Neo4jError):
        async with connected(Login(login.url, login.user, FIRST_PASSWORD), "system") as session:
            change = "ALTER CURRENT USER SET PASSWORD FROM $old TO $new"
            await run(session, change, old=FIRST_PASSWORD, new=login.password)
    return False
