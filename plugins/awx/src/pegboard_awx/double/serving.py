"""Serving: a double on a port of loopback, in this process or as a program of its own."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
import uvicorn

from pegboard_awx.double.app import Double


class _Server(uvicorn.Server):
    """A server that says when it listens, leaves the signals to its process, and is gone as soon as it is told.

    uvicorn looks ten times a second whether it should end, and then sleeps a tenth of one for its connections: the
    suites would mostly sleep.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = anyio.Event()
        self.leaving = anyio.Event()

    @property
    def port(self) -> int:
        return int(self.servers[0].sockets[0].getsockname()[1])

    async def main_loop(self) -> None:
        self.listening.set()
        try:
            while not self.leaving.is_set():
                await self.on_tick(0)  # writes the date that every answer has
                with anyio.move_on_after(1):
                    await self.leaving.wait()
        finally:
            self.close()

    def close(self) -> None:
        """Close the port and every connection, and give up the requests that are not answered yet."""
        for server in self.servers:
            server.close()
        for task in self.server_state.tasks:
            task.cancel()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 # uvicorn's signature
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serving(double: Double, port: int = 0) -> AsyncGenerator[str]:
    """Serve a double inside the block; yields its URL."""
    config = uvicorn.Config(
        double,
        host="127.0.0.1",
        port=port,
        log_config=None,
        log_level="critical",
        access_log=False,
        ws="none",
        lifespan="off",
    )
    server = _Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        await server.listening.wait()
        try:
            yield f"http://127.0.0.1:{server.port}{double.root}"
        finally:
            server.leaving.set()
