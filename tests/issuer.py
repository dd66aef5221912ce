"""An authorization server of our own: real keys, real signatures, and what it serves, without a port."""

import json
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from pegboard.settings import OAuthSettings

Json = dict[str, Any]

ISSUER = "https://login.example.com/realms/team"
RESOURCE = "https://hub.example.com"
JWKS_PATH = "/keys"


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key that lives as long as the process, since making one takes its time; `name` tells several apart."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(name: str, curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


@cache
def ed_key(name: str) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def jwk_of(key: Any, key_id: str | None, **more: Any) -> Json:
    """The public half of a key, as a set of keys has it."""
    algorithm: Any = RSAAlgorithm
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = ECAlgorithm
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm = OKPAlgorithm
    shown = {name: value for name, value in json.loads(algorithm.to_jwk(key.public_key())).items() if name != "key_ops"}
    return shown | ({"kid": key_id} if key_id is not None else {}) | more


class Issuer:
    """Signs tokens and serves its metadata and its keys; counts who asks for what."""

    def __init__(self, url: str = ISSUER, resource: str = RESOURCE) -> None:
        self.url = url
        self.resource = resource
        self.keys: dict[str, Any] = {"one": rsa_key("one")}
        self.pages: dict[str, Any] = {}
        self.asked: list[str] = []
        self.is_away = False
        self.publish()

    def publish(self) -> None:
        """Serve the keys there are now."""
        base = "/".join(self.url.split("/")[:3])
        path = self.url.removeprefix(base)
        metadata = {"issuer": self.url, "jwks_uri": base + JWKS_PATH}
        self.pages[f"/.well-known/oauth-authorization-server{path}"] = metadata
        self.pages[JWKS_PATH] = {"keys": [jwk_of(key, key_id) for key_id, key in self.keys.items()]}

    @property
    def settings(self) -> OAuthSettings:
        return self.with_settings()

    def with_settings(self, **more: Any) -> OAuthSettings:
        return OAuthSettings.model_validate({"issuer": self.url, "resource": self.resource, **more})

    def claims(self, **changes: Any) -> Json:
        """The claims of a token that counts, with changes; `None` leaves one out."""
        now = int(time.time())
        claims: Json = {"iss": self.url, "sub": "alice", "aud": self.resource, "client_id": "claude", "scope": "read"}
        claims |= {"iat": now, "exp": now + 300, **changes}
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self, *, key: Any = None, algorithm: str = "RS256", headers: Mapping[str, Any] | None = None, **changes: Any
    ) -> str:
        """A token that counts, with changes to its claims and headers."""
        head = {"kid": "one", "typ": "at+jwt", **(headers or {})}
        return jwt.encode(
            self.claims(**changes),
            key or self.keys["one"],
            algorithm,
            headers={name: value for name, value in head.items() if value is not None},
        )

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """What it answers to a request, on whatever way that comes."""
        self.asked.append(str(request.url))
        if self.is_away:
            raise httpx.ConnectError("away", request=request)
        page = self.pages.get(request.url.path)
        if isinstance(page, httpx.Response):
            return page
        return httpx.Response(404) if page is None else httpx.Response(200, stream=body_of(page))


def body_of(page: Any) -> httpx.ByteStream:
    """A page as it goes over a wire: JSON, or the bytes it is."""
    return httpx.ByteStream(page if isinstance(page, bytes) else json.dumps(page).encode())


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
