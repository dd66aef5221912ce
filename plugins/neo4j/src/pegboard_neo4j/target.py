"""Which graph a pool connects to, and how it is called where secrets must not appear."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

SCHEMES = tuple(f"{scheme}{tls}://" for scheme in ("neo4j", "bolt") for tls in ("", "+s", "+ssc"))
DEFAULT_PORT = 7687


@dataclass(frozen=True, slots=True)
class Target:
    """A graph and the bounds of its pool: the key of a `NEO4J` pool.

    Equal targets share one pool, so give the same bounds as the plugin you want to share with.
    """

    url: str
    user: str = "neo4j"
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    max_connections: int = 5
    connect_timeout: float = 5.0
    query_timeout: float = 15.0

    @property
    def host(self) -> str:
        """The host, or an empty string."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port, or Bolt's own."""
        return urlsplit(self.url).port or DEFAULT_PORT

    def __str__(self) -> str:
        scheme, _, rest = self.url.partition("://")
        server = rest.rpartition("@")[2].partition("/")[0].partition("?")[0]
        return f"{scheme}://{server}" + (f"/{self.database}" if self.database else "")


def describe(target: object) -> str:
    """Name a target without user and password."""
    return str(target if isinstance(target, Target) else Target(str(target)))
