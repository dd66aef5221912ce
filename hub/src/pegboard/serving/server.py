"""The HTTP server: uvicorn with the hub's own way to stop."""

import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio
import uvicorn
from starlette.types import ASGIApp

from pegboard.errors import ConfigError
from pegboard.hub import Hub
from pegboard.serving.app import HubApp
from pegboard.serving.guard import is_loopback
from pegboard.serving.signals import stop_on_signal
from pegboard.settings import ServerSettings

CLOSE_TIMEOUT = 5
"""Seconds uvicorn waits for connections to close after the streams were told to end."""

KEEP_ALIVE = 75
"""Seconds an idle connection stays open: longer than at load balancers, so that the hub never hangs up first."""


async def serve_http(hub: Hub, *, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve an open hub until SIGTERM or SIGINT, then drain; `on_ready` gets the base URL once it listens.

    The first signal turns readiness off, lets calls in flight finish within `grace` seconds, ends the streams and
    returns. A second one ends the process at once with status 128 + signal. Raises `ConfigError` when the address
    is not loopback and nobody said that this is wanted, or when it cannot be listened on.
    """
    settings = hub.settings.server
    app = HubApp(hub)
    with listen(settings) as listener:
        server = _Server(_config(app.asgi))

        async def stop() -> None:
            await app.traffic.drain(settings.grace, app.close_subscriptions)
            server.should_exit = True

        async with app.run(), anyio.create_task_group() as tasks:
            tasks.start_soon(stop_on_signal, stop)
            if on_ready is not None:
                tasks.start_soon(_tell, server, on_ready, url_of(settings.host, listener))
            await server.serve(sockets=[listener])
            tasks.cancel_scope.cancel()


def listen(settings: ServerSettings) -> socket.socket:
    """Open the listening socket. Raises `ConfigError` that says which setting to change."""
    if not is_loopback(settings.host) and not settings.unauthenticated:
        raise ConfigError(
            f"[server] host = {settings.host!r} would let anybody who reaches this machine call every tool, since "
            f'nobody has to show a key; use host = "127.0.0.1", or write `unauthenticated = true` if that is wanted'
        )
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise ConfigError(f"cannot listen on {where}: {error.strerror}; choose another with --port") from error


def url_of(host: str, listener: socket.socket) -> str:
    """The base URL of a listening socket, as a client on this machine writes it."""
    name = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # noqa: S104 # compared, not bound
    return f"http://{f'[{name}]' if ':' in name else name}:{listener.getsockname()[1]}"


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=CLOSE_TIMEOUT,
    )


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: they end streams before their answers are out, and raise the signal once
    more after a clean stop, which makes the exit status 143."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = anyio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


async def _tell(server: _Server, on_ready: Callable[[str], None], url: str) -> None:
    await server.listening.wait()
    on_ready(url)
