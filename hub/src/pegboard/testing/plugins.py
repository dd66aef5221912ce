"""Entry points that were never installed: a plugin written in a test, found as if pip had brought it."""

from importlib.metadata import Distribution, EntryPoint
from os import PathLike
from typing import Any

from pegboard.hookspecs import ENTRY_POINT_GROUP, hookimpl
from pegboard.plugin import Plugin


def entry_point(
    implementation: Any, *, name: str | None = None, dist: str | None = None, version: str = "1.0"
) -> EntryPoint:
    """An entry point that loads `implementation`: a `Plugin`, a module or class with hooks, or a function to call.

    `name` is the plugin's unless given. `dist` and `version` are what the hub decides its trust by.
    """
    hooks = _Hooks(implementation) if isinstance(implementation, Plugin) else implementation
    name = name or (implementation.name if isinstance(implementation, Plugin) else _name_of(implementation))
    return _Here(name, hooks, _Installed(dist or f"pegboard-test-{name}".replace("_", "-"), version))


class _Hooks:
    """A module with one hook, for a plugin that is a value."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    @hookimpl
    def hub_plugin(self) -> Plugin:
        return self._plugin


class _Here(EntryPoint):
    """An entry point whose object is here already; a function stands for an import and is called by it."""

    def __init__(self, name: str, implementation: Any, installed: Distribution) -> None:
        super().__init__(name, "pegboard.testing", ENTRY_POINT_GROUP)
        vars(self).update(implementation=implementation, dist=installed)

    def load(self) -> Any:
        implementation = vars(self)["implementation"]
        return implementation() if callable(implementation) and not isinstance(implementation, type) else implementation


class _Installed(Distribution):
    """A distribution with a name, a version and no files."""

    def __init__(self, name: str, version: str) -> None:
        self._metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"

    def read_text(self, filename: str | PathLike[str]) -> str | None:
        return self._metadata if str(filename) == "METADATA" else None

    def locate_file(self, path: str | PathLike[str]) -> Any:
        raise FileNotFoundError(path)


def _name_of(implementation: Any) -> str:
    hook = getattr(implementation() if isinstance(implementation, type) else implementation, "hub_plugin", None)
    plugin = hook() if hook is not None else None
    return plugin.name if isinstance(plugin, Plugin) else "broken"
