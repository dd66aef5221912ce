"""Problems of a configuration: all of them, each with its place, where serving would stop at the first."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pegboard.budget import fit
from pegboard.cli.fields import declared_models, plugin_sections
from pegboard.environments import variable_names
from pegboard.errors import BudgetError, ConfigError
from pegboard.loading import OWN_DISTRIBUTIONS, Loaded, Loader, Quarantined
from pegboard.offers import needless, offers_of
from pegboard.overflow import meta_tokens
from pegboard.settings import PREFIX, HubSettings, parse_settings, read_file, resolve, unknown_variables
from pegboard.validation import did_you_mean

REFERENCES = ("env:", "file:")
READABLE_BY_OTHERS = 0o044

Broken = dict[str, str]
"""References that lead nowhere: `plugins.postgres.dsn`, or a variable, with what is wrong."""
Outcomes = list[Loaded | Quarantined]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; a warning keeps nothing from being served."""

    level: Literal["error", "warning"]
    message: str


def find_problems(file: Path | None, environ: Mapping[str, str]) -> list[Problem]:
    """Everything that is wrong with the file and the environment, errors first. Imports the trusted plugins."""
    source, broken = str(file or "the environment"), Broken()
    try:
        written = read_file(file) if file is not None else {}
    except ConfigError as error:
        return [Problem("error", str(error))]
    table = _resolved(written, file.parent if file is not None else Path(), source, "", broken)
    environ = _resolved_variables(environ, broken)
    settings, errors = _settings(table, source, environ)
    outcomes = Loader(settings, environ).load()
    loaded = [outcome for outcome in outcomes if isinstance(outcome, Loaded)]
    errors = [*broken.values(), *errors, *_plugin_errors(outcomes, settings, source, broken)]
    errors += [f"{source}: {line}" for line in _endpoint_errors(loaded, settings)]
    needless_lines = needless([tool for plugin in loaded for tool in plugin.tools], settings)
    idle = [str(o) for o in outcomes if isinstance(o, Quarantined) and o.is_idle and not _is_among(o, broken)]
    warnings = [
        *idle,
        *needless_lines,
        *_strange_variables(outcomes, settings, environ),
        *_open_secrets(outcomes, written, file),
    ]
    return [Problem("error", text) for text in errors] + [Problem("warning", text) for text in warnings]


def _resolved(table: Mapping[str, Any], folder: Path, source: str, path: str, broken: Broken) -> dict[str, Any]:
    """The table with its references resolved, without those that cannot be."""
    result: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            inner = cast(dict[str, Any], value)
            result[key] = _resolved(inner, folder, f"{source}: {key}", f"{path}{key}.", broken)
            continue
        try:
            result[key] = resolve(value, folder, f"{source}: {key}")
        except ConfigError as error:
            broken[f"{path}{key}"] = str(error)
    return result


def _resolved_variables(environ: Mapping[str, str], broken: Broken) -> dict[str, str]:
    """The environment without the variables of ours whose reference cannot be resolved."""
    for name in sorted(environ):
        try:
            resolve(environ[name] if name.startswith(PREFIX) else "", Path(), name)
        except ConfigError as error:
            broken[name] = str(error)
    return {name: value for name, value in environ.items() if name not in broken}


def _settings(table: Mapping[str, Any], source: str, environ: Mapping[str, str]) -> tuple[HubSettings, list[str]]:
    """The settings and what is wrong with them; of wrong ones, at least the parts that plugins are loaded by."""
    try:
        return parse_settings(table, source, environ), []
    except ConfigError as error:
        errors = str(error).split("\n")
    settings = HubSettings(plugins=_tables(table.get("plugins")))
    for name in ("loading", "trust", "budget"):
        variables = {key: value for key, value in environ.items() if key.startswith(f"{PREFIX}{name}_".upper())}
        try:
            part = parse_settings({name: table.get(name, {})}, source, variables)
        except ConfigError:
            continue  # it is among the errors
        settings = settings.model_copy(update={name: getattr(part, name)})
    return settings, errors


def _tables(value: Any) -> dict[str, dict[str, Any]]:
    tables = cast(dict[str, Any], value) if isinstance(value, dict) else {}
    return {key: inner for key, inner in tables.items() if isinstance(inner, dict)}


