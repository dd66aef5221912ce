"""Environments: the places one plugin works in, each with its own settings and its own word on writing."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pegboard.errors import ConfigError, PluginError
from pegboard.plugin import PLACE, PluginSettings, Writes
from pegboard.settings import PREFIX, validate, variables_of

M = TypeVar("M", bound=BaseModel)

DEFAULT = "default"
"""The name of the only environment, where none is written down."""


class HubKeys(BaseModel):
    """What the hub itself reads in the section of every plugin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    writes: Writes = Field(
        default="deny", description="Whether tools that write are served: not at all, after a question, or freely."
    )
    environment: str | None = Field(
        default=None, description="The environment a call uses that names none; the first one if you do not say."
    )
    environments: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Tables that stand for one environment each, over what stands here."
    )


OWN_KEYS = tuple(HubKeys.model_fields)


@dataclass(frozen=True, slots=True)
class Environment:
    """One place: its name, the plugin's settings for it, and whether tools may write there."""

    name: str
    settings: PluginSettings
    writes: Writes = "deny"


@dataclass(frozen=True, slots=True)
class Environments:
    """Every environment of a plugin by name; there is always one.

    `default` is that of a call that names none; `None` where a call has to.
    """

    default: str | None
    by_name: Mapping[str, Environment]
    has_choice: bool = False
    """Whether a client chooses among them, be it one only that it may choose."""

    @classmethod
    def only(cls, settings: PluginSettings, writes: Writes = "deny") -> "Environments":
        """The environments of a plugin that has one and does not name it."""
        return cls(DEFAULT, {DEFAULT: Environment(DEFAULT, settings, writes)})

    @property
    def settings(self) -> PluginSettings:
        """The settings of the default, or of the first."""
        return self.by_name[self.default or next(iter(self.by_name))].settings

    def within(self, name: str) -> "Environments":
        """That one only."""
        return Environments(name, {name: self.by_name[name]})

    def among(self, names: Iterable[str]) -> "Environments":
        """Those of these names; never another default than before, which would be where nobody wanted to go."""
        found = {name: self.by_name[name] for name in names}
        return Environments(self.default if self.default in found else None, found, self.has_choice)

    def writable(self) -> "Environments | None":
        """Those where tools may write; `None` if there are none."""
        found = [name for name, one in self.by_name.items() if one.writes != "deny"]
        return self.among(found) if found else None


NOWHERE = Environments(None, MappingProxyType({}))
"""Those of what has none to choose from: prompts and resources."""


def environments_of(
    plugin: str, model: type[PluginSettings], table: Mapping[str, Any], environ: Mapping[str, str]
) -> Environments:
    """Read the section of a plugin, `[plugins.NAME]`, and the variables that stand for its keys.

    Each table in `environments` is laid over the section. Raises `ConfigError` that names section and key, and
    `PluginError` for a settings model that has a key of the hub's own.
    """
    taken = [key for key in OWN_KEYS if key in model.model_fields]
    if taken:
        raise PluginError(f"its settings have the key {taken[0]!r}, which the hub itself reads; choose another name")
    section = f"[plugins.{plugin}]"
    given = {**table, **variables_of(plugin, HubKeys, environ)}
    own = _check(HubKeys, {key: given.pop(key) for key in OWN_KEYS if key in given}, section, plugin)
    if not own.environments:
        base = {**given, **variables_of(plugin, model, environ)}
        _check_default(own.environment, [], section)
        return Environments.only(_check(model, base, section, plugin), own.writes)
    _check_default(own.environment, own.environments, section)
    layers = _Layers(plugin, model, {**given, **variables_of(plugin, model, environ)}, own.writes, environ)
    found = {name: layers.over(name, given) for name, given in own.environments.items()}
    return Environments(own.environment or next(iter(found)), found, len(found) > 1)


def variable_names(plugin: str, model: type[BaseModel], names: Iterable[str]) -> Iterator[str]:
    """The variables that stand for keys of a plugin beside its own settings: the hub's, and those of environments."""
    yield from (f"{PREFIX}{plugin}_{key}".upper() for key in OWN_KEYS)
    for name in names:
        yield from (f"{PREFIX}{_prefix(plugin, name)}_{key}".upper() for key in (*model.model_fields, "writes"))


@dataclass(frozen=True, slots=True)
class _Layers:
    """What the environments of one plugin have in common."""

    plugin: str
    model: type[PluginSettings]
    base: Mapping[str, Any]
    writes: Writes
    environ: Mapping[str, str]

    def over(self, name: str, table: Mapping[str, Any]) -> Environment:
        """The environment of that name: its table, and its variables, over the base."""
        section = f"[plugins.{self.plugin}.environments.{name}]"
        if not PLACE.fullmatch(name):
            raise ConfigError(f"{section}: use 1 to 32 lower case letters, digits, '_' and '-', a letter first")
        prefix = _prefix(self.plugin, name)
        given = {**self.base, **table, **variables_of(prefix, self.model, self.environ)}
        given |= variables_of(prefix, _Policy, self.environ)
        policy = _check(_Policy, {"writes": given.pop("writes", self.writes)}, section, prefix)
        settings = _check(self.model, given, section, f"{self.plugin}.environments.{name}", prefix)
        return Environment(name, settings, policy.writes)


class _Policy(BaseModel):
    """What the hub reads in the table of one environment."""

    writes: Writes


def _prefix(plugin: str, name: str) -> str:
    return f"{plugin}_{name}".replace("-", "_")


def _check(model: type[M], given: Mapping[str, Any], section: str, place: str, prefix: str | None = None) -> M:
    def remedy(loc: tuple[Any, ...]) -> str:
        key = str(loc[0]) if loc else ""
        if not key or key in given:
            return ""
        variable = f"{PREFIX}{prefix or place}_{key}".upper()
        return f'; write `{key} = "..."` under [plugins.{place}], or set {variable}'

    return validate(model, given, section, remedy)


def _check_default(name: str | None, names: Iterable[str], section: str) -> None:
    if name is None or name in names:
        return
    known = ", ".join(names) or "none: write a table for each, [plugins.X.environments.NAME]"
    raise ConfigError(f"{section}: environment: there is no environment {name!r}; there are {known}")
