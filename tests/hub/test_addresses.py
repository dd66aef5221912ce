"""Addresses: which URLs the hub trusts others at."""

import pytest

from pegboard.addresses import is_address

GOOD = [
    "https://login.example.com",
    "https://login.example.com:8443/realms/team-a/",
    "https://[2001:db8::1]:8443/x",
    "https://login.example.com/a%20b;c=1,2@x",
    "http://localhost:8000/mcp",
    "http://127.0.0.1:9000",
    "http://[::1]/x",
]

BAD = [
    "",
    "login.example.com",
    "http://login.example.com",
    "http://localhost.example.com",
    "http://127.0.0.1.example.com",
    "http://127.0.0.1@evil.example.com",
    "https://user@login.example.com",
    "https://login.example.com#x",
    "https://login.example.com/a b",
    'https://login.example.com/"',
    "https://login.example.com/\r\nX: y",
    "https://login.example.com\n",
    "https://login.example.com/\u2028",
    "https:///path",
    "HTTPS://login.example.com",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "https://login.example.com\\@evil.example.com",
    "https://läuft.example.com",
]


@pytest.mark.parametrize("url", GOOD)
def test_an_https_url_or_an_http_one_of_this_machine_is_an_address(url: str) -> None:
    assert is_address(url)


@pytest.mark.parametrize("url", BAD)
def test_nothing_else_is_one(url: str) -> None:
    """S-39: nothing that a program could take for more than a web address leaves the hub."""
    assert not is_address(url, query=True)


def test_a_query_is_part_of_one_only_where_it_may_be() -> None:
    assert not is_address("https://login.example.com/keys?p=1")
    assert is_address("https://login.example.com/keys?p=1", query=True)
