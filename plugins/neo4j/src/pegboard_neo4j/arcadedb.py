"""The folder of an embedded ArcadeDB, and the command line that runs it.

    <folder>/lock        held while somebody runs the server; freed by the system when that process is gone
    <folder>/log         what the server said since its last start
    <folder>/arcadedb/   the data, the passwords and the settings, 0700

The server is started with the Java of its package and not through its Python binding: it then stops on SIGTERM like
any other, and an error in Python cannot bring it down.
"""

import hashlib
import importlib.util
import json
import os
import secrets
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pegboard_neo4j.process import ServerError

PACKAGE = "arcadedb-embedded"
MODULE = "arcadedb_embedded"
MAIN = "com.arcadedb.server.ArcadeDBServer"

ADMIN = "root"
READER = "hubreader"
DATABASE = "graph"

LEFT_OUT = ("arcadedb-mcp", "arcadedb-postgresw", "arcadedb-redisw", "arcadedb-graphql", "arcadedb-console")
"""Parts that serve something nobody here asks for; the first one would serve it without being told to."""

JAVA = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # a start in 2 seconds counts for more than the speed of the thousandth query
    "-XX:+UseCompactObjectHeaders",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF8",
    "-Dpolyglot.engine.WarnInterpreterOnly=false",
    "--add-modules=jdk.incubator.vector",
    "--enable-native-access=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED",
    "--add-opens=java.base/java.nio.channels.spi=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
)
"""What the package itself passes, for a small and quickly started server."""

SETTINGS = {
    "server.mode": "development",  # in production mode errors have no text
    "server.httpIncomingHost": "127.0.0.1",
    "server.httpIncomingPort": "0",  # it cannot be turned off, so it is where nobody looks, behind the password
    "server.httpWorkerThreads": "2",
    "server.healthCheck.enabled": "false",
    "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
    "dateTimeImplementation": "java.time.ZonedDateTime",  # otherwise it forgets the zone
    "opencypher.loadCsv.allowFileUrls": "false",
    "opencypher.loadCsv.allowRemoteUrls": "false",
    "bolt.host": "127.0.0.1",
    "bolt.defaultDatabase": DATABASE,
}

MAY_READ: dict[str, Any] = {"access": [], "types": {"*": {"access": ["readRecord"]}}}
MAY_ALL: dict[str, Any] = {
    "access": ["updateSecurity", "updateSchema", "updateDatabaseSettings"],
    "types": {"*": {"access": ["createRecord", "readRecord", "updateRecord", "deleteRecord"]}},
}
NO_LIMIT = {"resultSetLimit": -1, "readTimeout": -1}
GROUPS: dict[str, Any] = {
    "version": 2,
    "databases": {"*": {"groups": {"admin": {**NO_LIMIT, **MAY_ALL}, "reader": {**NO_LIMIT, **MAY_READ}}}},
}
"""Who may do what; the group `reader` may read records and nothing else."""


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one server."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "arcadedb"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def password(self, user: str) -> str:
        """The password of one of the two users, the same at every start."""
        secret = (self.data / "secret").read_text()
        return hashlib.sha256(f"{secret}:{user}".encode()).hexdigest()


@contextmanager
def claimed(folder: Path) -> Generator[Place]:
    """Make the folder and keep it from others; raises `ServerError` if another process uses it."""
    import fcntl  # not on Windows, which has been refused by now

    place = Place(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ServerError(
                f"another process runs the graph in {folder}; stop that one, or choose another folder"
            ) from error
        place.data.mkdir(mode=0o700, exist_ok=True)
        if not (place.data / "secret").exists():
            _write(place.data / "secret", secrets.token_hex(32))
        yield place


def command(place: Place, port: int) -> list[str]:
    """Write down the server's settings and return what starts it; raises `ServerError` if it is not installed.

    The passwords are in a file of arguments, since everybody may read a command line.
    """
    package = _package()
    jars = [str(jar) for jar in sorted((package / "jars").glob("*.jar")) if not jar.name.startswith(LEFT_OUT)]
    settings = {
        **SETTINGS,
        "bolt.port": str(port),
        "server.rootPath": str(place.data),
        "server.logsDirectory": str(place.data / "log"),
        "server.rootPassword": place.password(ADMIN),
        "server.defaultDatabases": f"{DATABASE}[{READER}:{place.password(READER)}:reader]",
    }
    defined = [f"-Darcadedb.{name}={value}" for name, value in settings.items()]
    crash = f"-XX:ErrorFile={place.data}/crash-%p.log"
    (place.data / "config").mkdir(exist_ok=True)
    _write(place.data / "config" / "server-groups.json", json.dumps(GROUPS))
    _write(place.data / "arguments", "\n".join(map(_quoted, [*JAVA, crash, *defined, "-cp", os.pathsep.join(jars)])))
    return [str(package / "jre" / "bin" / "java"), f"@{place.data / 'arguments'}", MAIN]


def check_platform() -> None:
    """Raise `ServerError` where the demo's server is not supported."""
    if sys.platform == "win32":
        raise ServerError("the embedded graph is not supported on Windows; use WSL, or a Neo4j server of your own")


def _package() -> Path:
    spec = importlib.util.find_spec(MODULE)
    if spec is None or spec.origin is None:
        raise ServerError(
            f"the embedded graph comes with the package {PACKAGE}, which is not installed: "
            f"pip install 'pegboard-neo4j[demo]' (Linux with glibc 2.34 or later, or macOS on Apple silicon)"
        )
    package = Path(spec.origin).parent
    if not os.access(package / "jre" / "bin" / "java", os.X_OK):
        raise ServerError(f"{package} comes without a Java that can be run; reinstall {PACKAGE}")
    return package


def _quoted(argument: str) -> str:
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write(path: Path, text: str) -> None:
    """Write a file for its owner only."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
