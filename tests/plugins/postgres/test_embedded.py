"""The embedded server: it starts, stops and comes back, and touches nothing that is not its own."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import asyncpg  # pyright: ignore[reportMissingTypeStubs] # the driver has no types
import psutil
import pytest
from anyio import fail_after
from tests.conftest import Database

from pegboard_postgres.binaries import find_binaries, reachable, unprivileged
from pegboard_postgres.embedded import Embedded, EmbeddedError, connected, embedded

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about root")

HUB = """
import anyio, sys
from pathlib import Path
from pegboard_postgres.embedded import embedded

async def main():
    async with embedded(Path(sys.argv[1])) as server:
        print(server.pid, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


async def execute(dsn: str, statement: str) -> None:
    async with connected(dsn) as connection:
        await connection.execute(statement)


async def ask(dsn: str, query: str) -> object:
    async with connected(dsn) as connection:
        return await connection.fetchval(query)


async def gone(*processes: psutil.Process) -> None:
    """Wait until none of the processes is there."""
    with fail_after(10):
        while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes):
            await anyio.sleep(0.02)


def start_hub(folder: Path) -> tuple["subprocess.Popen[str]", psutil.Process, list[psutil.Process]]:
    """A process with a server of its own; the server; and what else the process started."""
    hub = subprocess.Popen([sys.executable, "-c", HUB, str(folder)], stdout=subprocess.PIPE, text=True)
    assert hub.stdout is not None
    server = psutil.Process(int(hub.stdout.readline()))
    hub.stdout.close()
    return hub, server, [child for child in psutil.Process(hub.pid).children() if child != server]


async def test_the_reader_may_do_nothing_but_connect(postgres_server: Embedded) -> None:
    async with connected(postgres_server.dsn) as connection:
        assert not await connection.fetchval("SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = user")
        for forbidden in (
            "CREATE TABLE public.mine (id int)",
            "CREATE TEMP TABLE mine (id int)",
            "CREATE SCHEMA mine",
            "SELECT pg_read_file('/etc/passwd')",
            "COPY (SELECT 1) TO PROGRAM 'true'",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)


async def test_a_database_of_a_test_belongs_to_it(postgres: Database) -> None:
    await execute(postgres.dsn, "CREATE TABLE mine AS SELECT 1 AS id")
    assert await ask(postgres.dsn, "SELECT id FROM mine") == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ask(postgres.reader_dsn, "SELECT id FROM mine")