def _plugin_errors(outcomes: Outcomes, settings: HubSettings, source: str, broken: Broken) -> Iterator[str]:
    for outcome in outcomes:
        if isinstance(outcome, Quarantined):
            yield from _quarantine_errors(outcome, settings, source, broken)
    installed = {outcome.owner.name for outcome in outcomes}
    for name in sorted(settings.plugins.keys() - installed):
        yield f"{source}: [plugins.{name}]: no plugin of this name is installed; {_how_to_get(name, installed)}"


def _quarantine_errors(plugin: Quarantined, settings: HubSettings, source: str, broken: Broken) -> Iterator[str]:
    name = plugin.owner.name
    if plugin.phase == "trusted":
        if name in settings.plugins:
            yield f"{source}: [plugins.{name}] is for {plugin.owner}, which is not trusted: {plugin.reason}"
    elif plugin.is_idle:
        return
    elif plugin.phase == "configured":
        for line in plugin.reason.split("\n"):
            if not _follows(name, line, broken):
                yield f"{source}: {line} (plugin {plugin.owner})"
    else:
        yield str(plugin)


def _endpoint_errors(loaded: list[Loaded], settings: HubSettings) -> Iterator[str]:
    """What keeps an endpoint from being served: its name, a package that is missing, its budget."""
    try:
        offers = offers_of(loaded, settings)
    except ConfigError as error:
        yield str(error)
        return
    for offer in offers:
        try:
            cost = meta_tokens(offer.count, read_twin=offer.budget.read_twin)
            fit(offer.tools, offer.budget, meta_tokens=cost, count=offer.count)
        except BudgetError as error:
            yield f"endpoint {offer.name}: {error}"


def _follows(plugin: str, line: str, broken: Broken) -> bool:
    """Whether a key is only missing because its reference leads nowhere."""
    key = line.removeprefix(f"[plugins.{plugin}]: ").partition(": required")[0]
    return f"plugins.{plugin}.{key}" in broken or f"{PREFIX}{plugin}_{key}".upper() in broken


def _is_among(plugin: Quarantined, broken: Broken) -> bool:
    """Whether somebody meant to configure a plugin, by a reference that leads nowhere."""
    starts = (f"plugins.{plugin.owner.name}.", f"{PREFIX}{plugin.owner.name}_".upper())
    return any(place.startswith(starts) for place in broken)


def _how_to_get(name: str, installed: Iterable[str]) -> str:
    distribution = f"pegboard-{name}".replace("_", "-")
    if distribution in OWN_DISTRIBUTIONS:
        return f"pip install {distribution}"
    return did_you_mean(name, installed) or "`pegboard plugins` lists those that are"


def _strange_variables(outcomes: Outcomes, settings: HubSettings, environ: Mapping[str, str]) -> list[str]:
    models = declared_models(outcomes)
    tables = {name: _tables(settings.plugins.get(name, {}).get("environments")) for name in models}
    others = [line for name, model in models.items() for line in variable_names(name, model, tables[name])]
    # What a plugin that could not be loaded would read is not known.
    dark = tuple(f"{PREFIX}{o.owner.name}_".upper() for o in outcomes if o.owner.name not in models)
    return [line for line in unknown_variables(environ, models, others) if not (dark and line.startswith(dark))]


def _open_secrets(outcomes: Outcomes, written: Mapping[str, Any], file: Path | None) -> Iterator[str]:
    if file is None or os.name != "posix" or not file.stat().st_mode & READABLE_BY_OTHERS:
        return
    tables = _tables(written.get("plugins"))
    literal = [
        f"{place}.{setting.key}"
        for section in plugin_sections(declared_models(outcomes))
        for place, table in _places(section.name, tables)
        for setting in section.settings
        if setting.is_secret and _is_literal(table.get(setting.key))
    ]
    if literal:
        names = ", ".join(literal)
        yield f"{file}: others can read it, and it holds secrets ({names}); chmod 600 {file}, or write env:NAME"


def _places(section: str, tables: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The section of a plugin, and those of its environments."""
    table = tables.get(section.partition(".")[2], {})
    yield section, table
    for name, inner in _tables(table.get("environments")).items():
        yield f"{section}.environments.{name}", inner


def _is_literal(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and value.startswith(REFERENCES))
