"""Pages for people and probes: what is here and how to connect, is the process alive, is it usable.

Where the hub asks for keys, whoever shows none learns the state and nothing else.
"""

import os
from collections.abc import Mapping
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from pegboard.builtin import plugins_of, pools_of
from pegboard.endpoint import PRINCIPAL
from pegboard.hub import Hub
from pegboard.security.principal import Principal
from pegboard.serving.traffic import Traffic
from pegboard.view import View

ALONE = "pegboard.endpoint"
"""In the scope of a request to an endpoint's own port: its path."""


class Pages:
    """`/`, `/health` and `/ready` of a hub."""

    def __init__(self, hub: Hub, traffic: Traffic) -> None:
        self._hub = hub
        self._traffic = traffic

    async def index(self, request: Request) -> Response:
        """What is served to whoever asks, and how to connect to it; HTML for a browser, JSON for the rest."""
        overview = await _overview(self._hub, request)
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_page(overview))
        return JSONResponse(overview)

    async def health(self, request: Request) -> Response:
        """Whether the process works; always 200 while it can answer. For operators with plugins and pools."""
        configuration: dict[str, Any] = {"generation": self._hub.generation, "attempts": self._hub.reload_attempts}
        state = {
            "status": "degraded" if self._hub.is_degraded else "ok",
            "version": self._hub.version,
            "uptime_seconds": int(self._hub.uptime),
            "pid": os.getpid(),
            "configuration": configuration,
        }
        if not _may_operate(request):
            return JSONResponse(state)
        configuration["problem"] = self._hub.reload_problem
        return JSONResponse({**state, "plugins": plugins_of(self._hub), "pools": pools_of(self._hub)})

    async def ready(self, request: Request) -> Response:
        """Whether clients should be sent here: 200, or 503; for operators with the reasons."""
        reasons = self._reasons()
        degraded = [*(str(plugin.owner) for plugin in self._hub.failed), *self._hub.pools.paused()]
        details = {"reasons": reasons, "degraded": degraded} if _may_operate(request) else {}
        body = {"ready": not reasons, **details}
        return JSONResponse(body, 503 if reasons else 200)

    async def not_found(self, request: Request) -> Response:
        """The answer for a path nothing is served at."""
        return JSONResponse({"detail": f"nothing is served at {request.url.path[:200]}; GET / lists what is"}, 404)

    @property
    def is_ready(self) -> bool:
        """Whether clients should be sent here."""
        return not self._reasons()

    def _reasons(self) -> list[str]:
        reasons: list[str] = []
        if self._traffic.leaving:
            reasons.append("the hub is shutting down")
        if self._hub.failed and all(plugin.name == "hub" for plugin in self._hub.plugins):
            reasons.extend(str(plugin) for plugin in self._hub.failed)
        return reasons


async def _overview(hub: Hub, request: Request) -> Mapping[str, Any]:
    """What is here for whoever asks; at a port of its own, an endpoint stands alone and at the root."""
    alone, principal = request.scope.get(ALONE), request.scope.get(PRINCIPAL)
    shown = hub.endpoints if alone is None else {"": hub.endpoints[alone]} if alone in hub.endpoints else {}
    base = str(request.base_url).rstrip("/")
    endpoints = [
        _endpoint(endpoint.offer.name, await endpoint.sights.of(principal), f"{base}{path}")
        for path, endpoint in shown.items()
        if not await endpoint.sights.refuse(principal)
    ]
    not_served = hub.quarantined if _may_operate(request) else ()
    return {
        "name": "pegboard",
        "version": hub.version,
        "connect": _connect(base, asks=principal is not None),
        "endpoints": endpoints,
        "not_served": [{"name": plugin.owner.name, "reason": plugin.why} for plugin in not_served],
    }


def _connect(base: str, *, asks: bool) -> str:
    """The line to type for a client that speaks only stdio."""
    allow = " --allow-http" if base.startswith("http://") else ""
    header = " --header 'Authorization: Bearer ${PEGBOARD_KEY}'" if asks else ""
    return f"npx mcp-remote {base}/sse --transport sse-only{allow}{header}"


def _endpoint(name: str, view: View, url: str) -> Mapping[str, Any]:
    tools = [tool.name for tool in view.tool_list.tools]
    return {"name": name, "sse": f"{url}/sse", "mcp": f"{url}/mcp", "tools": tools, "hidden": len(view.fit.dropped)}


def _may_operate(request: Request) -> bool:
    """Whether whoever asks may see details; everybody may where the hub asks for no keys."""
    principal: Principal | None = request.scope.get(PRINCIPAL)
    return principal is None or principal.may_operate


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
