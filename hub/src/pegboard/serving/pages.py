"""Pages for people and probes: what is here and how to connect, is the process alive, is it usable."""

from collections.abc import Mapping
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from pegboard.builtin import plugins_of, pools_of
from pegboard.endpoint import Endpoint
from pegboard.hub import Hub
from pegboard.serving.traffic import Traffic


class Pages:
    """`/`, `/health` and `/ready` of a hub."""

    def __init__(self, hub: Hub, traffic: Traffic) -> None:
        self._hub = hub
        self._traffic = traffic

    async def index(self, request: Request) -> Response:
        """What is served and how to connect to it; HTML for a browser, JSON for the rest."""
        base = str(request.base_url).rstrip("/")
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_page(self._hub, base))
        return JSONResponse(_overview(self._hub, base))

    async def health(self, _: Request) -> Response:
        """Whether the process works; always 200 while it can answer, with the plugins that are not served."""
        plugins = plugins_of(self._hub)
        body = {
            "status": "degraded" if self._hub.failed else "ok",
            "version": self._hub.version,
            "uptime_seconds": int(self._hub.uptime),
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


def _overview(hub: Hub, base: str) -> Mapping[str, Any]:
    return {
        "name": "pegboard",
        "version": hub.version,
        "connect": f"npx mcp-remote {base}/sse --transport sse-only --allow-http",
        "endpoints": [_endpoint(endpoint, base) for endpoint in hub.endpoints.values()],
        "not_served": [{"name": plugin.owner.name, "reason": plugin.why} for plugin in hub.quarantined],
    }


def _endpoint(endpoint: Endpoint, base: str) -> Mapping[str, Any]:
    path = f"{base}{endpoint.offer.path}"
    tools = [tool.name for tool in endpoint.offer.tools]
    return {"name": endpoint.offer.name, "sse": f"{path}/sse", "mcp": f"{path}/mcp", "tools": tools}


def _page(hub: Hub, base: str) -> str:
    overview = _overview(hub, base)
    rows = "".join(
        f"<tr><td>{escape(e['name'])}<td><code>{escape(e['sse'])}</code><br><code>{escape(e['mcp'])}</code>"
        f"<td>{escape(', '.join(e['tools']))}"
        for e in overview["endpoints"]
    )
    missing = "".join(f"<li><b>{escape(p['name'])}</b>: {escape(p['reason'])}" for p in overview["not_served"])
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>pegboard</title>
<style>body{{font:16px system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}}td,th{{text-align:left;
vertical-align:top;padding:.4rem 1rem .4rem 0;border-top:1px solid #ccc}}code{{font-size:.9em}}</style>
<h1>pegboard {escape(hub.version)}</h1>
<p>An MCP hub. Connect a client that speaks only standard input and output with
<p><code>{escape(overview["connect"])}</code>
<table><tr><th>endpoint<th>URL<th>tools</tr>{rows}</table>
{f"<h2>Not served</h2><ul>{missing}</ul>" if missing else ""}
<p><a href="/health">health</a> · <a href="/ready">ready</a></html>"""
