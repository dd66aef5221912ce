"""Tokens: which count, for whom and where, and every way of forging one."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from tests.issuer import RESOURCE, Clock, Issuer, ec_key, ed_key, jwk_of, rsa_key

from pegboard.security import tokens as tokens_module
from pegboard.security.claims import ExpiredError, TokenError
from pegboard.security.jwks import IssuerKeys, KeysError
from pegboard.security.tokens import Tokens
from pegboard.settings import OAuthSettings


def tokens_of(issuer: Issuer, settings: OAuthSettings | None = None, clock: Clock | None = None) -> Tokens:
    settings = settings or issuer.settings
    return Tokens(settings, ["team-a"], IssuerKeys(settings, transport=issuer.transport, clock=clock or Clock()))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value: Any) -> str:
    return b64(json.dumps(value).encode())


def forged(issuer: Issuer, header: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    signed = f"{part({'typ': 'JWT', 'kid': 'one', **header})}.{part(issuer.claims())}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda signed: hmac.new(secret, signed, hashlib.sha256).digest()


def rs256(key: Any) -> Callable[[bytes], bytes]:
    return lambda signed: RSAAlgorithm(RSAAlgorithm.SHA256).sign(signed, key)


# What counts


async def test_a_token_says_who_shows_it() -> None:
    issuer = Issuer()

    principal = await tokens_of(issuer).verify(issuer.token(exp=2_000_000_000), "/mcp")

    assert principal is not None
    assert (principal.id, principal.issuer, str(principal.scopes)) == ("oauth/alice/claude", issuer.url, "read")
    assert (principal.expires_at, principal.tenant) == (2_000_000_000.0, None)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", rsa_key("one")),
        ("RS512", rsa_key("one")),
        ("PS384", rsa_key("one")),
        ("ES256", ec_key("p256")),
        ("ES384", ec_key("p384", ec.SECP384R1)),
        ("ES512", ec_key("p521", ec.SECP521R1)),
        ("EdDSA", ed_key("ed")),
    ],
)
async def test_every_algorithm_one_may_configure_counts(algorithm: str, key: Any) -> None:
    issuer = Issuer()
    issuer.keys = {"one": key}
    issuer.publish()

    principal = await tokens_of(issuer, issuer.with_settings(algorithms=[algorithm])).verify(
        issuer.token(algorithm=algorithm), "/mcp"
    )

    assert principal is not None


@pytest.mark.parametrize("kind", ["at+jwt", "application/at+JWT", "JWT", None])
async def test_the_type_of_a_token_is_that_of_an_access_token_or_a_jwt(kind: str | None) -> None:
    issuer = Issuer()
    token = issuer.token(headers={"typ": kind})

    assert await tokens_of(issuer).verify(token, "/mcp") is not None


async def test_a_token_without_a_key_id_is_checked_by_the_keys_that_fit() -> None:
    issuer = Issuer()
    issuer.keys = {"ec": ec_key("p256"), "two": rsa_key("two"), "one": rsa_key("one")}
    issuer.publish()

    assert await tokens_of(issuer).verify(issuer.token(headers={"kid": None}), "/mcp") is not None


async def test_a_clock_that_is_a_minute_ahead_is_forgiven() -> None:
    issuer, soon = Issuer(), int(time.time()) + 50

    assert await tokens_of(issuer).verify(issuer.token(iat=soon, nbf=soon), "/mcp") is not None


def test_what_looks_like_a_jwt_is_recognized() -> None:
    tokens = tokens_of(Issuer())

    assert [tokens.recognizes(text) for text in ("a.b.c", "peg_k1_x", "a.b.c.d.e", "")] == [True, False, False, False]


# S-08: forgeries

ATTACKER = rsa_key("attacker")
EVIL = "https://evil.example.net/keys"

FORGERIES: dict[str, Callable[[Issuer], str]] = {
    "alg none": lambda issuer: forged(issuer, {"alg": "none"}, lambda _: b""),
    "alg None": lambda issuer: forged(issuer, {"alg": "None"}, lambda _: b"x"),
    "no alg": lambda issuer: forged(issuer, {}, lambda _: b"x"),
    "alg is a list": lambda issuer: forged(issuer, {"alg": ["RS256"]}, lambda _: b"x"),
    "HS256 with the public key as PEM": lambda issuer: forged(
        issuer,
        {"alg": "HS256"},
        hs256(issuer.keys["one"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)),
    ),
    "HS256 with the public key as JWK": lambda issuer: forged(
        issuer, {"alg": "HS256"}, hs256(json.dumps(jwk_of(issuer.keys["one"], "one")).encode())
    ),
    "HS256 with nothing": lambda issuer: forged(issuer, {"alg": "HS256"}, hs256(b"")),
    "RS512, which is not configured": lambda issuer: issuer.token(algorithm="RS512"),
    "ES256 for the id of an RSA key": lambda issuer: issuer.token(key=ec_key("attacker"), algorithm="ES256"),
    "another key": lambda issuer: issuer.token(key=ATTACKER),
    "another key without an id": lambda issuer: issuer.token(key=ATTACKER, headers={"kid": None}),
    "unknown kid": lambda issuer: issuer.token(headers={"kid": "other"}),
    "a path as kid": lambda issuer: issuer.token(key=ATTACKER, headers={"kid": "../../dev/null"}),
    "jku": lambda issuer: issuer.token(key=ATTACKER, headers={"jku": EVIL}),
    "x5u": lambda issuer: issuer.token(key=ATTACKER, headers={"x5u": EVIL}),
    "jwk": lambda issuer: issuer.token(key=ATTACKER, headers={"jwk": jwk_of(ATTACKER, "one")}),
    "x5c": lambda issuer: issuer.token(key=ATTACKER, headers={"x5c": [b64(b"certificate")]}),
    "crit": lambda issuer: issuer.token(headers={"crit": ["exp"]}),
    "crit of what PyJWT knows": lambda issuer: forged(
        issuer, {"alg": "RS256", "crit": ["b64"], "b64": True}, rs256(issuer.keys["one"])
    ),
    "the type of a security event": lambda issuer: issuer.token(headers={"typ": "secevent+jwt"}),
    "a type that is no text": lambda issuer: forged(issuer, {"alg": "RS256", "typ": 1}, lambda _: b"x"),
    "another issuer": lambda issuer: issuer.token(iss="https://login.example.com/realms/other"),
    "the issuer with a slash": lambda issuer: issuer.token(iss=f"{issuer.url}/"),
    "no issuer": lambda issuer: issuer.token(iss=None),
    "expired": lambda issuer: issuer.token(exp=int(time.time()) - 1),
    "expired long ago": lambda issuer: issuer.token(exp=1),
    "no end": lambda issuer: issuer.token(exp=None),
    "an end that is no number": lambda issuer: issuer.token(exp="soon"),
    "no end in infinity": lambda issuer: issuer.token(exp=float("inf")),
    "not yet": lambda issuer: issuer.token(nbf=int(time.time()) + 120),
    "from the future": lambda issuer: issuer.token(iat=int(time.time()) + 120),
    "nobody": lambda issuer: issuer.token(sub=None),
    "for nothing": lambda issuer: issuer.token(aud=None),
    "an ID token": lambda issuer: issuer.token(at_hash="x", headers={"typ": "JWT"}),
    "changed claims": lambda issuer: ".".join(
        [(t := issuer.token().split("."))[0], part(issuer.claims(scope="*")), t[2]]
    ),
    "no signature": lambda issuer: issuer.token().rpartition(".")[0] + ".",
    "no claims": lambda issuer: "..".join(issuer.token().split(".")[::2]),
    "no JSON": lambda _: f"{b64(b'{')}.{b64(b'{')}.{b64(b'x')}",
    "a header without an end": lambda _: f"{b64(b'[' * 9000)}.{b64(b'{}')}.{b64(b'x')}",
    "white space": lambda issuer: issuer.token() + " ",
    "1 MB": lambda issuer: issuer.token(padding="x" * 1_000_000),
    "1 MB of nothing": lambda _: f"{'e' * 1_000_000}.e.e",
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
async def test_a_forged_token_does_not_count(forge: Callable[[Issuer], str]) -> None:
    """S-08: whatever a token says about itself, only the issuer's own keys decide, and nothing else is asked."""
    issuer = Issuer()
    tokens = tokens_of(issuer)
    token = forge(issuer)

    with pytest.raises(TokenError) as caught:
        await tokens.verify(token, "/mcp")

    assert tokens.known(token, "/mcp") is None
    assert str(caught.value) in {"the token does not count here", "the token has expired", "this is no access token"}
    assert {url.rpartition(".example.")[0] for url in issuer.asked} <= {"https://login"}
    assert await tokens.verify(issuer.token(), "/mcp") is not None


