"""`pegboard tools`: the tools clients see, with how to call them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pegboard.cli.endpoints import find_endpoint
from pegboard.cli.options import config_option, debug_option, json_option
from pegboard.cli.starting import log_to_stderr, read_settings, run
from pegboard.cli.text import first_sentence, indented, print_json
from pegboard.hub import Hub
from pegboard.offers import EVERYTHING
from pegboard.overflow import entry_of
from pegboard.search import Index
from pegboard.settings import HubSettings
from pegboard.tools import BoundTool

MOST_HITS = 10


@click.command
@click.option("--plugin", metavar="NAME", help="Only the tools of this plugin.")
@click.option("--endpoint", default=EVERYTHING, metavar="NAME", help="Only what is served there: `awx/inventory`.")
@click.option("--search", metavar="QUERY", help="Rank the tools by these words, as search_tools does; the best 10.")
@click.option("--schema", is_flag=True, help="With the whole description and the schemas of input and output.")
@config_option
@json_option("Print a JSON list of the tools.")
@debug_option
def command(
    plugin: str | None, endpoint: str, search: str | None, schema: bool, config: Path | None, as_json: bool
) -> None:
    """List the tools with their signatures, or rank them by a search.

    \b
    Examples:
      pegboard tools --plugin postgres
      pegboard tools --endpoint hub --schema --json
      pegboard tools --search "restart the nightly backup job"
    """
    settings = read_settings(config)
    log_to_stderr("error")
    found, not_served = run(_find, settings, plugin, endpoint, search)
    if as_json:
        print_json([_describe(tool, schema) for tool in found])
    else:
        for tool in found:
            _show(tool, schema)
    if not_served:
        click.echo(f"not served: {', '.join(not_served)}; `pegboard plugins` says why", err=True)


async def _find(
    settings: HubSettings, plugin: str | None, endpoint: str, search: str | None
) -> tuple[list[BoundTool], list[str]]:
    async with Hub(settings) as hub:
        if plugin is not None:
            find_endpoint(hub, plugin)
        offered = find_endpoint(hub, endpoint).offer.tools
        found = [tool for tool in offered if plugin is None or tool.plugin == plugin]
        found = found if search is None else ranked(found, search)
        return found, [plugin.owner.name for plugin in hub.failed]


def ranked(tools: Sequence[BoundTool], query: str) -> list[BoundTool]:
    """The tools a search finds, the best first."""
    by_name = {tool.name: tool for tool in tools}
    return [by_name[hit.entry.name] for hit in Index([entry_of(tool) for tool in tools]).search(query, k=MOST_HITS)]


def _describe(tool: BoundTool, schema: bool) -> dict[str, Any]:
    described = {
        "name": tool.name,
        "plugin": tool.plugin,
        "group": tool.group,
        "signature": tool.signature,
        "read_only": tool.mark.read_only,
        "summary": first_sentence(tool.definition.description),
    }
    if not schema:
        return described
    definition = tool.definition
    schemas = {"input_schema": definition.input_schema, "output_schema": definition.output_schema}
    return {**described, "description": definition.description, **schemas}


def _show(tool: BoundTool, schema: bool) -> None:
    mark = click.style("  read-only", fg="green") if tool.mark.read_only else ""
    click.echo(f"{click.style(tool.signature, bold=True)}{mark}")
    description = tool.definition.description or "(no description)"
    click.echo(indented(description if schema else first_sentence(description), 4))
    if schema:
        click.echo(indented(json.dumps(tool.definition.input_schema, indent=2, ensure_ascii=False), 4))
        click.echo(indented(json.dumps(tool.definition.output_schema, indent=2, ensure_ascii=False), 4))
