"""Admission: whoever may call nothing at an endpoint is told so, with the scope to ask for."""

from starlette.types import ASGIApp, Receive, Scope, Send

from pegboard.endpoint import PRINCIPAL, Endpoint
from pegboard.security.principal import Principal
from pegboard.serving.auth import Authentication
from pegboard.serving.denials import Denials
from pegboard.serving.metadata import WELL_KNOWN
from pegboard.serving.replies import refuse

ENTRANCES = ("/mcp", "/sse")
DETAIL = "your key or token allows nothing here, or nothing is here; GET / lists what it allows"


class Admission:
    """Stands before endpoints, and where there is none: to those who do not see all, both look the same."""

    def __init__(self, auth: Authentication, denials: Denials, not_found: ASGIApp) -> None:
        self._auth = auth
        self._denials = denials
        self._not_found = not_found

    def to(self, endpoint: Endpoint, app: ASGIApp) -> ASGIApp:
        """The app, for those who may call something of the endpoint; others may only end what they have opened."""

        async def admitted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] != "DELETE" and await endpoint.sights.refuse(scope.get(PRINCIPAL)):
                await self._refuse(scope, receive, send)
            else:
                await app(scope, receive, send)

        return admitted

    async def nowhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer where no endpoint is."""
        principal: Principal | None = scope.get(PRINCIPAL)
        sees_all = principal is None or principal.scopes.is_everything
        if not sees_all and scope["path"].endswith(ENTRANCES) and not scope["path"].startswith(WELL_KNOWN):
            await self._refuse(scope, receive, send)
        else:
            await self._not_found(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._denials.endpoint(scope)
        challenge = self._auth.resource.challenge(scope["path"], "insufficient_scope")
        await refuse(scope, receive, send, 403, DETAIL, {"WWW-Authenticate": challenge})
