"""`pegboard audit`: the audit log, its last records or those one looks for."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import click

from pegboard.cli.options import config_option, debug_option, json_option
from pegboard.cli.starting import read_settings
from pegboard.errors import ConfigError
from pegboard.security.audit import FIELDS
from pegboard.security.reading import Record, files_of, follow, last_records, records
from pegboard.validation import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])
Matches = Callable[[Record], bool]

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
COLOURS = {"ok": "green", "asked": "cyan", "cancelled": "yellow", "denied": "magenta"}
COLUMNS = 160
"""Characters of the arguments that are shown."""
SHOWN = ("reason", "lost", "principal", "tenant", "environment", "endpoint", "client", "session", "ref", "trace_id")
"""Fields that are shown with their names."""


@click.group(invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show the audit log: the last records, or those you look for.

    It is the file of `[audit] file`, with what was rotated away from it, packed or not. `--json` prints the records as
    they are, for programs.

    \b
    Examples:
      pegboard audit tail -n 50
      pegboard audit tail -f
      pegboard audit grep tool=postgres_* outcome!=ok --since 2h
      pegboard audit grep arguments.sql=*orders* --json
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _options(function: F) -> F:
    file = click.option(
        "--file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Read this file instead of the one of `[audit] file`.",
    )
    return file(config_option(json_option("Print the records as JSON, one a line.")(debug_option(function))))


@command.command
@click.option("-n", "--number", type=click.IntRange(0), default=10, show_default=True, help="How many records.")
@click.option("-f", "--follow", "on", is_flag=True, help="Go on with each record that is written, until Ctrl-C.")
@_options
def tail(number: int, on: bool, file: Path | None, config: Path | None, as_json: bool) -> None:
    """Show the last records, and those that are still to come.

    \b
    Example:
      pegboard audit tail -n 20 -f
    """
    path = _path(file, config, may_come=on)
    for record in follow(path, number) if on else last_records(path, number):
        _show(record, as_json)


@command.command
@click.argument("conditions", nargs=-1, metavar="KEY=VALUE...")
@click.option("--since", metavar="WHEN", help="Only from this time on: `30m`, `2h`, `7d`, or `2026-01-31T12:00`.")
@_options
def grep(conditions: tuple[str, ...], since: str | None, file: Path | None, config: Path | None, as_json: bool) -> None:
    """Show the records that fit every condition.

    KEY is a field of the record, `arguments.NAME` one of its arguments; `*` in VALUE stands for any part, and
    KEY!=VALUE is for those that do not fit. A field that is not in a record is empty: `principal=`.

    \b
    Examples:
      pegboard audit grep principal=peg_ci tool=awx_* --since 7d
      pegboard audit grep outcome!=ok arguments.limit=50
    """
    wanted = [_condition(text) for text in conditions]
    start = _moment(since) if since is not None else ""
    for record in records(_path(file, config)):
        if record.get("time", "") >= start and all(matches(record) for matches in wanted):
            _show(record, as_json)


def _path(file: Path | None, config: Path | None, *, may_come: bool = False) -> Path:
    path = file or read_settings(config).audit.file
    if path is None:
        raise ConfigError('no audit log is kept; write `[audit]` and `file = "audit.jsonl"`, or name one with --file')
    if not may_come and not files_of(path):
        raise ConfigError(f"{path}: there is no such file; it is made when the hub starts")
    return path


def _condition(text: str) -> Matches:
    """What `key=value` and `key!=value` say about a record."""
    parts = re.fullmatch(r"([^=!]+)(!?=)(.*)", text, re.DOTALL)
    if parts is None:
        raise click.UsageError(f"{text!r} is no condition; write KEY=VALUE or KEY!=VALUE")
    path, equal, pattern = parts[1].split("."), parts[2] == "=", parts[3]
    if path[0] not in FIELDS:
        hint = did_you_mean(path[0], FIELDS) or f"there are {', '.join(FIELDS)}"
        raise click.UsageError(f"{path[0]!r} is no field of a record; {hint}")
    return lambda record: fnmatchcase(_text(_value(record, path)), pattern) is equal


def _value(record: Record, path: list[str]) -> Any:
    value: Any = record
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] # any JSON
    return value  # pyright: ignore[reportUnknownVariableType] # as above


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _moment(when: str) -> str:
    """A time as the records write it; raises `click.UsageError` for what is none."""
    ago = re.fullmatch(r"(\d{1,6})([smhdw])", when)
    try:
        if ago is not None:
            moment = datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        else:
            moment = datetime.fromisoformat(when).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.UsageError(f"{when!r} is no time; write 30m, 2h, 7d or 2026-01-31T12:00") from None
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _show(record: Record, as_json: bool) -> None:
    click.echo(json.dumps(record) if as_json else _line(record))


def _line(record: Record) -> str:
    """A record for people: when, how it ended, how long it took, what was called with what, and by whom."""
    outcome = _plain(record.get("outcome") or record.get("event"))
    duration = record.get("duration_ms")
    parts = [
        _plain(record.get("time")).replace("T", " ").rstrip("Z"),
        click.style(f"{outcome:9}", fg=COLOURS.get(outcome, "red")),
        f"{duration:8.0f} ms" if isinstance(duration, int | float) else " " * 11,
        click.style(_plain(record.get("tool")), bold=True),
        _shortened(json.dumps(record["arguments"])) if "arguments" in record else "",
        *(f"{key}={_plain(record[key])}" for key in SHOWN if record.get(key) not in (None, "default")),
    ]
    return "  ".join(part for part in parts if part)


def _plain(value: Any) -> str:
    """A value in one line that cannot steer a terminal."""
    text = _text(value)
    return text if text.isprintable() else json.dumps(text)


def _shortened(text: str) -> str:
    return text if len(text) <= COLUMNS else f"{text[:COLUMNS]}…"