async def test_a_token_that_has_expired_is_told_apart_from_a_guess() -> None:
    issuer = Issuer()

    for exp in (1, int(time.time()) - 1):
        with pytest.raises(ExpiredError):
            await tokens_of(issuer).verify(issuer.token(exp=exp), "/mcp")
    with pytest.raises(TokenError) as caught:
        await tokens_of(issuer).verify(issuer.token(exp=1, key=ATTACKER), "/mcp")
    assert not isinstance(caught.value, ExpiredError)


async def test_no_key_is_fetched_for_what_is_no_token_that_could_count() -> None:
    """S-08: no request goes out for what can be refused by its look."""
    issuer = Issuer()

    for name in ("alg none", "HS256 with nothing", "1 MB", "no JSON", "crit"):
        with pytest.raises(TokenError):
            await tokens_of(issuer).verify(FORGERIES[name](issuer), "/mcp")

    assert issuer.asked == []


# S-09: audiences

HUB = RESOURCE
AUDIENCES: list[tuple[Any, str, bool]] = [
    (HUB, "/mcp", True),
    (HUB, "/awx/jobs/mcp", True),
    (HUB, "/", True),
    (f"{HUB}/", "/awx/mcp", True),
    (f"{HUB}/awx", "/awx/mcp", True),
    (f"{HUB}/awx", "/awx/jobs/sse", True),
    (f"{HUB}/awx/", "/awx/sse", True),
    (f"{HUB}/awx/mcp", "/awx/mcp", True),
    (f"{HUB}/awx/sse", "/awx/sse", True),
    (f"{HUB}/awx/sse", "/awx/messages/", True),
    (["https://other.example.com", f"{HUB}/awx"], "/awx/mcp", True),
    (f"{HUB}/awx/mcp", "/awx/sse", False),
    (f"{HUB}/awx/mcp", "/awx/jobs/mcp", False),
    (f"{HUB}/awx", "/mcp", False),
    (f"{HUB}/awx", "/", False),
    (f"{HUB}/awx", "/awx2/mcp", False),
    (f"{HUB}/aw", "/awx/mcp", False),
    (f"{HUB}//", "/mcp", False),
    (f"{HUB}.evil.example/awx", "/awx/mcp", False),
    ("https://hub.example", "/mcp", False),
    ("https:", "/mcp", False),
    ("https://other.example.com", "/mcp", False),
    ("http://hub.example.com", "/mcp", False),
    ("HTTPS://HUB.EXAMPLE.COM", "/mcp", False),
    ("claude", "/mcp", False),
    ("", "/mcp", False),
    ([], "/mcp", False),
    ([["https://hub.example.com"], 7], "/mcp", False),
    (7, "/mcp", False),
]


