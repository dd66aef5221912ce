"""The demo: the graph of the sample shop on an embedded server, for `pegboard demo`."""

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from anyio import to_thread
from neo4j import AsyncSession

from pegboard_neo4j import sample
from pegboard_neo4j.bolt import connected, run
from pegboard_neo4j.embedded import DATABASE, Embedded, embedded

SOURCES = ("sample.py", sample.FILE)

ABOUT = "Brightwick as a graph: who bought, supplies and delivers what, with the orders since November 2025."
QUESTIONS = [
    "Nordwind Trading delivers late. Where do its goods come from, and which other suppliers depend on the same maker?",
    "The shop gets most returns from Lisbon. Who delivers there, compared with the other cities?",
    "Which product is bought together with the most others, and what do people who bought it rate highest?",
]


@asynccontextmanager
async def demo(folder: Path, say: Callable[[str], None]) -> AsyncGenerator[dict[str, Any]]:
    """Run the graph, loaded at the first start and whenever its definition has changed; leaving stops it.

    Yields the `settings` of the plugin, a line `about` the data, and three `questions` worth asking. Raises
    `ServerError` when there can be no server.
    """
    async with embedded(folder, say=say) as server:
        await _fill(server, say)
        login = server.reader
        settings = {"url": login.url, "user": login.user, "password": login.password, "database": DATABASE}
        yield {"settings": settings, "about": ABOUT, "questions": QUESTIONS}


async def load(session: AsyncSession) -> None:
    """Replace all that is in a database by the sample; an interrupted load changes nothing but constraints."""
    graph = await to_thread.run_sync(sample.sample)
    for constraint in sample.constraints():
        await run(session, constraint)
    async with await session.begin_transaction() as transaction:
        await run(transaction, "MATCH (n) DETACH DELETE n")
        for statement, rows in graph.statements():
            await run(transaction, statement, rows=rows)
        await transaction.commit()


async def _fill(server: Embedded, say: Callable[[str], None]) -> None:
    """Load the sample unless this version of it is there."""
    loaded, version = server.data / "sample", _version()
    present = loaded.read_text() if loaded.exists() else None
    if present == version:
        return
    say("loading the graph of the sample shop" if present is None else "loading the new version of the sample graph")
    async with connected(server.admin, DATABASE) as session:
        await load(session)
    loaded.write_text(version)


def _version() -> str:
    sources = (files("pegboard_neo4j") / name for name in SOURCES)
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
