"""Which AWX a pool talks to, and how it is called where secrets must not appear."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

PREFIXES = ("/api/v2", "/api/controller/v2")
"""Where AWX and the controller of an Automation Platform serve their API, below the URL."""

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """One AWX, a user of it, and the bounds of every request: the key of an `AWX` pool.

    Equal targets share one pool. With a `token` the user and the password are not used. `url` may end with one of
    `PREFIXES`; without one the prefix is found out by asking.
    """

    url: str
    token: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str | None = None
    verify: bool = True
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    max_bytes: int = 8 * MEBIBYTE

    @property
    def base(self) -> str:
        """The URL without a trailing slash and without the prefix of the API."""
        url = self.url.rstrip("/")
        return next((url.removesuffix(prefix) for prefix in PREFIXES if url.endswith(prefix)), url)

    @property
    def prefix(self) -> str | None:
        """The prefix of the API, if the URL names it."""
        return next((f"{prefix}/" for prefix in PREFIXES if self.url.rstrip("/").endswith(prefix)), None)

    @property
    def origin(self) -> str:
        """Scheme, host and port, without user and password."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @property
    def folder(self) -> str:
        """The path of the URL, for an AWX that is served below a path of a proxy; empty mostly."""
        return urlsplit(self.base).path.rstrip("/")

    def __str__(self) -> str:
        return f"{self.origin}{self.folder}"


def describe(target: object) -> str:
    """Name a target without user, password and query."""
    return str(target if isinstance(target, Target) else Target(str(target)))
