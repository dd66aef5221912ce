"""Access tokens: JWTs that an authorization server has signed for this hub, checked strictly."""

import hashlib
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self, cast

import jwt

from pegboard.addresses import stream_of
from pegboard.security.claims import ExpiredError, Reading, TokenError
from pegboard.security.jwks import IssuerKey, IssuerKeys
from pegboard.security.principal import Principal
from pegboard.settings import OAuthSettings

MAX_LENGTH = 16 * 1024
MAX_KEPT = 4096
LEEWAY = 60
"""Seconds that the clock of the issuer may be ahead of ours."""

SEGMENT = r"[A-Za-z0-9_-]+"
TOKEN = re.compile(rf"{SEGMENT}\.{SEGMENT}\.{SEGMENT}")
TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})
REQUIRED = ["iss", "sub", "aud", "exp"]

INVALID = "the token does not count here"


@dataclass(frozen=True, slots=True)
class _Known:
    """A token that has been checked: who shows it, and what it was issued for."""

    principal: Principal
    audiences: Collection[str]


class Tokens:
    """Recognizes the bearers of an issuer's access tokens; a `Verifier`.

    A token counts for what its audience is, and for all below: the hub's own URL for every endpoint,
    `https://hub/awx` for those of a plugin, `https://hub/awx/mcp` for one alone. One that has been checked is known by
    its hash until it ends or the issuer changes its keys. `verify` raises `TokenError`, and `KeysError` when the
    issuer's keys cannot be had.
    """

    def __init__(self, settings: OAuthSettings, tenants: Collection[str] = (), keys: IssuerKeys | None = None) -> None:
        self._settings = settings
        self._reading = Reading(settings, frozenset(tenants))
        self._resource = (settings.resource or "").rstrip("/")
        self._keys = keys or IssuerKeys(settings)
        self._known: dict[bytes, _Known] = {}
        self._version = self._keys.version

    @classmethod
    def of(cls, settings: OAuthSettings, tenants: Collection[str], before: Self | None = None) -> Self:
        """Tokens of these settings, by the keys that those before have fetched, if it is still the same issuer."""
        is_same = before is not None and before._keys.are_those_of(settings)
        return cls(settings, tenants, before._keys if before is not None and is_same else None)

    def recognizes(self, credential: str) -> bool:
        return credential.count(".") == 2

    def known(self, credential: str, path: str) -> Principal | None:
        """Who shows it, if that can be told without checking it anew."""
        if len(credential) > MAX_LENGTH or not self._keys.are_settled:
            return None
        if self._version != self._keys.version:
            self._version, self._known = self._keys.version, {}
        known = self._known.get(_hash(credential))
        if known is None or known.principal.is_expired or not self._is_for(path, known.audiences):
            return None
        return known.principal

    async def verify(self, credential: str, path: str) -> Principal | None:
        """Who shows it at this path."""
        algorithm, key_id = self._header(credential)
        keys = await self._keys.find(key_id, algorithm)
        principal = self.known(credential, path)
        if principal is not None:
            return principal
        claims = self._claims(credential, algorithm, keys)
        known = _Known(self._reading.principal(claims), _audiences(claims))
        if not self._is_for(path, known.audiences):
            raise TokenError("the token was issued for another resource")
        self._keep(credential, known)
        return known.principal

    async def refresh(self) -> None:
        """Fetch the issuer's keys anew when it is time."""
        await self._keys.keep_fresh()

    def owns(self, principal: Principal) -> bool:
        return principal.issuer is not None and principal.issuer == self._settings.issuer

    def is_live(self, principal: Principal) -> bool:
        return not principal.is_expired

    def _header(self, credential: str) -> tuple[str, str | None]:
        """Algorithm and key id. Nothing else in a header decides anything; keys and URLs in it are not looked at."""
        if len(credential) > MAX_LENGTH or not TOKEN.fullmatch(credential):
            raise TokenError(INVALID)
        try:
            header = jwt.get_unverified_header(credential)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise TokenError(INVALID) from None
        algorithm, kind = header.get("alg"), header.get("typ", "JWT")
        is_typed = isinstance(kind, str) and kind.lower() in TYPES
        if algorithm not in self._settings.algorithms or not is_typed or "crit" in header:
            raise TokenError(INVALID)
        return algorithm, header.get("kid")

    def _claims(self, credential: str, algorithm: str, keys: list[IssuerKey]) -> Mapping[str, Any]:
        """What the token says, if one of the keys has signed it, for now, as this issuer."""
        for key in keys:
            try:
                claims = self._decoded(credential, algorithm, key)
            except jwt.InvalidSignatureError:
                continue
            except jwt.ExpiredSignatureError:
                raise ExpiredError from None
            except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
                raise TokenError(INVALID) from None
            if claims["exp"] <= time.time():  # no leeway at the end, where streams have none either
                raise ExpiredError
            return claims
        raise TokenError(INVALID)

    def _decoded(self, credential: str, algorithm: str, key: IssuerKey) -> dict[str, Any]:
        claims = jwt.decode(
            credential,
            key.key,
            algorithms=[algorithm],
            issuer=self._settings.issuer,
            leeway=LEEWAY,
            options={"require": REQUIRED, "verify_aud": False},  # `_is_for` knows what is below what
        )
        return {**claims, "exp": float(claims["exp"])}

    def _is_for(self, path: str, audiences: Collection[str]) -> bool:
        """Whether one of them is the hub, or something in it that is at the path or above."""
        target = self._resource + stream_of(path)
        return any(
            _is_below(audience, self._resource) and _is_below(target, audience)
            for audience in (name.removesuffix("/") for name in audiences)
        )

    def _keep(self, credential: str, known: _Known) -> None:
        while len(self._known) >= MAX_KEPT:
            del self._known[next(iter(self._known))]
        self._known[_hash(credential)] = known


def _hash(credential: str) -> bytes:
    return hashlib.sha256(credential.encode(errors="replace")).digest()


def _audiences(claims: Mapping[str, Any]) -> frozenset[str]:
    value = claims["aud"]
    values = cast(list[Any], value) if isinstance(value, list) else [value]
    return frozenset(one for one in values if isinstance(one, str))


def _is_below(url: str, parent: str) -> bool:
    """Whether a URL is another one, or a path in it."""
    return url == parent or url.startswith(f"{parent}/")
