"""The keys of an issuer: where they are fetched, how often, and what counts as one."""

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import RSAAlgorithm
from tests.issuer import JWKS_PATH, Clock, Issuer, ec_key, ed_key, jwk_of, rsa_key

from pegboard.security import jwks
from pegboard.security.jwks import IssuerKeys, KeysError, metadata_urls

Patch = pytest.MonkeyPatch


def keys_of(issuer: Issuer, clock: Clock | None = None, **settings: Any) -> IssuerKeys:
    return IssuerKeys(issuer.with_settings(**settings), transport=issuer.transport, clock=clock or Clock())


async def ids(keys: IssuerKeys, key_id: str | None = None, algorithm: str = "RS256") -> list[str | None]:
    return [key.id for key in await keys.find(key_id, algorithm)]


# Where


async def test_keys_are_where_the_metadata_of_the_issuer_says() -> None:
    issuer = Issuer()

    assert await ids(keys_of(issuer)) == ["one"]
    assert issuer.asked == [
        "https://login.example.com/.well-known/oauth-authorization-server/realms/team",
        "https://login.example.com/keys",
    ]


async def test_the_metadata_of_openid_connect_does_as_well() -> None:
    issuer = Issuer()
    metadata = issuer.pages.pop("/.well-known/oauth-authorization-server/realms/team")
    issuer.pages["/realms/team/.well-known/openid-configuration"] = metadata

    assert await ids(keys_of(issuer)) == ["one"]
    assert len(issuer.asked) == 4


async def test_the_settings_may_say_where_the_keys_are() -> None:
    issuer = Issuer()

    assert await ids(keys_of(issuer, jwks_url="https://login.example.com/keys?x=1")) == ["one"]
    assert issuer.asked == ["https://login.example.com/keys?x=1"]


def test_an_issuer_without_a_path_has_two_places() -> None:
    assert metadata_urls("https://login.example.com/") == [
        "https://login.example.com/.well-known/oauth-authorization-server",
        "https://login.example.com/.well-known/openid-configuration",
    ]


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://login.example.com/realms/other", "jwks_uri": "https://login.example.com/keys"},
        {"issuer": "https://login.example.com/realms/team/", "jwks_uri": "https://login.example.com/keys"},
        {"jwks_uri": "https://login.example.com/keys"},
        {"issuer": "https://login.example.com/realms/team"},
        {"issuer": "https://login.example.com/realms/team", "jwks_uri": "http://127.0.0.1/keys"},
        {"issuer": "https://login.example.com/realms/team", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "https://login.example.com/realms/team", "jwks_uri": ["https://login.example.com/keys"]},
    ],
)
async def test_metadata_of_another_issuer_or_with_a_strange_address_lead_nowhere(metadata: Any) -> None:
    issuer = Issuer()
    issuer.pages["/.well-known/oauth-authorization-server/realms/team"] = metadata

    with pytest.raises(KeysError):
        await keys_of(issuer).find(None, "RS256")

    assert not [url for url in issuer.asked if "/.well-known/" not in url]


async def test_an_issuer_of_this_machine_may_speak_http() -> None:
    issuer = Issuer("http://127.0.0.1:9000", "http://127.0.0.1:8000")

    assert await ids(keys_of(issuer)) == ["one"]


class Endless(httpx.AsyncByteStream):
    """A body without an end."""

    def __init__(self) -> None:
        self.chunks = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.chunks += 1
            yield b" " * 65_536


@pytest.mark.parametrize(
    "page",
    [
        httpx.Response(302, headers={"location": "https://login.example.com/elsewhere"}),
        httpx.Response(500),
        httpx.Response(200, stream=Endless()),
        b"<html>",
        b"[" * 100_000,
        ["keys"],
        {"keys": {"kty": "RSA"}},
        {},
    ],
)
async def test_an_answer_that_is_no_set_of_keys_gives_none(page: Any) -> None:
    issuer = Issuer()
    issuer.pages[JWKS_PATH] = page
    issuer.pages["/elsewhere"] = {"keys": [jwk_of(rsa_key("one"), "one")]}

    with pytest.raises(KeysError):
        await keys_of(issuer).find("one", "RS256")

    assert "https://login.example.com/elsewhere" not in issuer.asked


async def test_no_more_is_read_than_a_set_of_keys_may_have() -> None:
    issuer, body = Issuer(), Endless()
    issuer.pages[JWKS_PATH] = httpx.Response(200, stream=body)

    with pytest.raises(KeysError):
        await keys_of(issuer).find("one", "RS256")

    assert body.chunks == 9


