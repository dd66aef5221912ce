"""`pegboard serve`: the hub over HTTP until a signal stops it.

What serves is imported where it is served: the supervisor of several workers needs none of it, and starts in a fifth of
the time.
"""

import os
import socket
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import click

from pegboard.cli.options import address_options, config_option, debug_option, json_option, wants_traceback
from pegboard.cli.ready import say_ready
from pegboard.cli.starting import log_to_stderr, read_settings, stopped_by_signal
from pegboard.cli.text import print_json
from pegboard.configuration import find_file, read_text
from pegboard.serving.workers.assignment import Configuration
from pegboard.serving.workers.supervisor import COMMAND, supervise


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
        from pegboard.cli.serving import serve_as_worker

        serve_as_worker(socket.socket(fileno=worker))
        return
    server = {"host": host, "port": port, "split_ports": split_ports, "stateless": stateless, "workers": workers}
    read = partial(read_settings, config, server=server, strict=strict)
    settings = read()
    log_to_stderr(settings.log.level, settings.log.format)
    if settings.server.workers == 1:
        from pegboard.cli.serving import serve_alone

        serve_alone(settings, read, find_file(config, os.environ), as_json=as_json)
        return
    options = {"server": server, "strict": strict}
    command = [*COMMAND, "--debug"] if wants_traceback(click.get_current_context()) else COMMAND
    tell = partial(tell_all_ready, as_json)
    with stopped_by_signal():
        sys.exit(anyio.run(supervise, settings, options, partial(configuration_at, config), tell, command))


def configuration_at(config: Path | None) -> Configuration:
    """What the file says now that the hub is configured by. Raises `ConfigError` when it cannot be read."""
    file = find_file(config, os.environ)
    return Configuration() if file is None else Configuration(str(file), read_text(file))


def tell_all_ready(as_json: bool, report: Mapping[str, Any]) -> None:
    """Say what a hub of one process says, by what the first worker has reported."""
    say_ready(report["text"])
    if as_json:
        print_json(report["endpoints"])
