"""The hooks: what a plugin may tell the hub. This file is the author's map.

An entry point in the group `pegboard` names a module with these functions in it, or a class with these methods; a
class is instantiated once for each hub, so `self` is the place for what a plugin has to remember:

    [project.entry-points.pegboard]
    weather = "pegboard_weather"

Mark each with `@hookimpl`. Hooks are synchronous, cheap and do no I/O: they return a value, or an async context
manager that the hub enters and leaves. A hook may leave out parameters it does not use. Only `hub_plugin` is needed.
"""

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pluggy

from pegboard.plugin import Plugin

if TYPE_CHECKING:
    from pegboard.call import Call
    from pegboard.hub import Hub

ENTRY_POINT_GROUP = "pegboard"

hookspec = pluggy.HookspecMarker("pegboard")
hookimpl = pluggy.HookimplMarker("pegboard")


@hookspec
def hub_plugin() -> Plugin:  # pyright: ignore[reportReturnType] # a specification has no body
    """Declare the plugin: its name, tools, groups, settings, prompts and resources.

    Called right after the import, and again when the configuration is reloaded. The name has to be the entry point's.
    """


@hookspec
def hub_lifespan(hub: "Hub") -> AbstractAsyncContextManager[Any] | None:
    """Return what shall live as long as the hub: a cache, a background task, a watcher.

    The hub enters it before it serves, gives it 10 seconds, and leaves it after the last call, in reverse order, with
    5 seconds. Connections do not belong here: ask for a pool in the call that needs it. `hub` is for reading: its
    plugins, endpoints and pools. Raising disables this plugin only.
    """


@hookspec
def hub_around_call(call: "Call[Any]") -> AbstractAsyncContextManager[Any] | None:
    """Return what shall be entered around one tool call, of any plugin: count it, time it, write it down.

    Entered after the arguments were checked, left when the tool has answered; what the tool raised passes through
    it. It runs on the path of every call, so keep it short and without I/O. Whatever it raises itself is logged,
    and the call goes on.
    """
