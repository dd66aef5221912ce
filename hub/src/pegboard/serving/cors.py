"""CORS: which pages of other sites may read what the hub answers; none, unless they are named."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from pegboard.settings import ServerSettings

METHODS = ("GET", "POST", "DELETE")
EXPOSED = ("Mcp-Session-Id", "WWW-Authenticate", "Retry-After")
"""Headers a page may read, beside those that every page may."""

PREFLIGHT_FOR = 600
"""Seconds a browser need not ask again."""


def cors(app: ASGIApp, settings: ServerSettings) -> ASGIApp:
    """Let the pages of `allowed_origins` call the app, each by its exact origin, and no others.

    A preflight is answered here, without a key, since browsers show none. Pages may send any header, plugins have their
    own, but no cookies: what they show they show themselves.
    """
    if not settings.allowed_origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=[origin.lower().rstrip("/") for origin in settings.allowed_origins],
        allow_methods=METHODS,
        allow_headers=("*",),
        expose_headers=EXPOSED,
        max_age=PREFLIGHT_FOR,
    )
