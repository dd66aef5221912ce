"""What a client is told that may not come in."""

from typing import Any

import pytest
from tests.issuer import Issuer

from pegboard.serving.metadata import Resource

HUB = "https://hub.example.com"
WELL_KNOWN = f"{HUB}/.well-known/oauth-protected-resource"


def resource(url: str = HUB, **settings: Any) -> Resource:
    return Resource(Issuer(resource=url).with_settings(**settings))


# Metadata


@pytest.mark.parametrize("place", ["", "/mcp", "/sse", "/awx", "/awx/mcp", "/awx/jobs/mcp", "/profiles/small/sse"])
def test_the_metadata_of_a_resource_names_it_and_its_issuer(place: str) -> None:
    assert resource().document(place) == {
        "resource": f"{HUB}{place}",
        "authorization_servers": ["https://login.example.com/realms/team"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["read"],
    }


def test_a_slash_at_the_end_changes_nothing() -> None:
    assert resource(f"{HUB}/").document("/") == resource().document("")


@pytest.mark.parametrize(
    "place",
    [
        "/../x",
        "/a.b/mcp",
        "mcp",
        "/mcp?x=1",
        '/"/mcp',
        "/a b/mcp",
        "//evil.example.com",
        "/\r\nX-Evil: 1/mcp",
        "/a/b/c/d/e",
        f"/{'x' * 65}",
        "/ä/mcp",
        "/mcp\n",
        "@evil.example.com/mcp",
    ],
)
def test_there_is_no_metadata_of_a_place_that_can_be_none(place: str) -> None:
    """S-39: nothing a client has written stands in what another program may execute or open."""
    assert resource().document(place) is None


def test_a_hub_below_a_path_is_found_with_the_path_and_without() -> None:
    hub = resource("https://example.com/tools")

    for place in ("/tools/awx/mcp", "/awx/mcp"):
        document = hub.document(place)
        assert document is not None
        assert document["resource"] == "https://example.com/tools/awx/mcp"


def test_there_is_no_metadata_without_an_issuer() -> None:
    assert Resource().document("/mcp") is None


@pytest.mark.parametrize(
    ("settings", "scopes"),
    [
        ({}, ["read"]),
        ({"scopes": {"ops": ["awx:*"]}}, None),
        ({"scopes": {"ops": ["awx:*"]}, "ask_for": ["ops", "api://hub/.default"]}, ["ops", "api://hub/.default"]),
        ({"ask_for": []}, None),
    ],
)
def test_clients_are_told_which_scopes_to_ask_for(settings: dict[str, Any], scopes: list[str] | None) -> None:
    hub = resource(**settings)
    document = hub.document("")

    assert document is not None
    assert document.get("scopes_supported") == scopes
    assert ("scope=" in hub.challenge("/mcp")) == (scopes is not None)


# Challenges


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/mcp", "/mcp"),
        ("/sse", "/sse"),
        ("/awx/jobs/mcp", "/awx/jobs/mcp"),
        ("/awx/messages/", "/awx/sse"),
        ("/messages/", "/sse"),
        ("/", ""),
        ("/metrics", ""),
        ("/nowhere/x", ""),
        ('/", x="/mcp', ""),
        ("/a\r\nX-Evil: 1/mcp", ""),
        ("/../mcp", ""),
        ("/%0d%0a/mcp", ""),
        ("/mcp\n", ""),
    ],
)
def test_a_challenge_leads_to_the_metadata_of_what_was_asked_for(path: str, place: str) -> None:
    """S-39: only a configured URL, and of a path nothing that could end it."""
    assert resource().challenge(path) == (
        f'Bearer realm="pegboard", resource_metadata="{WELL_KNOWN}{place}", scope="read"'
    )


def test_a_challenge_of_a_hub_below_a_path_has_the_path_where_rfc_9728_wants_it() -> None:
    assert 'resource_metadata="https://example.com/.well-known/oauth-protected-resource/tools/awx/mcp"' in resource(
        "https://example.com/tools/"
    ).challenge("/awx/mcp")


def test_a_challenge_says_what_was_wrong() -> None:
    assert resource().challenge("/", "invalid_token", "the token has expired") == (
        f'Bearer realm="pegboard", resource_metadata="{WELL_KNOWN}", error="invalid_token", '
        f'error_description="the token has expired", scope="read"'
    )


def test_a_hub_of_keys_alone_names_no_metadata() -> None:
    assert Resource().challenge("/mcp") == 'Bearer realm="pegboard"'
    assert Resource().challenge("/mcp", "insufficient_scope") == (
        'Bearer realm="pegboard", error="insufficient_scope", scope="read"'
    )
