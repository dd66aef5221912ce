"""Which Qdrant a pool talks to, and how it is called where secrets must not appear."""

from dataclasses import astuple, dataclass, field
from urllib.parse import SplitResult, urlsplit

MEMORY = ":memory:"
DEFAULT_PORT = 6333
DEFAULT_GRPC_PORT = 6334


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A Qdrant and the bounds of its pool: the key of a `QDRANT` pool.

    `location` is the URL of a server, a folder for the embedded engine, or `":memory:"`. Equal targets share one pool,
    so give the same bounds as the plugin you want to share with. A plain location equals `Target(location)`.
    """

    location: str
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 10.0
    max_connections: int = 10
    prefer_grpc: bool = False
    grpc_port: int = DEFAULT_GRPC_PORT
    server_inference: bool = False

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            other = Target(other)
        return isinstance(other, Target) and astuple(self) == astuple(other)

    def __hash__(self) -> int:
        return hash(self.location)

    @property
    def is_server(self) -> bool:
        """Whether this is a server, and not the engine in this process."""
        return "://" in self.location

    @property
    def host(self) -> str:
        """The host of the server, or an empty string."""
        return (self._url.hostname or "") if self.is_server else ""

    @property
    def port(self) -> int:
        """The port of the server's REST interface."""
        return self._url.port or DEFAULT_PORT

    @property
    def _url(self) -> SplitResult:
        return urlsplit(self.location)

    def __str__(self) -> str:
        if not self.is_server:
            return "memory" if self.location == MEMORY else self.location
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self._url.scheme}://{host}:{self.port}{self._url.path.rstrip('/')}"


def describe(target: object) -> str:
    """Name a target without its key."""
    return str(target if isinstance(target, Target) else Target(str(target)))
