"""`pegboard call`: one call of one tool, by a hub in this process or by one that runs."""

import json
import os
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent, Tool

from pegboard.cli.clients import KEY_VARIABLE
from pegboard.cli.connection import EVERYTHING, in_process, remote
from pegboard.cli.failures import Failure, Mistake
from pegboard.cli.options import config_option, debug_option, json_option
from pegboard.cli.parameters import args_option, read_object, read_parameters
from pegboard.cli.starting import log_to_stderr, read_settings, run
from pegboard.cli.text import print_json
from pegboard.endpoint import DEADLINE_KEY
from pegboard.overflow import CALL_TOOL
from pegboard.settings import CallSettings
from pegboard.validation import did_you_mean

MARGIN = 10
"""Seconds to wait beyond the deadline of a call, since the hub ends it and says so."""


@dataclass(frozen=True, slots=True)
class Line:
    """What the command line says: the tool, what stands behind it, and pegboard's own options."""

    ctx: click.Context
    tool: str
    rest: tuple[str, ...]
    arguments: dict[str, Any]
    timeout: float | None


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("tool")
@click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="[--PARAMETER VALUE]...")
@args_option
@click.option(
    "--url", metavar="URL", help="Call a running hub, like http://127.0.0.1:8000/mcp, not one in this process."
)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds the call may take.")
@config_option
@json_option("Print the structured result as one line of JSON.")
@debug_option
@click.pass_context
def command(
    ctx: click.Context,
    tool: str,
    rest: tuple[str, ...],
    json_args: str | None,
    url: str | None,
    timeout: float | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Call one tool and print its answer.

    Options before TOOL are pegboard's. After it come the tool's own parameters, which `pegboard call TOOL --help`
    shows, and still --json and --args. A value is read as JSON where the tool does not take a string. When the tool
    answers with an error, that goes to standard error and the exit status is 1. With --url the key in the variable
    PEGBOARD_KEY is shown to the hub.

    \b
    Examples:
      pegboard call postgres_query --sql "select 1" --limit 5
      pegboard call postgres_query --args '{"sql": "select $1", "params": [1]}' --json
      pegboard call --url http://127.0.0.1:8000/mcp hub_health_check
    """
    line = Line(ctx, tool, rest, read_object(json_args, ctx), timeout)
    connection = remote(url, os.environ.get(KEY_VARIABLE)) if url else in_process(read_settings(config))
    # A hub in this process tells why a tool crashed; of a lost connection the SDK's client would log the traceback.
    log_to_stderr("critical" if url else "error")
    result, wants_json = run(_call, line, connection)
    _show(result, as_json or wants_json)


async def _call(line: Line, connection: AbstractAsyncContextManager[Client]) -> tuple[CallToolResult, bool]:
    async with connection as client:
        try:
            tool = _find((await client.list_tools()).tools, line.tool)
            arguments, wants_json = read_parameters(tool, line.rest, line.ctx)
            result = await client.call_tool(
                tool.name,
                {**line.arguments, **arguments},
                read_timeout_seconds=(line.timeout or CallSettings().max_deadline) + MARGIN,
                progress_callback=_tell_progress if _is_terminal() else None,
                meta={DEADLINE_KEY: line.timeout} if line.timeout else None,
            )
        except MCPError as error:
            raise Failure(str(error)) from error
        return result, wants_json


def _find(tools: list[Tool], name: str) -> Tool:
    for tool in tools:
        if tool.name == name:
            return tool
    hint = did_you_mean(name, [tool.name for tool in tools])
    if any(tool.name == CALL_TOOL for tool in tools):
        hint = f"it may be hidden by the endpoint's budget: call it at {EVERYTHING}/mcp, which lists every tool"
    raise Mistake(
        f"there is no tool {name!r}; "
        + (hint or "`pegboard tools` lists them, and `pegboard plugins` says why one is not served")
    )


def _is_terminal() -> bool:
    return sys.stderr.isatty()


async def _tell_progress(progress: float, total: float | None, message: str | None) -> None:
    done = f"{progress:g}" if total is None else f"{progress:g}/{total:g}"
    click.echo(f"{done} {message or ''}".rstrip(), err=True)


def _show(result: CallToolResult, as_json: bool) -> None:
    if result.is_error:
        raise Failure("\n".join(_text(block) for block in result.content) or "the tool failed and does not say why")
    if as_json:
        dumped: dict[str, Any] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        print_json(dumped.get("structuredContent", {"content": dumped["content"]}))
        return
    if result.structured_content is not None:
        click.echo(json.dumps(result.structured_content, indent=2, ensure_ascii=False))
        return
    for block in result.content:
        click.echo(_text(block))


def _text(block: Any) -> str:
    if isinstance(block, TextContent):
        return block.text
    return f"[{block.type}: {getattr(block, 'mime_type', None) or 'see --json'}]"
