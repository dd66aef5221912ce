"""The settings of the plugin, `[plugins.neo4j]`."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from pegboard import PluginSettings
from pegboard_neo4j.target import SCHEMES, Target

EXAMPLE = "neo4j+s://graph.example.com:7687"
PATTERN = re.compile(r"[A-Za-z][\w.*]*")


def _check_url(url: str) -> str:
    if not url.startswith(SCHEMES):
        raise ValueError(f"must be a URL like {EXAMPLE} or bolt://localhost:7687")
    if "@" in url:
        raise ValueError("must not hold user and password; write them as user and password")
    return url


def _check_pattern(pattern: str) -> str:
    if not PATTERN.fullmatch(pattern) or pattern.startswith(("*", "dbms.*", "db.*")):
        raise ValueError("must be the word apoc, a name such as gds.pageRank.stream or a pattern such as gds.*.stream")
    return pattern


class Settings(PluginSettings):
    """Which graph the tools read, and how much time a call may take."""

    url: Annotated[str, AfterValidator(_check_url)] = Field(
        description=f"The server: {EXAMPLE}, or bolt://localhost:7687."
    )
    user: str = Field(default="neo4j", min_length=1, description="Who to connect as. Use one that may only read.")
    password: SecretStr | None = Field(default=None, description="Its password; none where the server asks for none.")
    database: str | None = Field(
        default=None, min_length=1, max_length=63, description="The database; default: the user's home database."
    )
    max_connections: int = Field(default=5, ge=1, le=100, description="Connections the hub opens at most.")
    connect_timeout: float = Field(default=5.0, gt=0, le=60, description="Seconds to wait for a new connection.")
    query_timeout: float = Field(
        default=15.0,
        gt=0,
        le=3600,
        description="Seconds a page of rows may take; a call's deadline may end it earlier.",
    )
    reading_timeout: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="Seconds a query may stay open while its rows are read by fetch_more.",
    )
    allow_procedures: tuple[Annotated[str, AfterValidator(_check_pattern)], ...] = Field(
        default=(),
        description="Procedures and functions beside the built-in ones that may be called, such as gds.*.stream; "
        "the word apoc stands for the parts of APOC that only read.",
    )

    @property
    def target(self) -> Target:
        """The key of the pool these settings describe."""
        password = self.password.get_secret_value() if self.password else None
        bounds = (self.max_connections, self.connect_timeout, self.query_timeout)
        return Target(self.url, self.user, password, self.database, *bounds)
