"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

DEBUG = "pegboard.debug"


def config_option(function: F) -> F:
    """`--config FILE`."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="The configuration file; else $PEGBOARD_CONFIG, else pegboard.toml in this folder.",
    )(function)


def json_option(text: str) -> Callable[[F], F]:
    """`--json`, for programs."""
    return click.option("--json", "as_json", is_flag=True, help=text)


def debug_option(function: F) -> F:
    """`--debug`, kept in the context so that the handling of errors can see it."""
    return click.option(
        "--debug", is_flag=True, expose_value=False, callback=_remember, help="Log everything, and show tracebacks."
    )(function)


def address_options(function: F) -> F:
    """`--host` and `--port`, in place of `[server]`."""
    host = click.option("--host", metavar="ADDRESS", help="Listen on this address instead of [server] host.")
    port = click.option(
        "--port", type=click.IntRange(0, 65_535), help="Listen on this port instead of [server] port; 0 takes any."
    )
    return host(port(function))


def wants_traceback(ctx: click.Context) -> bool:
    """Whether `--debug` was given."""
    return bool(ctx.meta.get(DEBUG))


def _remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta[DEBUG] = value
