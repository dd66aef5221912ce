"""`pegboard serve`: the hub over HTTP until a signal stops it."""

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from pegboard.cli.exposed import open_secrets
from pegboard.cli.options import address_options, config_option, debug_option, json_option
from pegboard.cli.ready import describe, say_ready
from pegboard.cli.starting import log_to_stderr, read_settings, run, stopped_by_signal
from pegboard.cli.text import print_json
from pegboard.hub import Hub
from pegboard.serving.server import serve_http
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
@click.option("--strict", is_flag=True, help="Do not start when a plugin cannot be loaded; exit with 1.")
@config_option
@json_option("When ready, print the endpoints as one line of JSON on standard output.")
@debug_option
def command(
    host: str | None,
    port: int | None,
    split_ports: int | None,
    stateless: bool | None,
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
    server = {"host": host, "port": port, "split_ports": split_ports, "stateless": stateless}
    read = partial(read_settings, config, server=server, strict=strict)
    settings = read()
    log_to_stderr(settings.log.level, settings.log.format)
    with stopped_by_signal():
        run(serve, settings, as_json, read, find_file(config, os.environ))


async def serve(settings: HubSettings, as_json: bool, read: Callable[[], HubSettings], file: Path | None) -> None:
    """Open the hub and serve it; says when it is ready, and reads the settings again at SIGHUP."""
    with telemetry(settings.telemetry):
        async with Hub(settings) as hub:
            exposed = open_secrets([*hub.plugins, *hub.quarantined], file)
            if exposed is not None:
                log.warning("%s", exposed)
            await serve_http(hub, on_ready=partial(tell_ready, hub, as_json), load=read)


def tell_ready(hub: Hub, as_json: bool, url: str) -> None:
    """Say on standard error what is served, and on standard output too for programs."""
    say_ready(hub, url)
    if as_json:
        print_json(describe(hub, url))
