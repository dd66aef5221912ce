"""The bench's 58 tools as a pegboard plugin, under the names the other servers give them."""

from bench.catalogue import TOOLS

from pegboard import Plugin, hookimpl, tool


@hookimpl
def hub_plugin() -> Plugin:
    return Plugin(name="bench", tools=[tool(name=function.__name__)(function) for function in TOOLS])
