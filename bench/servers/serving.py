"""One uvicorn set-up for all peers, the one pegboard uses."""

import sys

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send


def serve(app: ASGIApp) -> None:
    """Serve until a signal comes, on the port that is the only argument."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )


def by_path(mcp: ASGIApp, sse: ASGIApp) -> ASGIApp:
    """Both apps of a framework on one port; `/mcp` and the lifespan belong to the first."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_sse = scope["type"] == "http" and scope["path"] != "/mcp"
        await (sse if is_sse else mcp)(scope, receive, send)

    return app
