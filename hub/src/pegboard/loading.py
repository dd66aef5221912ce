"""Loading: from entry points to plugins, or to a reason why not. The only importer of plugins."""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any, Literal, TypeVar, cast

import anyio
import pluggy
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pegboard import hookspecs
from pegboard.configuration import PREFIX
from pegboard.environments import NOWHERE, Environments, Tenancy, environments_of
from pegboard.errors import PegboardError
from pegboard.functions import SYNC_THREADS
from pegboard.hookspecs import ENTRY_POINT_GROUP
from pegboard.plugin import HUB, Function, Plugin
from pegboard.prompts import BoundPrompt, bind_prompts
from pegboard.resources import BoundResource, bind_resources
from pegboard.settings import HubSettings
from pegboard.tools import BoundTool

log = logging.getLogger(__name__)

T = TypeVar("T")

Phase = Literal["found", "trusted", "imported", "declared", "configured", "opened"]

OWN_DISTRIBUTIONS = frozenset({"pegboard", "pegboard-awx", "pegboard-postgres", "pegboard-qdrant", "pegboard-neo4j"})
"""Distributions that need no line in `[trust]`: this project's own, by exact name."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Where a plugin comes from: its entry point's name, its distribution and the version of that."""

    name: str
    distribution: str
    version: str

    @classmethod
    def of(cls, entry_point: EntryPoint) -> "Owner":
        try:
            dist = cast(Distribution, entry_point.dist)
            return cls(entry_point.name, canonicalize_name(dist.name), str(dist.version))
        except Exception:  # noqa: BLE001 # what is left of a broken installation has metadata of any shape
            return cls(entry_point.name, "unknown", "0")

    def __str__(self) -> str:
        return f"{self.name!r} of {self.distribution} {self.version}"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A plugin that did not get through a phase of loading, and why."""

    owner: Owner
    phase: Phase
    reason: str
    plugin: Plugin | None = field(default=None, repr=False)
    """What it declared, if it got that far."""
    is_idle: bool = False
    """Whether it only wants settings, and nothing in file or environment speaks of it: installed, and not used."""
    tenant: str | None = None
    """The tenant whose tables are wrong, where it is not served to that tenant only."""

    @property
    def is_failure(self) -> bool:
        """Whether somebody wants it to be served."""
        return self.phase != "trusted" and not self.is_idle

    @property
    def why(self) -> str:
        """The phase it did not get through, and the reason with its remedy."""
        return f"not {self.phase}: {self.reason}"

    def __str__(self) -> str:
        whom = "" if self.tenant is None else f" to tenant {self.tenant!r}"
        return f"plugin {self.owner} is not served{whom}: {self.why}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plugin that is ready to be opened: what it declared, its settings, and its tools in canonical order."""

    owner: Owner
    plugin: Plugin
    environments: Environments
    tools: tuple[BoundTool, ...]
    withheld: tuple[str, ...]
    """The names of tools that are not served, since they write and no environment lets them."""
    prompts: tuple[BoundPrompt, ...]
    resources: tuple[BoundResource, ...]
    implementation: Any = field(repr=False)
    hooks: Mapping[str, Callable[..., Any]] = field(repr=False)
    tenants: "Mapping[str, Loaded | None]" = field(default_factory=dict[str, "Loaded | None"], repr=False)
    """What is served to tenants in place of this; `None` to those that it is not served to."""
    why_hidden: str = ""
    """Why it is served to tenants only: what its settings lack without one."""

    @property
    def name(self) -> str:
        return self.plugin.name

    def of_tenant(self, tenant: str) -> "Loaded | None":
        """What of it is served to a tenant: the same as to everybody, unless the tenant's tables say otherwise."""
        return self.tenants.get(tenant, self)

    def tool_names(self, group: str) -> list[str]:
        """The names of a group's tools, in the order of the group."""
        functions = next(g.tools for g in self.plugin.groups if g.name == group)
        return [self.plugin.tool_name(function) for function in functions]


