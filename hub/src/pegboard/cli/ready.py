"""Ready: what is said when a hub listens. The endpoints, what is not served, and the line a client needs."""

from typing import TYPE_CHECKING, Any

import click

from pegboard.cli.clients import KEY_VARIABLE, asks_for_keys, mcp_remote_line
from pegboard.cli.text import indented, table
from pegboard.logs import flush

if TYPE_CHECKING:
    from pegboard.hub import Hub


def describe(hub: "Hub", base: str) -> dict[str, Any]:
    """The running hub for programs."""
    return {
        "url": base,
        "version": hub.version,
        "endpoints": [
            {
                "name": endpoint.offer.name,
                "sse": f"{base}{path}/sse",
                "mcp": f"{base}{path}/mcp",
                "tools": [tool.name for tool in endpoint.offer.tools],
            }
            for path, endpoint in hub.endpoints.items()
        ],
        "not_served": [
            {"name": q.owner.name, "distribution": q.owner.distribution, "phase": q.phase, "reason": q.reason}
            for q in hub.quarantined
        ],
    }


def say_ready(text: str) -> None:
    """Tell people on standard error what `ready_text` has written; the log stands above it."""
    flush()
    click.echo(text, err=True)


def ready_text(hub: "Hub", base: str) -> str:
    """What is served where, and how to connect, for people."""
    lines = [click.style(f"pegboard {hub.version} is ready at {base}", bold=True) + "\n"]
    lines.append(indented(_endpoints(describe(hub, base))))
    for plugin in hub.quarantined:
        why = indented(plugin.why, 4).lstrip()
        lines.append(f"\n  {click.style('not served:', fg='yellow')} {plugin.owner}\n    {why}")
    key = asks_for_keys(hub.settings)
    having = f" and its key in {KEY_VARIABLE}" if key else ""
    lines.append(f"\nConnect a client that speaks only stdio{having} with\n\n  {mcp_remote_line(base, key=key)}\n")
    return "\n".join(lines)


def _endpoints(described: dict[str, Any]) -> str:
    rows = [[e["name"], str(len(e["tools"])), e["sse"], e["mcp"]] for e in described["endpoints"]]
    return table(["endpoint", "tools", "sse", "mcp"], rows)
