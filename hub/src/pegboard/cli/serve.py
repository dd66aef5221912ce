"""`pegboard serve`: the hub over HTTP until a signal stops it."""

import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import click

from pegboard.cli.exposed import open_secrets
from pegboard.cli.options import address_options, config_option, debug_option, json_option, wants_traceback
from pegboard.cli.ready import describe, ready_text, say_ready
from pegboard.cli.starting import log_to_stderr, read_settings, run, stopped_by_signal
from pegboard.cli.text import print_json
from pegboard.hub import Hub
from pegboard.serving.server import serve_http
from pegboard.serving.workers.assignment import Assignment
from pegboard.serving.workers.supervisor import COMMAND, supervise
from pegboard.serving.workers.worker import Worker
from pegboard.settings import HubSettings, find_file
from pegboard.telemetry import telemetry

log = logging.getLogger(__name__)


@click.command
@address_options
@click.option(
    "--split-ports",
    type=click.IntRange(1, 65_000),
    metavar="PORT",
    help="Serve each endpoint at a port of its own too, from this one on, with /, /health, /ready and /metrics.",
)
@click.option("--stateless", is_flag=True, default=None, help="Keep no /mcp sessions, so that any replica can answer.")
@click.option("--workers", type=click.IntRange(1, 64), metavar="N", help="Serve by this many processes.")
@click.option("--worker", type=int, hidden=True, help="Be one of them: the socket to the first.")
@click.option("--strict", is_flag=True, help="Do not start when a plugin cannot be loaded; exit with 1.")
@config_option
@json_option("When ready, print the endpoints as one line of JSON on standard output.")
@debug_option
def command(
    host: str | None,
    port: int | None,
    split_ports: int | None,
    stateless: bool | None,
    workers: int | None,
    worker: int | None,
    strict: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Serve every plugin over SSE and Streamable HTTP.

    Each plugin has its own endpoint, and `/sse` and `/mcp` have them all. A plugin that cannot be loaded is named
    with the remedy, and the others are served. SIGTERM or Ctrl-C lets calls in flight finish, then exits with 0; a
    second one exits at once. SIGHUP, or `pegboard reload`, reads the configuration again.

    \b
    Example:
      pegboard serve --port 9000 --config pegboard.toml
    """
    if worker is not None:
        serve_as_worker(socket.socket(fileno=worker))
        return
    server = {"host": host, "port": port, "split_ports": split_ports, "stateless": stateless, "workers": workers}
    read = partial(read_settings, config, server=server, strict=strict)
    settings = read()
    log_to_stderr(settings.log.level, settings.log.format)
    with stopped_by_signal():
        if settings.server.workers == 1:
            run(serve, settings, partial(tell_ready, as_json), read, find_file(config, os.environ))
            return
        options = {"config": config and str(config), "server": server, "strict": strict}
        command = [*COMMAND, "--debug"] if wants_traceback(click.get_current_context()) else COMMAND
        sys.exit(anyio.run(supervise, settings, options, partial(tell_all_ready, as_json), command))


def serve_as_worker(line: socket.socket) -> None:
    """Serve as one of several processes, as the supervisor at the other end of `line` says."""
    with line, line.makefile("rb") as lines, stopped_by_signal():
        assignment, options = Assignment.read(lines.readline())
        config = None if options["config"] is None else Path(options["config"])
        own = partial(read_settings, config, server=options["server"], strict=options["strict"])

        def read() -> HubSettings:
            return assignment.applied(own())

        settings, worker = read(), Worker(assignment, line)
        log_to_stderr(settings.log.level, settings.log.format, assignment.name)
        run(serve, settings, partial(report_ready, worker), read, find_file(config, os.environ), worker)


async def serve(
    settings: HubSettings,
    on_ready: Callable[[Hub, str], None],
    read: Callable[[], HubSettings],
    file: Path | None,
    worker: Worker | None = None,
) -> None:
    """Open the hub and serve it; says when it is ready, and reads the settings again at SIGHUP."""
    with telemetry(settings.telemetry):
        async with Hub(settings) as hub:
            exposed = open_secrets([*hub.plugins, *hub.quarantined], file)
            if exposed is not None:
                log.warning("%s", exposed)
            await serve_http(hub, on_ready=partial(on_ready, hub), load=read, worker=worker)


def tell_ready(as_json: bool, hub: Hub, url: str) -> None:
    """Say on standard error what is served, and on standard output too for programs."""
    say_ready(ready_text(hub, url))
    if as_json:
        print_json(describe(hub, url))


def report_ready(worker: Worker, hub: Hub, url: str) -> None:
    """Tell the supervisor what it is to say when all are ready."""
    worker.ready({"text": ready_text(hub, url), "endpoints": describe(hub, url)})


def tell_all_ready(as_json: bool, report: Mapping[str, Any]) -> None:
    """Say what `tell_ready` says, by what the first worker has reported."""
    say_ready(report["text"])
    if as_json:
        print_json(report["endpoints"])
