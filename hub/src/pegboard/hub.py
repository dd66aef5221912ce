"""The hub: plugins, pools and endpoints, opened in this order and closed in reverse."""

import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.metadata import EntryPoint, version
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.to_thread
from opentelemetry import trace

from pegboard import logs, telemetry
from pegboard.call import Call
from pegboard.catalog import Catalog, catalog_of, changes, fingerprint_of
from pegboard.confirmations import Confirmations
from pegboard.endpoint import CHANGES, Endpoint, principal_of
from pegboard.errors import BudgetError, PegboardError, PluginError
from pegboard.keeper import Keepers, Kept
from pegboard.leaks import Leaks
from pegboard.loading import Loaded, Loader, Owner, Quarantined
from pegboard.metrics import Metrics
from pegboard.offers import all_tools, check_budget, needless, offers_of, offers_to
from pegboard.overdue import LATE, Overdue
from pegboard.overflow import Overflow
from pegboard.plugin import HUB, Plugin, PluginSettings
from pegboard.pools import Pools
from pegboard.receipt import Receipt, receipt_of, summary_of
from pegboard.resources import BoundResource
from pegboard.results import Results
from pegboard.seal import Seal
from pegboard.security.audit import Audit
from pegboard.security.credentials import CredentialHeaders
from pegboard.security.limits import Limits
from pegboard.security.redaction import Redactor
from pegboard.settings import HubSettings
from pegboard.shared.news import Changed
from pegboard.shared.replicas import Replicas
from pegboard.tools import Runner
from pegboard.view import NOTHING, Offer, View

log = logging.getLogger(__name__)

VERSION = version("pegboard")

ToTenants = Mapping[str, Offer]
"""What is offered at one path, by tenant."""

LIFESPAN = "the lifespan of plugin "
BUDGET_URI = "pegboard://budget"


