"""The names a plugin author needs."""

from pegboard.call import Call
from pegboard.errors import ToolError
from pegboard.hookspecs import hookimpl
from pegboard.plugin import Group, Plugin, PluginSettings, tool
from pegboard.pools import HTTP, PoolKind

__all__ = ["HTTP", "Call", "Group", "Plugin", "PluginSettings", "PoolKind", "ToolError", "hookimpl", "tool"]
