"""Claims: from what a token says to a principal."""

from typing import Any

import pytest
from tests.issuer import Issuer

from pegboard.errors import ConfigError
from pegboard.security.claims import Reading, TokenError
from pegboard.security.principal import Principal
from pegboard.settings import OAuthSettings

ISSUER = Issuer()


def read(settings: dict[str, Any] | None = None, **claims: Any) -> Principal:
    return Reading(ISSUER.with_settings(**(settings or {})), ["team-a"]).principal(ISSUER.claims(**claims))


# Scopes


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "read postgres:write@prod"}, "postgres:write@prod read"),
        ({"scope": ["read", "awx/jobs:*", 7, None]}, "awx/jobs:* read"),
        ({"scope": None, "scp": "read"}, "read"),
        ({"scope": "read", "scp": ["metrics"]}, "metrics read"),
        ({"scope": "read https://graph.example.com/.default a:b:c x/y \u2028 Read:*"}, "read"),
        ({"scope": None}, ""),
        ({"scope": {"read": True}}, ""),
        ({"scope": 7}, ""),
    ],
)
def test_scopes_are_the_words_of_a_text_or_of_a_list_that_are_ours(claims: dict[str, Any], scopes: str) -> None:
    assert str(read(**claims).scopes) == scopes


def test_what_the_settings_translate_is_not_taken_as_it_stands() -> None:
    settings = {"scopes": {"read": ["awx:read"], "ops": ["awx:*", "metrics"], "gone": []}}

    assert str(read(settings, scope="read ops gone").scopes) == "awx:* awx:read metrics"


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["ops"]}}),
        ("resource_access.hub.example.roles", {"resource_access": {"hub": {"example": {"roles": ["ops"]}}}}),
        ("https://example.com/roles", {"https://example.com/roles": ["ops"]}),
        ("groups", {"groups": "ops"}),
    ],
)
def test_a_claim_is_found_by_its_name_or_by_the_dots_that_lead_to_it(claim: str, claims: dict[str, Any]) -> None:
    settings = {"scope_claims": [claim], "scopes": {"ops": ["awx:*"]}}

    assert str(read(settings, **claims).scopes) == "awx:*"


@pytest.mark.parametrize("value", [None, "ops", ["ops"], {"roles": None}, {"other": ["ops"]}])
def test_dots_that_lead_nowhere_give_nothing(value: Any) -> None:
    settings = {"scope_claims": ["realm_access.roles"], "scopes": {"ops": ["awx:*"]}}

    assert str(read(settings, realm_access=value).scopes) == ""


def test_scopes_that_are_none_are_named_with_their_words() -> None:
    with pytest.raises(ConfigError) as caught:
        read({"scopes": {"ops": ["awx:*", "a:b:c"], "dev": ["read"], "qa": ["x/y"]}})

    assert [line.partition(" is no scope")[0] for line in str(caught.value).split("\n")] == [
        "[oauth.scopes] ops: 'a:b:c'",
        "[oauth.scopes] qa: 'x/y'",
    ]


# Who


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"sub": "alice", "client_id": "claude"}, "oauth/alice/claude"),
        ({"sub": "alice", "client_id": None, "azp": "cursor"}, "oauth/alice/cursor"),
        ({"sub": "alice@example.com", "client_id": None}, "oauth/alice@example.com"),
        ({"sub": "robot", "client_id": "robot"}, "oauth/robot"),
        ({"sub": "auth0|7", "client_id": "https://claude.ai/x"}, "oauth/auth0|7/https:%2F%2Fclaude.ai%2Fx"),
        ({"sub": "a/b", "client_id": "c"}, "oauth/a%2Fb/c"),
        ({"sub": "a", "client_id": "b/c"}, "oauth/a/b%2Fc"),
        ({"sub": "a\r\nb\u2028", "client_id": None}, "oauth/a%0D%0Ab%E2%80%A8"),
    ],
)
def test_a_principal_is_a_person_and_their_program(claims: dict[str, Any], name: str) -> None:
    assert read(**claims).id == name


@pytest.mark.parametrize(
    "claims", [{"sub": ""}, {"sub": "x" * 256}, {"sub": 7}, {"client_id": 7}, {"client_id": "x" * 256}]
)
def test_a_name_that_is_none_does_not_count(claims: dict[str, Any]) -> None:
    with pytest.raises(TokenError, match="who shows it"):
        read(**claims)


# Tenants


def test_the_tenant_is_that_of_its_claim() -> None:
    assert read({"tenant_claim": "org.id"}, org={"id": "team-a"}).tenant == "team-a"
    assert read(org="team-a").tenant is None


@pytest.mark.parametrize("tenant", [None, "team-b", "", ["team-a"], {"team-a": 1}])
def test_a_token_of_no_tenant_here_does_not_count(tenant: Any) -> None:
    with pytest.raises(TokenError, match="no tenant of this hub"):
        read({"tenant_claim": "org"}, org=tenant)


# What is no access token


@pytest.mark.parametrize(
    "claims", [{"at_hash": "x"}, {"c_hash": "x"}, {"s_hash": "x"}, {"token_use": "id"}, {"typ": "ID"}, {"events": {}}]
)
def test_an_id_token_or_an_event_does_not_count(claims: dict[str, Any]) -> None:
    with pytest.raises(TokenError, match="this is no access token"):
        read(**claims)


@pytest.mark.parametrize("claims", [{"token_use": "access"}, {"typ": "Bearer"}, {"nonce": "x", "auth_time": 1}])
def test_what_access_tokens_have_as_well_is_no_obstacle(claims: dict[str, Any]) -> None:
    assert read(**claims).id == "oauth/alice/claude"


def test_a_token_that_is_bound_to_a_key_does_not_count_as_a_bearer() -> None:
    with pytest.raises(TokenError, match="bound to a key"):
        read(cnf={"jkt": "x"})


# Settings


@pytest.mark.parametrize(
    "settings",
    [
        {"issuer": "https://login.example.com"},
        {"resource": "https://hub.example.com"},
        {"scopes": {"a": ["read"]}},
        {"issuer": "http://login.example.com", "resource": "https://hub.example.com"},
        {"issuer": "https://login.example.com", "resource": "http://hub.example.com"},
        {"issuer": "https://login.example.com", "resource": 'https://hub.example.com/", x="'},
        {"issuer": "https://user:word@login.example.com", "resource": "https://hub.example.com"},
        {"issuer": "https://login.example.com?x=1", "resource": "https://hub.example.com"},
        {"issuer": "https://login.example.com", "resource": "https://hub.example.com", "jwks_url": "file:///etc/x"},
        {"issuer": "https://login.example.com", "resource": "https://hub.example.com", "algorithms": ["HS256"]},
        {"issuer": "https://login.example.com", "resource": "https://hub.example.com", "algorithms": ["none"]},
        {"issuer": "https://login.example.com", "resource": "https://hub.example.com", "algorithms": []},
        {"issuer": "https://login.example.com", "resource": "https://hub.example.com", "ask_for": ['a"b']},
    ],
)
def test_settings_that_would_not_be_safe_or_not_be_whole_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="OAuthSettings"):
        OAuthSettings.model_validate(settings)
