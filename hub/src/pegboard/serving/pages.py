"""Pages for people and probes: what is here and how to connect, is the process alive, is it usable."""

import os
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from pegboard.builtin import plugins_of, pools_of
from pegboard.endpoint import Endpoint
from pegboard.hub import Hub
from pegboard.serving.traffic import Traffic

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"

ALONE = "pegboard.endpoint"
"""In the scope of a request to an endpoint's own port: its path."""


class Pages:
    """`/`, `/health`, `/ready` and `/metrics` of a hub."""

    def __init__(self, hub: Hub, traffic: Traffic) -> None:
        self._hub = hub
        self._traffic = traffic

    async def index(self, request: Request) -> Response:
        """What is served and how to connect to it; HTML for a browser, JSON for the rest."""
        overview = _overview(self._hub, str(request.base_url).rstrip("/"), request.scope.get(ALONE))
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_page(overview))
        return JSONResponse(overview)

    async def health(self, _: Request) -> Response:
        """Whether the process works; always 200 while it can answer, with the plugins that are not served."""
        plugins = plugins_of(self._hub)
        body = {
            "status": "degraded" if self._hub.failed else "ok",
            "version": self._hub.version,
            "uptime_seconds": int(self._hub.uptime),
            "pid": os.getpid(),
            "configuration": {
                "generation": self._hub.generation,
                "attempts": self._hub.reload_attempts,
                "problem": self._hub.reload_problem,
            },
            "plugins": plugins,
            "pools": pools_of(self._hub),
        }
        return JSONResponse(body)

    async def ready(self, _: Request) -> Response:
        """Whether clients should be sent here: 200, or 503 with the reasons."""
        reasons = self._reasons()
        degraded = [str(plugin.owner) for plugin in self._hub.failed]
        body = {"ready": not reasons, "reasons": reasons, "degraded": degraded}
        return JSONResponse(body, 503 if reasons else 200)

    async def metrics(self, _: Request) -> Response:
        """The state of the hub in the Prometheus text format (0.0.4)."""
        return PlainTextResponse("\n".join(_metrics(self._hub, self._traffic)) + "\n", media_type=PROMETHEUS)

    async def not_found(self, request: Request) -> Response:
        """The answer for a path nothing is served at."""
        return JSONResponse({"detail": f"nothing is served at {request.url.path[:200]}; GET / lists what is"}, 404)

    def _reasons(self) -> list[str]:
        reasons: list[str] = []
        if self._traffic.draining:
            reasons.append("the hub is shutting down")
        if self._hub.failed and all(plugin.name == "hub" for plugin in self._hub.plugins):
            reasons.extend(str(plugin) for plugin in self._hub.failed)
        return reasons


def _metrics(hub: Hub, traffic: Traffic) -> Iterator[str]:
    yield from _gauge("pegboard_uptime_seconds", {"": int(hub.uptime)})
    yield from _gauge("pegboard_calls_in_flight", {"": traffic.exchanges.value})
    yield from _gauge("pegboard_streams_open", {"": traffic.streams.value})
    fits = {f'endpoint="{endpoint.offer.name}"': endpoint.view.fit for endpoint in hub.endpoints.values()}
    yield from _gauge("pegboard_budget_listed_tools", {label: fit.tools for label, fit in fits.items()})
    yield from _gauge("pegboard_budget_hidden_tools", {label: len(fit.dropped) for label, fit in fits.items()})
    yield from _gauge("pegboard_budget_listed_tokens", {label: fit.tokens for label, fit in fits.items()})


def _gauge(name: str, values: Mapping[str, int]) -> Iterator[str]:
    yield f"# TYPE {name} gauge"
    yield from (f"{name}{{{label}}} {value}" if label else f"{name} {value}" for label, value in values.items())


def _overview(hub: Hub, base: str, alone: str | None) -> Mapping[str, Any]:
    """What is here; at a port of its own, an endpoint stands alone and at the root."""
    shown = hub.endpoints if alone is None else {"": hub.endpoints[alone]} if alone in hub.endpoints else {}
    return {
        "name": "pegboard",
        "version": hub.version,
        "connect": f"npx mcp-remote {base}/sse --transport sse-only --allow-http",
        "endpoints": [_endpoint(endpoint, f"{base}{path}") for path, endpoint in shown.items()],
        "not_served": [{"name": plugin.owner.name, "reason": plugin.why} for plugin in hub.quarantined],
    }


def _endpoint(endpoint: Endpoint, url: str) -> Mapping[str, Any]:
    tools = [tool.name for tool in endpoint.view.tool_list.tools]
    hidden = len(endpoint.view.fit.dropped)
    return {"name": endpoint.offer.name, "sse": f"{url}/sse", "mcp": f"{url}/mcp", "tools": tools, "hidden": hidden}


def _page(overview: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(e['name'])}<td><code>{escape(e['sse'])}</code><br><code>{escape(e['mcp'])}</code>"
        f"<td>{escape(', '.join(e['tools']))}"
        for e in overview["endpoints"]
    )
    missing = "".join(f"<li><b>{escape(p['name'])}</b>: {escape(p['reason'])}" for p in overview["not_served"])
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>pegboard</title>
<style>body{{font:16px system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}}td,th{{text-align:left;
vertical-align:top;padding:.4rem 1rem .4rem 0;border-top:1px solid #ccc}}code{{font-size:.9em}}</style>
<h1>pegboard {escape(overview["version"])}</h1>
<p>An MCP hub. Connect a client that speaks only standard input and output with
<p><code>{escape(overview["connect"])}</code>
<table><tr><th>endpoint<th>URL<th>tools</tr>{rows}</table>
{f"<h2>Not served</h2><ul>{missing}</ul>" if missing else ""}
<p><a href="/health">health</a> · <a href="/ready">ready</a></html>"""