@pytest.mark.parametrize(("audience", "path", "counts"), AUDIENCES)
async def test_a_token_counts_where_it_was_issued_for_and_below(audience: Any, path: str, counts: bool) -> None:
    """S-09: a token of the same issuer for another resource is refused, also when it was seen elsewhere before."""
    issuer = Issuer()
    tokens, token = tokens_of(issuer), issuer.token(aud=audience)

    for _ in range(2):
        if counts:
            assert await tokens.verify(token, path) is not None
        else:
            with pytest.raises(TokenError, match="another resource"):
                await tokens.verify(token, path)

    assert (tokens.known(token, path) is not None) == counts


async def test_a_token_that_is_known_counts_no_further_than_it_was_issued_for() -> None:
    """S-09: what is remembered of a token is also where it counts."""
    issuer = Issuer()
    tokens, token = tokens_of(issuer), issuer.token(aud=f"{HUB}/awx")
    await tokens.verify(token, "/awx/mcp")

    assert tokens.known(token, "/awx/sse") is not None
    assert tokens.known(token, "/postgres/mcp") is None
    with pytest.raises(TokenError, match="another resource"):
        await tokens.verify(token, "/postgres/mcp")


async def test_a_hub_below_a_path_has_its_own_resources() -> None:
    issuer = Issuer(resource="https://example.com/tools/")
    tokens = tokens_of(issuer)

    assert await tokens.verify(issuer.token(aud="https://example.com/tools/awx"), "/awx/mcp") is not None
    with pytest.raises(TokenError):
        await tokens.verify(issuer.token(aud="https://example.com"), "/awx/mcp")


