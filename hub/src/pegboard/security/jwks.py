"""The keys of an issuer: fetched from where the settings say, kept, and fetched anew when they change."""

import json
import logging
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx
from jwt import PyJWK

from pegboard.addresses import is_address
from pegboard.errors import PegboardError
from pegboard.settings import OAuthSettings

log = logging.getLogger(__name__)

FRESH_FOR = 600.0
"""Seconds until keys are fetched again."""

LATE_AFTER = 1200.0
"""Seconds from which on a token waits for fresh keys, since nobody has brought them by the way."""

KEPT_FOR = 86_400.0
"""Seconds that keys count while the issuer does not answer."""

TRY_EVERY = 30.0
"""Least seconds between two requests, whoever asks for keys that are not there."""

TRY_AGAIN = 2.0
"""Least seconds between them as long as there are no keys at all."""

TIMEOUT = 4.0
"""Seconds for all requests of one fetch together; less than a caller waits to be recognized."""

BACKGROUND_TIMEOUT = 1.5

MAX_BYTES = 512 * 1024
MAX_KEYS = 100
LEAST_RSA_BITS = 2048

ALGORITHMS: Mapping[tuple[str, str | None], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
    ("OKP", "Ed448"): ("EdDSA",),
}
"""What a key of each type and curve can sign."""

PUBLIC = ("kty", "crv", "n", "e", "x", "y")


class KeysError(PegboardError):
    """The keys of the issuer cannot be had, so that nobody can be recognized by a token."""


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A public key, and the signatures it may be used for."""

    id: str | None
    algorithms: tuple[str, ...]
    key: Any = field(repr=False)


class IssuerKeys:
    """Fetches and keeps them. However many ask, one request goes out at a time, and few a minute.

    Nothing but the settings decides where it goes: to `jwks_url`, or to the issuer and where the issuer's metadata
    leads to. No redirect is followed, and no proxy of the environment is used.
    """

    def __init__(
        self,
        settings: OAuthSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.version = 0
        """Another one whenever the keys are others."""
        self._settings = settings
        self._transport = transport
        self._clock = clock
        self._keys: list[IssuerKey] = []
        self._document: object = None
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = anyio.Lock()

    def are_those_of(self, settings: OAuthSettings) -> bool:
        """Whether other settings have the same keys."""
        return (self._settings.issuer, self._settings.jwks_url) == (settings.issuer, settings.jwks_url)

    @property
    def are_settled(self) -> bool:
        """Whether there are keys that count, and nothing is to be fetched before the next token."""
        return self._age < KEPT_FOR and (self._age < LATE_AFTER or not self._may_try)

    async def find(self, key_id: str | None, algorithm: str) -> list[IssuerKey]:
        """The keys that may have made a signature: those of that id, or all that fit where a token names none.

        Raises `KeysError` when there are no keys, and none can be had.
        """
        if self._age >= LATE_AFTER:
            await self._fetch(TIMEOUT)
        if self._age >= KEPT_FOR:
            raise KeysError("the keys of the [oauth] issuer cannot be had; its tokens cannot be checked")
        found = self._fitting(key_id, algorithm)
        if not found:
            await self._fetch(TIMEOUT)
            found = self._fitting(key_id, algorithm)
        return found

    async def keep_fresh(self) -> None:
        """Fetch the keys anew when it is time, so that no token has to wait for it."""
        if FRESH_FOR <= self._age < KEPT_FOR and self._may_try:
            await self._fetch(BACKGROUND_TIMEOUT)

    @property
    def _age(self) -> float:
        return self._clock() - self._fetched_at

    @property
    def _may_try(self) -> bool:
        pause = TRY_EVERY if self._age < KEPT_FOR else TRY_AGAIN
        return self._clock() - self._tried_at >= pause

    def _fitting(self, key_id: str | None, algorithm: str) -> list[IssuerKey]:
        return [key for key in self._keys if key_id in (None, key.id) and algorithm in key.algorithms]

    async def _fetch(self, timeout: float) -> None:
        # Who has waited for the fetch of somebody else finds that it is done, and does not fetch again.
        async with self._lock:
            if not self._may_try:
                return
            try:
                with anyio.fail_after(timeout):
                    document = await self._download()
            except (KeysError, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                why = str(error) if isinstance(error, KeysError) else f"no answer ({type(error).__name__})"
                log.warning("the keys of the [oauth] issuer could not be fetched: %s", why)
                return
            finally:
                self._tried_at = self._clock()  # from the end on: a fetch may have taken longer than the pause
            self._fetched_at = self._clock()
            if document != self._document:
                self._document, self._keys = document, list(_read(document))
                self.version += 1
                log.info("the [oauth] issuer has %d keys that count", len(self._keys))

    async def _download(self) -> list[Any]:
        async with self._client() as client:
            document = await _get(client, self._settings.jwks_url or await self._discovered(client))
        keys = document.get("keys")
        if not isinstance(keys, list):
            raise KeysError("what it serves as its keys is no JWK set")
        return cast(list[Any], keys)

    def _create_context(self) -> ssl.SSLContext | bool:
        return httpx.create_ssl_context() if self._transport is None else True

    @asynccontextmanager
    async def _client(self) -> AsyncGenerator[httpx.AsyncClient]:
        # Reading the certificates of the authorities takes longer than anybody else may be kept waiting.
        context = await anyio.to_thread.run_sync(self._create_context)
        async with httpx.AsyncClient(
            transport=self._transport, verify=context, trust_env=False, follow_redirects=False, timeout=TIMEOUT
        ) as client:
            yield client

    async def _discovered(self, client: httpx.AsyncClient) -> str:
        """Where the issuer's own metadata says its keys are (RFC 8414, then OpenID Connect Discovery)."""
        problems: list[str] = []
        for url in metadata_urls(self._settings.issuer or ""):
            try:
                return self._keys_url(await _get(client, url))
            except KeysError as error:
                problems.append(str(error))
        raise KeysError("; ".join(problems))

    def _keys_url(self, metadata: Mapping[str, Any]) -> str:
        issuer, url = self._settings.issuer or "", metadata.get("jwks_uri")
        if metadata.get("issuer") != issuer:
            raise KeysError("its metadata is that of another issuer; `issuer` must be written exactly as there")
        is_local = issuer.startswith("http://")
        if not isinstance(url, str) or not is_address(url, query=True) or (url.startswith("http://") and not is_local):
            raise KeysError("its metadata names no https URL as jwks_uri")
        return url


