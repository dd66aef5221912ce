"""Sights: what each caller sees of an endpoint, built when somebody first asks for it."""

from collections.abc import Hashable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import anyio
import anyio.to_thread
import mcp_types as types

from pegboard.security.principal import Principal
from pegboard.view import NOTHING, Offer, View

LISTS = ("tool_list", "prompt_list", "resource_list")
"""The lists of a view whose change is announced."""

MOST = 64
"""How many different sights of one endpoint are kept."""

NO_TENANTS: Mapping[str, Offer] = MappingProxyType({})


class Sights:
    """The whole view of an endpoint, and what the scopes and the tenant of a caller leave of it."""

    def __init__(self, whole: View) -> None:
        self.whole = whole
        self._tenants = NO_TENANTS
        self._views: dict[Hashable, View] = {}
        self._seen_by: set[str] = set()
        self._building = anyio.Lock()

    def __len__(self) -> int:
        """How many are kept beside the whole one."""
        return len(self._views)

    def show(self, whole: View, tenants: Mapping[str, Offer]) -> list[str]:
        """Show this from now on, and to the callers of each tenant its own offer; returns which lists are others."""
        changed = [kind for kind in LISTS if getattr(whole, kind) != getattr(self.whole, kind)]
        if self._views and "tool_list" not in changed and _definitions(whole) != _definitions(self.whole):
            changed.insert(0, "tool_list")  # what one list hides stands in another's
        changed += [kind for kind in self._changed_for(tenants) if kind not in changed]
        self.whole, self._tenants, self._views = whole, tenants, {}
        return changed

    async def of(self, principal: Principal | None) -> View:
        """What somebody sees: the whole view without authentication, else what their scopes and tenant leave.

        Built once, in a thread, and kept for everybody with the same scopes and tenant.
        """
        if principal is None or (principal.scopes.is_everything and principal.tenant is None):
            return self.whole
        view = self._kept(principal)
        if view is None:
            async with self._building:
                view = self._kept(principal) or await self._build(principal)
        return view

    async def refuse(self, principal: Principal | None) -> bool:
        """Whether there is something here, and nothing of it for them."""
        view = await self.of(principal)
        return view.offer.is_empty and not self.whole.offer.is_empty

    def offer_to(self, principal: Principal | None) -> Offer:
        """What there is for their tenant whatever their scopes; nothing for a tenant that is not configured."""
        offer = self.whole.offer
        if principal is None or principal.tenant is None:
            return offer
        return self._tenants.get(principal.tenant) or replace(offer, instructions=None, **NOTHING)

    def _kept(self, principal: Principal) -> View | None:
        """The view that was built for such a principal; it is now the last that would have to go."""
        view = self._views.pop(principal.sight, None)
        if view is not None:
            self._views[principal.sight] = view
        return view

    async def _build(self, principal: Principal) -> View:
        if principal.tenant is not None:
            self._seen_by.add(principal.tenant)
        views, whole = self._views, self.whole  # of before a reload that comes while it is built
        view = await anyio.to_thread.run_sync(_view_for, self.offer_to(principal), principal, whole)
        while len(views) >= MOST:
            del views[next(iter(views))]
        views[principal.sight] = view
        return view

    def _changed_for(self, tenants: Mapping[str, Offer]) -> set[str]:
        """The lists that are others now for a tenant whose callers have seen them."""
        pairs = [(_listed(self._tenants.get(name)), _listed(tenants.get(name))) for name in self._seen_by]
        return {kind for before, after in pairs for kind in LISTS if before[kind] != after[kind]}


def _view_for(offer: Offer, principal: Principal, whole: View) -> View:
    """What is left of an offer for a principal, the whole view if that is all."""
    seen = offer.seen_by(principal.scopes)
    return whole if seen is whole.offer else View.of(seen)


def _definitions(view: View) -> list[types.Tool]:
    """What there is to list, all of it."""
    return [tool.definition for tool in view.tools.values()]


def _listed(offer: Offer | None) -> Mapping[str, list[Any]]:
    """What there is to list of an offer, by the list it is in."""
    if offer is None:
        return {kind: [] for kind in LISTS}
    return {
        "tool_list": [tool.definition for tool in offer.tools],
        "prompt_list": [prompt.definition for prompt in offer.prompts],
        "resource_list": [(resource.uri, resource.description) for resource in offer.resources],
    }
