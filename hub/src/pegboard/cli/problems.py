"""Problems of a configuration: all of them, each with its place, where serving would stop at the first."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pegboard.cli.access import access_errors, access_warnings
from pegboard.cli.exposed import open_secrets, tables_in
from pegboard.cli.fields import declared_models
from pegboard.cli.listening import listening_errors, listening_warnings
from pegboard.configuration import PREFIX, beside, parse_settings, read_file, resolve, unknown_variables
from pegboard.environments import variable_names
from pegboard.errors import BudgetError, ConfigError
from pegboard.loading import OWN_DISTRIBUTIONS, Loaded, Loader, Quarantined
from pegboard.offers import all_tools, check_budget, needless, offers_of, offers_to
from pegboard.security.claims import Reading
from pegboard.settings import HubSettings
from pegboard.validation import did_you_mean
from pegboard.view import Offer

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
    folder = file.parent if file is not None else Path()
    table = beside(_resolved(written, folder, source, "", broken), folder)
    environ = _resolved_variables(environ, broken)
    settings, errors = _settings(table, source, environ)
    outcomes = Loader(settings, environ).load()
    loaded = [outcome for outcome in outcomes if isinstance(outcome, Loaded)]
    errors = [*broken.values(), *errors, *_plugin_errors(outcomes, settings, source, broken)]
    errors += [f"{source}: {line}" for line in _endpoint_errors(loaded, settings)]
    errors += [f"{source}: {line}" for line in _oauth_errors(settings)]
    errors += access_errors(settings)
    errors += listening_errors(settings)
    needless_lines = needless(all_tools(loaded), settings)
    idle = [str(o) for o in outcomes if isinstance(o, Quarantined) and o.is_idle and not _is_among(o, broken)]
    warnings = [
        *idle,
        *needless_lines,
        *_strange_variables(outcomes, settings, environ),
        *access_warnings(settings, loaded),
        *listening_warnings(settings),
        *filter(None, [open_secrets(outcomes, file)]),
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
    settings = HubSettings(plugins=tables_in(table.get("plugins")))
    for name in ("loading", "trust", "budget", "tenants", "oauth"):
        variables = {key: value for key, value in environ.items() if key.startswith(f"{PREFIX}{name}_".upper())}
        try:
            part = parse_settings({name: table.get(name, {})}, source, variables)
        except ConfigError:
            continue  # it is among the errors
        settings = settings.model_copy(update={name: getattr(part, name)})
    return settings, errors


def _plugin_errors(outcomes: Outcomes, settings: HubSettings, source: str, broken: Broken) -> Iterator[str]:
    for outcome in outcomes:
        if isinstance(outcome, Quarantined):
            yield from _quarantine_errors(outcome, settings, source, broken)
    installed = {outcome.owner.name for outcome in outcomes}
    for name in sorted(settings.plugins.keys() - installed):
        yield f"{source}: [plugins.{name}]: no plugin of this name is installed; {_how_to_get(name, installed)}"
    for tenant, said in settings.tenants.items():
        for name in sorted(said.plugins.keys() - installed - settings.plugins.keys()):
            place = f"[tenants.{tenant}.plugins.{name}]"
            yield f"{source}: {place}: no plugin of this name is installed; {_how_to_get(name, installed)}"


def _quarantine_errors(plugin: Quarantined, settings: HubSettings, source: str, broken: Broken) -> Iterator[str]:
    name = plugin.owner.name
    if plugin.phase == "trusted":
        if any(name in said.plugins for said in (settings, *settings.tenants.values())):
            yield f"{source}: [plugins.{name}] is for {plugin.owner}, which is not trusted: {plugin.reason}"
    elif plugin.is_idle:
        return
    elif plugin.phase == "configured":
        for line in plugin.reason.split("\n"):
            if not _follows(line, broken):
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
    yield from _too_large(offers)
    for tenant in settings.tenants:
        own = [offer for offer in offers_to(tenant, loaded, settings, offers).values() if offer not in offers]
        yield from (f"tenant {tenant}: {line}" for line in _too_large(own))


def _oauth_errors(settings: HubSettings) -> Iterator[str]:
    """What is wrong with `[oauth]` beside the form of its keys."""
    try:
        Reading(settings.oauth)
    except ConfigError as error:
        yield from str(error).split("\n")
    if settings.oauth.tenant_claim is not None and not settings.tenants:
        yield "oauth.tenant_claim: no token counts, since there is no tenant; add a table [tenants.NAME]"


def _too_large(offers: Iterable[Offer]) -> Iterator[str]:
    for offer in offers:
        try:
            check_budget(offer)
        except BudgetError as error:
            yield f"endpoint {offer.name}: {error}"


def _follows(line: str, broken: Broken) -> bool:
    """Whether a key is only missing because its reference leads nowhere."""
    place, _, rest = line.removeprefix("[").partition("]: ")
    key = rest.partition(": required")[0]
    variable = f"{PREFIX}{place.removeprefix('plugins.').replace('.environments.', '_')}_{key}".upper()
    return f"{place}.{key}" in broken or variable.replace("-", "_") in broken


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
    tables = {name: tables_in(settings.plugins.get(name, {}).get("environments")) for name in models}
    others = [line for name, model in models.items() for line in variable_names(name, model, tables[name])]
    # What a plugin that could not be loaded would read is not known.
    dark = tuple(f"{PREFIX}{o.owner.name}_".upper() for o in outcomes if o.owner.name not in models)
    return [line for line in unknown_variables(environ, models, others) if not (dark and line.startswith(dark))]
