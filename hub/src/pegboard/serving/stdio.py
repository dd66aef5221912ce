"""One endpoint over standard input and output, for a client that starts the hub itself."""

import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import anyio
from mcp.server.stdio import stdio_server

from pegboard.endpoint import Endpoint
from pegboard.lag import watching_the_loop
from pegboard.metrics import Metrics
from pegboard.serving.session import Session
from pegboard.serving.signals import stop_on_signal
from pegboard.serving.traffic import Traffic
from pegboard.settings import ServerSettings

CHUNK = 65_536


async def serve_stdio(
    endpoint: Endpoint,
    settings: ServerSettings,
    metrics: Metrics | None = None,
    drained: Callable[[], None] = lambda: None,
) -> None:
    """Serve until the input ends or a signal comes; requests read before that are answered first.

    Everything else that writes to standard output goes to standard error instead, so a plugin's print cannot break
    the protocol. A signal gives calls in flight `grace` seconds; a second one ends the process at once.
    `drained` is called when they have ended, or had their time.
    """
    traffic = Traffic(metrics)
    with _stoppable_input() as end_input:
        watching = watching_the_loop(traffic.metrics.lagged)
        async with watching, stdio_server() as (read, write), anyio.create_task_group() as tasks:
            limit = settings.max_calls_per_session
            session = Session(read, write, traffic, limit, answer_before_end=True, transport="stdio")
            session.write.after_send = session.sent

            async def stop() -> None:
                await traffic.drain(settings.grace, endpoint.listen.close)
                drained()
                end_input()

            tasks.start_soon(stop_on_signal, stop)
            await endpoint.serve(session.read, session.write)
            tasks.cancel_scope.cancel()


@contextmanager
def _stoppable_input() -> Generator[Callable[[], None]]:
    """Put a pipe in the place of standard input and yield the function that ends it.

    A thread that waits in read(2) cannot be cancelled, so the one that reads the real input is a daemon, and the
    SDK reads the pipe.
    """
    real, (reading, writing) = os.dup(0), os.pipe()
    os.dup2(reading, 0)
    os.close(reading)
    ended = threading.Lock()

    def end() -> None:
        if ended.acquire(blocking=False):
            os.close(writing)

    def copy() -> None:
        with suppress(OSError):
            while chunk := os.read(real, CHUNK):
                _write_all(writing, chunk)
        end()

    threading.Thread(target=copy, name="pegboard stdin", daemon=True).start()
    try:
        yield end
    finally:
        end()
        os.dup2(real, 0)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
