"""`pegboard check`: is the configuration right, and if not, what is wrong where."""

import os
from pathlib import Path

import click

from pegboard.cli.options import config_option, debug_option, json_option
from pegboard.cli.problems import Problem, find_problems
from pegboard.cli.starting import log_to_stderr
from pegboard.cli.text import indented, print_json
from pegboard.configuration import find_file

COLOURS = {"error": "red", "warning": "yellow"}


@click.command
@config_option
@json_option("Print a JSON object with every problem.")
@debug_option
def command(config: Path | None, as_json: bool) -> int:
    """Check the configuration and say what is wrong where.

    Looks at the file, the environment and the settings of the installed plugins, and prints every problem with its
    remedy, not only the first one. Exits with 1 when there is an error; warnings alone are no failure.

    \b
    Example:
      pegboard check --config /etc/pegboard.toml
    """
    log_to_stderr("critical")
    file = find_file(config, os.environ)
    problems = find_problems(file, os.environ)
    ok = all(problem.level != "error" for problem in problems)
    if as_json:
        described = [{"level": problem.level, "message": problem.message} for problem in problems]
        print_json({"ok": ok, "file": None if file is None else str(file), "problems": described})
    else:
        _show(file, problems, ok)
    return 0 if ok else 1


def _show(file: Path | None, problems: list[Problem], ok: bool) -> None:
    for problem in problems:
        level = click.style(f"{problem.level}:", fg=COLOURS[problem.level], bold=True)
        click.echo(f"{level} {indented(problem.message).lstrip()}")
    if ok:
        checked = "no file, so the environment and the defaults" if file is None else str(file)
        click.echo(f"{click.style('ok:', fg='green', bold=True)} {checked}")
