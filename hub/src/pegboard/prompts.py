"""Prompts as the hub serves them: a function bound to its plugin, its parameters the prompt's arguments."""

import inspect
from collections.abc import Mapping
from typing import Any, cast

import anyio
from mcp_types import Prompt, PromptArgument, PromptMessage, TextContent

from pegboard.arguments import Arguments
from pegboard.call import Call
from pegboard.functions import awaitable
from pegboard.plugin import Function, Plugin, PluginSettings


class BoundPrompt:
    """One prompt of a loaded plugin. Raises `PluginError` for a function that cannot be one."""

    def __init__(
        self,
        plugin: Plugin,
        name: str,
        function: Function,
        settings: PluginSettings,
        threads: anyio.CapacityLimiter | None = None,
    ) -> None:
        self.name = name
        self.plugin = plugin.name
        self.settings = settings
        self._arguments = Arguments(function)
        self._function = awaitable(function, threads)
        self.definition = Prompt(name=name, description=inspect.getdoc(function), arguments=self._describe())

    async def render(self, given: Mapping[str, Any] | None, call: Call[Any]) -> list[PromptMessage]:
        """The prompt's messages; a string is one message of the user. Whatever the function raises passes through."""
        arguments = self._arguments.check(given)
        if self._arguments.call_parameter is not None:
            arguments[self._arguments.call_parameter] = call
        answer = await self._function(**arguments)
        messages = cast(list[Any], answer) if isinstance(answer, list) else [answer]
        return [_message(message) for message in messages]

    def _describe(self) -> list[PromptArgument]:
        schema = self._arguments.schema
        return [
            PromptArgument(name=name, description=value.get("description"), required=name in schema.get("required", ()))
            for name, value in schema["properties"].items()
        ]


def bind_prompts(
    plugin: Plugin, settings: PluginSettings, threads: anyio.CapacityLimiter | None = None
) -> tuple[BoundPrompt, ...]:
    """Every prompt of a plugin; those of a list carry its prefix, those of a mapping the names given there."""
    if isinstance(plugin.prompts, Mapping):
        named = dict(plugin.prompts)
    else:
        named = {plugin.prefixed(function.__name__): function for function in plugin.prompts}
    return tuple(BoundPrompt(plugin, name, function, settings, threads) for name, function in named.items())


def _message(value: Any) -> PromptMessage:
    if isinstance(value, PromptMessage):
        return value
    return PromptMessage(role="user", content=TextContent(type="text", text=str(value)))
