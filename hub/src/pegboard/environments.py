"""Environments: the places one plugin works in, each with its own settings and its own word on writing."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pegboard.configuration import PREFIX, validate, variables_of
from pegboard.errors import ConfigError, PluginError
from pegboard.plugin import PLACE, PluginSettings, Writes

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


@dataclass(frozen=True, slots=True)
class Tenancy:
    """What a tenant has of a plugin: a table that is laid over the plugin's section, environments and all.

    Where it says one of the `login` keys, it says all of them: nobody logs in with half of somebody else's login. A
    tenant that is not `shared` has only the environments that the table names, if it names any.
    """

    tenant: str
    table: Mapping[str, Any]
    login: Collection[str] = ()
    shared: bool = True


def environments_of(
    plugin: str,
    model: type[PluginSettings],
    table: Mapping[str, Any],
    environ: Mapping[str, str],
    tenancy: Tenancy | None = None,
) -> Environments:
    """Read the section of a plugin, `[plugins.NAME]`, and the variables that stand for its keys.

    Each table in `environments` is laid over the section, and what a tenant has over both, and over the variables.
    Raises `ConfigError` that names section and key, and `PluginError` for a settings model that has a key of the hub's
    own.
    """
    taken = [key for key in OWN_KEYS if key in model.model_fields]
    if taken:
        raise PluginError(f"its settings have the key {taken[0]!r}, which the hub itself reads; choose another name")
    base = _Section.read(f"plugins.{plugin}", table, model, _Variables(plugin, environ))
    if tenancy is None:
        return _Layers(model, base).environments()
    over = _Section.read(f"tenants.{tenancy.tenant}.plugins.{plugin}", tenancy.table, model)
    return _Layers(model, base, over, tenancy).environments()


def variable_names(plugin: str, model: type[BaseModel], names: Iterable[str]) -> Iterator[str]:
    """The variables that stand for keys of a plugin beside its own settings: the hub's, and those of environments."""
    yield from (f"{PREFIX}{plugin}_{key}".upper() for key in OWN_KEYS)
    for name in names:
        yield from (f"{PREFIX}{_prefix(plugin, name)}_{key}".upper() for key in (*model.model_fields, "writes"))


@dataclass(frozen=True, slots=True)
class _Variables:
    """The variables that stand for the keys of a section; none for what has no prefix."""

    prefix: str = ""
    environ: Mapping[str, str] = field(default_factory=dict[str, str])

    def of(self, model: type[BaseModel]) -> dict[str, Any]:
        return variables_of(self.prefix, model, self.environ) if self.prefix else {}

    def within(self, name: str) -> "_Variables":
        return _Variables(_prefix(self.prefix, name), self.environ) if self.prefix else self


@dataclass(frozen=True, slots=True)
class _Section:
    """One section about a plugin: what the hub reads there, what the plugin does, and the variables over both."""

    place: str
    own: HubKeys
    given: Mapping[str, Any]
    """The keys of the plugin, and `writes` where it is said."""
    variables: _Variables

    @classmethod
    def read(
        cls, place: str, table: Mapping[str, Any], model: type[BaseModel], variables: _Variables | None = None
    ) -> Self:
        variables = variables or _Variables()
        given = {**table, **variables.of(HubKeys)}
        keys = {key: given.pop(key) for key in OWN_KEYS if key in given}
        own = _check(HubKeys, keys, place, variables)
        said = {"writes": own.writes} if "writes" in keys else {}
        return cls(place, own, {**given, **variables.of(model), **said}, variables)

    def environment(self, name: str, model: type[BaseModel]) -> dict[str, Any]:
        """What it says about an environment in particular."""
        if name not in self.own.environments:
            return {}
        variables = self.variables.within(name)
        return {**self.own.environments[name], **variables.of(model), **variables.of(_Policy)}


@dataclass(frozen=True, slots=True)
class _Layers:
    """The section of a plugin and what a tenant lays over it, from which each environment is read."""

    model: type[PluginSettings]
    base: _Section
    over: _Section | None = None
    tenancy: Tenancy | None = None

    @property
    def top(self) -> _Section:
        return self.over or self.base

    def environments(self) -> Environments:
        names = self._names()
        wanted = self.top.own.environment
        _check_default(wanted, names, self.top.place)
        if not names:
            one = self._read(DEFAULT, self.top.place, self.top.variables)
            return Environments.only(one.settings, one.writes)
        found = {name: self._named(name) for name in names}
        default = wanted if wanted is not None else self.base.own.environment
        return Environments(default if default in found else next(iter(found)), found, len(found) > 1)

    def _names(self) -> list[str]:
        own = self.top.own.environments
        if self.tenancy is not None and own and not self.tenancy.shared:
            return list(own)
        return list(dict.fromkeys([*self.base.own.environments, *own]))

    def _named(self, name: str) -> Environment:
        place = f"{self.top.place}.environments.{name}"
        if not PLACE.fullmatch(name):
            raise ConfigError(f"[{place}]: use 1 to 32 lower case letters, digits, '_' and '-', a letter first")
        return self._read(name, place, self.top.variables.within(name))

    def _read(self, name: str, place: str, variables: _Variables) -> Environment:
        given = {**self.base.given, **self.base.environment(name, self.model)}
        if self.over is not None and self.tenancy is not None:
            said = {**self.over.given, **self.over.environment(name, self.model)}
            login = self.tenancy.login
            if not said.keys().isdisjoint(login):
                given = {key: value for key, value in given.items() if key not in login}
            given |= said
        policy = _check(_Policy, {"writes": given.pop("writes", "deny")}, place, variables)
        return Environment(name, _check(self.model, given, place, variables), policy.writes)


class _Policy(BaseModel):
    """What the hub reads in the table of one environment."""

    writes: Writes


def _prefix(plugin: str, name: str) -> str:
    return f"{plugin}_{name}".replace("-", "_")


def _check(model: type[M], given: Mapping[str, Any], place: str, variables: _Variables) -> M:
    def remedy(loc: tuple[Any, ...]) -> str:
        key = str(loc[0]) if loc else ""
        if not key or key in given:
            return ""
        variable = f"{PREFIX}{variables.prefix}_{key}".upper()
        return f'; write `{key} = "..."` under [{place}]' + (f", or set {variable}" if variables.prefix else "")

    return validate(model, given, f"[{place}]", remedy)


def _check_default(name: str | None, names: Iterable[str], place: str) -> None:
    if name is None or name in names:
        return
    known = ", ".join(names) or "none: write a table for each, [plugins.X.environments.NAME]"
    raise ConfigError(f"[{place}]: environment: there is no environment {name!r}; there are {known}")
