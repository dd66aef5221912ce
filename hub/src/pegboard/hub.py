"""The hub: plugins, pools and endpoints, opened in this order and closed in reverse."""

import logging
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.metadata import EntryPoint, version
from types import TracebackType
from typing import Self

import anyio
from opentelemetry import trace

from pegboard.endpoint import Endpoint, Offer
from pegboard.errors import PluginError
from pegboard.keeper import Keepers
from pegboard.loading import Loaded, Loader, Quarantined
from pegboard.plugin import Group
from pegboard.pools import Pools
from pegboard.settings import HubSettings
from pegboard.tools import Runner

log = logging.getLogger(__name__)

VERSION = version("pegboard")

EVERYTHING = "all"
"""The name of the endpoint of the whole hub."""

INSTRUCTIONS = "Tools of several systems; a tool's name begins with its system. Read an error: it says what to do next."


class Hub:
    """Everything a process serves; an async context manager. Two hubs in one process share nothing.

    Entering loads the plugins, opens their lifespans side by side and builds the endpoints; no backend is contacted.
    Raises `PluginError` on entering when `[loading] strict` is set and a plugin fails; otherwise that plugin stands in
    `quarantined` and the others are served. Leaving closes pools first, then lifespans, each within its time.
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
        self.pools = Pools()
        self.plugins: list[Loaded] = []
        self.quarantined: list[Quarantined] = []
        self.endpoints: dict[str, Endpoint] = {}
        self._environ = environ
        self._found = found
        self._started = time.monotonic()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._load()
        async with AsyncExitStack() as stack:
            lifespans = Keepers(open_timeout=self.settings.loading.timeout)
            await stack.enter_async_context(lifespans)
            await self._open(lifespans)
            self._report()
            await stack.enter_async_context(self.pools)
            self.endpoints = {offer.path: self._endpoint(offer) for offer in self._offers()}
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)

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
        """The plugins that should be served and are not; one that is only not trusted is not among them."""
        return [plugin for plugin in self.quarantined if plugin.phase != "trusted"]

    def paths_of(self, plugin: str) -> list[str]:
        """The paths of a plugin's endpoints, the plugin's own first."""
        return [path for path in self.endpoints if path == f"/{plugin}" or path.startswith(f"/{plugin}/")]

    def _load(self) -> None:
        for outcome in Loader(self.settings, self._environ).load(self._found):
            if isinstance(outcome, Quarantined):
                self.quarantined.append(outcome)
            else:
                self.plugins.append(outcome)

    async def _open(self, lifespans: Keepers) -> None:
        async with anyio.create_task_group() as tasks:
            for plugin in list(self.plugins):
                if "hub_lifespan" in plugin.hooks:
                    tasks.start_soon(self._open_lifespan, plugin, lifespans)

    async def _open_lifespan(self, plugin: Loaded, lifespans: Keepers) -> None:
        try:
            manager = plugin.hooks["hub_lifespan"](hub=self)
            if manager is not None:
                await lifespans.keep(f"the lifespan of plugin {plugin.name}", manager)
        except TimeoutError:
            self._quarantine(plugin, f"hub_lifespan() did not open within {lifespans.open_timeout:g} s")
        except Exception as error:  # noqa: BLE001 # one plugin's set-up must not stop the others
            self._quarantine(plugin, f"hub_lifespan() raised {type(error).__name__}: {error}")

    def _quarantine(self, plugin: Loaded, reason: str) -> None:
        self.plugins.remove(plugin)
        self.quarantined.append(Quarantined(plugin.owner, "opened", reason))

    def _report(self) -> None:
        if self.settings.loading.strict and self.failed:
            raise PluginError("\n".join(str(plugin) for plugin in self.failed))
        for plugin in self.quarantined:
            log.warning("%s", plugin)
        for plugin in self.plugins:
            log.info("plugin %s is served with %d tools", plugin.owner, len(plugin.tools))

    def _offers(self) -> Iterable[Offer]:
        # The prompts and resources of a plugin belong to it as a whole, so a group has tools only.
        plugins = [self._offer(plugin) for plugin in self.plugins]
        yield Offer(
            name=EVERYTHING,
            path="",
            title="pegboard",
            instructions=INSTRUCTIONS,
            tools=[tool for offer in plugins for tool in offer.tools],
            prompts=[prompt for offer in plugins for prompt in offer.prompts],
            resources=[resource for offer in plugins for resource in offer.resources],
        )
        yield from plugins
        for plugin in self.plugins:
            yield from (self._group_offer(plugin, group) for group in plugin.plugin.groups)

    def _offer(self, plugin: Loaded) -> Offer:
        return Offer(
            name=plugin.name,
            path=f"/{plugin.name}",
            title=plugin.name,
            instructions=plugin.plugin.instructions,
            tools=plugin.tools,
            prompts=plugin.prompts,
            resources=plugin.resources,
        )

    def _group_offer(self, plugin: Loaded, group: Group) -> Offer:
        names = set(plugin.tool_names(group.name))
        return replace(
            self._offer(plugin),
            name=f"{plugin.name}/{group.name}",
            path=f"/{plugin.name}/{group.name}",
            title=group.title or f"{plugin.name} {group.name}",
            tools=[tool for tool in plugin.tools if tool.name in names],
            prompts=(),
            resources=(),
        )

    def _endpoint(self, offer: Offer) -> Endpoint:
        hooks = [plugin.hooks["hub_around_call"] for plugin in self.plugins if "hub_around_call" in plugin.hooks]
        runner, calls = Runner(around=hooks), self.settings.calls
        return Endpoint(offer, self.version, calls=calls, runner=runner, pools=self.pools, tracing=self.tracing)
