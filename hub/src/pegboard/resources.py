"""Resources as the hub serves them: a function behind a URI, or behind every URI that fits a template."""

import inspect
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import anyio
from mcp_types import BlobResourceContents, Resource, ResourceTemplate, TextResourceContents
from pydantic_core import to_json

from pegboard.arguments import Arguments
from pegboard.call import Call
from pegboard.functions import awaitable
from pegboard.plugin import Function, Plugin, PluginSettings

Contents = TextResourceContents | BlobResourceContents

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class BoundResource:
    """One resource, or template of resources, of a loaded plugin; `{name}` in the URI is a parameter.

    Raises `PluginError` for a function that cannot be one.
    """

    def __init__(
        self,
        plugin: Plugin,
        uri: str,
        function: Function,
        settings: PluginSettings,
        threads: anyio.CapacityLimiter | None = None,
    ) -> None:
        self.uri = uri
        self.plugin = plugin.name
        self.settings = settings
        self.name = function.__name__
        self.description = inspect.getdoc(function)
        self._arguments = Arguments(function)
        self._function = awaitable(function, threads)
        self._pattern = re.compile(_pattern(uri))

    @property
    def is_template(self) -> bool:
        """Whether the URI has placeholders (RFC 6570, level 1)."""
        return PLACEHOLDER.search(self.uri) is not None

    def match(self, uri: str) -> Mapping[str, str] | None:
        """The values of the placeholders in `uri`, or `None` when it is not this resource's."""
        match = self._pattern.fullmatch(uri)
        return {name: unquote(value) for name, value in match.groupdict().items()} if match else None

    def define(self) -> Resource:
        """The entry for `resources/list`."""
        return Resource(uri=self.uri, name=self.name, description=self.description)

    def define_template(self) -> ResourceTemplate:
        """The entry for `resources/templates/list`."""
        return ResourceTemplate(uri_template=self.uri, name=self.name, description=self.description)

    async def read(self, uri: str, values: Mapping[str, str], call: Call[Any]) -> Contents:
        """The contents: a string is text, bytes are a blob, anything else is JSON."""
        arguments = self._arguments.check(values)
        if self._arguments.call_parameter is not None:
            arguments[self._arguments.call_parameter] = call
        return _contents(uri, await self._function(**arguments))


def bind_resources(
    plugin: Plugin, settings: PluginSettings, threads: anyio.CapacityLimiter | None = None
) -> tuple[BoundResource, ...]:
    """Every resource of a plugin, in the order written."""
    return tuple(BoundResource(plugin, uri, function, settings, threads) for uri, function in plugin.resources.items())


def _pattern(uri: str) -> str:
    """A regular expression for the URIs of a template; a placeholder takes no `/`."""
    parts = PLACEHOLDER.split(uri)
    return "".join(f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))


def _contents(uri: str, value: Any) -> Contents:
    if isinstance(value, bytes):
        return BlobResourceContents(uri=uri, mime_type="application/octet-stream", blob=b64encode(value).decode())
    if isinstance(value, TextResourceContents | BlobResourceContents):
        return value
    if isinstance(value, str):
        return TextResourceContents(uri=uri, mime_type="text/plain", text=value)
    return TextResourceContents(
        uri=uri, mime_type="application/json", text=to_json(value, inf_nan_mode="null").decode()
    )
