"""Offers: from plugins and settings to the list of endpoints, each with its tools and its budget."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from importlib import import_module

from pegboard.budget import PROFILES, Budget, Overflow, fit
from pegboard.environments import DEFAULT
from pegboard.errors import ConfigError
from pegboard.fetching import fetch_more_tool
from pegboard.loading import Loaded
from pegboard.overflow import meta_tokens
from pegboard.plugin import PLACE, RESERVED_NAMES, Group
from pegboard.search import Lexicon
from pegboard.settings import BudgetSettings, EndpointSettings, HubSettings
from pegboard.tokenizers import counter
from pegboard.tools import BoundTool
from pegboard.validation import did_you_mean
from pegboard.view import NOTHING, Offer

EVERYTHING = "all"
"""The name of the endpoint of the whole hub."""

DEFAULT_PROFILE = "large"

INSTRUCTIONS = "Tools of several systems; a tool's name begins with its system. Read an error: it says what to do next."


def offers_of(plugins: Sequence[Loaded], settings: HubSettings) -> list[Offer]:
    """The whole hub, each plugin, each group, each endpoint of the file, and the whole hub by profile.

    What only a tenant has is there with nothing in it. Raises `ConfigError` for an endpoint of the file that has the
    name of something else.
    """
    _check_names(plugins, settings.endpoints)
    _check_environments([*plugins, *(p for name in settings.tenants for p in _of_tenant(plugins, name))], settings)
    lexicon = _lexicon() if settings.budget.semantic else None
    more = fetch_more_tool()
    offers = [replace(_with_more(offer, more), lexicon=lexicon) for offer in _offers(plugins, settings)]
    paths = {offer.path for offer in offers}
    theirs = {o.path: o for name in settings.tenants for o in _groups(_of_tenant(plugins, name), settings)}
    return [*offers, *(replace(offer, **NOTHING) for path, offer in theirs.items() if path not in paths)]


def offers_to(
    tenant: str, plugins: Sequence[Loaded], settings: HubSettings, offers: Sequence[Offer]
) -> Mapping[str, Offer]:
    """What a tenant is offered in place of these, by path; the same where it has nothing of its own."""
    own = _of_tenant(plugins, tenant)
    if own == list(plugins):
        return {offer.path: offer for offer in offers}
    more, lexicon = offers[0].more, offers[0].lexicon
    assert more is not None
    made = {offer.path: replace(_with_more(offer, more), lexicon=lexicon) for offer in _offers(own, settings)}
    return {offer.path: made.get(offer.path, replace(offer, **NOTHING)) for offer in offers}


def check_budget(offer: Offer) -> None:
    """Raise `BudgetError` for an offer that does not fit its budget."""
    cost = meta_tokens(offer.count, read_twin=offer.budget.read_twin)
    fit(offer.tools, offer.budget, meta_tokens=cost, count=offer.count)


def _of_tenant(plugins: Sequence[Loaded], tenant: str) -> list[Loaded]:
    return [served for plugin in plugins if (served := plugin.of_tenant(tenant)) is not None]


def _offers(plugins: Sequence[Loaded], settings: HubSettings) -> Iterator[Offer]:
    everything = _everything(plugins, settings)
    yield everything
    yield from (_of_plugin(plugin, settings) for plugin in plugins)
    yield from _groups(plugins, settings)
    for name, endpoint in settings.endpoints.items():
        yield _named(everything, name, endpoint, settings)
    yield from _profiles(everything)


def _with_more(offer: Offer, more: BoundTool) -> Offer:
    """The offer with the tool that reads on: listed where answers are lists, unless there is no room for one more."""
    listed = any(tool.returns_rows for tool in offer.tools)
    limit = offer.budget.tools
    if listed and not (offer.budget.overflow == "error" and limit is not None and len(offer.tools) >= limit):
        offer = replace(offer, tools=[*offer.tools, more])
    return replace(offer, more=more)


def all_tools(plugins: Iterable[Loaded]) -> list[BoundTool]:
    """The tools of these plugins, those that only tenants have included, each name once."""
    served = [one for plugin in plugins for one in (plugin, *plugin.tenants.values()) if one is not None]
    return list({tool.name: tool for one in served for tool in one.tools}.values())


def needless(tools: Sequence[BoundTool], settings: HubSettings) -> Iterator[str]:
    """One line for each pin and each pattern of the settings that stands for no tool."""
    names = {tool.name for tool in tools}
    for pin in settings.budget.pinned:
        if pin not in names:
            yield f"[budget] pinned: there is no tool {pin!r}; {did_you_mean(pin, names)}".rstrip("; ")
    for name, endpoint in settings.endpoints.items():
        for pattern in endpoint.tools:
            if not matching(tools, [pattern]):
                yield f"[endpoints.{name}] tools: no tool has the name {pattern!r}"
        own = {tool.name for tool in matching(tools, endpoint.tools)}
        for pin in endpoint.budget.pinned:
            if pin not in own:
                yield f"[endpoints.{name}.budget] pinned: {pin!r} is none of its tools"


def matching(tools: Iterable[BoundTool], patterns: Iterable[str]) -> list[BoundTool]:
    """The tools whose name fits one of the patterns, in the order of the tools."""
    patterns = list(patterns)
    return [tool for tool in tools if any(fnmatchcase(tool.name, pattern) for pattern in patterns)]


def budget_of(*layers: BudgetSettings) -> Budget:
    """The budget that the layers say, the most specific first.

    The first layer with a profile or a number decides both limits, the first with an overflow or pins those.
    """
    overflows: list[Overflow] = [layer.overflow for layer in layers if layer.overflow]
    limits = next((layer for layer in layers if layer.profile or layer.tools or layer.tokens), BudgetSettings())
    profile = PROFILES[limits.profile or (DEFAULT_PROFILE if not (limits.tools or limits.tokens) else "unlimited")]
    return Budget(
        tools=limits.tools or profile.tools,
        tokens=limits.tokens or profile.tokens,
        overflow=overflows[0] if overflows else "search",
        pinned=next((layer.pinned for layer in layers if layer.pinned), ()),
        read_twin=any(layer.read_twin for layer in layers),
    )


def _lexicon() -> Lexicon:
    try:
        return import_module("pegboard.semantic").WordVectors()
    except ImportError as error:
        raise ConfigError("[budget] semantic = true needs a package; pip install 'pegboard[semantic]'") from error


def _everything(plugins: Sequence[Loaded], settings: HubSettings) -> Offer:
    return Offer(
        name=EVERYTHING,
        path="",
        title="pegboard",
        instructions=INSTRUCTIONS,
        tools=[tool for plugin in plugins for tool in plugin.tools],
        prompts=[prompt for plugin in plugins for prompt in plugin.prompts],
        resources=[resource for plugin in plugins for resource in plugin.resources],
        budget=budget_of(settings.budget),
        count=counter(settings.budget.tokenizer),
    )


def _of_plugin(plugin: Loaded, settings: HubSettings) -> Offer:
    return Offer(
        name=plugin.name,
        path=f"/{plugin.name}",
        title=plugin.name,
        instructions=plugin.plugin.instructions,
        tools=plugin.tools,
        prompts=plugin.prompts,
        resources=plugin.resources,
        budget=budget_of(settings.budget),
        count=counter(settings.budget.tokenizer),
    )


def _groups(plugins: Sequence[Loaded], settings: HubSettings) -> Iterator[Offer]:
    for plugin in plugins:
        for group in plugin.plugin.groups:
            offer = _group(plugin, group, settings)
            if offer.tools or not group.tools:  # none are left of a group that writes, where that is off
                yield offer


def _group(plugin: Loaded, group: Group, settings: HubSettings) -> Offer:
    # The prompts and resources of a plugin belong to it as a whole, so a group has tools only. What does not fit a
    # group has nowhere smaller to go, so that is an error.
    names = set(plugin.tool_names(group.name))
    return replace(
        _of_plugin(plugin, settings),
        name=f"{plugin.name}/{group.name}",
        path=f"/{plugin.name}/{group.name}",
        title=group.title or f"{plugin.name} {group.name}",
        tools=[tool for tool in plugin.tools if tool.name in names],
        prompts=(),
        resources=(),
        budget=replace(budget_of(settings.budget), overflow="error"),
    )


def _named(everything: Offer, name: str, endpoint: EndpointSettings, settings: HubSettings) -> Offer:
    tools = matching(everything.tools, endpoint.tools)
    tools = [tool for tool in tools if not (endpoint.read_only and tool.writes)]
    return Offer(
        name=name,
        path=f"/{name}",
        title=endpoint.title or name,
        instructions=endpoint.instructions,
        tools=tools if endpoint.environment is None else _within(tools, endpoint.environment),
        budget=budget_of(endpoint.budget, settings.budget),
        count=counter(endpoint.budget.tokenizer or settings.budget.tokenizer),
    )


def _within(tools: Sequence[BoundTool], environment: str) -> list[BoundTool]:
    """The tools in one environment; a tool whose plugin has others and not this one is not among them."""
    return [
        tool.within(environment)
        for tool in tools
        if environment in tool.environments.by_name or list(tool.environments.by_name) == [DEFAULT]
    ]


def _profiles(everything: Offer) -> Iterator[Offer]:
    for profile, limits in PROFILES.items():
        name = f"profiles/{profile}"
        budget = replace(limits, pinned=everything.budget.pinned, read_twin=everything.budget.read_twin)
        yield replace(everything, name=name, path=f"/{name}", title=f"pegboard, {profile}", budget=budget)


def _check_environments(plugins: Sequence[Loaded], settings: HubSettings) -> None:
    for name, endpoint in settings.endpoints.items():
        tools = matching((tool for plugin in plugins for tool in plugin.tools), endpoint.tools)
        known = {place for tool in tools if tool.environments.has_choice for place in tool.environments.by_name}
        if endpoint.environment is not None and endpoint.environment not in known:
            there = ", ".join(sorted(known)) or "none"
            raise ConfigError(
                f"[endpoints.{name}] environment: none of its tools has an environment {endpoint.environment!r}; "
                f"there are {there}"
            )


def _check_names(plugins: Sequence[Loaded], names: Iterable[str]) -> None:
    taken = {plugin.name: f"plugin {plugin.owner}" for plugin in plugins}
    for name in names:
        if name in taken or name in RESERVED_NAMES or name == EVERYTHING:
            owner = taken.get(name, "the hub itself")
            raise ConfigError(f"[endpoints.{name}]: the name belongs to {owner}; choose another")
        if not PLACE.fullmatch(name):
            hint = "1 to 32 lower case letters, digits, '_' and '-', a letter first"
            raise ConfigError(f"[endpoints.{name}]: the name is part of URLs; use {hint}")
