"""Redaction: what a tool was given, without its secrets and in a size one can keep."""

import hashlib
import json
import time
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretBytes, SecretStr

from pegboard.arguments import Arguments
from pegboard.security.redaction import LONGEST, MASK, ROOM, Redactor, canonical, secret_names

CANARY = "canary-4c1d-hunter2"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\nggSjAgEAAoIBAQC7VJ\n-----END PRIVATE KEY-----"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.text(max_size=5), JSON, max_size=3)


def redacted(arguments: dict[str, Any], redactor: Redactor | None = None, *names: str) -> dict[str, Any]:
    return json.loads((redactor or Redactor()).arguments(arguments, frozenset(names)))


def test_what_is_no_secret_stays_as_it_is() -> None:
    arguments: dict[str, Any] = {"sql": "SELECT 'é\u2028' AS a", "limit": 5, "params": [1, 2.5, None, True, {"b": []}]}

    assert redacted(arguments) == arguments
    assert redacted({**arguments, "url": "http://x"}) == {**arguments, "url": "http://x"}
    assert Redactor().arguments(None) == "{}"


@pytest.mark.parametrize(
    "name",
    [
        "password", "db_password", "adminPassword", "PASSWD", "passphrase", "ansible_ssh_pass", "pwd", "secret",
        "token", "client_secret", "accessToken", "refresh_tokens", "api_key", "apiKey", "X-Api-Key", "private-key",
        "auth", "dsn", "Authorization",
        "cookie", "Set-Cookie", "credentials", "bearer", "connection_string", "jwt", "otp",
        "aws_secret_access_key",
    ],
)  # fmt: skip
def test_a_name_that_sounds_like_a_secret_is_masked_wherever_it_stands(name: str) -> None:
    arguments = {name: CANARY, "hosts": [{"vars": {name: {"deep": CANARY}}}]}

    assert redacted(arguments) == {name: MASK, "hosts": [{"vars": {name: MASK}}]}


def test_names_that_only_look_like_it_are_not_masked() -> None:
    arguments = {
        "max_tokens": 100,
        "credential": 7,
        "credentials": None,
        "ask_password": True,
        "author": "Eco",
        "spin": "up",
    }

    assert redacted(arguments) == arguments
    assert redacted({"pin": 1234, "password": 5678}) == {"pin": MASK, "password": MASK}


class Login(BaseModel):
    user: str
    key_phrase: SecretStr


def tool(
    login: Login,
    phrase: SecretStr | None = None,
    many: list[SecretStr] | None = None,
    named: dict[str, SecretStr] | None = None,
    marked: Annotated[str, Field(json_schema_extra={"x-secret": True})] = "",
    open_text: str = "",
) -> str:
    """A tool."""
    return open_text


def test_what_the_schema_calls_secret_is_masked_on_every_level() -> None:
    names = secret_names(Arguments(tool).schema)

    assert names == {"key_phrase", "phrase", "many", "named", "marked"}
    arguments = {
        "login": {"user": "u", "key_phrase": "xyz"},
        "phrase": "xyz",
        "many": ["xyz"],
        "marked": "xyz",
        "open_text": "a",
    }
    shown = redacted(arguments, None, *names)
    assert "xyz" not in str(shown)
    assert (shown["login"]["user"], shown["open_text"]) == ("u", "a")