async def test_the_second_start_is_fast_and_finds_the_data(server_folder: Path) -> None:
    said: list[str] = []
    async with embedded(server_folder, say=said.append) as server:
        await execute(server.admin_dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert said == ["creating the database (first start only)"]

    began = time.monotonic()
    async with embedded(server_folder, say=said.append) as server:
        assert time.monotonic() - began < 1.5
        assert await ask(server.admin_dsn, "SELECT answer FROM kept") == 42
    assert len(said) == 1


async def test_a_killed_server_comes_back_with_its_data(private_postgres: Embedded) -> None:
    await execute(private_postgres.admin_dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    dsn, killed = private_postgres.dsn, private_postgres.pid

    await private_postgres.kill()
    with pytest.raises(OSError):  # noqa: PT011 # refused, or no socket at all
        await ask(dsn, "SELECT 1")
    await private_postgres.restart()

    assert private_postgres.pid != killed
    assert private_postgres.dsn == dsn
    assert await ask(private_postgres.admin_dsn, "SELECT answer FROM kept") == 42


async def test_a_restart_disconnects_clients_and_keeps_the_dsn(private_postgres: Embedded) -> None:
    with fail_after(10):
        async with connected(private_postgres.dsn) as connection:
            await private_postgres.restart()
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                await connection.fetchval("SELECT 1")
        assert await ask(private_postgres.dsn, "SELECT 1") == 1


async def test_cancelling_leaves_no_process_and_no_lock(server_folder: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    started: list[psutil.Process] = []
    with fail_after(10), anyio.CancelScope() as scope:
        async with embedded(server_folder) as server:
            async with connected(server.dsn):
                started = [one for one in psutil.Process().children(recursive=True) if one not in before]
                scope.cancel()
                await anyio.sleep_forever()

    assert len(started) > 3
    await gone(*started)
    assert not (server_folder / "postgres" / "data" / "postmaster.pid").exists()
    async with embedded(server_folder) as server:
        assert await ask(server.dsn, "SELECT 1") == 1


async def test_cancelling_the_first_start_leaves_a_folder_that_can_be_used(server_folder: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    for seconds in (0.05, 0.15, 0.3):
        with anyio.move_on_after(seconds):
            async with embedded(server_folder):
                await anyio.sleep_forever()
    await gone(*(one for one in psutil.Process().children(recursive=True) if one not in before))

    async with embedded(server_folder) as server:
        assert await ask(server.dsn, "SELECT 1") == 1


async def test_a_frozen_server_can_be_stopped(server_folder: Path) -> None:
    async with embedded(server_folder) as server:
        frozen = psutil.Process(server.pid)
        frozen.suspend()
        began = time.monotonic()
    await gone(frozen)
    assert time.monotonic() - began < 5


async def test_the_server_of_a_killed_process_is_stopped_by_its_leash(server_folder: Path) -> None:
    hub, server, _ = start_hub(server_folder)
    backends = server.children()

    hub.kill()
    hub.wait()

    await gone(server, *backends)


async def test_a_server_left_behind_is_stopped_at_the_next_start(server_folder: Path) -> None:
    hub, left, leashes = start_hub(server_folder)
    for leash in leashes:
        leash.suspend()
    hub.kill()
    hub.wait()
    assert left.is_running()

    said: list[str] = []
    async with embedded(server_folder, say=said.append) as server:
        assert said == ["stopping the database an earlier run left behind"]
        assert await ask(server.dsn, "SELECT 1") == 1
    await gone(left)
    for leash in leashes:
        leash.kill()


async def test_a_process_with_the_old_number_of_the_server_does_not_prevent_a_start(server_folder: Path) -> None:
    async with embedded(server_folder):
        pid_file = server_folder / "postgres" / "data" / "postmaster.pid"
        content = pid_file.read_text().splitlines()
    account = unprivileged()
    sleep = ["/bin/sleep", "60"]
    stranger = subprocess.Popen(account.command(sleep) if account else sleep)
    await anyio.sleep(0.1)  # until it is a process of that user
    pid_file.write_text("\n".join([str(stranger.pid), *content[1:], ""]))

    async with embedded(server_folder) as server:
        assert await ask(server.dsn, "SELECT 1") == 1

    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


async def test_what_a_killed_first_start_left_is_removed(server_folder: Path) -> None:
    (server_folder / "new-abc" / "data").mkdir(parents=True)
    (server_folder / "new-abc" / "password").write_text("old")

    async with embedded(server_folder) as server:
        assert await ask(server.dsn, "SELECT 1") == 1
        assert {path.name for path in server_folder.iterdir()} == {"lock", "log", "postgres", "secret"}


async def test_one_folder_has_one_server(server_folder: Path) -> None:
    async with embedded(server_folder) as server:
        with pytest.raises(EmbeddedError, match="another process runs the database in"):
            async with embedded(server_folder):
                pass
        assert await ask(server.dsn, "SELECT 1") == 1


async def test_a_server_that_does_not_start_tells_why(server_folder: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"(?s)did not start.*unrecognized configuration parameter .no_such"):
        async with embedded(server_folder, options={"no_such": "1"}):
            pass


async def test_a_lost_secret_is_named(server_folder: Path) -> None:
    async with embedded(server_folder):
        pass
    (server_folder / "secret").unlink()

    with pytest.raises(EmbeddedError, match="secret does not belong to the data beside it"):
        async with embedded(server_folder):
            pass


async def test_a_folder_too_deep_for_a_socket_is_no_problem(server_folder: Path) -> None:
    deep = server_folder / ("d" * 60) / ("e" * 60)
    async with embedded(deep) as server:
        assert await ask(server.dsn, "SELECT 1") == 1
        sockets = Path(parse_qs(urlsplit(server.dsn).query)["host"][0])
        assert sockets.stat().st_mode & 0o777 == 0o700
    assert not sockets.exists()


async def test_a_port_is_open_on_loopback_only_and_wants_the_password(server_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    async with embedded(server_folder, port=port) as server:
        assert f"@127.0.0.1:{port}/" in server.dsn
        assert await ask(server.dsn, "SELECT 1") == 1
        assert await ask(server.admin_dsn, "SELECT inet_client_addr()") is None
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(server.url("postgres", "guess"), "SELECT 1")
        listening = [each.laddr for each in psutil.Process(server.pid).net_connections() if each.status == "LISTEN"]
        assert listening == [("127.0.0.1", port)]


async def test_secrets_are_for_the_owner_only(private_postgres: Embedded, server_folder: Path) -> None:
    assert (server_folder / "secret").stat().st_mode & 0o777 == 0o600
    assert (server_folder / "postgres").stat().st_mode & 0o777 == 0o700
    command = psutil.Process(private_postgres.pid).cmdline()
    assert not any((server_folder / "secret").read_text() in argument for argument in command)


async def test_the_environment_of_the_user_changes_nothing(
    server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGDATA": "/nowhere", "PGPORT": "1", "PGUSER": "x", "PGHOST": "example.invalid"}.items():
        monkeypatch.setenv(name, value)
    async with embedded(server_folder) as server:
        assert await ask(server.dsn, "SELECT user") == "pegboard_reader"


def rights_of(pid: int) -> set[tuple[str, bool]]:
    """User, and whether the group is root's, of a process and its children; those that end meanwhile are left out."""
    seen = set[tuple[str, bool]]()
    for process in [psutil.Process(pid), *psutil.Process(pid).children()]:
        with suppress(psutil.NoSuchProcess):
            seen.add((process.username(), process.gids().real == 0))
    return seen


@as_root
async def test_root_changes_no_folder_and_no_user(server_folder: Path) -> None:
    package = (await find_binaries(unprivileged(), print)).parents[1]
    watched = [*server_folder.parents, server_folder, *package.parents, package, package / "pginstall18" / "bin"]
    modes = {path: (path.stat().st_mode, path.stat().st_uid) for path in watched}
    users = Path("/etc/passwd").read_bytes()

    async with embedded(server_folder) as server:
        assert rights_of(server.pid) == {("nobody", False)}

    assert {path: (path.stat().st_mode, path.stat().st_uid) for path in watched} == modes
    assert Path("/etc/passwd").read_bytes() == users


@as_root
async def test_root_is_told_of_a_folder_its_server_cannot_enter(tmp_path: Path) -> None:
    folder = tmp_path / "private" / "deep"
    folder.parent.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match="choose a folder that everybody may enter"):
        async with embedded(folder):
            pass
    assert folder.parent.stat().st_mode & 0o777 == 0o700


@as_root
async def test_an_installation_only_root_can_reach_is_copied_once(
    server_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = (await find_binaries(None, print)).parents[1]
    private = tmp_path / "private"
    for source in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, private / source.name, ignore=shutil.ignore_patterns("pginstall", "include", "*.a"))
    private.chmod(0o700)
    monkeypatch.syspath_prepend(private)  # pyright: ignore[reportUnknownMemberType] # pytest leaves it untyped
    account, said = unprivileged(), list[str]()
    assert account is not None

    binaries = await find_binaries(account, said.append, cache=server_folder / "cache")
    again = await find_binaries(account, said.append, cache=server_folder / "cache")

    assert binaries == again
    assert binaries.is_relative_to(server_folder)
    assert reachable(binaries)
    assert len(said) == 1
    for program in ("initdb", "postgres", "pg_ctl"):
        result = await anyio.run_process(account.command([str(binaries / program), "--version"]))
        assert b"18." in result.stdout
    assert private.stat().st_mode & 0o777 == 0o700


async def test_a_missing_package_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(EmbeddedError, match=r"pip install 'pegboard-postgres\[demo\]'"):
        await find_binaries(None, print)


def test_windows_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(EmbeddedError, match="not supported on Windows"):
        unprivileged()


async def test_ctrl_c_in_the_terminal_does_not_reach_the_server(private_postgres: Embedded) -> None:
    assert os.getpgid(private_postgres.pid) != os.getpgid(0)
    assert os.getsid(private_postgres.pid) != os.getsid(0)
