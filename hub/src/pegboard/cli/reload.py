"""`pegboard reload`: have a running hub read its configuration again."""

import os
import signal
from pathlib import Path
from typing import Any

import anyio
import click
import httpx

from pegboard.cli.clients import KEY_VARIABLE, bearer
from pegboard.cli.options import config_option, debug_option
from pegboard.cli.starting import read_settings, run
from pegboard.errors import ConfigError, PegboardError

TIMEOUT = 15.0

UNTOLD = f"its log says why, and so would this command with the key of an operator in {KEY_VARIABLE}"


@click.command
@click.option("--url", metavar="URL", help="The running hub; else the address of the configuration.")
@config_option
@debug_option
def command(url: str | None, config: Path | None) -> None:
    """Have a running hub on this machine read its configuration again.

    Plugins, endpoints and lists change whole, open sessions stay open and hear of it. A configuration that is wrong
    changes nothing: the command says why and exits with 2. The same as SIGHUP, with an answer. A hub that asks for keys
    tells why only with the key of an operator in the variable PEGBOARD_KEY; else its log does.

    \b
    Example:
      pegboard reload --config /etc/pegboard.toml
    """
    settings = read_settings(config)
    secure = url is None and settings.server.tls_certificate is not None
    base = url or f"{'https' if secure else 'http'}://{settings.server.host}:{settings.server.port}"
    generation = run(_reload, base.rstrip("/"), is_own=secure)
    click.echo(f"reloaded: {base} serves generation {generation} of its configuration")


async def _reload(base: str, *, is_own: bool) -> int:
    before = await _health(base, is_own=is_own)
    try:
        os.kill(before["pid"], signal.SIGHUP)
    except (PermissionError, ProcessLookupError) as error:
        raise PegboardError(f"the hub at {base} is process {before['pid']}, which cannot be signalled here") from error
    with anyio.move_on_after(TIMEOUT):
        while True:
            await anyio.sleep(0.1)
            after = await _health(base, is_own=is_own)
            if after["configuration"]["attempts"] > before["configuration"]["attempts"]:
                return _outcome(before["configuration"], after["configuration"], _behind(after))
    raise PegboardError(f"the hub at {base} did not reload within {TIMEOUT:g} s; see its log")


def _behind(health: dict[str, Any]) -> list[str]:
    """The workers that serve an older configuration than others."""
    there = {name: worker for name, worker in health.get("workers", {}).items() if worker is not None}
    newest = max((worker["generation"] for worker in there.values()), default=0)
    return [name for name, worker in there.items() if worker["generation"] < newest]


def _outcome(before: dict[str, Any], after: dict[str, Any], behind: list[str]) -> int:
    problem = after.get("problem", UNTOLD if after["generation"] == before["generation"] else None)
    if behind:
        raise PegboardError(f"{', '.join(behind)} serve as before, the others not: {problem}; mend it and reload again")
    if problem is not None:
        raise ConfigError(f"not reloaded, the hub serves as before: {problem}")
    return after["generation"]


async def _health(base: str, *, is_own: bool) -> dict[str, Any]:
    # The certificate of one's own hub is for another name than its address, and may be the one to be renewed. What it
    # tells is enough to signal a process of this machine; it is shown no key.
    key = None if is_own else os.environ.get(KEY_VARIABLE)
    headers = {"Authorization": bearer(key)} if key else {}
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5, verify=not is_own) as client:
            response = await client.get(f"{base}/health", headers=headers)
            if response.status_code == 401:
                raise PegboardError(f"the hub at {base} does not take the key in {KEY_VARIABLE}")
            return response.raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        hint = "start one with `pegboard serve`, or name it with --url"
        raise PegboardError(f"no hub answers at {base}; {hint}") from error
