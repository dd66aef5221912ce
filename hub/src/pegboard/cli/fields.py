"""The settings there are, of the hub and of the installed plugins, section by section."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast, get_args

from pydantic import BaseModel

from pegboard.configuration import PREFIX
from pegboard.environments import HubKeys
from pegboard.loading import Loaded, Quarantined
from pegboard.settings import TABLES, HubSettings, sections


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its key, what it takes, its default, and the variable that wins over the file."""

    key: str
    kind: str
    required: bool
    default: Any
    about: str
    variable: str
    is_secret: bool


@dataclass(frozen=True, slots=True)
class SettingsSection:
    """One section of the file: `server`, or `plugins.postgres`."""

    name: str
    about: str
    settings: list[Setting] = field(default_factory=list[Setting])


def hub_sections() -> list[SettingsSection]:
    """The hub's own sections."""
    return [_section(name, name, model) for name, model in sections().items()]


def table_sections() -> list[SettingsSection]:
    """The hub's sections of which there may be several, `keys.NAME`; no variable sets what is in them."""
    fields = {name: HubSettings.model_fields[name].annotation for name in sorted(TABLES - {"plugins"})}
    sections = [_section(f"{name}.NAME", name, get_args(annotation)[1]) for name, annotation in fields.items()]
    return [replace(one, settings=[replace(setting, variable="") for setting in one.settings]) for one in sections]


def plugin_sections(models: Mapping[str, type[BaseModel]]) -> list[SettingsSection]:
    """The sections of plugins by their models, with the keys there that are the hub's where there are any."""
    sections = [_section(f"plugins.{name}", name, model) for name, model in models.items() if model.model_fields]
    return [replace(section, settings=[*section.settings, *_hub_keys(section.name)]) for section in sections]


def declared_models(outcomes: Iterable[Loaded | Quarantined]) -> dict[str, type[BaseModel]]:
    """The settings models by plugin, also of plugins whose settings are wrong."""
    return {outcome.owner.name: outcome.plugin.settings for outcome in outcomes if outcome.plugin is not None}


def _section(name: str, prefix: str, model: type[BaseModel]) -> SettingsSection:
    schema = model.model_json_schema()
    required = set(schema.get("required", ()))
    settings = [
        _setting(prefix, key, key in required, {**_made_default(model, key), **value})
        for key, value in schema.get("properties", {}).items()
        if "$ref" not in value  # a section in a section, which has its own place
    ]
    return SettingsSection(name, _about(model), settings)


def _made_default(model: type[BaseModel], key: str) -> Mapping[str, Any]:
    """A default that is made anew for each model, which its schema therefore does not tell."""
    factory = model.model_fields[key].default_factory
    return {} if factory is None else {"default": cast(Callable[[], Any], factory)()}


def _hub_keys(section: str) -> list[Setting]:
    found = _section(section, section.partition(".")[2], HubKeys).settings
    return [setting for setting in found if setting.key != "environments"]  # those are tables of their own


def _setting(prefix: str, key: str, required: bool, schema: Mapping[str, Any]) -> Setting:
    return Setting(
        key=key,
        kind=_kind(schema),
        required=required,
        default=schema.get("default"),
        about=schema.get("description", ""),
        variable=f"{PREFIX}{prefix}_{key}".upper(),
        is_secret=_is_secret(schema),
    )


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "|".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return "|".join(_kind(choice) for choice in schema["anyOf"] if choice != {"type": "null"})
    if schema.get("type") == "object":
        return "table"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}s"
    return str(schema.get("type", "any"))


def _is_secret(schema: Mapping[str, Any]) -> bool:
    inner: list[Any] = [*schema.get("anyOf", []), schema.get("items"), schema.get("additionalProperties")]
    # `additionalProperties` may be true or false as well.
    return schema.get("format") == "password" or any(_is_secret(part) for part in inner if hasattr(part, "get"))


def _about(model: type[BaseModel]) -> str:
    """The first line of the docstring; the hub's own begin with the name of the section."""
    line = inspect.cleandoc(vars(model).get("__doc__") or "").split("\n")[0]
    text = line.partition("`: ")[2] or line
    return text[:1].upper() + text[1:]
