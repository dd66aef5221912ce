"""The bench's tools as a pegboard plugin, under the names the other servers give them; `BENCH_TOOLS` of them."""

import os

from bench.catalogue import TOOLS, tools

from pegboard import Plugin, hookimpl, tool


@hookimpl
def hub_plugin() -> Plugin:
    functions = tools(int(os.environ.get("BENCH_TOOLS", len(TOOLS))))
    return Plugin(
        name="bench", tools=[tool(read_only=True, name=function.__name__)(function) for function in functions]
    )
