"""The names a plugin author needs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pegboard.call import Call
    from pegboard.errors import BackendError, PoolError, ToolError
    from pegboard.hookspecs import hookimpl
    from pegboard.kinds import PoolKind, Usage
    from pegboard.plugin import Group, Plugin, PluginSettings, tool
    from pegboard.rows import Column, Limits, Reading, Rows
    from pegboard.web import HTTP

__all__ = [
    "HTTP",
    "BackendError",
    "Call",
    "Column",
    "Group",
    "Limits",
    "Plugin",
    "PluginSettings",
    "PoolError",
    "PoolKind",
    "Reading",
    "Rows",
    "ToolError",
    "Usage",
    "hookimpl",
    "tool",
]

_HOMES = {
    "HTTP": "web",
    "BackendError": "errors",
    "Call": "call",
    "Column": "rows",
    "Group": "plugin",
    "Limits": "rows",
    "Plugin": "plugin",
    "PluginSettings": "plugin",
    "PoolError": "errors",
    "PoolKind": "kinds",
    "Reading": "rows",
    "Rows": "rows",
    "ToolError": "errors",
    "Usage": "kinds",
    "hookimpl": "hookspecs",
    "tool": "plugin",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: pydantic alone takes longer than `pegboard --help` may take in all.
    if name not in _HOMES:
        raise AttributeError(f"module 'pegboard' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"pegboard.{_HOMES[name]}"), name)
    return value
