"""Looks at the role a pool connects as: what it could do if every other layer failed."""

from dataclasses import dataclass

from pegboard_postgres.driver import Connection

DANGEROUS = ("pg_read_server_files", "pg_write_server_files", "pg_execute_server_program")
"""Memberships that reach beyond the database; no read-only transaction prevents that."""

ROLE = """SELECT rolname::text AS name, rolsuper AS superuser, ARRAY(
    SELECT rolname::text FROM pg_roles WHERE rolname = ANY($1::text[]) AND pg_has_role(oid, 'MEMBER') ORDER BY 1
) AS memberships FROM pg_roles WHERE rolname = current_user"""

WARNING = (
    "the role %s of %s %s: a query can read files or run programs on the database server, which no read-only "
    "transaction prevents; connect as a role that may only read (README of pegboard-postgres, 'A role that may only "
    "read')"
)
"""What the log says about such a role: its name, the database, and why."""


@dataclass(frozen=True, slots=True)
class Role:
    """The role of a connection, and what of its powers is dangerous."""

    name: str
    superuser: bool
    memberships: tuple[str, ...]

    @property
    def danger(self) -> str | None:
        """Why the role should not be used for reading, or nothing."""
        if self.superuser:
            return "is a superuser"
        return f"is a member of {', '.join(self.memberships)}" if self.memberships else None


async def role_of(connection: Connection) -> Role:
    """The role that the statements of this connection are run as."""
    record = await connection.fetchrow(ROLE, list(DANGEROUS))
    return Role(record["name"], record["superuser"], tuple(record["memberships"]))