class _Failed(Exception):  # noqa: N818 # carries a phase and a reason to the one place that catches it
    def __init__(self, phase: Phase, reason: str) -> None:
        super().__init__(reason)
        self.phase: Phase = phase
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Bound:
    """What a plugin declared, with the settings of everybody or of a tenant."""

    environments: Environments = NOWHERE
    tools: tuple[BoundTool, ...] = ()
    withheld: tuple[str, ...] = ()
    prompts: tuple[BoundPrompt, ...] = ()
    resources: tuple[BoundResource, ...] = ()


class _Binder:
    """Binds what one plugin declared to settings, once for everybody and once for each tenant.

    A tool is made once and then copied: its schemas are the same, and to make them takes most of the time.
    """

    def __init__(self, plugin: Plugin, *, by_token: bool) -> None:
        self.plugin = plugin
        self._by_token = by_token
        self._threads = anyio.CapacityLimiter(SYNC_THREADS)
        self._tools: dict[Function, BoundTool] = {}
        self._others: dict[str, Sequence[str]] = {}

    @property
    def names(self) -> Mapping[str, Sequence[str]]:
        """The names of all that was bound, by what it is."""
        return {"tool": [tool.name for tool in self._tools.values()], **self._others}

    def bind(self, environments: Environments) -> _Bound:
        """All of it with these settings."""
        tools = tuple(self._bind_tools(environments))
        prompts = bind_prompts(self.plugin, environments.settings, self._threads)
        resources = bind_resources(self.plugin, environments.settings, self._threads)
        self._others = {"prompt": [one.name for one in prompts], "resource": [one.uri for one in resources]}
        served = tuple(tool for tool in tools if not tool.is_withheld)
        withheld = tuple(tool.name for tool in tools if tool.is_withheld)
        return _Bound(environments, served, withheld, prompts, resources)

    def _bind_tools(self, environments: Environments) -> Iterator[BoundTool]:
        needs = {group.name: group.needs for group in self.plugin.groups}
        for function, group in self.plugin.functions():
            where = _where(environments, needs.get(group or ""))
            if where is not None:
                yield self._bind_tool(function, group, where)

    def _bind_tool(self, function: Function, group: str | None, where: Environments) -> BoundTool:
        known = self._tools.get(function)
        if known is not None:
            return known.bound_to(where)
        self._tools[function] = BoundTool(self.plugin, function, where, self._threads, group, by_token=self._by_token)
        return self._tools[function]