def test_a_schema_that_contains_itself_comes_to_an_end() -> None:
    node: dict[str, Any] = {"properties": {"next": {"$ref": "#/$defs/Node"}, "key": {"writeOnly": True}}}

    assert secret_names({"properties": {"first": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": node}}) == {"key"}


class Settings(BaseModel):
    dsn: SecretStr = SecretStr(f"postgresql://app:{CANARY}%21@db/shop")
    key: SecretBytes = SecretBytes(KEY.encode())
    more: dict[str, list[Login]] = {"a": [Login(user="postgres", key_phrase=SecretStr("tiger-tiger"))]}
    short: SecretStr = SecretStr("abc")
    none: SecretStr = SecretStr("")
    odd: SecretStr = SecretStr("http://[oops")


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://app:{CANARY}%21@db/shop",
        f"is it {CANARY}! or not",
        f"is it {CANARY}%21 or not",
        KEY,
        f"key\n{KEY.splitlines()[1]}",
        "tiger-tiger burning bright",
        "x" * (LONGEST - 5) + "tiger-tiger",
        "x" * LONGEST + " tiger-tiger",
        "http://[oops/path",
    ],
)
def test_a_live_secret_is_masked_in_every_text_and_name(text: str) -> None:
    redactor = Redactor.of(Settings())

    for arguments in ({"q": text}, {text: "q"}, {"rows": [{"q": ["a", text]}]}):
        shown = redactor.arguments(arguments)
        assert not [secret for secret in (CANARY, "MIIEv", "tiger-tiger", "oops") if secret in shown]


def test_a_short_secret_is_masked_as_a_whole_only() -> None:
    redactor = Redactor.of(Settings())

    assert redacted({"a": "abc", "b": "abcdef"}, redactor) == {"a": MASK, "b": "abcdef"}


def test_a_redactor_does_not_show_its_secrets() -> None:
    assert CANARY not in repr(Redactor.of(Settings()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see postgresql://app:hunter2@db:5432/shop", "see postgresql://app:[redacted]@db:5432/shop"),
        ("http://db:5432/?mail=a@b", "http://db:5432/?mail=a@b"),
        ("host=db password=hunter2 user=app", "host=db password=[redacted] user=app"),
        ("password: 'hunter2 hunter2'\nuser: app", "password: [redacted]\nuser: app"),
        ('{"user": "app", "api_key": "hunter\\"2"}', '{"user": "app", "api_key": [redacted]}'),
        (r'"{\"token\": \"hunter2\", \"a\": 1}"', r'"{\"token\": [redacted]\", \"a\": 1}"'),
        ("ansible_ssh_pass: hunter2", "ansible_ssh_pass: [redacted]"),
        ("ALTER ROLE app PASSWORD 'hunter''2'", "ALTER ROLE app PASSWORD [redacted]"),
        ("create user x identified by 'hunter2'", "create user x identified by [redacted]"),
        ("curl -H 'Authorization: Bearer hunter2'", "curl -H 'Authorization: [redacted]'"),
        ("it is Bearer abcdefhunter2hunter2", "it is Bearer [redacted]"),
        ("mysql --password hunter2 -v", "mysql --password [redacted] -v"),
        (f"a\n{KEY}\nb", "a\n[redacted]\nb"),
        (f"cut {KEY[:60]}", "cut [redacted]"),
        ("jwt eyJhbGciOi.eyJzdWIiOiIxMjM0.hunter2_x end", "jwt [redacted] end"),
        ("peg_ab12_Zk3hunter2hunter2hunter2", "[redacted]"),
        (
            "SELECT passenger, tokens FROM keys WHERE author = 'x'",
            "SELECT passenger, tokens FROM keys WHERE author = 'x'",
        ),
    ],
)
def test_what_looks_like_a_secret_in_a_text_is_masked(text: str, shown: str) -> None:
    assert Redactor().text(text) == shown
    assert redacted({"q": text}) == {"q": shown}


def test_a_long_text_is_cut_with_its_length_and_the_sum_of_the_whole() -> None:
    text = "SELECT 1 -- " + "x" * 5000
    shown = redacted({"sql": text})["sql"]

    assert shown.startswith(text[:LONGEST] + "…(+")
    assert shown.endswith(f"…(+{len(text) - LONGEST} chars, sha256 {hashlib.sha256(text.encode()).hexdigest()})")


@pytest.mark.parametrize("start", [LONGEST - 30, LONGEST - 10, LONGEST - 1])
def test_a_secret_where_a_text_is_cut_is_not_shown_in_part(start: int) -> None:
    for secret in ("password=hunter2hunter2", "http://u:hunter2hunter2@h", "eyJhbGciOi.eyJzhunter2.hunter2"):
        text = "x" * start + f" {secret} " + "y" * 5000
        assert "hunter2" not in Redactor().arguments({"a": text})


@pytest.mark.parametrize(
    "arguments",
    list[dict[str, Any]](
        [
            {"a": ["x" * 500] * 10_000},
            {"a": list(range(500_000))},
            {"a": [[]] * 500_000},
            {str(n): n for n in range(100_000)},
            {"x" * 1_000_000: "y" * 4_000_000},
            {"a": 10**5000},
            {"password": "x" * 4_000_000},
        ]
    ),
    ids=["strings", "numbers", "lists", "keys", "texts", "digits", "secret"],
)
def test_however_much_is_given_little_is_kept_soon(arguments: dict[str, Any]) -> None:
    before = time.thread_time()
    shown = Redactor().arguments(arguments)

    assert time.thread_time() - before < 1
    assert len(shown) < ROOM + 2 * LONGEST
    json.loads(shown)


def test_what_is_cut_still_tells_calls_apart() -> None:
    one, two, three = ({"rows": [*range(100_000), last]} for last in (1, 2, 1))

    assert Redactor().arguments(one) == Redactor().arguments(three) != Redactor().arguments(two)


def test_depth_comes_to_an_end() -> None:
    deep: Any = "bottom"
    for _ in range(5000):
        deep = [deep]

    assert "…(list)" in Redactor().arguments({"password_hint": None, "a": deep}).encode().decode("unicode-escape")


def test_the_order_of_the_arguments_does_not_matter() -> None:
    assert Redactor().arguments({"a": 1, "b": {"c": 2, "d": 3}}) == Redactor().arguments(
        {"b": {"d": 3, "c": 2}, "a": 1}
    )


@given(ARGUMENTS)
def test_any_arguments_become_one_line_of_ascii(arguments: dict[str, Any]) -> None:
    shown = Redactor.of(Settings()).arguments(arguments)

    assert shown.isascii()
    assert len(shown.splitlines()) == 1
    json.loads(shown, parse_constant=pytest.fail)


@given(ARGUMENTS, st.text(max_size=5), st.text(max_size=5))
def test_a_live_secret_is_nowhere_in_any_arguments(arguments: dict[str, Any], before: str, after: str) -> None:
    redactor = Redactor([CANARY])

    for given_ in ({**arguments, "a": before + CANARY + after}, {"a": {before + CANARY: arguments}}):
        assert CANARY not in redactor.arguments(given_)


def test_json_in_one_way_of_writing() -> None:
    assert canonical({"b": "\u2028\x1b", "a": [1, None]}) == '{"a":[1,null],"b":"\\u2028\\u001b"}'
