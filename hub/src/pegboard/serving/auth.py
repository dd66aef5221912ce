"""Authentication: who sends a request, before anything else sees it."""

import base64
import logging
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.types import ASGIApp, Receive, Scope, Send

from pegboard.endpoint import PRINCIPAL
from pegboard.errors import ConfigError, PegboardError
from pegboard.security.claims import TokenError
from pegboard.security.principal import Principal
from pegboard.security.scopes import Scopes
from pegboard.serving.closing import Closing
from pegboard.serving.guard import is_loopback
from pegboard.serving.metadata import WELL_KNOWN, Resource
from pegboard.serving.replies import refuse
from pegboard.settings import ServerSettings

log = logging.getLogger(__name__)

CHECK_EVERY = 1.0
"""Seconds until an open stream notices that the key it was opened with is gone."""

VERIFY_TIMEOUT = 5.0
REFRESH_TIMEOUT = 2.0
COMPLAIN_EVERY = 60.0
"""Seconds between two lines of the log about a verifier that fails, however many requests it fails for."""

MAX_USERS = 1024

OPEN = frozenset({"/health", "/ready"})
"""What probes ask without a key; they learn the state and no details."""

NOBODY = Principal("", Scopes(frozenset()))
"""Who asks for an open page without a key, where the hub asks for keys: somebody who may see no details."""

HOW = "show a key: `Authorization: Bearer peg_...`"


class Denials(Protocol):
    """Hears of everybody who was not recognized."""

    async def credential(self, denied: "Denied", scope: Scope) -> "Denied":
        """What to answer in the end."""
        ...


class Verifier(Protocol):
    """Knows the principals of one kind of credential."""

    def recognizes(self, credential: str) -> bool:
        """Whether the credential is of this kind, by its look alone."""
        ...

    def known(self, credential: str, path: str) -> Principal | None:
        """Who shows it at this path, where that can be told at once; `None` sends it to `verify`."""
        ...

    async def verify(self, credential: str, path: str) -> Principal | None:
        """Who shows it at this path; `None` for one that does not count. Raises `TokenError` to say why it does not;
        whatever else it raises counts as no, too."""
        ...

    async def refresh(self) -> None:
        """Notice what has changed, within 2 s; called every second. What it raises is logged, and changes nothing."""
        ...

    def is_live(self, principal: Principal) -> bool:
        """Whether what the principal has shown still counts, as of the last refresh."""
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
    retry_after: int = 5


@dataclass(frozen=True, slots=True)
class Shown:
    """The credential of a request, and how it was shown."""

    text: str
    way: Literal["bearer", "basic", "internal"]
    user: str = ""


