"""`pegboard reload`: have a running hub read its configuration again."""

import os
import signal
from pathlib import Path
from typing import Any

import anyio
import click
import httpx

from pegboard.cli.options import config_option, debug_option
from pegboard.cli.starting import read_settings, run
from pegboard.errors import ConfigError, PegboardError

TIMEOUT = 15.0


@click.command
@click.option("--url", metavar="URL", help="The running hub; else the address of the configuration.")
@config_option
@debug_option
def command(url: str | None, config: Path | None) -> None:
    """Have a running hub on this machine read its configuration again.

    Plugins, endpoints and lists change whole, open sessions stay open and hear of it. A configuration that is wrong
    changes nothing: the command says why and exits with 2. The same as SIGHUP, with an answer.

    \b
    Example:
      pegboard reload --config /etc/pegboard.toml
    """
    settings = read_settings(config)
    base = url or f"http://{settings.server.host}:{settings.server.port}"
    generation = run(_reload, base.rstrip("/"))
    click.echo(f"reloaded: {base} serves generation {generation} of its configuration")


async def _reload(base: str) -> int:
    before = await _health(base)
    try:
        os.kill(before["pid"], signal.SIGHUP)
    except (PermissionError, ProcessLookupError) as error:
        raise PegboardError(f"the hub at {base} is process {before['pid']}, which cannot be signalled here") from error
    with anyio.move_on_after(TIMEOUT):
        while True:
            await anyio.sleep(0.1)
            configuration = (await _health(base))["configuration"]
            if configuration["attempts"] > before["configuration"]["attempts"]:
                return _outcome(configuration)
    raise PegboardError(f"the hub at {base} did not reload within {TIMEOUT:g} s; see its log")


def _outcome(configuration: dict[str, Any]) -> int:
    if configuration["problem"] is not None:
        raise ConfigError(f"not reloaded, the hub serves as before: {configuration['problem']}")
    return configuration["generation"]


async def _health(base: str) -> dict[str, Any]:
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            response = await client.get(f"{base}/health")
            return response.raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        hint = "start one with `pegboard serve`, or name it with --url"
        raise PegboardError(f"no hub answers at {base}; {hint}") from error
