"""Failures: what the command line says and which status it exits with when something went wrong."""

import logging

import click

from pegboard.errors import ConfigError, PegboardError

INTERRUPTED = 130


class Failure(click.ClickException):
    """It failed: exit status 1."""


class Mistake(Failure):
    """The configuration is wrong, or what was asked for is not there: exit status 2, as for wrong usage."""

    exit_code = 2


def expected(error: Exception) -> Failure | None:
    """The failure for an error that pegboard raises on purpose; `None` for a crash."""
    if not isinstance(error, PegboardError):
        return None
    return Mistake(str(error)) if isinstance(error, ConfigError) else Failure(str(error))


def tell(error: click.ClickException) -> None:
    """Say on standard error what went wrong; how to get help follows a mistake in the usage."""
    for handler in logging.getLogger().handlers:  # what led to it stands above
        handler.flush()
    message = error.format_message().strip().replace("\n", "\n  ")
    click.echo(f"{click.style('error:', fg='red', bold=True)} {message}", err=True)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"`{error.ctx.command_path} --help` shows how it is used", err=True)