# What is remembered


async def test_a_token_is_checked_once() -> None:
    issuer, clock = Issuer(), Clock()
    tokens, token = tokens_of(issuer, clock=clock), issuer.token()

    assert tokens.known(token, "/mcp") is None
    principal = await tokens.verify(token, "/mcp")

    assert principal is not None
    assert tokens.known(token, "/mcp") is principal
    assert await tokens.verify(token, "/mcp") is principal


async def test_a_token_that_has_ended_is_not_known_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer()
    tokens, token = tokens_of(issuer), issuer.token()
    principal = await tokens.verify(token, "/mcp")
    assert principal is not None
    assert tokens.is_live(principal)

    later = time.time() + 301
    monkeypatch.setattr(time, "time", lambda: later)

    assert tokens.known(token, "/mcp") is None
    assert not tokens.is_live(principal)


async def test_a_token_is_not_known_any_more_when_its_key_is_withdrawn() -> None:
    issuer, clock = Issuer(), Clock()
    tokens, token = tokens_of(issuer, clock=clock), issuer.token()
    await tokens.verify(token, "/mcp")

    issuer.keys = {"two": rsa_key("two")}
    issuer.publish()
    clock.now += 700
    await tokens.refresh()

    assert tokens.known(token, "/mcp") is None
    with pytest.raises(TokenError):
        await tokens.verify(token, "/mcp")


async def test_a_token_is_not_known_any_more_when_its_issuer_was_away_for_too_long() -> None:
    """S-04: what was checked once is not checked for ever."""
    issuer, clock = Issuer(), Clock()
    tokens, token = tokens_of(issuer, clock=clock), issuer.token(exp=2_000_000_000)
    await tokens.verify(token, "/mcp")
    issuer.is_away = True

    clock.now += 90_000

    assert tokens.known(token, "/mcp") is None
    with pytest.raises(KeysError):
        await tokens.verify(token, "/mcp")


async def test_only_so_many_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "MAX_KEPT", 2)
    issuer = Issuer()
    tokens, texts = tokens_of(issuer), [issuer.token(sub=name) for name in ("a", "b", "c")]

    for text in texts:
        await tokens.verify(text, "/mcp")

    assert [tokens.known(text, "/mcp") is not None for text in texts] == [False, True, True]


async def test_keys_stay_over_a_reload_if_the_issuer_does() -> None:
    issuer = Issuer()
    before = tokens_of(issuer)
    await before.verify(issuer.token(), "/mcp")
    issuer.is_away = True

    same = Tokens.of(issuer.with_settings(scopes={"read": ["awx:*"]}), [], before)
    other = Tokens.of(issuer.with_settings(jwks_url="https://login.example.com/other"), [], before)

    principal = await same.verify(issuer.token(), "/mcp")
    assert principal is not None
    assert str(principal.scopes) == "awx:*"
    assert same.owns(principal)
    assert vars(other)["_keys"] is not vars(before)["_keys"]
    assert not Tokens(OAuthSettings(issuer="https://other.example.com", resource=RESOURCE)).owns(principal)
