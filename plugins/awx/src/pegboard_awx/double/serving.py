"""Serving: a double on a port of loopback, in this process or as a program of its own."""

import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
import uvicorn

from pegboard_awx.double.app import Double


class _Server(uvicorn.Server):
    """A server that says when it listens, and leaves the signals to its process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    @property
    def port(self) -> int:
        return int(self.servers[0].sockets[0].getsockname()[1])


@asynccontextmanager
async def serving(double: Double, port: int = 0) -> AsyncGenerator[str]:
    """Serve a double inside the block; yields its URL."""
    config = uvicorn.Config(double, host="127.0.0.1", port=port, log_level="critical", access_log=False, ws="none")
    server = _Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        await server.listening.wait()
        try:
            yield f"http://127.0.0.1:{server.port}{double.root}"
        finally:
            server.should_exit = server.force_exit = True
