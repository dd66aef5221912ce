"""A graph server over Bolt as a child process: ArcadeDB with its own Java, nothing to install, nothing left running."""

import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pegboard_neo4j.arcadedb import ADMIN, DATABASE, READER, check_platform, claimed, command
from pegboard_neo4j.bolt import Login, answers
from pegboard_neo4j.process import Program, ServerError, ServerProcess

__all__ = ["DATABASE", "Embedded", "ServerError", "embedded", "free_port"]

STARTED = b"ArcadeDB Server started"
GAVE_UP = b'Exception in thread "main"'
"""Of these words in its log the server says one, but it does not end after the second."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """One running server: who may come in, and the process that can be restarted."""

    reader: Login
    admin: Login
    process: ServerProcess
    data: Path


def free_port() -> int:
    """A port of 127.0.0.1 that was free just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _say_nothing(_: str) -> None:
    """For callers who do not want to hear of progress."""


@asynccontextmanager
async def _embedded(folder: Path, port: int | None, say: Callable[[str], None]) -> AsyncGenerator[Embedded]:
    check_platform()
    with claimed(folder) as place:
        port = port or free_port()
        url = f"bolt://127.0.0.1:{port}"
        reader, admin = (Login(url, user, place.password(user)) for user in (READER, ADMIN))
        if not (place.data / "databases").exists():
            say("creating the graph (first start only)")

        async def ready() -> bool:
            # Before it says so it does not know its users, and too many failed logins would lock them out.
            return STARTED in place.log.read_bytes() and await answers(reader, DATABASE)

        run = command(place, port)
        process = ServerProcess(Program("ArcadeDB", run, place.data, place.log, ready, gave_up=GAVE_UP))
        try:
            await process.start()
            yield Embedded(reader, admin, process, place.data)
        finally:
            await process.stop()


def embedded(
    folder: Path, *, port: int | None = None, say: Callable[[str], None] = _say_nothing
) -> AbstractAsyncContextManager[Embedded]:
    """Run a graph server that keeps its data in `folder` and listens on 127.0.0.1; leaving stops it.

    Its reader may read the database `graph` and nothing else. The server is gone soon after this process, however that
    ends. `say` hears of anything slow. Raises `ServerError` when there can be no server.
    """
    return _embedded(folder.absolute(), port, say)