class Authentication:
    """Finds out who sends each request; refuses those that say nothing, or what does not count.

    Without verifiers it lets everybody through, and nobody has a principal. A verifier that fails, or takes more than
    5 s, lets nobody through (503).
    """

    def __init__(self, app: ASGIApp, verifiers: Sequence[Verifier] = (), denials: Denials | None = None) -> None:
        self._app = app
        self.verifiers = verifiers
        self._denials = denials
        self.resource = Resource()
        self.open_paths = OPEN
        self._watched: dict[Closing, Principal] = {}
        self._running: dict[Callable[[], object], Principal] = {}
        self._users: dict[str, tuple[Principal, AuthenticatedUser]] = {}
        self._complained: dict[str, float] = {}

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
    def watching(self, principal: Principal | None) -> Generator[Closing]:
        """A closing that comes when what a principal has shown does not count any more, within 5 s."""
        over = Closing()
        if principal is None:
            yield over
            return
        self._watched[over] = principal
        try:
            yield over
        finally:
            del self._watched[over]

    def began(self, principal: Principal, end: Callable[[], object]) -> None:
        """Call `end`, once, when what a principal has shown is taken back, within 5 s, until it has `ended`.

        Cheap enough for every call. That the time of a key or token is over ends nothing here: calls have an end.
        """
        self._running[end] = principal

    def ended(self, end: Callable[[], object]) -> None:
        """What had begun is over."""
        self._running.pop(end, None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.verifiers or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            principal = await self._principal(scope)
        except Denied as denied:
            if self._denials is not None:
                denied = await self._denials.credential(denied, scope)
            await self.refuse(denied, scope, receive, send)
            return
        scope[PRINCIPAL] = principal
        if principal is not NOBODY:
            scope["user"] = self._user(principal)
        await self._app(scope, receive, send)

    async def _principal(self, scope: Scope) -> Principal:
        shown = credential_of(scope)
        if shown is None:
            if self._is_open(scope["path"]):
                return NOBODY
            raise Denied(401, "none", HOW)
        principal = await self._verified(shown, scope["path"])
        if principal is None or not _fits(shown, principal):
            raise Denied(401, "credential", "this key or token does not count; ask for a new one")
        return principal

    async def _verified(self, shown: Shown, path: str) -> Principal | None:
        verifier = next((one for one in self.verifiers if one.recognizes(shown.text)), None)
        if verifier is None:
            return None
        try:
            known = verifier.known(shown.text, path)
            if known is not None:
                return known
            with anyio.fail_after(VERIFY_TIMEOUT):  # takes longer than all the rest, so not for those who are known
                return await verifier.verify(shown.text, path)
        except TokenError as error:
            raise Denied(401, error.reason, str(error)) from None
        except Exception as error:  # whatever fails here must never let anybody through
            self._complain(verifier, error)
            raise Denied(503, "verifier", "credentials cannot be checked at the moment; try again") from error

    async def refuse(self, denied: Denied, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer somebody who is not let through."""
        headers = (
            {"WWW-Authenticate": self._challenge(denied, scope)}
            if denied.status == 401
            else {"Retry-After": str(denied.retry_after)}
        )
        await refuse(scope, receive, send, denied.status, denied.detail, headers)

    def _challenge(self, denied: Denied, scope: Scope) -> str:
        is_wrong = denied.reason in ("credential", "token", "expired")
        return self.resource.challenge(scope["path"], *(("invalid_token", denied.detail) if is_wrong else ()))

    def _is_open(self, path: str) -> bool:
        return path in self.open_paths or path == WELL_KNOWN or path.startswith(f"{WELL_KNOWN}/")

    def _user(self, principal: Principal) -> AuthenticatedUser:
        """The SDK's user for a principal, made once, since making one takes longer than recognizing a key."""
        kept = self._users.get(principal.id)
        if kept is not None and (kept[0] is principal or kept[0] == principal):
            return kept[1]
        while len(self._users) >= MAX_USERS:
            del self._users[next(iter(self._users))]
        user = _user_of(principal)
        self._users[principal.id] = principal, user
        return user

    async def _look_after(self) -> None:
        while True:
            await anyio.sleep(CHECK_EVERY)
            await self.check()

    async def check(self) -> None:
        """Let the verifiers notice what has changed, and end what somebody has opened who does not count any more."""
        for verifier in self.verifiers:
            try:
                with anyio.fail_after(REFRESH_TIMEOUT):
                    await verifier.refresh()
            except Exception as error:  # noqa: BLE001 # one that fails must not keep the streams of the others open
                self._complain(verifier, error)
        for over, principal in list(self._watched.items()):
            if principal.is_expired or not self._is_live(principal):
                over.set()
        for end, principal in list(self._running.items()):
            if not principal.is_expired and not self._is_live(principal):
                self.ended(end)
                try:
                    end()
                except Exception:  # its endpoint is gone, say; the others have to end all the same
                    log.exception("what a caller has open could not be ended")

    def _is_live(self, principal: Principal) -> bool:
        return any(verifier.owns(principal) and verifier.is_live(principal) for verifier in self.verifiers)

    def _complain(self, verifier: Verifier, error: Exception) -> None:
        name, now = type(verifier).__name__, time.monotonic()
        if now < self._complained.get(name, 0.0):
            return
        self._complained[name] = now + COMPLAIN_EVERY
        expected = isinstance(error, PegboardError)
        why = str(error) if expected else f"{name} failed with {type(error).__name__}"
        log.error("callers are turned away: %s", why, exc_info=None if expected else error)


def refuse_strangers(settings: ServerSettings, host: str | None = None) -> None:
    """Raise `ConfigError` if others than this machine could call without a key, and nobody said that this is wanted."""
    host = settings.host if host is None else host
    if not is_loopback(host) and not settings.unauthenticated:
        raise ConfigError(
            f"listening on {host or 'every address'!r} would let anybody who reaches this machine call every tool, "
            f"since nobody has to show a key. Two lines fix it, the first in the configuration under [auth]:\n"
            f'  keys_file = "keys.json"\n'
            f"  pegboard keys create NAME --scope '*'\n"
            f"Or write `unauthenticated = true` under [server] if that is wanted, behind a proxy that asks, say"
        )


def credential_of(scope: Scope) -> Shown | None:
    """The credential of a request, if there is one: a bearer, the password of HTTP Basic, or an internal token.

    Raises `Denied` when there is more than one, or one that cannot be read. What stands in the URL never counts.
    """
    named = [(name, value) for name, value in scope["headers"] if name in (b"authorization", b"x-internal-token")]
    if not named:
        return None
    if len(named) > 1:
        raise Denied(401, "several", "send one credential, not several")
    name, value = named[0]
    text = value.decode("latin-1").strip()
    if name == b"x-internal-token":
        return Shown(text, "internal")
    scheme, _, rest = text.partition(" ")
    if scheme.lower() == "bearer":
        return Shown(rest.strip(), "bearer")
    if scheme.lower() == "basic":
        return _basic(rest.strip())
    raise Denied(401, "scheme", HOW)


def _basic(encoded: str) -> Shown:
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:  # no base64, or no text
        raise Denied(401, "basic", "this is no HTTP Basic credential") from None
    return Shown(password, "basic", user)


def _fits(shown: Shown, principal: Principal) -> bool:
    """Whether a credential of this kind may be shown in this way: a token only as a bearer, a key by its owner."""
    if shown.way != "bearer" and principal.issuer is not None:
        return False
    return shown.way != "basic" or shown.user in (principal.id, principal.name)


def _user_of(principal: Principal) -> AuthenticatedUser:
    """The SDK's own kind of user, which alone makes a session belong to its owner."""
    expires_at = None if principal.expires_at is None else int(principal.expires_at)
    claims: Mapping[str, str] = {"iss": principal.issuer} if principal.issuer else {}
    token = AccessToken(
        token="", client_id=principal.id, scopes=[], expires_at=expires_at, subject=principal.id, claims=dict(claims)
    )
    return AuthenticatedUser(token)
