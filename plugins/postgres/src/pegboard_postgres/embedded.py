"""A real PostgreSQL 18 as a child process, reached over a Unix socket; nothing to install, nothing left running."""

import signal
import subprocess
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import quote

import anyio
import anyio.abc
import asyncpg  # pyright: ignore[reportMissingTypeStubs] # the driver has no types

from pegboard_postgres.binaries import EmbeddedError, find_binaries, unprivileged
from pegboard_postgres.cluster import ADMIN, Cluster, claimed, create, environment, socket_folder, stop_leftover

__all__ = ["ADMIN", "READER", "Embedded", "EmbeddedError", "connected", "embedded"]

READER = "pegboard_reader"

START_TIMEOUT = 30.0
"""Seconds for a start; after a crash PostgreSQL first repeats what it had written to its log."""

OPTIONS = {
    "cluster_name": "pegboard",
    "shared_buffers": "32MB",
    "io_method": "sync",  # no worker processes for reading
    "wal_level": "minimal",  # rows copied into a table of the same transaction skip the log
    "max_wal_senders": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

STOPPING = ((signal.SIGINT, 5.0), (signal.SIGQUIT, 6.0), (signal.SIGKILL, 5.0))
"""Politely, at once, by force. On SIGQUIT the server itself kills children that do not react, after 5 seconds."""

LEASH = 'read _; exec "$@"'
"""A shell that waits for the end of its input, which comes when the process that holds the other end is gone."""


@asynccontextmanager
async def connected(dsn: str) -> AsyncGenerator[Any]:
    """One connection, closed on leaving."""
    connection = cast(Any, await asyncpg.connect(dsn))  # pyright: ignore[reportUnknownMemberType]
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


class Embedded:
    """One PostgreSQL server; `embedded()` makes, starts and stops it. Use it in the event loop that made it."""

    def __init__(
        self, cluster: Cluster, sockets: Path, database: str, port: int | None, options: Mapping[str, str]
    ) -> None:
        self._cluster = cluster
        self._sockets = sockets
        self._database = database
        self._port = port
        self._options = options
        self._process: anyio.abc.Process | None = None
        self._leash: anyio.abc.Process | None = None

    @property
    def dsn(self) -> str:
        """The database, as a role that is no superuser and owns nothing; over TCP if the server has a port."""
        return self.url(READER)

    @property
    def admin_dsn(self) -> str:
        """The database as superuser, always over the socket."""
        return self._admin_url(self._database)

    @property
    def pid(self) -> int:
        """The process id of the server, also of one that was killed."""
        assert self._process is not None
        return self._process.pid

    def url(self, role: str, password: str | None = None, *, database: str | None = None) -> str:
        """The DSN for a role and a database; without a password it must be one of our own roles."""
        if self._port is None:
            return self._socket_url(role, password, database)
        return f"postgresql://{self._login(role, password)}@127.0.0.1:{self._port}/{quote(database or self._database)}"

    async def start(self) -> None:
        """Start the server and return when it answers; raises `EmbeddedError` with its last words if it does not."""
        try:
            with anyio.fail_after(START_TIMEOUT):
                while not await self._launched():
                    await anyio.sleep(0.1)
                await self._provide()
        except asyncpg.InvalidPasswordError as error:
            folder = self._cluster.folder
            raise EmbeddedError(f"{folder}/secret does not belong to the data beside it; delete {folder}") from error
        except TimeoutError as error:
            raise EmbeddedError(f"PostgreSQL was not ready within {START_TIMEOUT:g} s{self._last_words()}") from error

    async def stop(self) -> None:
        """Disconnect the clients, write the data, end the server; takes its time even when cancelled, but not long."""
        with anyio.CancelScope(shield=True):
            for number, seconds in STOPPING:
                if await self._ended(number, seconds):
                    break
            await self._unleash()

    async def kill(self) -> None:
        """End the server as a crash would."""
        await self._ended(signal.SIGKILL, 5.0)
        await self._unleash()

    async def restart(self) -> None:
        """Stop the server if it runs and start it again; data, passwords and DSNs stay."""
        await self.stop()
        await self.start()

    def _admin_url(self, database: str) -> str:
        return self._socket_url(ADMIN, None, database)

    def _socket_url(self, role: str, password: str | None, database: str | None) -> str:
        where = f"host={quote(str(self._sockets))}&port={self._port or 5432}"
        return f"postgresql://{self._login(role, password)}@/{quote(database or self._database)}?{where}"

    def _login(self, role: str, password: str | None) -> str:
        return f"{quote(role)}:{quote(password or self._cluster.password(role))}"

    async def _launched(self) -> bool:
        """Start the process and wait until it answers; `False` if children of a killed one are still in the way."""
        self._process = await self._launch()
        await self._unleash()
        self._leash = await self._tie()
        while self._process.returncode is None:
            # The server tells nobody when it is ready, so ask; over the socket that costs 2 ms.
            with suppress(OSError, asyncpg.CannotConnectNowError):
                async with connected(self._admin_url("postgres")):
                    return True
            await anyio.sleep(0.02)
        if "pre-existing shared memory block" in self._last_words():
            return False
        raise EmbeddedError(f"PostgreSQL did not start{self._last_words()}")

    async def _launch(self) -> anyio.abc.Process:
        places = {
            "unix_socket_directories": str(self._sockets),
            "listen_addresses": "" if self._port is None else "127.0.0.1",
            "port": str(self._port or 5432),
        }
        options = [f"--{name}={value}" for name, value in {**OPTIONS, **self._options, **places}.items()]
        with self._cluster.log.open("wb") as log:
            # A session of its own: Ctrl-C in the terminal is for the hub, which stops the server in its turn.
            return await anyio.open_process(
                self._cluster.command("postgres", "-D", str(self._cluster.data), *options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._cluster.folder,
                env=environment(),
                start_new_session=True,
            )

    async def _tie(self) -> anyio.abc.Process:
        """Have the server stopped when this process is killed; otherwise the leash does nothing and is killed."""
        pg_ctl = str(self._cluster.binaries / "pg_ctl")
        stop = [pg_ctl, "stop", "--silent", "--mode=fast", f"--pgdata={self._cluster.data}"]
        return await anyio.open_process(
            self._cluster.command("/bin/sh", "-c", LEASH, "sh", *stop),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._cluster.folder,
            env=environment(),
            start_new_session=True,
        )

    async def _provide(self) -> None:
        """Make what the DSNs promise: the database, and the role that may only connect to it."""
        async with connected(self._admin_url("postgres")) as connection:
            if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", READER):
                await connection.execute(f"CREATE ROLE {READER} LOGIN PASSWORD '{self._cluster.password(READER)}'")
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", self._database):
                await connection.execute(f'CREATE DATABASE "{self._database}"')
            await connection.execute(f'REVOKE ALL ON DATABASE "{self._database}" FROM PUBLIC')
            await connection.execute(f'GRANT CONNECT ON DATABASE "{self._database}" TO {READER}')

    async def _ended(self, number: signal.Signals, seconds: float) -> bool:
        if self._process is None:
            return True
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
            self._process.send_signal(signal.SIGCONT)  # a frozen process reacts to nothing else
        with anyio.move_on_after(seconds):
            await self._process.wait()
        return self._process.returncode is not None

    async def _unleash(self) -> None:
        leash, self._leash = self._leash, None
        if leash is not None:
            with suppress(ProcessLookupError):
                leash.kill()
            await leash.aclose()

    def _last_words(self) -> str:
        log = self._cluster.log
        lines = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
        return "\n  ".join([f"; its log, {log}, ends with:", *lines]) if lines else ""


def _say_nothing(_: str) -> None:
    """For callers who do not want to hear of progress."""


@asynccontextmanager
async def _embedded(
    folder: Path, database: str, port: int | None, options: Mapping[str, str], say: Callable[[str], None]
) -> AsyncGenerator[Embedded]:
    account = unprivileged()
    cluster = Cluster(folder.absolute(), await find_binaries(account, say), account)
    with claimed(cluster), socket_folder(cluster, port or 5432) as sockets:
        await stop_leftover(cluster, say)
        if not cluster.data.exists():
            say("creating the database (first start only)")
            await create(cluster)
        server = Embedded(cluster, sockets, database, port, options)
        try:
            await server.start()
            yield server
        finally:
            await server.stop()


def embedded(
    folder: Path,
    *,
    database: str = "pegboard",
    port: int | None = None,
    options: Mapping[str, str] = MappingProxyType({}),
    say: Callable[[str], None] = _say_nothing,
) -> AbstractAsyncContextManager[Embedded]:
    """Run a PostgreSQL that keeps its data in `folder`; leaving stops it.

    It listens on a Unix socket only, and with `port` on 127.0.0.1 too. `options` are settings of the server. As root
    it runs as the user `nobody`, who has to be able to enter `folder`. What the server of a killed process left behind
    is stopped or recovered. `say` hears of anything slow. Raises `EmbeddedError` when there can be no server.
    """
    return _embedded(folder, database, port, options, say)
