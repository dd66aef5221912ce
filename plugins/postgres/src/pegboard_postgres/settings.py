"""The settings of the plugin, `[plugins.postgres]`."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from pegboard import PluginSettings
from pegboard_postgres.target import SCHEMES, Target

EXAMPLE = "postgresql://reader:PASSWORD@localhost:5432/mydb"


def _check_dsn(dsn: SecretStr) -> SecretStr:
    text = dsn.get_secret_value()
    if not text.startswith(SCHEMES):
        raise ValueError(f"must be a URL like {EXAMPLE}")
    address, _, query = text.partition("?")
    if "@" in query or address.count("@") > 1 or "#" in text or address.rpartition("@")[0].count("/") > len("//"):
        raise ValueError("has one of the characters @ / ? # in user, password or query; write it as %40 %2F %3F %23")
    return dsn


class Settings(PluginSettings):
    """Which database the tools read, and how much of it a call may take."""

    dsn: Annotated[SecretStr, AfterValidator(_check_dsn)] = Field(
        description=f"The database, as a URL: {EXAMPLE}. Use a role that may only read."
    )
    max_connections: int = Field(default=5, ge=1, le=100, description="Connections the hub opens at most.")
    connect_timeout: float = Field(default=5.0, gt=0, le=60, description="Seconds to wait for a new connection.")
    statement_timeout: float = Field(
        default=15.0, gt=0, le=3600, description="Seconds a query may run; a call's own deadline may end it earlier."
    )
    max_rows: int = Field(default=1000, ge=1, le=100_000, description="Rows in one answer, whatever `limit` asks for.")
    max_cost: float | None = Field(
        default=None, gt=0, description="Refuse a query whose plan PostgreSQL estimates to cost more; see EXPLAIN."
    )
    allow_functions: tuple[str, ...] = Field(
        default=(), description="Functions, as `schema.name`, a query may call although they are VOLATILE."
    )
    prepared_statements: int = Field(
        default=100,
        ge=0,
        le=10_000,
        description="Statements each connection keeps prepared; 0 behind a pooler that shares connections.",
    )

    @property
    def target(self) -> Target:
        """The key of the pool these settings describe."""
        return Target(
            self.dsn.get_secret_value(),
            self.max_connections,
            self.connect_timeout,
            self.statement_timeout,
            self.prepared_statements,
        )
