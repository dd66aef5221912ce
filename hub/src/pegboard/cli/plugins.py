"""`pegboard plugins`: what was found, what is served, and why the rest is not."""

from pathlib import Path
from typing import Any

import click

from pegboard.cli.failures import Failure
from pegboard.cli.options import config_option, debug_option, json_option
from pegboard.cli.starting import log_to_stderr, read_settings, run
from pegboard.cli.text import indented, print_json, table
from pegboard.hub import Hub
from pegboard.settings import HubSettings


@click.command
@click.option("--strict", is_flag=True, help="Exit with 1 when a plugin that should be served is not.")
@config_option
@json_option("Print a JSON list with everything about each plugin.")
@debug_option
def command(strict: bool, config: Path | None, as_json: bool) -> None:
    """List the plugins that were found, and why one is not served.

    A plugin is found by the entry point its package has in the group `pegboard`. It goes through the phases found,
    trusted, imported, declared, configured and opened; one that does not get through is named with the phase, the
    reason and the remedy. One that is only not trusted is no failure for --strict.

    \b
    Example:
      pegboard plugins --strict --config pegboard.toml
    """
    settings = read_settings(config)
    log_to_stderr("error")
    plugins, failed = run(inspect, settings)
    if as_json:
        print_json(plugins)
    else:
        _show(plugins)
    if strict and failed:
        raise Failure(f"not served: {', '.join(failed)}")


async def inspect(settings: HubSettings) -> tuple[list[dict[str, Any]], list[str]]:
    """Open a hub, not strictly; return every plugin in name order, and the names of those that failed."""
    lenient = settings.loading.model_copy(update={"strict": False})
    async with Hub(settings.model_copy(update={"loading": lenient})) as hub:
        return _describe(hub), [plugin.owner.name for plugin in hub.failed]


def _describe(hub: Hub) -> list[dict[str, Any]]:
    served = [
        {
            **_origin(plugin.owner),
            "state": "served",
            "tools": [tool.name for tool in plugin.tools],
            "endpoints": hub.paths_of(plugin.name),
        }
        for plugin in hub.plugins
    ]
    others = [
        {**_origin(plugin.owner), "state": "not served", "phase": plugin.phase, "reason": plugin.reason}
        for plugin in hub.quarantined
    ]
    return sorted(served + others, key=lambda plugin: (plugin["name"], plugin["state"] != "served"))


def _origin(owner: Any) -> dict[str, Any]:
    return {"name": owner.name, "distribution": owner.distribution, "version": owner.version}


def _show(plugins: list[dict[str, Any]]) -> None:
    click.echo(table(["plugin", "distribution", "version", "state", "tools", "endpoints"], [_row(p) for p in plugins]))
    for plugin in plugins:
        if plugin["state"] != "served":
            reason = indented(f"not {plugin['phase']}: {plugin['reason']}")
            click.echo(
                f"\n{click.style(plugin['name'], bold=True)} of {plugin['distribution']} is not served\n{reason}"
            )


def _row(plugin: dict[str, Any]) -> list[str]:
    tools, endpoints = plugin.get("tools"), plugin.get("endpoints", [])
    origin = [plugin["name"], plugin["distribution"], plugin["version"], plugin["state"]]
    return [*origin, "" if tools is None else str(len(tools)), " ".join(endpoints)]
