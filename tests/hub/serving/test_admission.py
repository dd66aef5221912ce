"""Admission: who may call nothing at an endpoint, and how tokens come in at all."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.hub.serving.test_app import Browser, browser
from tests.issuer import Clock, Issuer, rsa_key

from pegboard import Plugin, tool
from pegboard.errors import ConfigError
from pegboard.security.jwks import IssuerKeys
from pegboard.security.keys import hash_of
from pegboard.security.tokens import Tokens
from pegboard.serving.app import verifiers_of
from pegboard.settings import HubSettings

SECRET = "s" * 43
KEY = f"peg_reader1_{SECRET}"
HIDDEN = ("weather", "tides", "hub_", "awx")


@tool(read_only=True)
async def look() -> str:
    """Look."""
    return "fine"


@tool(read_only=False)
async def change() -> str:
    """Change."""
    return "changed"


WEATHER = Plugin(name="weather", tools=[look, change])
TIDES = Plugin(name="tides", tools=[look])

ENTRANCES = [f"{path}{end}" for path in ("", "/weather", "/mine") for end in ("/mcp", "/sse")]


def bearer(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}", "accept": "application/json, text/event-stream"}


@asynccontextmanager
async def served(issuer: Issuer, *key_scopes: str, **settings: Any) -> AsyncGenerator[Browser]:
    """A hub that takes the issuer's tokens, and one key with these scopes."""
    keys = {"reader": {"id": "reader1", "sha256": hash_of(KEY), "scopes": list(key_scopes)}} if key_scopes else {}
    mine = {"mine": {"tools": ["weather_*"]}}
    given: dict[str, Any] = {"oauth": issuer.settings.model_dump(), "keys": keys, "endpoints": mine, **settings}
    async with browser(WEATHER, TIDES, **given) as page:
        page.app.auth.verifiers = [
            Tokens(one._settings, [], IssuerKeys(one._settings, transport=issuer.transport, clock=Clock()))  # pyright: ignore[reportPrivateUsage]
            if isinstance(one, Tokens)
            else one
            for one in page.app.auth.verifiers
        ]
        yield page


async def listed(page: Browser, path: str, credential: str) -> httpx.Response:
    """The tools of an endpoint, as one without a session asks for them."""
    page.http.headers = httpx.Headers(bearer(credential))
    headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    return await page.http.post(path, json=message, headers=headers)


# Tokens


async def test_a_token_shows_what_its_scopes_allow() -> None:
    issuer = Issuer()
    async with served(issuer) as page:
        answer = await listed(page, "/mcp", issuer.token(scope="tides:* openid"))

    assert answer.status_code == 200
    assert [tool["name"] for tool in answer.json()["result"]["tools"]] == ["tides_look"]


@pytest.mark.parametrize("path", ENTRANCES)
async def test_a_request_without_a_token_learns_where_to_get_one(path: str) -> None:
    """S-03: and nothing of what there is."""
    issuer = Issuer()
    async with served(issuer) as page:
        answer = await page.http.post(path) if path.endswith("/mcp") else await page.http.get(path)
        metadata = await page.http.get(f"/.well-known/oauth-protected-resource{path}")

    url = f"https://hub.example.com/.well-known/oauth-protected-resource{path}"
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Bearer realm="pegboard", resource_metadata="{url}", scope="read"'
    assert metadata.json()["resource"] == f"https://hub.example.com{path}"
    assert metadata.json()["authorization_servers"] == [issuer.url]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"exp": 1}, "the token has expired"),
        ({"aud": "https://other.example.com"}, "the token was issued for another resource"),
        ({"key": rsa_key("attacker")}, "the token does not count here"),
        ({"at_hash": "x"}, "this is no access token"),
    ],
)
async def test_a_token_that_does_not_count_is_refused_with_a_reason(changes: dict[str, Any], why: str) -> None:
    """S-08, S-09: 401, the reason is one of a few, and no text of a library."""
    issuer = Issuer()
    async with served(issuer) as page:
        answer = await listed(page, "/mcp", issuer.token(**changes))

    assert answer.status_code == 401
    assert f'error="invalid_token", error_description="{why}"' in answer.headers["www-authenticate"]
    assert answer.json() == {"detail": why}


