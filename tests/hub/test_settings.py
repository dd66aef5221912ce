"""Settings: what each takes, and what it is without a word."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tests.hub.test_configuration import problems, write

from pegboard.configuration import (
    load_settings,
    parse_settings,
)
from pegboard.errors import ConfigError
from pegboard.plugin import RESERVED_NAMES
from pegboard.settings import HubSettings, Section, Strings


def test_without_a_file_everything_has_a_default_for_a_laptop() -> None:
    settings = load_settings(None, {})

    assert settings == HubSettings()
    assert (settings.server.host, settings.server.port, settings.trust.allow) == ("127.0.0.1", 8000, ())


def test_every_section_is_reserved_and_every_field_described() -> None:
    settings = HubSettings()
    sections: dict[str, Section] = {name: value for name, value in settings if isinstance(value, Section)}

    assert {*sections, "keys", "tenants"} <= RESERVED_NAMES
    for section in sections.values():
        assert section.__doc__
        assert all(field.description for field in type(section).model_fields.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("a", ("a",)),
        ("a, b>=1,", ("a", "b>=1")),
        ('["a", "b"]', ("a", "b")),
        (' ["a,b"]', ("a,b",)),
    ],
)
def test_a_list_in_a_variable_is_json_or_words_between_commas(text: str, words: tuple[str, ...]) -> None:
    assert load_settings(None, {"PEGBOARD_SERVER_ALLOWED_HOSTS": text}).server.allowed_hosts == words


@given(st.lists(st.from_regex(r"[a-z0-9.:-]+", fullmatch=True)))
def test_words_between_commas_are_themselves(words: list[str]) -> None:
    assert TypeAdapter(Strings).validate_python(",".join(words)) == tuple(words)


@pytest.mark.parametrize("line", ["a b c", "a[extra]", "a; python_version > '3'", "a @ https://x.example/a.whl", ""])
def test_trust_takes_only_names_with_a_version_range(tmp_path: Path, line: str) -> None:
    path = write(tmp_path, f'[trust]\nallow = ["{line}"]\n')

    assert problems(path) == [
        f"{path}: trust.allow[0]: {line!r} is not a distribution name with an optional version range"
    ]


def key(**given: Any) -> dict[str, Any]:
    return {"keys": {"ci": {"id": "abcd", "sha256": "0" * 64, "scopes": ["read"], **given}}}


def test_a_key_of_the_settings_is_read_and_not_printed() -> None:
    settings = parse_settings(key(sha256="A" * 64, expires="2030-01-01T00:00:00Z"), "x", {})

    assert settings.keys["ci"].scopes == ("read",)
    assert "AAAA" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"sha256": "peg_abcd_" + "x" * 43}, "must be the SHA-256 of the key, 64 hexadecimal digits, not the key"),
        ({"expires": "2030-01-01T00:00:00"}, "must have an offset from UTC"),
        ({"id": "A"}, "must match the pattern"),
    ],
)
def test_a_key_that_is_none_is_said_without_it(given: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as error:
        parse_settings(key(**given), "x", {})
    assert next(iter(given.values())) not in str(error.value)


def test_plugin_tables_are_not_printed() -> None:
    assert "hunter2" not in repr(HubSettings(plugins={"x": {"token": "hunter2"}}))


@pytest.mark.parametrize("proxy", ["10.0.0.1", "10.0.0.0/8", "10.1.2.3/8", "2001:db8::/32", "::1"])
def test_a_proxy_is_an_address_or_a_network(proxy: str) -> None:
    assert parse_settings({"server": {"trusted_proxies": [proxy]}}, "x", {}).server.trusted_proxies == (proxy,)


@pytest.mark.parametrize("proxy", ["*", "proxy.example", "0.0.0.0/0", "::/0", "", "10.0.0.1:80"])
def test_a_proxy_that_could_be_anybody_is_refused(proxy: str) -> None:
    """S-34."""
    with pytest.raises(ConfigError, match="trusted_proxies"):
        parse_settings({"server": {"trusted_proxies": [proxy]}}, "x", {})


@pytest.mark.parametrize(
    "origin", ["https://app.example", "http://localhost:3000/", "vscode-webview://0a1b", "HTTPS://A.b"]
)
def test_an_origin_is_written_out(origin: str) -> None:
    assert parse_settings({"server": {"allowed_origins": [origin]}}, "x", {}).server.allowed_origins == (origin,)


@pytest.mark.parametrize(
    "origin", ["*", "https://*.example", "null", "app.example", "https://a.example/x", "https://a@b"]
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    """S-32: never a pattern."""
    with pytest.raises(ConfigError, match="allowed_origins"):
        parse_settings({"server": {"allowed_origins": [origin]}}, "x", {})
