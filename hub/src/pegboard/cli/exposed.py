"""Secrets that stand in a configuration file which others than its owner can read."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pegboard.cli.fields import Setting, declared_models, hub_sections, plugin_sections
from pegboard.configuration import read_file
from pegboard.loading import Loaded, Quarantined

REFERENCES = ("env:", "file:")
READABLE_BY_OTHERS = 0o044

Table = Mapping[str, Any]


def open_secrets(outcomes: Sequence[Loaded | Quarantined], file: Path | None) -> str | None:
    """A sentence that names the secrets in the file, if others can read it and there are any."""
    if file is None or os.name != "posix" or not file.stat().st_mode & READABLE_BY_OTHERS:
        return None
    names = ", ".join(_literal(outcomes, read_file(file)))
    if not names:
        return None
    return f"{file}: others can read it, and it holds secrets ({names}); chmod 600 {file}, or write env:NAME"


def tables_in(value: Any) -> dict[str, dict[str, Any]]:
    """The tables in a table; empty for anything else that may stand there."""
    tables = cast(dict[str, Any], value) if isinstance(value, dict) else {}
    return {key: inner for key, inner in tables.items() if isinstance(inner, dict)}


def _literal(outcomes: Iterable[Loaded | Quarantined], written: Table) -> Iterator[str]:
    """Where a secret is written itself, not where it is to be found."""
    for section in hub_sections():
        yield from _secrets(section.name, tables_in(written).get(section.name, {}), _secret_keys(section.settings))
    for name, table in tables_in(written.get("keys")).items():
        yield from _secrets(f"keys.{name}", table, ["sha256"])
    owners = {"": written, **{f"tenants.{name}.": table for name, table in tables_in(written.get("tenants")).items()}}
    for section in plugin_sections(declared_models(outcomes)):
        for owner, said in owners.items():
            for place, table in _places(section.name, tables_in(said.get("plugins"))):
                yield from _secrets(f"{owner}{place}", table, _secret_keys(section.settings))


def _secret_keys(settings: Iterable[Setting]) -> list[str]:
    return [setting.key for setting in settings if setting.is_secret]


def _secrets(place: str, table: Table, keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        value = table.get(key)
        if value is not None and not (isinstance(value, str) and value.startswith(REFERENCES)):
            yield f"{place}.{key}"


def _places(section: str, tables: Mapping[str, Table]) -> Iterator[tuple[str, Table]]:
    """The section of a plugin, and those of its environments."""
    table = tables.get(section.partition(".")[2], {})
    yield section, table
    for name, inner in tables_in(table.get("environments")).items():
        yield f"{section}.environments.{name}", inner
