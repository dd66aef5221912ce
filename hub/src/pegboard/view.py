"""A view: what an endpoint lists of its tools, prompts and resources, built once and the same for every session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import mcp_types as types

from pegboard.budget import Budget, CountTokens, Fit, count_tokens, fit
from pegboard.overflow import CALL_TOOL, SEARCH_TOOLS, Overflow, meta_tokens, meta_tools
from pegboard.plugin import HUB
from pegboard.prompts import BoundPrompt
from pegboard.resources import BoundResource
from pegboard.search import Lexicon
from pegboard.security.scopes import Scopes
from pegboard.tools import BoundTool

UNLIMITED = Budget()

MAX_PLACES = 20
"""How many other endpoints the instructions name, which every conversation pays for."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What an endpoint serves: its name and text for people and models, what can be called there, and its budget."""

    name: str
    """`all`, a plugin, `plugin/group`, `profiles/small`, or a name from the file."""
    path: str
    """What stands before `/sse` and `/mcp`: empty for the whole hub, else `/` and the name."""
    title: str
    instructions: str | None = None
    tools: Sequence[BoundTool] = ()
    prompts: Sequence[BoundPrompt] = ()
    resources: Sequence[BoundResource] = ()
    budget: Budget = UNLIMITED
    count: CountTokens = field(default=count_tokens, repr=False)
    more: BoundTool | None = field(default=None, repr=False)
    """What reads on where an answer was cut; it can be called though it is not listed."""
    lexicon: Lexicon | None = field(default=None, repr=False)
    """What words mean, where hidden tools are searched by meaning, too."""

    def seen_by(self, scopes: Scopes) -> "Offer":
        """What is left of it for somebody with these scopes, tools in fewer environments, too; itself if all is.

        Prompts and resources belong to a plugin as a whole. What is the hub's own goes with anything else.
        """
        seen = [(tool, scopes.places(tool, tool.environments.by_name)) for tool in self.tools if tool != self.more]
        tools = [tool.among(names) for tool, names in seen if names]
        prompts = [prompt for prompt in self.prompts if scopes.allows_plugin(prompt.plugin)]
        resources = [one for one in self.resources if one.plugin == HUB or scopes.allows_plugin(one.plugin)]
        if not tools and not prompts and all(one.plugin == HUB for one in resources):
            return replace(self, instructions=None, **NOTHING)
        more = [tool for tool in self.tools if tool == self.more] if tools else []
        left = replace(self, tools=[*tools, *more], prompts=prompts, resources=resources)
        return self if left.contents == self.contents else left

    @property
    def definitions(self) -> list[types.Tool]:
        """What a list of its tools would say."""
        return [tool.definition for tool in self.tools]

    @property
    def contents(self) -> tuple[list[object], ...]:
        """Everything that can be asked for there."""
        return [*self.tools], [*self.prompts], [*self.resources]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to ask for."""
        return not any(self.contents)


NOTHING: Mapping[str, Any] = MappingProxyType({"tools": (), "prompts": (), "resources": (), "more": None})
"""What is offered to somebody who may do nothing."""


@dataclass(frozen=True, slots=True)
class View:
    """What a client of an offer sees and can call; hidden tools are in `tools` too, so that they can be called."""

    offer: Offer
    fit: Fit
    tools: Mapping[str, BoundTool]
    prompts: Mapping[str, BoundPrompt]
    tool_list: types.ListToolsResult
    prompt_list: types.ListPromptsResult
    resource_list: types.ListResourcesResult
    template_list: types.ListResourceTemplatesResult
    overflow: Overflow | None
    """Search and call for what is not listed; `None` where everything is."""
    instructions: str | None
    """A few words for the model, and how to reach what is not listed."""

    @classmethod
    def of(cls, offer: Offer, overflows: "dict[tuple[str, ...], Overflow] | None" = None) -> "View":
        """Fit the offer into its budget and build its lists. Raises `BudgetError` when that cannot be.

        `overflows` keeps what was built for the same tools, since an index of thousands takes its time.
        """
        fitted = fit(offer.tools, offer.budget, meta_tokens=_meta_tokens(offer), count=offer.count)
        tools = {tool.name: tool for tool in offer.tools}
        if offer.more is not None:
            tools.setdefault(offer.more.name, offer.more)
        return cls(
            offer=offer,
            fit=fitted,
            tools=tools,
            prompts={prompt.name: prompt for prompt in offer.prompts},
            tool_list=types.ListToolsResult(tools=_listed(fitted, tools)),
            prompt_list=types.ListPromptsResult(prompts=[prompt.definition for prompt in offer.prompts]),
            resource_list=types.ListResourcesResult(
                resources=[r.define() for r in offer.resources if not r.is_template]
            ),
            template_list=types.ListResourceTemplatesResult(
                resource_templates=[r.define_template() for r in offer.resources if r.is_template]
            ),
            overflow=_overflow(offer, overflows if overflows is not None else {}) if fitted.searched else None,
            instructions=_instructions(offer, fitted, tools),
        )


def _overflow(offer: Offer, built: dict[tuple[str, ...], Overflow]) -> Overflow:
    key = tuple(f"{tool.name} {','.join(tool.environments.by_name)}" for tool in offer.tools)
    if key not in built:
        built[key] = Overflow(offer.tools, offer.lexicon)
    return built[key]


def _listed(fitted: Fit, tools: Mapping[str, BoundTool]) -> list[types.Tool]:
    listed = [
        tools[line.name].definition.model_copy(
            update={"description": line.description or None, "input_schema": dict(line.input_schema)}
        )
        for line in fitted.kept
    ]
    hidden = [tools[line.name] for line in fitted.dropped]
    twin = fitted.budget.read_twin
    return [*listed, *(meta_tools(hidden, read_twin=twin) if fitted.searched else ())]


def _meta_tokens(offer: Offer) -> int:
    return meta_tokens(offer.count, read_twin=offer.budget.read_twin)


def _instructions(offer: Offer, fitted: Fit, tools: Mapping[str, BoundTool]) -> str | None:
    lines = [offer.instructions]
    hidden = [tools[line.name] for line in fitted.dropped]
    if fitted.searched:
        lines.append(f"{len(hidden)} more tools are not listed: {SEARCH_TOOLS} finds them, {CALL_TOOL} runs them.")
    elif hidden:
        places = list(dict.fromkeys(_place(tool, offer.path) for tool in hidden))
        more = f" and {len(places) - MAX_PLACES} more" if len(places) > MAX_PLACES else ""
        lines.append(f"{len(hidden)} more tools are listed at {', '.join(places[:MAX_PLACES])}{more}.")
    return "\n".join(filter(None, lines)) or None


def _place(tool: BoundTool, path: str) -> str:
    """Where a tool is listed that is not at `path`."""
    if tool.group:
        return f"/{tool.plugin}/{tool.group}"
    return f"/{tool.plugin}" if path != f"/{tool.plugin}" else "/profiles/unlimited"
