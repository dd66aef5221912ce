"""`pegboard budget`: the receipt of an endpoint, what it lists, trims and hides, and why."""

from pathlib import Path

import click

from pegboard.cli.endpoints import find_endpoint
from pegboard.cli.options import config_option, debug_option, json_option
from pegboard.cli.starting import log_to_stderr, read_settings, run
from pegboard.cli.text import print_json, table
from pegboard.hub import Hub
from pegboard.offers import EVERYTHING
from pegboard.receipt import Receipt, ToolLine
from pegboard.settings import HubSettings


@click.command
@click.argument("endpoint", default=EVERYTHING)
@config_option
@json_option("Print the receipt as a JSON object.")
@debug_option
def command(endpoint: str, config: Path | None, as_json: bool) -> None:
    """Show what an endpoint lists, trims and hides, with tokens and reasons.

    ENDPOINT is `all` (the default), a plugin, a group like `awx/inventory`, `profiles/small`, or one of your own. A
    hidden tool can still be called by its name, and found with search_tools; the receipt says where else it is listed.

    \b
    Examples:
      pegboard budget
      pegboard budget profiles/small --json
    """
    settings = read_settings(config)
    log_to_stderr("error")
    receipt = run(_receipt, settings, endpoint)
    if as_json:
        print_json(receipt)
    else:
        _show(receipt)


async def _receipt(settings: HubSettings, name: str) -> Receipt:
    async with Hub(settings) as hub:
        return hub.receipt(find_endpoint(hub, name).offer.path)


def _show(receipt: Receipt) -> None:
    rows = [_row(line) for line in receipt["tools"]]
    click.echo(table(["tool", "state", "tokens", "in full", "why", "also listed at"], rows) if rows else "no tools")
    meta = " (search_tools and call_tool included)" if receipt["meta_tools"] else ""
    click.echo(
        f"\n{receipt['endpoint']}: {_of(receipt['tools_listed'], receipt['tool_limit'])} tools, "
        f"{_of(receipt['tokens_listed'], receipt['token_limit'])} tokens{meta}; {receipt['trimmed']} trimmed, "
        f"{receipt['hidden']} hidden, {receipt['tokens_saved']} tokens saved; overflow: {receipt['overflow']}"
    )


def _row(line: ToolLine) -> list[str]:
    places = [place or "/" for place in line["listed_at"] if not place.startswith("/profiles/")]
    return [
        line["name"],
        line["state"],
        str(line["tokens"]) if line["tokens"] else "-",
        str(line["full_tokens"]),
        line["reason"],
        " ".join(places),
    ]


def _of(number: int, limit: int | None) -> str:
    return f"{number} of {limit}" if limit is not None else f"{number}"