def metadata_urls(issuer: str) -> list[str]:
    """Where the metadata of an issuer may be."""
    url = urlsplit(issuer)
    host, path = f"{url.scheme}://{url.netloc}", url.path.rstrip("/")
    places = (
        f"{host}/.well-known/oauth-authorization-server{path}",
        f"{host}/.well-known/openid-configuration{path}",
        f"{host}{path}/.well-known/openid-configuration",
    )
    return list(dict.fromkeys(places))


async def _get(client: httpx.AsyncClient, url: str) -> Mapping[str, Any]:
    """The JSON object at a URL. Raises `KeysError` for anything else."""
    # Unpacked by nobody, so that the limit is one on memory, too.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with client.stream("GET", url, headers=headers) as response:
        if response.status_code != 200:
            raise KeysError(f"{url} answers {response.status_code}")
        body = b""
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BYTES:
                raise KeysError(f"{url} answers with more than {MAX_BYTES} bytes")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise KeysError(f"{url} answers with something that is no JSON object")
    return cast(dict[str, Any], document)


def _read(document: list[Any]) -> Iterator[IssuerKey]:
    for entry in document[:MAX_KEYS]:
        with suppress(Exception):  # whatever is wrong with one key, it must not take away the others
            yield from _keys_of(entry)


def _keys_of(entry: Mapping[str, Any]) -> Iterator[IssuerKey]:
    """The key of an entry of a JWK set, if it is one to check signatures with."""
    if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
        return
    kind = (entry.get("kty"), None if entry.get("kty") == "RSA" else entry.get("crv"))
    able = ALGORITHMS.get(cast(tuple[str, str | None], kind), ())
    algorithms = tuple(name for name in able if entry.get("alg", name) == name)
    if not algorithms:
        return
    # Without the rest: a set that shows a private key by mistake must not make the hub hold it.
    key: Any = PyJWK({name: entry[name] for name in PUBLIC if name in entry}, algorithm=algorithms[0]).key
    if entry["kty"] != "RSA" or key.key_size >= LEAST_RSA_BITS:
        yield IssuerKey(entry.get("kid"), algorithms, key)
