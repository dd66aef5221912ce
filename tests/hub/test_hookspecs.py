"""The hooks are an author's map: documented, and the same in code and in the plugins that use them."""

import inspect

import pluggy

from pegboard import hookspecs
from pegboard.hookspecs import hookimpl


def test_there_are_three_hooks_and_each_says_what_it_is_for() -> None:
    manager = pluggy.PluginManager("pegboard")
    manager.add_hookspecs(hookspecs)

    hooks = {name: getattr(hookspecs, name) for name in vars(manager.hook) if name.startswith("hub_")}

    assert set(hooks) == {"hub_plugin", "hub_lifespan", "hub_around_call"}
    assert all(inspect.getdoc(hook) for hook in hooks.values())


def test_hook_parameters_are_a_promise() -> None:
    parameters = {
        name: list(inspect.signature(getattr(hookspecs, name)).parameters)
        for name in ("hub_plugin", "hub_lifespan", "hub_around_call")
    }

    assert parameters == {"hub_plugin": [], "hub_lifespan": ["hub"], "hub_around_call": ["call"]}


def test_hookimpl_returns_the_function_itself() -> None:
    def hub_plugin() -> None: ...

    assert hookimpl(hub_plugin) is hub_plugin
