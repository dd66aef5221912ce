"""A hub to be attacked: one plugin in groups, a named endpoint, and keys where they are wanted."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.security.asgi import Site, site

from pegboard import Group, Plugin, tool
from pegboard.builtin import HubPlugin
from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes
from pegboard.testing import hub_of

PLACES = ("", "/vault", "/vault/doors", "/mine", "/profiles/small")
"""Every kind of endpoint: all, of a plugin, of a group, one's own, and a profile."""


@dataclass
class Vault:
    """A plugin that counts how often it was reached."""

    opened: int = 0
    seen: list[Any] = field(default_factory=list[Any])

    @property
    def plugin(self) -> Plugin:
        @tool(read_only=True, name="vault_open")
        async def open_vault(payload: str = "") -> str:
            """Open the vault."""
            self.opened += 1
            self.seen.append(payload)
            return "gold"

        return Plugin(name="vault", groups=[Group("doors", title="Doors", tools=[open_vault])])


def key_of(scopes: str, name: str = "someone") -> tuple[str, dict[str, Any]]:
    """A new key: its text, and the `[keys]` table that lets the hub know it."""
    key, text = Key.create(name, Scopes.of(scopes.split()))
    return text, {name: {"id": key.id, "sha256": key.sha256, "scopes": scopes.split()}}


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@asynccontextmanager
async def house(*plugins: Any, **settings: Any) -> AsyncGenerator[Site]:
    """The vault's hub with an endpoint `/mine` for it."""
    given = {"endpoints": {"mine": {"tools": ["vault_*"]}}, **settings}
    async with site(hub_of(HubPlugin, *plugins, settings=given)) as opened:
        yield opened