class Loader:
    """Loads every plugin there is, each on its own: what fails is quarantined, and the next one is tried.

    Every hub has a loader of its own, so that two hubs in a process share no plugin state. `known` are implementations
    that are there already, from before a reload.
    """

    def __init__(
        self,
        settings: HubSettings,
        environ: Mapping[str, str] = os.environ,
        *,
        known: Mapping[Owner, Any] | None = None,
    ) -> None:
        self._known = known or {}
        self._settings = settings
        self._environ = environ
        self._registry = pluggy.PluginManager("pegboard")
        self._registry.add_hookspecs(hookspecs)
        self._owners: dict[str, Owner] = {}
        self._claims: dict[tuple[str, str], Owner] = {}

    def load(self, found: Iterable[EntryPoint] | None = None) -> list[Loaded | Quarantined]:
        """Load `found`, or all entry points that are installed, in name order.

        Of two plugins with one name this project's own is served, else the first by distribution name. Imports run
        in a thread with a time limit; one that hangs is left behind there.
        """
        points = entry_points(group=ENTRY_POINT_GROUP) if found is None else found
        order = sorted(points, key=lambda point: (point.name, _is_foreign(point), Owner.of(point).distribution))
        return [outcome for point in order for outcome in self._load_one(point)]

    def _load_one(self, point: EntryPoint) -> list[Loaded | Quarantined]:
        owner, plugin, claims = Owner.of(point), None, dict(self._claims)
        refused: list[Loaded | Quarantined] = []
        try:
            self._check_unique(owner)
            self._check_trust(owner)
            implementation = self._known[owner] if owner in self._known else self._import(point)
            hooks = self._register(owner, implementation)
            plugin = self._declare(owner, hooks)
            binder = _Binder(plugin, by_token=self._settings.calls.confirm_by_token)
            base = self._bind(binder)
            tenants = {name: self._bind_tenant(binder, name) for name in self._differing(plugin)}
            wrong = {name: found for name, found in tenants.items() if isinstance(found, _Failed)}
            refused += [Quarantined(owner, f.phase, f.reason, plugin, tenant=name) for name, f in wrong.items()]
            if isinstance(base, _Failed) and not any(isinstance(found, _Bound) for found in tenants.values()):
                raise base
            loaded = _loaded(owner, plugin, implementation, hooks, base, tenants)
            self._claim(owner, "credential header", [header.lower() for header in plugin.credentials])
            for what, names in binder.names.items():
                self._claim(owner, what, names)
        except _Failed as failure:
            self._claims = claims
            is_idle = failure.phase == "configured" and plugin is not None and not self._is_spoken_of(plugin)
            return [Quarantined(owner, failure.phase, failure.reason, plugin, is_idle), *refused]
        self._owners[owner.name] = owner
        return [loaded, *refused]

    def _check_unique(self, owner: Owner) -> None:
        other = self._owners.get(owner.name)
        if other is not None:
            raise _Failed("found", f"the name belongs to {other} already; uninstall one of the two")

    def _check_trust(self, owner: Owner) -> None:
        reason = why_untrusted(owner, self._settings.trust.allow)
        if reason is not None:
            raise _Failed("trusted", reason)

    def _import(self, point: EntryPoint) -> Any:
        def load() -> Any:
            loaded = point.load()
            return loaded() if isinstance(loaded, type) else loaded

        return _in_time("imported", "the import", self._settings.loading.timeout, load)

    def _register(self, owner: Owner, implementation: Any) -> dict[str, Callable[..., Any]]:
        try:
            self._registry.register(implementation, name=f"{owner.name}-{owner.distribution}")
        except (pluggy.PluginValidationError, ValueError) as error:
            raise _Failed("declared", f"its hooks do not fit pegboard's: {error}") from error
        hooks = {caller.name: _hook_of(caller, implementation) for caller in self._callers(implementation)}
        if "hub_plugin" not in hooks:
            raise _Failed("declared", "it has no hub_plugin(); write one and mark it with @hookimpl")
        return hooks

    def _callers(self, implementation: Any) -> list[pluggy.HookCaller]:
        callers = self._registry.get_hookcallers(implementation) or []
        unknown = [caller.name for caller in callers if not caller.has_spec()]
        if unknown:
            raise _Failed("declared", f"pegboard has no hook {unknown[0]!r}; see pegboard.hookspecs")
        return callers

    def _declare(self, owner: Owner, hooks: Mapping[str, Callable[..., Any]]) -> Plugin:
        plugin = _in_time("declared", "hub_plugin()", self._settings.loading.timeout, hooks["hub_plugin"])
        if not isinstance(plugin, Plugin):
            raise _Failed("declared", f"hub_plugin() returned {type(plugin).__name__}, not a Plugin")
        if plugin.name != owner.name:
            raise _Failed("declared", f"its entry point is called {owner.name!r} and its plugin {plugin.name!r}")
        return plugin

    def _bind(self, binder: "_Binder", tenancy: Tenancy | None = None) -> "_Bound | _Failed":
        """What a plugin declared, bound to its settings; a failure to read those is returned."""
        try:
            environments = _guarded("configured", partial(self._configure, binder.plugin, tenancy))
        except _Failed as failure:
            return failure
        return _guarded("declared", partial(binder.bind, environments))

    def _bind_tenant(self, binder: "_Binder", tenant: str) -> "_Bound | _Failed | None":
        """The same for a tenant; `None` where it is not served to them."""
        settings, plugin = self._settings.tenants[tenant], binder.plugin
        table = settings.plugins.get(plugin.name)
        if table is None:
            return None
        return self._bind(binder, Tenancy(tenant, table, plugin.login_keys, settings.shared))

    def _differing(self, plugin: Plugin) -> list[str]:
        """The tenants that have something else of a plugin than everybody; what the hub tells of itself is for all."""
        tenants = self._settings.tenants.items()
        is_shared = plugin.name == HUB
        return [name for name, said in tenants if plugin.name in said.plugins or not (said.shared or is_shared)]

    def _configure(self, plugin: Plugin, tenancy: Tenancy | None) -> Environments:
        table = self._settings.plugins.get(plugin.name, {})
        return environments_of(plugin.name, plugin.settings, table, self._environ, tenancy)

    def _is_spoken_of(self, plugin: Plugin) -> bool:
        prefix = f"{PREFIX}{plugin.name}_".upper()
        return plugin.name in self._settings.plugins or any(name.startswith(prefix) for name in self._environ)

    def _claim(self, owner: Owner, what: str, names: Iterable[str]) -> None:
        for name in names:
            other = self._claims.get((what, name))
            if other is not None:
                raise _Failed("declared", f"its {what} {name!r} has the name of a {what} of {other}")
            self._claims[what, name] = owner


