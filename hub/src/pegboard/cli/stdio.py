"""`pegboard stdio`: one endpoint over standard input and output, for a client that starts the hub itself."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from pegboard.cli.endpoints import find_endpoint
from pegboard.cli.options import config_option, debug_option
from pegboard.cli.starting import log_to_stderr, read_settings, run, stopped_by_signal
from pegboard.ending import CLOSING, ending
from pegboard.hub import Hub
from pegboard.serving.stdio import serve_stdio
from pegboard.settings import HubSettings
from pegboard.telemetry import telemetry


@click.command
@click.option("--endpoint", default="all", metavar="NAME", help="`postgres`, or `awx/inventory`; else everything.")
@config_option
@debug_option
def command(endpoint: str, config: Path | None) -> None:
    """Serve one endpoint over standard input and output.

    For clients that start their servers themselves; `pegboard connect claude --stdio` prints what they need. Only the
    protocol goes to standard output, the log goes to standard error. When the input ends, requests that were read
    are answered first; SIGTERM ends it likewise. Both exit with 0.

    \b
    Example:
      pegboard stdio --endpoint postgres --config /etc/pegboard.toml
    """
    settings = read_settings(config)
    log_to_stderr(settings.log.level, settings.log.format)
    with stopped_by_signal():
        run(serve, settings, endpoint)


async def serve(settings: HubSettings, endpoint: str) -> None:
    """Open the hub and serve one endpoint of it; what plugins print goes to standard error all the time."""
    with telemetry(settings.telemetry), _output_to(2) as client, ending() as end:
        async with Hub(settings) as hub:
            end.unwritten = lambda: hub.audit.journal.waiting
            found = find_endpoint(hub, endpoint)
            with _output_to(client):
                await serve_stdio(found, settings.server, hub.metrics, drained=partial(end.within, CLOSING))


@contextmanager
def _output_to(descriptor: int) -> Generator[int]:
    """Send standard output there while the block runs; yields where it went before."""
    # By descriptor, since a child process or a library in C may write, too.
    sys.stdout.flush()
    before = os.dup(1)
    os.dup2(descriptor, 1)
    try:
        yield before
    finally:
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)
