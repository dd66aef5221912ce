"""A principal: who calls, as a key or a token has said it."""

import time
from collections.abc import Hashable
from dataclasses import dataclass, field

from pegboard.security.scopes import Scopes


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who has shown who they are. A value: two requests with one key come from equal principals."""

    id: str
    """The id of the key, or `oauth/` with the subject and the client of the token; no secret."""
    scopes: Scopes
    name: str = ""
    """What people call them."""
    tenant: str | None = None
    expires_at: float | None = None
    """When what they have shown ends, in seconds since 1970."""
    issuer: str | None = field(default=None, repr=False)

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= time.time()

    @property
    def sight(self) -> Hashable:
        """What they see depends on this only."""
        return (self.scopes, self.tenant)

    @property
    def may_operate(self) -> bool:
        """Whether they may see how the hub is: its plugins, pools and metrics. Nobody of a tenant may."""
        return self.tenant is None and self.scopes.may_operate


def id_of(principal: Principal | None) -> tuple[str | None, str] | None:
    """What tells one from another: issuer and id; `None` without authentication."""
    return None if principal is None else (principal.issuer, principal.id)