async def test_nobody_comes_in_while_tokens_cannot_be_checked() -> None:
    """S-04: the issuer is away, and that is 503, not anonymous."""
    issuer = Issuer()
    issuer.is_away = True
    async with served(issuer, "read") as page:
        answer = await listed(page, "/mcp", issuer.token())
        with_key = await listed(page, "/mcp", KEY)

    assert (answer.status_code, with_key.status_code) == (503, 200)
    assert "login.example.com" not in answer.text


async def test_expired_tokens_are_no_guesses() -> None:
    """However many users of one address have to renew theirs, each is told so."""
    issuer = Issuer()
    async with served(issuer) as page:
        expired = [(await listed(page, "/mcp", issuer.token(exp=1))).status_code for _ in range(15)]
        guessed = [(await listed(page, "/mcp", issuer.token(key=rsa_key("attacker")))).status_code for _ in range(15)]

    assert set(expired) == {401}
    assert guessed[-1] == 429


async def test_a_token_counts_as_a_bearer_only() -> None:
    issuer = Issuer()
    async with served(issuer) as page:
        answer = await page.http.get("/", headers={"x-internal-token": issuer.token()})

    assert answer.status_code == 401


# Metadata


async def test_there_is_metadata_of_endpoints_that_are_not_there_as_well() -> None:
    """S-35: whether a plugin is here is told to nobody who has not shown who they are."""
    async with served(Issuer()) as page:
        there, nowhere = [
            (await page.http.get(f"/.well-known/oauth-protected-resource/{name}/mcp")).json()
            for name in ("weather", "wether")
        ]
        challenges = [(await page.http.post(f"/{name}/mcp")).headers["www-authenticate"] for name in ("tides", "tidal")]

    assert {**there, "resource": ""} == {**nowhere, "resource": ""}
    assert challenges[0] == challenges[1].replace("tidal", "tides")


async def test_metadata_comes_from_the_settings_whoever_asks_in_whatever_name() -> None:
    """S-39: neither Host nor a forwarded header gets into a URL that clients open."""
    evil = "evil.example.net"
    headers = {"x-forwarded-host": evil, "x-forwarded-proto": "javascript", "forwarded": f"host={evil}"}
    async with served(Issuer()) as page:
        answers = [
            await page.http.get("/.well-known/oauth-protected-resource/mcp", headers=headers),
            await page.http.post("/mcp", headers=headers),
            await page.http.get("/sse", headers=headers | {"x-original-url": f"https://{evil}/"}),
        ]
        hostile = await page.http.get("/.well-known/oauth-protected-resource/mcp", headers={"host": evil})

    assert [answer.status_code for answer in answers] == [200, 401, 401]
    assert not [answer for answer in answers if evil in answer.text + str(answer.headers)]
    assert hostile.status_code == 421


@pytest.mark.parametrize("path", ["/%22x/mcp", "/a%0d%0aX-Evil:1/mcp", "/..%2f..%2fetc/mcp", "/%F0%9F%92%A9/mcp"])
async def test_signs_of_a_path_do_not_get_into_a_challenge(path: str) -> None:
    """S-39: quotes and line ends of a path end at the hub."""
    async with served(Issuer()) as page:
        answer = await page.http.post(path)
        metadata = await page.http.get(f"/.well-known/oauth-protected-resource{path}")

    url = "https://hub.example.com/.well-known/oauth-protected-resource"
    assert answer.headers["www-authenticate"] == f'Bearer realm="pegboard", resource_metadata="{url}", scope="read"'
    assert "x-evil" not in answer.headers
    assert metadata.status_code == 404


async def test_a_hub_without_an_issuer_has_no_metadata() -> None:
    async with browser(WEATHER) as page:
        answer = await page.http.get("/.well-known/oauth-protected-resource/mcp")

    assert answer.status_code == 404


# Scopes