async def test_an_issuer_that_does_not_answer_is_not_waited_for(monkeypatch: Patch) -> None:
    monkeypatch.setattr(jwks, "TIMEOUT", 0.01)

    async def hang(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    keys = IssuerKeys(Issuer().settings, transport=httpx.MockTransport(hang), clock=Clock())
    with anyio.fail_after(5), pytest.raises(KeysError):
        await keys.find("one", "RS256")


async def test_a_real_client_asks_over_a_real_connection(caplog: pytest.LogCaptureFixture) -> None:
    """S-04: nobody listens at this port, and that is an error, not a set of no keys."""
    settings = Issuer("http://127.0.0.1:9", "http://127.0.0.1:8000").settings

    with anyio.fail_after(10), pytest.raises(KeysError):
        await IssuerKeys(settings).find("one", "RS256")

    assert "no answer (ConnectError)" in caplog.text


# How often


async def test_keys_are_fetched_once_for_however_many_ask() -> None:
    issuer = Issuer()
    keys = keys_of(issuer)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(keys.find, "one", "RS256")

    assert len(issuer.asked) == 2


async def test_an_unknown_key_is_asked_for_once_in_a_while() -> None:
    issuer, clock = Issuer(), Clock()
    keys = keys_of(issuer, clock)
    await keys.find("one", "RS256")

    for _ in range(20):
        assert await ids(keys, "two") == []
    assert len(issuer.asked) == 2

    clock.now += 31
    for _ in range(20):
        assert await ids(keys, "two") == []
    assert len(issuer.asked) == 4


async def test_a_new_key_is_found_with_the_first_token_it_has_signed() -> None:
    issuer, clock = Issuer(), Clock()
    keys = keys_of(issuer, clock)
    await keys.find("one", "RS256")
    version = keys.version

    issuer.keys["two"] = rsa_key("two")
    issuer.publish()
    clock.now += 31

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(keys.find, "two", "RS256")
    assert await ids(keys, "two") == ["two"]
    assert len(issuer.asked) == 4
    assert keys.version == version + 1


async def test_keys_are_fetched_anew_by_the_way_so_that_no_token_waits() -> None:
    issuer, clock = Issuer(), Clock()
    keys = keys_of(issuer, clock)
    await keys.keep_fresh()
    assert issuer.asked == []  # nobody has asked yet

    await keys.find("one", "RS256")
    version = keys.version
    await keys.keep_fresh()
    assert len(issuer.asked) == 2

    clock.now += 601
    await keys.keep_fresh()
    await keys.keep_fresh()
    assert len(issuer.asked) == 4
    assert keys.version == version


async def test_a_token_waits_for_fresh_keys_when_nobody_has_brought_them() -> None:
    issuer, clock = Issuer(), Clock()
    keys = keys_of(issuer, clock)
    await keys.find("one", "RS256")
    assert keys.are_settled

    clock.now += 1201
    assert not keys.are_settled
    await keys.find("one", "RS256")

    assert keys.are_settled
    assert len(issuer.asked) == 4


async def test_old_keys_count_for_a_day_while_the_issuer_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """S-04: what cannot be checked is refused; what can be, by keys of a day at most, is not."""
    issuer, clock = Issuer(), Clock()
    keys = keys_of(issuer, clock)
    await keys.find("one", "RS256")
    issuer.is_away = True
    issuer.asked.clear()

    clock.now += 80_000
    for _ in range(20):
        assert await ids(keys, "one") == ["one"]
    assert keys.are_settled
    assert len(issuer.asked) == 1
    assert caplog.text.count("could not be fetched: no answer (ConnectError)") == 1

    clock.now += 10_000
    assert not keys.are_settled
    with pytest.raises(KeysError):
        await keys.find("one", "RS256")

    issuer.is_away = False
    clock.now += 3
    assert await ids(keys, "one") == ["one"]


async def test_an_issuer_that_is_away_at_first_is_asked_again_soon_and_not_by_everybody() -> None:
    """S-04: without keys nobody is recognized."""
    issuer, clock = Issuer(), Clock()
    keys = keys_of(issuer, clock)
    issuer.is_away = True

    for _ in range(20):
        with pytest.raises(KeysError):
            await keys.find("one", "RS256")
    assert len(issuer.asked) == 1

    issuer.is_away = False
    clock.now += 2
    assert await ids(keys, "one") == ["one"]


async def test_an_issuer_that_hangs_is_not_waited_for_by_one_after_the_other() -> None:
    """S-04: twenty callers at once wait for one request, and then all read that it has failed."""
    clock, asked, failed = Clock(), [0], [0]

    async def hang(request: httpx.Request) -> httpx.Response:
        asked[0] += 1
        clock.now += 4
        await anyio.lowlevel.checkpoint()
        raise httpx.ReadTimeout("slow", request=request)

    keys = IssuerKeys(Issuer().settings, transport=httpx.MockTransport(hang), clock=clock)

    async def find() -> None:
        with pytest.raises(KeysError):
            await keys.find("one", "RS256")
        failed[0] += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(find)

    assert (asked, failed) == ([1], [20])


async def test_all_keys_can_be_withdrawn() -> None:
    issuer, clock = Issuer(), Clock()
    keys = keys_of(issuer, clock)
    await keys.find("one", "RS256")

    issuer.pages[JWKS_PATH] = {"keys": []}
    clock.now += 601
    await keys.keep_fresh()

    assert await ids(keys, "one") == []


# What counts as a key

ONE = jwk_of(rsa_key("one"), "one")
USELESS: dict[str, Callable[[], Any]] = {
    "a text": lambda: "key",
    "nothing": dict,
    "a shared secret": lambda: {"kty": "oct", "k": "c2VjcmV0", "kid": "x", "alg": "HS256"},
    "for encryption": lambda: ONE | {"use": "enc"},
    "for signing only": lambda: ONE | {"key_ops": ["sign"]},
    "with operations that are none": lambda: ONE | {"key_ops": 7},
    "of another algorithm": lambda: ONE | {"alg": "RSA-OAEP"},
    "of another hash": lambda: ONE | {"alg": "RS512"},
    "of 1024 bits": lambda: jwk_of(rsa_key("weak", 1024), "weak"),
    "without a modulus": lambda: {"kty": "RSA", "e": "AQAB"},
    "a modulus that is a number": lambda: {"kty": "RSA", "e": "AQAB", "n": 7},
    "of a type that is a list": lambda: ONE | {"kty": ["RSA"]},
    "on another curve": lambda: jwk_of(ec_key("p384", ec.SECP384R1), "p384"),
    "a point that is on no curve": lambda: jwk_of(ec_key("p256"), "ec") | {"x": "AAAA"},
    "of a curve for exchanges": lambda: jwk_of(ed_key("ed"), "ed") | {"crv": "X25519"},
}


@pytest.mark.parametrize("entry", USELESS.values(), ids=USELESS)
async def test_a_key_that_is_of_no_use_does_not_harm_the_others(entry: Callable[[], Any]) -> None:
    issuer = Issuer()
    issuer.pages[JWKS_PATH] = {"keys": [entry(), jwk_of(rsa_key("two"), "two"), entry()]}
    keys = keys_of(issuer)

    assert await ids(keys) == ["two"]
    assert [key for name in ("ES256", "EdDSA", "HS256") for key in await ids(keys, None, name)] == []


async def test_a_key_counts_for_its_type_only() -> None:
    issuer = Issuer()
    issuer.keys = {"rsa": rsa_key("one"), "ec": ec_key("p256"), "ed": ed_key("ed")}
    issuer.publish()
    keys = keys_of(issuer)

    assert [await ids(keys, None, name) for name in ("RS256", "ES256", "EdDSA")] == [["rsa"], ["ec"], ["ed"]]
    assert await ids(keys, "rsa", "ES256") == []


async def test_a_private_key_that_is_shown_by_mistake_is_not_held() -> None:
    issuer = Issuer()
    issuer.pages[JWKS_PATH] = {"keys": [RSAAlgorithm.to_jwk(rsa_key("one"), as_dict=True) | {"key_ops": ["verify"]}]}

    (key,) = await keys_of(issuer).find(None, "RS256")

    assert not hasattr(key.key, "private_numbers")
    assert "n=" not in repr(key)


async def test_no_more_keys_are_read_than_an_issuer_may_have(caplog: pytest.LogCaptureFixture) -> None:
    issuer = Issuer()
    issuer.pages[JWKS_PATH] = {"keys": [ONE | {"kid": str(index)} for index in range(150)]}

    with caplog.at_level(logging.INFO):
        assert len(await ids(keys_of(issuer))) == 100
    assert "has 100 keys that count" in caplog.text
