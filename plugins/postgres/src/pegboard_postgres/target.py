"""Which database a pool connects to, and how it is called where secrets must not appear."""

from dataclasses import astuple, dataclass, field
from urllib.parse import unquote

SCHEMES = ("postgresql://", "postgres://")
DEFAULT_PORT = 5432


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A database and the bounds of its pool: the key of a `POSTGRES` pool.

    Equal targets share one pool, so give the same bounds as the plugin you want to share with. A plain DSN equals
    `Target(dsn)`: both mean the pool with the default bounds.
    """

    dsn: str = field(repr=False)
    max_connections: int = 5
    connect_timeout: float = 5.0
    statement_timeout: float = 15.0
    prepared_statements: int = 100

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            other = Target(other)
        return isinstance(other, Target) and astuple(self) == astuple(other)

    def __hash__(self) -> int:
        return hash(self.dsn)

    @property
    def server(self) -> str:
        """Host and port as written, or an empty string for a local socket."""
        return _split(self.dsn)[0]

    @property
    def host(self) -> str:
        """The host, or an empty string; of several, the whole list."""
        host, colon, port = self.server.rpartition(":")
        return host.strip("[]") if colon and port.isdecimal() else self.server.strip("[]")

    @property
    def port(self) -> int:
        """The port of the (last) host."""
        port = self.server.rpartition(":")[2]
        return int(port) if port.isdecimal() else DEFAULT_PORT

    @property
    def database(self) -> str:
        """The name of the database, or an empty string when the DSN leaves it to the user's name."""
        return _split(self.dsn)[1]

    def __str__(self) -> str:
        return f"postgresql://{self.server}/{self.database}"


def describe(target: object) -> str:
    """Name a target without user, password and query."""
    return str(target if isinstance(target, Target) else Target(str(target)))


def backend_of(target: object) -> object:
    """What stands for the server, whoever logs in; the whole DSN where it may be named elsewhere, as in `?host=`."""
    target = target if isinstance(target, Target) else Target(str(target))
    return str(target) if target.server and "host" not in target.dsn.partition("?")[2] else target.dsn


def _split(dsn: str) -> tuple[str, str]:
    """Server and database; nothing at all of a DSN whose password could be mistaken for either."""
    scheme = next((scheme for scheme in SCHEMES if dsn.startswith(scheme)), None)
    address, _, query = dsn.removeprefix(scheme or "").partition("?")
    if scheme is None or "@" in query:
        return "", ""
    server, _, database = address.rpartition("@")[2].partition("/")
    return server, unquote(database)
