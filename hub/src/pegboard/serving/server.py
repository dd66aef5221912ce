"""The HTTP server: uvicorn with the hub's own way to stop."""

import logging
import socket
import ssl
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import uvicorn
from starlette.types import ASGIApp

from pegboard.errors import ConfigError, PegboardError
from pegboard.hub import Hub
from pegboard.lag import watching_the_loop
from pegboard.serving.app import HubApp
from pegboard.serving.auth import refuse_strangers
from pegboard.serving.garbage import collected_seldom
from pegboard.serving.heads import Protocol
from pegboard.serving.seldom import Seldom
from pegboard.serving.signals import reload_on_hangup, stop_on_signal
from pegboard.serving.tls import context_of
from pegboard.serving.tls import load as load_certificate
from pegboard.serving.workers.worker import Worker
from pegboard.settings import HubSettings, ServerSettings

log = logging.getLogger(__name__)

CLOSE_TIMEOUT = 5
"""Seconds uvicorn waits for connections to close after the streams were told to end."""

KEEP_ALIVE = 75
"""Seconds an idle connection stays open: longer than at load balancers, so that the hub never hangs up first."""


LoadSettings = Callable[[], HubSettings]


async def serve_http(
    hub: Hub,
    *,
    on_ready: Callable[[str], None] | None = None,
    load: LoadSettings | None = None,
    worker: Worker | None = None,
    drained: Callable[[], None] = lambda: None,
) -> None:
    """Serve an open hub until SIGTERM or SIGINT, then drain; `on_ready` gets the base URL once it listens.

    The first signal turns readiness off, goes on as before for `drain_delay` seconds, lets calls in flight finish
    within `grace` seconds, ends the streams and returns. A second one ends the process at once with status 128 +
    signal. SIGHUP asks `load` for the settings and serves by those; when they are wrong the log says why, and
    everything stays.
    As a `worker` it shares its port with others, and only drains, however many signals come. Raises `ConfigError` when
    the address is not loopback and nobody said that this is wanted, when it cannot be listened on, or for a wrong
    certificate. Calls `drained` when everything in flight was answered, or has met the end of its grace.
    """
    settings = hub.settings.server
    app = HubApp(hub)
    if worker is not None:
        app.asgi = worker.before(app.asgi)
    with collected_seldom(), ExitStack() as listeners:
        tls = context_of(settings)
        ports = [(listeners.enter_context(at), asgi) for at, asgi in _listen(app, settings, shared=worker is not None)]
        servers = [_Server(_config(asgi, tls, settings), at) for at, asgi in ports]

        async def stop() -> None:
            if worker is not None and worker.is_alone:
                for server in servers:
                    server.leave_port()
            delay = settings.drain_delay
            await app.traffic.leave(delay if worker is None else worker.leaves(delay))
            async with anyio.create_task_group() as draining:
                draining.start_soon(app.traffic.drain, settings.grace, app.close_subscriptions)
                if worker is not None:
                    draining.start_soon(worker.drained, settings.grace)
            hub.cut_off()
            drained()
            for server in servers:
                server.should_exit = True

        reload = partial(_reload, app, load or (lambda: hub.settings), tls)
        among = nullcontext() if worker is None else worker.run(hub, reload)
        async with watching_the_loop(hub.metrics.lagged), app.run(), among, anyio.create_task_group() as tasks:
            tasks.start_soon(partial(stop_on_signal, stop, once=worker is not None))
            if load is not None and worker is None:
                tasks.start_soon(reload_on_hangup, reload)
            if on_ready is not None:
                tasks.start_soon(_tell, servers, on_ready, settings.host)
            async with anyio.create_task_group() as serving:
                for server in servers:
                    serving.start_soon(server.run_here)
            tasks.cancel_scope.cancel()


def split_ports(hub: Hub) -> dict[str, int]:
    """The port of each endpoint that has one of its own: of every one but the whole hub and its profiles, in order."""
    first = hub.settings.server.split_ports
    paths = [path for path in hub.endpoints if path and not path.startswith("/profiles/")]
    return {} if first is None else {path: first + index for index, path in enumerate(paths)}


def _listen(app: HubApp, settings: ServerSettings, *, shared: bool) -> Iterator[tuple[socket.socket, ASGIApp]]:
    yield listen(settings, authenticated=app.auth.is_on, shared=shared), app.asgi
    for path, port in split_ports(app.hub).items():
        own = settings.model_copy(update={"port": port})
        yield listen(own, authenticated=app.auth.is_on, shared=shared), app.only(path)


async def _reload(app: HubApp, load: LoadSettings, tls: ssl.SSLContext | None) -> None:
    try:
        settings = await anyio.to_thread.run_sync(load)
        if tls is not None:
            load_certificate(tls, settings.server)
        await app.reload(settings)
    except PegboardError as error:
        app.hub.reload_problem = str(error)
        log.error("the configuration was not reloaded, the old one stays: %s", error)  # no crash
    except Exception as error:  # a reload that fails must not end what is served
        app.hub.reload_problem = f"internal error ({type(error).__name__}); the hub's log has the details"
        log.exception("the configuration was not reloaded, the old one stays")
    else:
        log.info("the configuration was reloaded; this is generation %d", app.hub.generation)
    app.hub.reload_attempts += 1


def listen(settings: ServerSettings, *, authenticated: bool = False, shared: bool = False) -> socket.socket:
    """Open the listening socket. Raises `ConfigError` that says which setting to change.

    A `shared` one is one of several at the port, each of a process of its own, and the system spreads connections
    evenly. Of one socket that all inherit, the first to wake would take a whole burst of them: 60 of 60, as measured.
    """
    if not authenticated:
        refuse_strangers(settings)
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048, reuse_port=shared)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise ConfigError(f"cannot listen on {where}: {error.strerror}; choose another with --port") from error


def url_of(host: str, listener: socket.socket, *, tls: bool = False) -> str:
    """The base URL of a listening socket, as a client on this machine writes it."""
    name = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # noqa: S104 # compared, not bound
    scheme = "https" if tls else "http"
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{listener.getsockname()[1]}"


def _config(app: ASGIApp, tls: ssl.SSLContext | None, settings: ServerSettings) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=_protocol(settings),
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=CLOSE_TIMEOUT,
    )
    config.load()
    config.ssl = tls  # its own way of loading one asks on the terminal for the passphrase of a key
    return config


def _protocol(settings: ServerSettings) -> Any:
    return partial(
        Protocol,
        head_timeout=settings.head_timeout,
        stalled_timeout=settings.stalled_timeout + 1,  # later than SSE gives such a client up itself
        warnings=Seldom(logging.getLogger("uvicorn.error")),
    )


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: they end streams before their answers are out, and raise the signal once
    more after a clean stop, which makes the exit status 143."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self.listener = listener
        self.listening = anyio.Event()

    async def run_here(self) -> None:
        """Serve on the listener until `should_exit`."""
        await self.serve(sockets=[self.listener])

    def leave_port(self) -> None:
        """Take no more connections, so that another hub can have the port; those that are open stay."""
        for one in self.servers:
            one.close()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


async def _tell(servers: list[_Server], on_ready: Callable[[str], None], host: str) -> None:
    for server in servers:
        await server.listening.wait()
    on_ready(url_of(host, servers[0].listener, tls=servers[0].config.ssl is not None))
