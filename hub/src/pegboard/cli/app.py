"""The application: the commands by name, each imported only when it is used, and the exit status of them all."""

import os
import sys
import threading
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from typing import Any, NoReturn

import click

from pegboard.cli.failures import INTERRUPTED, expected, tell
from pegboard.cli.options import wants_traceback

COMMANDS = {
    "serve": "Serve every plugin over SSE and Streamable HTTP.",
    "stdio": "Serve one endpoint over standard input and output.",
    "demo": "Serve sample data in real databases, set up in seconds.",
    "plugins": "List the plugins that were found, and why one is not served.",
    "tools": "List the tools with their signatures, or rank them by a search.",
    "budget": "Show what an endpoint lists, trims and hides, with tokens and reasons.",
    "call": "Call one tool and print its answer.",
    "keys": "Make the keys that callers show, list them, end them, replace them.",
    "audit": "Show the audit log: the last records, or those you look for.",
    "reload": "Have a running hub on this machine read its configuration again.",
    "check": "Check the configuration and say what is wrong where.",
    "init": "Write a commented pegboard.toml.",
    "connect": "Print the configuration of a client, or write it.",
}
"""Each command with its help, which must be here since `pegboard --help` imports none of them."""

EXIT_STATUS = {
    0: "done; also when `serve`, `stdio` or `demo` was stopped by a signal",
    1: "it failed: the tool answered with an error, a plugin is not served under --strict, there is nothing to demo",
    2: "wrong usage or configuration",
    INTERRUPTED: "interrupted with Ctrl-C",
}


class Commands(click.Group):
    """The group of all commands; exits with the status a command returns, and shows errors in one way."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 # click's signature
        return import_module(f"pegboard.cli.{cmd_name}").command if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 # as above
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
        with formatter.section("Exit status"):
            formatter.write_dl([(str(status), meaning) for status, meaning in EXIT_STATUS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        try:
            status: Any = super().main(*args, **{"prog_name": "pegboard", **extra, "standalone_mode": False})
        except click.Abort:
            status = INTERRUPTED
        except click.ClickException as error:
            tell(error)
            status = error.exit_code
        sys.exit(status if isinstance(status, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            return INTERRUPTED
        except Exception as error:
            failure = expected(error)
            if failure is None or wants_traceback(ctx):
                raise
            raise failure from error


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"pegboard {version('pegboard')}")
        ctx.exit()


@click.group(
    "pegboard", cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
@click.pass_context
def app(ctx: click.Context) -> None:
    """Serve MCP tools from plugins: install the plugins you need, connect any client.

    \b
    Try it:  pegboard demo
    Use it:  pegboard init; pegboard check; pegboard serve
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> NoReturn:
    """Run the command line of this process."""
    try:
        app.main()
    except SystemExit as end:
        if threading.active_count() > 1:  # imported only then: `--help` has to be quick
            from pegboard.ending import AFTERWARDS, Ending

            Ending().within(AFTERWARDS, end.code if isinstance(end.code, int) else 1)
        raise
