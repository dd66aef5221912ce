"""Claims: what a token of the authorization server says about its bearer; values, and pure."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote

from pegboard.errors import ConfigError, PegboardError
from pegboard.security.principal import Principal
from pegboard.security.scopes import Scope, Scopes
from pegboard.settings import OAuthSettings

MAX_NAME = 255
"""Most characters of a subject (OpenID Connect, 2), and of a client's name."""

MARKS_OF_OTHERS = frozenset({"at_hash", "c_hash", "s_hash", "events"})
"""Claims of ID tokens and of security events, which no access token has."""


class TokenError(PegboardError):
    """A token does not count; the message is one of a few, and its bearer may read it."""

    reason = "token"
    """A word for the records."""


class ExpiredError(TokenError):
    """A token has counted until a while ago: nobody has guessed it."""

    reason = "expired"

    def __init__(self) -> None:
        super().__init__("the token has expired")


class Reading:
    """What the claims of an issuer's tokens mean here.

    Raises `ConfigError` that names each scope the settings give which is none.
    """

    def __init__(self, settings: OAuthSettings, tenants: Collection[str] = ()) -> None:
        self._settings = settings
        self._tenants = tenants
        self._given = _translations(settings)

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """Who shows a token with these claims. Raises `TokenError` for one that is no access token of a tenant here."""
        _check_kind(claims)
        return Principal(
            id=_identity(claims),
            scopes=Scopes(frozenset(self._scopes(claims))),
            name=str(claims["sub"]),
            tenant=self._tenant(claims),
            expires_at=float(claims["exp"]),
            issuer=self._settings.issuer,
        )

    def _scopes(self, claims: Mapping[str, Any]) -> Iterator[Scope]:
        """Each word in our terms: as the settings translate it, as it stands if it is a scope here, else nothing."""
        for word in (word for claim in self._settings.scope_claims for word in _words(_claim(claims, claim))):
            if word in self._given:
                yield from self._given[word]
                continue
            try:
                yield Scope.of(word)
            except ConfigError:
                continue

    def _tenant(self, claims: Mapping[str, Any]) -> str | None:
        if self._settings.tenant_claim is None:
            return None
        tenant = _claim(claims, self._settings.tenant_claim)
        if not isinstance(tenant, str) or tenant not in self._tenants:
            raise TokenError("the token is for no tenant of this hub")
        return tenant


def _translations(settings: OAuthSettings) -> Mapping[str, list[Scope]]:
    given: dict[str, list[Scope]] = {}
    wrong: list[str] = []
    for word, scopes in settings.scopes.items():
        try:
            given[word] = [Scope.of(scope) for scope in scopes]
        except ConfigError as error:
            wrong.append(f"[oauth.scopes] {word}: {error}")
    if wrong:
        raise ConfigError("\n".join(wrong))
    return given


def _check_kind(claims: Mapping[str, Any]) -> None:
    """Refuse what an authorization server signs that is no access token, or one that a bearer must prove more for."""
    is_id = claims.get("token_use") == "id" or str(claims.get("typ", "")).lower() == "id"
    if is_id or MARKS_OF_OTHERS & claims.keys():
        raise TokenError("this is no access token")
    if "cnf" in claims:
        raise TokenError("tokens that are bound to a key (DPoP, mTLS) do not count here; get one without")


def _identity(claims: Mapping[str, Any]) -> str:
    """A person, and the program that acts for them: two programs of one person share no session.

    Written so that no other pair, and no key, has the same.
    """
    subject, client = claims["sub"], claims.get("client_id") or claims.get("azp")
    names = [subject] if client in (None, "", subject) else [subject, client]
    if not all(isinstance(name, str) and 0 < len(name) <= MAX_NAME for name in names):
        raise TokenError("the token does not say who shows it")
    return "/".join(["oauth", *(quote(name, safe="@|:") for name in names)])


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, which may have dots in it, or by the dots that lead into it."""
    if path in claims:
        return claims[path]
    first, _, rest = path.partition(".")
    inner = claims.get(first)
    return _claim(cast(dict[str, Any], inner), rest) if rest and isinstance(inner, dict) else None


def _words(value: Any) -> list[str]:
    """The words of a text, or the texts of a list."""
    if isinstance(value, str):
        return value.split()
    return [word for word in cast(list[Any], value) if isinstance(word, str)] if isinstance(value, list) else []
