"""Authentication: who sends a request, before anything else sees it."""

import base64
import binascii
import logging
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.types import ASGIApp, Receive, Scope, Send

from pegboard.endpoint import PRINCIPAL
from pegboard.security.principal import Principal
from pegboard.serving.replies import refuse

log = logging.getLogger(__name__)

CHECK_EVERY = 1.0
"""Seconds until an open stream notices that the key it was opened with is gone."""

VERIFY_TIMEOUT = 5.0

OPEN = frozenset({"/health", "/ready"})
"""What probes ask without a key; they learn the state and no details."""

WELL_KNOWN = "/.well-known/oauth-protected-resource"


class Verifier(Protocol):
    """Knows the principals of one kind of credential."""

    def recognizes(self, credential: str) -> bool:
        """Whether the credential is of this kind, by its look alone."""
        ...

    async def verify(self, credential: str, resource: str) -> Principal | None:
        """Who shows it at this path; `None` for one that does not count. Whatever it raises counts as no."""
        ...

    def is_live(self, principal: Principal) -> bool:
        """Whether what the principal has shown still counts."""
        ...

    def owns(self, principal: Principal) -> bool:
        """Whether the principal was recognized by this verifier."""
        ...


@dataclass(frozen=True, slots=True)
class Denied(Exception):  # noqa: N818 # an answer, not a failure
    """Why a request is not let through: the HTTP status, a word for the records, and a sentence."""

    status: int
    reason: str
    detail: str


class Authentication:
    """Finds out who sends each request; refuses those that say nothing, or what does not count.

    Without verifiers it lets everybody through, and nobody has a principal. A verifier that fails, or takes more than
    5 s, lets nobody through (503).
    """

    def __init__(self, app: ASGIApp, verifiers: Sequence[Verifier] = ()) -> None:
        self._app = app
        self.verifiers = verifiers
        self._watched: dict[anyio.Event, Principal] = {}

    @property
    def is_on(self) -> bool:
        """Whether callers have to show who they are."""
        return bool(self.verifiers)

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Look after what is watched."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._look_after)
            yield
            tasks.cancel_scope.cancel()

    @contextmanager
    def watching(self, principal: Principal | None) -> Generator[anyio.Event]:
        """An event that comes when what a principal has shown does not count any more, within some seconds."""
        over = anyio.Event()
        if principal is None:
            yield over
            return
        self._watched[over] = principal
        try:
            yield over
        finally:
            del self._watched[over]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.verifiers or scope["type"] != "http" or _is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            principal = await self._principal(scope)
        except Denied as denied:
            await self._refuse(denied, scope, receive, send)
            return
        scope[PRINCIPAL], scope["user"] = principal, _user(principal)
        await self._app(scope, receive, send)

    async def _principal(self, scope: Scope) -> Principal:
        credential = credential_of(scope)
        verifier = next((one for one in self.verifiers if one.recognizes(credential)), None)
        principal = None
        if verifier is not None:
            try:
                with anyio.fail_after(VERIFY_TIMEOUT):
                    principal = await verifier.verify(credential, scope["path"])
            except Exception as error:  # whatever fails here must never let anybody through
                log.exception("a credential could not be checked")
                raise Denied(503, "verifier", "credentials cannot be checked at the moment; try again") from error
        if principal is None:
            raise Denied(401, "credential", "this key or token does not count; ask for a new one")
        return principal

    async def _refuse(self, denied: Denied, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {"WWW-Authenticate": 'Bearer realm="pegboard"'} if denied.status == 401 else {"Retry-After": "5"}
        await refuse(scope, receive, send, denied.status, denied.detail, headers)

    async def _look_after(self) -> None:
        while True:
            await anyio.sleep(CHECK_EVERY)
            for over, principal in list(self._watched.items()):
                if principal.is_expired or not self._is_live(principal):
                    over.set()

    def _is_live(self, principal: Principal) -> bool:
        return any(verifier.owns(principal) and verifier.is_live(principal) for verifier in self.verifiers)


def credential_of(scope: Scope) -> str:
    """The one credential of a request: a bearer, the password of HTTP Basic, or an internal token.

    Raises `Denied` when there is none, more than one, or one that cannot be read.
    """
    named = [(name, value) for name, value in scope["headers"] if name in (b"authorization", b"x-internal-token")]
    if len(named) != 1:
        detail = "send one credential, not several" if named else "show a key: `Authorization: Bearer peg_...`"
        raise Denied(401, "several" if named else "none", detail)
    name, value = named[0]
    text = value.decode("latin-1").strip()
    if name == b"x-internal-token":
        return text
    scheme, _, rest = text.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        return _password(rest.strip())
    raise Denied(401, "scheme", "show a key: `Authorization: Bearer peg_...`")


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise Denied(401, "basic", "this is no HTTP Basic credential") from None


def _user(principal: Principal) -> AuthenticatedUser:
    """The SDK's own kind of user, which alone makes a session belong to its owner."""
    expires_at = None if principal.expires_at is None else int(principal.expires_at)
    claims: Mapping[str, str] = {"iss": principal.issuer} if principal.issuer else {}
    token = AccessToken(
        token="", client_id=principal.id, scopes=[], expires_at=expires_at, subject=principal.id, claims=dict(claims)
    )
    return AuthenticatedUser(token)


def _is_open(path: str) -> bool:
    return path in OPEN or path == WELL_KNOWN or path.startswith(f"{WELL_KNOWN}/")
