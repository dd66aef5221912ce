"""What kind of server it is, and whether it keeps a READ transaction from writing."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pegboard_neo4j.quoting import quoted

if TYPE_CHECKING:
    from neo4j import AsyncSession

REAL_NEO4J = re.compile(r"Neo4j/[\w.+-]+")
"""Other engines call themselves compatible: `Neo4j/5.26.0 compatible (ArcadeDB 26.10.2)`."""

NO_WRITE = "MATCH (n) WHERE false SET n.pegboard = 1"
"""Nothing would change even if it were committed, and still an access mode refuses it."""

REFUSALS: dict[str | None, "Protection"] = {
    "Neo.ClientError.Statement.AccessMode": "access mode",
    "Neo.ClientError.Security.Forbidden": "rights",
}

Protection = Literal["access mode", "rights", "nothing", "unknown"]


@dataclass(frozen=True, slots=True)
class Engine:
    """A server: what it says it is, and what keeps a READ transaction from writing.

    `protection` is "access mode" where the engine refuses, "rights" where the user may not write, else "nothing"; it is
    "unknown" of a user of a graph that has no node to try with.
    """

    agent: str
    protection: Protection

    @property
    def is_neo4j(self) -> bool:
        """Whether it is Neo4j itself: its EXPLAIN runs nothing, and it stops what nobody waits for any more."""
        return REAL_NEO4J.fullmatch(self.agent) is not None


async def probe(session: "AsyncSession") -> Engine:
    """Try to write in READ transactions, which are rolled back."""
    result = await session.run("CALL db.labels() YIELD label RETURN label LIMIT 1")
    label = await result.value()
    agent = (await result.consume()).server.agent
    refusal = await _refusal(session, NO_WRITE)
    if refusal is not None or not label:
        return Engine(agent, refusal or "unknown")
    # A node of a label that is there, since some engines keep a new label after a rollback.
    refusal = await _refusal(session, f"CREATE (:{quoted(label[0])})")
    return Engine(agent, refusal or "nothing")


async def _refusal(session: "AsyncSession", write: str) -> Protection | None:
    from neo4j.exceptions import ClientError

    transaction = await session.begin_transaction()
    try:
        await (await transaction.run(write)).consume()  # pyright: ignore[reportArgumentType] # one of ours
    except ClientError as error:
        if error.code not in REFUSALS:
            raise
        return REFUSALS[error.code]
    finally:
        await transaction.rollback()
    return None
