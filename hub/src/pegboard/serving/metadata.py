"""What a client is told that may not come in: where tokens are to be had (RFC 9728), and what was wrong (RFC 6750)."""

import re
from typing import Any
from urllib.parse import urlsplit

from pegboard.addresses import stream_of
from pegboard.settings import OAuthSettings

WELL_KNOWN = "/.well-known/oauth-protected-resource"

PLACE = re.compile(r"(/[A-Za-z0-9_-]{1,64}){0,4}")


class Resource:
    """The hub as a resource of its authorization server; without one, nothing but a name for challenges.

    What it says comes from the settings, and from a path that holds only letters, digits, `_` and `-`. It says the same
    of endpoints that are not there, so that nobody learns from it which plugins are.
    """

    def __init__(self, settings: OAuthSettings | None = None) -> None:
        self._settings = settings or OAuthSettings()
        self._url = (self._settings.resource or "").rstrip("/")
        self._prefix = urlsplit(self._url).path

    @property
    def ask_for(self) -> str:
        """The scopes to ask for, as a header has them; empty where the server knows best."""
        if self._settings.ask_for is not None:
            return " ".join(self._settings.ask_for)
        return "" if self._settings.scopes else "read"

    def document(self, place: str) -> dict[str, Any] | None:
        """The metadata of what is at a place: of the whole hub where it is empty. `None` where there can be nothing."""
        place = place.removesuffix("/")
        if not self._settings.is_on or not PLACE.fullmatch(place):
            return None
        document = {
            "resource": self._url + place.removeprefix(self._prefix),
            "authorization_servers": [self._settings.issuer],
            "bearer_methods_supported": ["header"],
        }
        return document | ({"scopes_supported": self.ask_for.split()} if self.ask_for else {})

    def challenge(self, path: str, error: str = "", description: str = "") -> str:
        """The value of `WWW-Authenticate` for a request to this path."""
        given = {"realm": "pegboard", "resource_metadata": self._metadata_url(path)}
        given |= {"error": error, "error_description": description}
        if self._settings.is_on or error == "insufficient_scope":
            given["scope"] = self.ask_for
        return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in given.items() if value)

    def _metadata_url(self, path: str) -> str:
        if not self._settings.is_on:
            return ""
        place = stream_of(path)
        is_endpoint = place.endswith(("/mcp", "/sse")) and PLACE.fullmatch(place)
        host = self._url.removesuffix(self._prefix)
        return f"{host}{WELL_KNOWN}{self._prefix}{place if is_endpoint else ''}"