def why_untrusted(owner: Owner, allow: Iterable[str]) -> str | None:
    """Decide from the distribution's name and version alone whether a plugin may be imported.

    Returns `None` for one that may, else the reason with the line to add.
    """
    if owner.distribution in OWN_DISTRIBUTIONS:
        return None
    allowed = [Requirement(line) for line in allow]
    named = [line for line in allowed if canonicalize_name(line.name) == owner.distribution]
    with suppress(InvalidVersion):
        if any(line.specifier.contains(Version(owner.version), prereleases=True) for line in named):
            return None
    if named:
        return f"[trust] allows {', '.join(map(str, named))}, and installed is {owner.version}"
    lines = ", ".join(f'"{line}"' for line in [*map(str, allowed), owner.distribution])
    return f"it was not imported; if you trust it, write under [trust]: allow = [{lines}]"


def _is_foreign(point: EntryPoint) -> bool:
    return Owner.of(point).distribution not in OWN_DISTRIBUTIONS


def _hook_of(caller: pluggy.HookCaller, implementation: Any) -> Callable[..., Any]:
    """One plugin's own implementation of a hook: pluggy's fan-out loses all results when one raises."""
    found = next(impl for impl in caller.get_hookimpls() if impl.plugin is implementation)

    def call(**given: Any) -> Any:
        return found.function(*[given[name] for name in found.argnames])

    return call


def _in_time(phase: Phase, what: str, timeout: float, work: Callable[[], T]) -> T:
    """Run `work` in a daemon thread, since nothing else can be left behind when it hangs."""
    outcome: list[Callable[[], T]] = []

    def run() -> None:
        try:
            value = work()
        except BaseException as error:  # noqa: BLE001 # a plugin may raise anything, SystemExit too
            outcome.append(_raiser(error))
        else:
            outcome.append(lambda: value)

    thread = threading.Thread(target=run, name=f"pegboard {phase}", daemon=True)
    thread.start()
    thread.join(timeout)
    if not outcome:
        raise _Failed(phase, f"{what} took longer than {timeout:g} s and was left behind")
    return _guarded(phase, outcome[0])


def _raiser(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


def _guarded(phase: Phase, work: Callable[[], T]) -> T:
    try:
        return work()
    except PegboardError as error:
        raise _Failed(phase, str(error)) from error
    except BaseException as error:  # see above: this isolates one plugin from the rest
        log.debug("a plugin failed while it was %s", phase, exc_info=error)
        raise _Failed(phase, f"{type(error).__name__}: {error}") from error


def _loaded(
    owner: Owner,
    plugin: Plugin,
    implementation: Any,
    hooks: Mapping[str, Callable[..., Any]],
    base: _Bound | _Failed,
    tenants: Mapping[str, _Bound | _Failed | None],
) -> Loaded:
    def served(bound: _Bound) -> Loaded:
        parts = (bound.environments, bound.tools, bound.withheld, bound.prompts, bound.resources)
        return Loaded(owner, plugin, *parts, implementation, hooks)

    of_tenants = {name: served(found) if isinstance(found, _Bound) else None for name, found in tenants.items()}
    if isinstance(base, _Failed):
        return replace(served(_Bound()), tenants=of_tenants, why_hidden=base.reason)
    return replace(served(base), tenants=of_tenants)


def _where(environments: Environments, key: str | None) -> Environments | None:
    """The environments whose settings have that key set; `None` if there are none."""
    if key is None:
        return environments
    found = {name: one for name, one in environments.by_name.items() if getattr(one.settings, key)}
    default = environments.default if environments.default in found else None
    return replace(environments, default=default, by_name=found) if found else None