class Hub:
    """Everything a process serves; an async context manager. Two hubs in one process share nothing.

    Entering loads the plugins, opens their lifespans side by side and builds the endpoints; no backend is contacted.
    Raises `PluginError` on entering when `[loading] strict` is set and a plugin fails; otherwise that plugin stands in
    `quarantined` and the others are served. Raises `BudgetError` and `ConfigError` for endpoints that cannot be.
    Leaving closes pools first, then lifespans, each within its time.
    """

    def __init__(
        self,
        settings: HubSettings | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        found: Iterable[EntryPoint] | None = None,
    ) -> None:
        self.settings = settings or HubSettings()
        self.version = VERSION
        self.started_at = time.time()
        self.pools = Pools(self.settings.pools)
        secret = self.settings.server.secret
        self.seal = Seal() if secret is None else Seal.of(secret.get_secret_value())
        self.results = Results(self.settings.results, self.seal, self._left)
        redis = self.settings.server.redis
        self.replicas = None if redis is None else Replicas(redis, self._heard, self._has_list)
        shared = self.replicas
        self.confirmations = Confirmations(self.seal, is_first=shared.once.is_first if shared else None)
        self.audit = Audit(self.settings.audit.file, self.settings.audit.on_failure)
        self.metrics = Metrics()
        self.limits = Limits(self.settings.limits, self.metrics.limited, shared=shared.buckets if shared else None)
        self.plugins: list[Loaded] = []
        self.quarantined: list[Quarantined] = []
        self.endpoints: dict[str, Endpoint] = {}
        self.generation = 1
        self.reload_attempts = 0
        self.reload_problem: str | None = None
        self._catalogs: Mapping[str, Catalog] = {}
        self._environ = environ
        self._found = None if found is None else list(found)
        self._started = time.monotonic()
        self._lifespans = Keepers(open_timeout=self.settings.loading.timeout, left=self._left)
        self._overdue = Overdue(self.metrics)
        self._leaks = Leaks(self._overdue.goes_on, self.metrics)
        self._open_lifespans: dict[Owner, Kept[Any]] = {}
        self._stack = AsyncExitStack()
        self._reloading = anyio.Lock()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.audit)  # left last: the calls that a stop cancels are on record, too
            await stack.enter_async_context(self._lifespans)
            await self._lifespans.keep("the watch over tasks", self._leaks.run())
            await stack.enter_async_context(self.pools)
            await stack.enter_async_context(self.results)
            stack.push_async_callback(self._leaks.cancel)
            await self._serve(self.settings)
            if self.replicas is not None:
                await self._lifespans.keep("what replicas share", self.replicas.run())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)

    async def reload(self, settings: HubSettings) -> None:
        """Serve by other settings from now on: plugins, endpoints and lists change whole, or not at all.

        Sessions stay open and hear that their lists changed. Plugins that stay keep their state and lifespan, pools
        that are asked for by the same target stay open, and others close when nobody has used them for a while.
        Raises `ConfigError`, `BudgetError` or, when strict, `PluginError`; then nothing has changed. What the server
        listens on stays as it is until a restart.
        """
        async with self._reloading:
            try:
                await self._serve(settings)
            except PegboardError as error:
                self.reload_problem = str(error)
                raise
            self.generation, self.reload_problem = self.generation + 1, None
            self.pools.retire(after=settings.calls.max_deadline)

    def cut_off(self, after: float = LATE) -> None:
        """Wait no longer for any call, in so many seconds: the hub is about to be left."""
        self._lifespans.later(after, self._overdue.give_up)

    @property
    def tracing(self) -> bool:
        """Whether spans go anywhere: somebody has set a tracer provider for this process."""
        return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)

    @property
    def uptime(self) -> float:
        """Seconds since the hub was made."""
        return time.monotonic() - self._started

    @property
    def failed(self) -> list[Quarantined]:
        """The plugins that should be served and are not; one that nobody trusts or configures is not among them."""
        return [plugin for plugin in self.quarantined if plugin.is_failure]

    @property
    def is_degraded(self) -> bool:
        """Whether something that should be served is not: a plugin, or a backend that does not answer."""
        return bool(self.failed or self.pools.paused())

    def paths_of(self, plugin: str) -> list[str]:
        """The paths of a plugin's endpoints, the plugin's own first."""
        return [path for path in self.endpoints if path == f"/{plugin}" or path.startswith(f"/{plugin}/")]

    def seen_by(self, call: Call[Any]) -> list[tuple[Loaded, list[str]]]:
        """The plugins whoever calls sees something of, each with the names of the tools they may call.

        Operators see all, and everybody does where the hub asks for no keys.
        """
        if call.scopes is None or call.may_operate:
            return [(plugin, [tool.name for tool in plugin.tools]) for plugin in self.plugins]
        seen: list[tuple[Loaded, list[str]]] = []
        for plugin in self.plugins:
            served = plugin if call.tenant is None else plugin.of_tenant(call.tenant)
            tools = served.tools if served is not None else ()
            names = [tool.name for tool in tools if call.scopes.places(tool, tool.environments.by_name)]
            seen += [(plugin, names)] if names else []
        return seen

    def receipt(self, path: str = "") -> Receipt:
        """What the endpoint at `path` lists, trims and hides, and why."""
        return receipt_of({place: endpoint.view for place, endpoint in self.endpoints.items()}, path)

    async def _serve(self, settings: HubSettings) -> None:
        loader = Loader(settings, self._environ, known={p.owner: p.implementation for p in self.plugins})
        # In a thread, as the views are: at a reload there are calls in flight, and 2 500 tools take seconds.
        outcomes = await anyio.to_thread.run_sync(loader.load, self._found)
        plugins = [outcome for outcome in outcomes if isinstance(outcome, Loaded)]
        quarantined = [outcome for outcome in outcomes if isinstance(outcome, Quarantined)]
        if not self.endpoints:  # at the start a lifespan may already read who is served
            self.plugins, self.quarantined = plugins, quarantined
        redactor = _redactor_of(settings, plugins)
        logs.learn(redactor)
        telemetry.learn(redactor)
        self.pools.mask = redactor.known
        opened = await self._open(plugins, quarantined)
        try:
            views, tenants = await anyio.to_thread.run_sync(self._build, plugins, quarantined, settings)
            catalogs = await anyio.to_thread.run_sync(_catalogs_of, plugins)
            _check_strict(settings, quarantined)
        except BaseException:
            await self._close(opened)
            raise
        unloaded = {plugin.name for plugin in self.plugins} - {plugin.name for plugin in plugins}
        leaving = [owner for owner in self._open_lifespans if owner not in {plugin.owner for plugin in plugins}]
        self.settings, self.plugins, self.quarantined = settings, plugins, quarantined
        self.limits.change(settings.limits)
        await self.audit.change(settings.audit.file, settings.audit.on_failure, redactor)
        changed = self._show(views, tenants)
        self._note_changes(catalogs)
        self._report()
        async with anyio.create_task_group() as tasks:
            for endpoint, lists in changed:
                tasks.start_soon(endpoint.announce, lists)
            if self.replicas is not None:
                tasks.start_soon(self.replicas.news.tell, {one.offer.path: lists for one, lists in changed})
        await self._close(leaving)
        for name in unloaded:
            await self._leaks.cancel(name)

    def _has_list(self, path: str, kind: str) -> bool:
        return path in self.endpoints and kind in CHANGES

    async def _heard(self, changed: Changed) -> None:
        """Tell clients here that lists have changed at another replica, which may answer them next."""
        async with anyio.create_task_group() as tasks:
            for path, kinds in changed.items():
                if path in self.endpoints:
                    tasks.start_soon(self.endpoints[path].announce, kinds)

    async def _open(self, plugins: list[Loaded], quarantined: list[Quarantined]) -> list[Owner]:
        """Open the lifespans that are not open yet, side by side; returns whose."""
        able = [plugin for plugin in plugins if "hub_lifespan" in plugin.hooks]
        new = [plugin for plugin in able if not self._is_open(plugin.owner)]

        async def open_one(plugin: Loaded) -> None:
            reason = await self._open_lifespan(plugin)
            if reason is not None:
                plugins.remove(plugin)
                quarantined.append(Quarantined(plugin.owner, "opened", reason, plugin.plugin))

        async with anyio.create_task_group() as tasks:
            for plugin in new:
                tasks.start_soon(open_one, plugin)
        return [plugin.owner for plugin in new if plugin in plugins]

    def _is_open(self, owner: Owner) -> bool:
        kept = self._open_lifespans.get(owner)
        return kept is not None and not kept.closed.is_set()

    async def _open_lifespan(self, plugin: Loaded) -> str | None:
        """Open one plugin's lifespan; returns why not."""
        try:
            manager = plugin.hooks["hub_lifespan"](hub=self)
            if manager is not None:
                kept = await self._lifespans.keep(f"{LIFESPAN}{plugin.name}", manager)
                self._open_lifespans[plugin.owner] = kept
        except TimeoutError:
            return f"hub_lifespan() did not open within {self._lifespans.open_timeout:g} s"
        except Exception as error:  # noqa: BLE001 # one plugin's set-up must not stop the others
            return f"hub_lifespan() raised {type(error).__name__}: {error}"
        return None

    async def _close(self, owners: Iterable[Owner]) -> None:
        """Close these lifespans, side by side."""
        async with anyio.create_task_group() as tasks:
            for kept in filter(None, [self._open_lifespans.pop(owner, None) for owner in owners]):
                tasks.start_soon(self._lifespans.close, kept)

    def _left(self, what: str) -> None:
        if what.startswith(LIFESPAN):
            self.metrics.abandoned(what.removeprefix(LIFESPAN), "lifespan")

    def _views(self, plugins: list[Loaded], quarantined: list[Quarantined], settings: HubSettings) -> dict[str, View]:
        """Every endpoint's view. A plugin with a group over its budget is quarantined, since the others can serve."""
        views: dict[str, View] = {}
        overflows: dict[tuple[str, ...], Overflow] = {}
        for offer in offers_of(plugins, settings):
            try:
                views[offer.path] = View.of(self._with_budget(offer), overflows)
            except BudgetError as error:
                plugin = next((plugin for plugin in plugins if offer.name.startswith(f"{plugin.name}/")), None)
                if plugin is not None:
                    plugins.remove(plugin)
                    quarantined.append(
                        Quarantined(plugin.owner, "opened", f"group {offer.name}: {error}", plugin.plugin)
                    )
                    return self._views(plugins, quarantined, settings)
                if not _is_profile(offer):
                    raise BudgetError(f"endpoint {offer.name}: {error}") from error
                log.warning("%s is not served: %s", offer.path, error)
        return views

    def _build(
        self, plugins: list[Loaded], quarantined: list[Quarantined], settings: HubSettings
    ) -> tuple[dict[str, View], dict[str, ToTenants]]:
        """Every endpoint's view, and what is offered there to each tenant."""
        views = self._views(plugins, quarantined, settings)
        offers = [view.offer for view in views.values()]
        tenants = {name: self._offers_to(name, plugins, quarantined, settings, offers) for name in settings.tenants}
        return views, {path: {name: offered[path] for name, offered in tenants.items()} for path in views}

    def _offers_to(
        self,
        tenant: str,
        plugins: list[Loaded],
        quarantined: list[Quarantined],
        settings: HubSettings,
        offers: Sequence[Offer],
    ) -> dict[str, Offer]:
        """What a tenant is offered, by path. A plugin with a group over its budget there is not served to it."""
        offered = dict(offers_to(tenant, plugins, settings, offers))
        for base, offer in zip(offers, [*offered.values()], strict=True):
            if offer is base:
                continue
            try:
                if offer.definitions != base.definitions:  # most tenants have only another login
                    check_budget(offer)
                receipt = base.resources[0]
                offered[offer.path] = replace(offer, resources=[receipt, *offer.resources])
            except BudgetError as error:
                plugin = next((plugin for plugin in plugins if offer.name.startswith(f"{plugin.name}/")), None)
                if plugin is not None:
                    reason = f"group {offer.name}: {error}"
                    plugins[plugins.index(plugin)] = replace(plugin, tenants={**plugin.tenants, tenant: None})
                    quarantined.append(Quarantined(plugin.owner, "opened", reason, plugin.plugin, tenant=tenant))
                    return self._offers_to(tenant, plugins, quarantined, settings, offers)
                log.warning("%s is not served to tenant %s: %s", offer.path or "/", tenant, error)
                offered[offer.path] = replace(offer, **NOTHING)
        return offered

    def _show(self, views: Mapping[str, View], tenants: Mapping[str, ToTenants]) -> list[tuple[Endpoint, list[str]]]:
        """Serve these views from now on; returns whose lists are others now, and which."""
        self.results.change(self.settings.results)
        self.pools.change(self.settings.pools)
        hooks = [p.hooks["hub_around_call"] for p in self.plugins if "hub_around_call" in p.hooks]
        confirmations = self.confirmations if self.settings.calls.confirm_by_token else None
        runner = Runner(
            self.results,
            hooks,
            self.audit,
            self.limits,
            self.metrics,
            credentials=CredentialHeaders(plugin.plugin for plugin in self.plugins),
            confirmations=confirmations,
            tells=self.settings.log.calls,
            overdue=self._overdue,
        )
        before, calls = self.endpoints, self.settings.calls
        self.endpoints = {path: before.get(path) or self._endpoint(view) for path, view in views.items()}
        return [
            (endpoint, endpoint.show(views[path], runner, calls, tenants[path], views[""].tools))
            for path, endpoint in self.endpoints.items()
        ]

    def _endpoint(self, view: View) -> Endpoint:
        return Endpoint(view, self.version, pools=self.pools, results=self.results, tracing=self.tracing)

    def _report(self) -> None:
        for plugin in self.quarantined:
            log.log(logging.INFO if plugin.is_idle else logging.WARNING, "%s", plugin)
        for plugin in self.plugins:
            digits = fingerprint_of(self._catalogs[plugin.name])
            told = (plugin.owner, len(plugin.tools), digits, _withheld(plugin))
            log.info("plugin %s is served with %d tools, catalog %s%s", *told)
            if plugin.why_hidden:
                log.warning("plugin %s is served to tenants only: %s", plugin.owner, plugin.why_hidden)
        for line in needless(all_tools(self.plugins), self.settings):
            log.warning("%s", line)
        for endpoint in self.endpoints.values():
            summary = summary_of(endpoint.view)
            if summary is not None:
                log.log(logging.DEBUG if _is_profile(endpoint.offer) else logging.INFO, "%s", summary)

    def _note_changes(self, catalogs: Mapping[str, Catalog]) -> None:
        """Say and write down which plugins show clients other tools than before a reload."""
        before, self._catalogs = self._catalogs, catalogs
        for name in sorted({*before, *catalogs}) if before else ():
            was, now = before.get(name, {}), catalogs.get(name, {})
            changed = changes(was, now)
            if changed:
                self.audit.catalog(name, fingerprint_of(was), fingerprint_of(now), changed)
                log.warning("plugin %r shows other tools than before: %s", name, changed)

    def _with_budget(self, offer: Offer) -> Offer:
        """The offer with its own receipt as a resource."""

        async def budget(call: Call[PluginSettings]) -> Receipt:
            """Which tools this endpoint lists, trims and hides, with their tokens and the reasons."""
            if call.may_operate:
                return self.receipt(offer.path)
            principal = principal_of(call.request)
            return receipt_of({p: await one.sights.of(principal) for p, one in self.endpoints.items()}, offer.path)

        resource = BoundResource(Plugin(name=HUB), BUDGET_URI, budget, PluginSettings())
        return replace(offer, resources=[resource, *offer.resources])  # first, so that no template stands before it


def _redactor_of(settings: HubSettings, plugins: Iterable[Loaded]) -> Redactor:
    """One that knows every secret of these settings, and of the plugins' own, those of tenants included."""
    of_tenants = [served for plugin in plugins for served in plugin.tenants.values() if served is not None]
    return Redactor.of([settings, *(plugin.environments for plugin in (*plugins, *of_tenants))])


def _is_profile(offer: Offer) -> bool:
    """Whether it is one of the hub's own profile endpoints, which nobody asked for in particular."""
    return offer.name.startswith("profiles/")


def _catalogs_of(plugins: Iterable[Loaded]) -> dict[str, Catalog]:
    return {plugin.name: catalog_of(tool.definition for tool in plugin.tools) for plugin in plugins}


def _withheld(plugin: Loaded) -> str:
    if not plugin.withheld:
        return ""
    return f"; {len(plugin.withheld)} that write are not: see `writes` of [plugins.{plugin.name}]"


def _check_strict(settings: HubSettings, quarantined: Iterable[Quarantined]) -> None:
    failed = [str(plugin) for plugin in quarantined if plugin.is_failure]
    if settings.loading.strict and failed:
        raise PluginError("\n".join(failed))
