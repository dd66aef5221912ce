"""`pegboard init`: a configuration file with every setting in it, each commented out at its default."""

import os
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import click
import tomlkit

from pegboard.cli.failures import Mistake
from pegboard.cli.fields import Setting, SettingsSection, declared_models, hub_sections, plugin_sections, table_sections
from pegboard.cli.options import debug_option
from pegboard.cli.starting import log_to_stderr
from pegboard.configuration import FILE_NAME, load_settings
from pegboard.loading import Loader, Quarantined

HEAD = """\
# The configuration of pegboard. Every setting is here with its default; take the # away to change it.
# The environment wins over this file, by the variables in brackets. A secret may stay elsewhere: "env:NAME" reads the
# variable NAME, "file:PATH" the file PATH. `pegboard check` says what is wrong in here.
"""


@click.command
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default=FILE_NAME)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@debug_option
def command(path: Path, force: bool) -> None:
    """Write a commented pegboard.toml.

    It has every setting of the hub and of the installed plugins, commented out at its default. Only you can read it,
    since it may get passwords.

    \b
    Example:
      pegboard init && pegboard check
    """
    if path.exists() and not force:
        raise Mistake(f"{path} is there already; --force replaces it")
    log_to_stderr("error")
    outcomes = Loader(load_settings(None)).load()
    found = [*hub_sections(), *plugin_sections(declared_models(outcomes))]
    untrusted = [outcome for outcome in outcomes if isinstance(outcome, Quarantined) and outcome.phase == "trusted"]
    _write(path, render(found, untrusted))
    click.echo(f"wrote {path}; `pegboard check` checks it, `pegboard serve` uses it", err=True)


def render(found: Iterable[SettingsSection], untrusted: Iterable[Quarantined] = ()) -> str:
    """The text of the file."""
    parts = [HEAD]
    for section in (section for section in found if section.settings):
        about = [f"# {section.about}"] if section.about else []
        notes = [f"# Installed, and not allowed: {q.owner.distribution}" for q in untrusted if section.name == "trust"]
        parts.append("\n".join([*about, *notes, f"[{section.name}]", *map(_lines, section.settings)]))
    parts += map(_example, table_sections())
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _example(section: SettingsSection) -> str:
    """A section that may be there several times, or not at all: as a comment."""
    lines = [f"# {section.about}", f"# [{section.name}]", *(_lines(setting, "#   ") for setting in section.settings)]
    return "\n".join(lines)


def _lines(setting: Setting, indent: str = "# ") -> str:
    variable = f"({setting.variable})" if setting.variable else ""
    about = f"{setting.about} {'Required. ' if setting.required else ''}{variable}".strip()
    wrapped = textwrap.wrap(about, 118, initial_indent=indent, subsequent_indent=indent)
    return "\n".join([*wrapped, f"{indent}{_value(setting)}"])


def _value(setting: Setting) -> str:
    if setting.default is None or setting.is_secret:
        return f'{setting.key} = ["..."]' if setting.kind.startswith("list") else f'{setting.key} = "..."'
    value: Any = setting.default
    if isinstance(value, dict):
        value = cast(Any, tomlkit.inline_table())
        value.update(setting.default)
    return tomlkit.dumps({setting.key: value}).strip()


def _write(path: Path, text: str) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Mistake(f"{path}: cannot be written: {error.strerror}") from error