@pytest.mark.parametrize("path", ["/weather/mcp", "/weather/sse", "/mine/mcp", "/mine/sse", "/nowhere/mcp"])
@pytest.mark.parametrize("kind", ["key", "token"])
async def test_whoever_may_call_nothing_here_is_told_so(path: str, kind: str) -> None:
    """S-18: the same where there is something for others and where there is nothing."""
    issuer = Issuer()
    async with served(issuer, "tides:*") as page:
        credential = KEY if kind == "key" else issuer.token(scope="tides:*")
        if path.endswith("/sse"):
            answer = await page.http.get(path, headers=bearer(credential))
        else:
            answer = await listed(page, path, credential)
        counted = page.app.hub.metrics.denials

    assert counted[("endpoint",)] == 1
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="read"' in answer.headers["www-authenticate"]
    assert not [word for word in HIDDEN if word in answer.json()["detail"]]


async def test_a_token_without_scopes_opens_no_session() -> None:
    issuer = Issuer()
    async with served(issuer) as page:
        page.http.headers = httpx.Headers(bearer(issuer.token(scope=None)))
        answer = await page.legacy("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={})

    assert (answer.status_code, answer.headers.get("mcp-session-id")) == (403, None)


async def test_whoever_has_lost_their_scopes_can_still_end_their_session() -> None:
    issuer = Issuer()
    async with served(issuer) as page:
        page.http.headers = httpx.Headers(bearer(issuer.token()))
        session = await page.initialize()
        page.http.headers = httpx.Headers(bearer(issuer.token(scope=None)))
        refused = await page.legacy("tools/list", session)
        ended = await page.http.delete("/mcp", headers={"mcp-session-id": session})

    assert (refused.status_code, ended.status_code) == (403, 200)


async def test_who_sees_everything_is_told_that_nothing_is_there() -> None:
    async with served(Issuer(), "*") as page:
        answer = await page.http.get("/nowhere/sse", headers=bearer(KEY))
    async with browser(WEATHER) as page:
        without = await page.http.get("/nowhere/sse")

    assert (answer.status_code, without.status_code) == (404, 404)


async def test_a_session_belongs_to_the_program_it_was_opened_by() -> None:
    """S-05: the same person with another program, and another person, find no session."""
    issuer = Issuer()
    async with served(issuer) as page:
        page.http.headers = httpx.Headers(bearer(issuer.token()))
        session = await page.initialize()
        statuses: list[int] = []
        for sub, client in (("alice", "cursor"), ("bob", "claude"), ("alice", "claude")):
            page.http.headers = httpx.Headers(bearer(issuer.token(sub=sub, client_id=client)))
            statuses.append((await page.legacy("tools/list", session, 7)).status_code)

    assert statuses == [404, 404, 200]


# Settings


async def test_a_reload_changes_whose_tokens_count() -> None:
    issuer = Issuer()
    async with served(issuer) as page:
        assert (await listed(page, "/mcp", issuer.token())).status_code == 200
        settings = page.app.hub.settings
        oauth = issuer.with_settings(scopes={"read": ["tides:*"]}, ask_for=["team"])
        await page.app.reload(settings.model_copy(update={"oauth": oauth}))
        issuer.is_away = True  # the keys it had are those it has

        answer = await listed(page, "/mcp", issuer.token())
        refused = await page.http.get("/mcp", headers={"authorization": "Bearer a.b.c"})

    assert [tool["name"] for tool in answer.json()["result"]["tools"]] == ["tides_look"]
    assert 'scope="team"' in refused.headers["www-authenticate"]


async def test_a_reload_to_scopes_that_are_none_changes_nothing() -> None:
    issuer = Issuer()
    async with served(issuer) as page:
        settings = page.app.hub.settings
        oauth = issuer.with_settings(scopes={"ops": ["a:b:c"]})
        with pytest.raises(ConfigError, match=r"\[oauth.scopes\] ops"):
            await page.app.reload(settings.model_copy(update={"oauth": oauth}))

        assert page.app.hub.settings is settings
        assert (await listed(page, "/mcp", issuer.token())).status_code == 200


def test_tokens_of_an_issuer_make_the_hub_ask_who_calls() -> None:
    settings = HubSettings(oauth=Issuer().settings)

    assert [type(verifier) for verifier in verifiers_of(settings)] == [Tokens]
    assert verifiers_of(HubSettings()) == []
