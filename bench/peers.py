"""Who is measured: the commands that start the servers, and where their endpoints are."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.processes import ROOT

BASELINE = "sdk"
PEGBOARD = "pegboard"
SECURED = "secured"

KEY = f"peg_bench_{'k' * 43}"
"""What the callers of the secured hub show."""

PLUGIN_PATH = os.pathsep.join([str(ROOT / "bench" / "plugin"), str(ROOT)])


@dataclass(frozen=True, slots=True)
class Peer:
    """One server: how it is called here and started, and what stands before `/mcp` and `/sse` in its paths."""

    name: str
    label: str
    module: str
    arguments: Sequence[str] = ("{port}",)
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    prefix: str = ""
    sse: bool = True
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def command(self, port: int) -> list[str]:
        return ["-m", self.module, *(argument.format(port=port) for argument in self.arguments)]


PEERS = [
    Peer("ceiling", "raw ASGI, the ceiling", "bench.servers.ceiling", sse=False),
    Peer("sdk", "bare SDK", "bench.servers.sdk"),
    Peer("mcpserver", "MCPServer", "bench.servers.mcpserver"),
    Peer("fastmcp", "FastMCP", "bench.servers.fastmcp_server"),
    Peer(
        "pegboard",
        "pegboard",
        "pegboard.cli",
        ("serve", "--port", "{port}"),
        environment={
            "PYTHONPATH": PLUGIN_PATH,
            "PEGBOARD_TRUST_ALLOW": "pegboard-bench",
            "PEGBOARD_LOG_LEVEL": "warning",
            "PEGBOARD_BUDGET_PROFILE": "unlimited",  # the others list all tools, too
        },
        prefix="/bench",
    ),
    Peer(
        SECURED,
        "pegboard, everything on",
        "bench.servers.secured",
        environment={"PYTHONPATH": PLUGIN_PATH},
        prefix="/bench",
        headers={"Authorization": f"Bearer {KEY}"},
    ),
]
