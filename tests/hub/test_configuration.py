"""Configuration: the file and the environment become settings, or errors one can act on."""

import errno
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from pegboard.configuration import (
    find_file,
    load_settings,
    resolve,
    unknown_variables,
    validate,
    variables_of,
)
from pegboard.errors import ConfigError
from pegboard.plugin import PluginSettings


def write(folder: Path, text: str, name: str = "pegboard.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environ or {})
    return str(caught.value).splitlines()


def test_the_file_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, '[server]\nport = 9000\n[trust]\nallow = ["a>=1"]\n[plugins.weather]\nurl = "http://x"\n')

    settings = load_settings(path, {})

    assert (settings.server.port, settings.trust.allow) == (9000, ("a>=1",))
    assert settings.plugins == {"weather": {"url": "http://x"}}


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[server]\nport = 9000\nmax_sessions = 5\n")

    settings = load_settings(path, {"PEGBOARD_SERVER_PORT": "9001", "OTHER": "x"})

    assert (settings.server.port, settings.server.max_sessions) == (9001, 5)


def test_everything_that_is_wrong_is_said_at_once_with_its_source(tmp_path: Path) -> None:
    path = write(tmp_path, '[server]\nport = "many"\nhosts = 1\n[sever]\n[calls]\ndeadline = 0\n')

    assert sorted(problems(path)) == [
        f"{path}: calls.deadline: must be greater than 0.0",
        f"{path}: server.hosts: unknown key; did you mean 'host'?",
        f"{path}: server.port: must be a whole number",
        f"{path}: sever: unknown key; did you mean 'server'?",
    ]


def test_an_unknown_key_near_nothing_gets_the_list_of_keys(tmp_path: Path) -> None:
    path = write(tmp_path, "[calls]\nzzz = 1\n")

    assert problems(path) == [f"{path}: calls.zzz: unknown key; there are deadline, max_deadline, confirm_by_token"]


def test_what_has_moved_is_an_error_that_says_where_to(tmp_path: Path) -> None:
    path = write(tmp_path, '[limits]\nredis = "redis://:hunter2@h/0"\n')

    assert problems(path) == [f"{path}: limits.redis: has moved; write `redis` under [server]"]
    assert problems(None, {"PEGBOARD_LIMITS_REDIS": "redis://:hunter2@h/0"}) == [
        "PEGBOARD_LIMITS_REDIS: has moved; set PEGBOARD_SERVER_REDIS in its place"
    ]


def test_a_problem_in_a_variable_names_the_variable() -> None:
    assert problems(None, {"PEGBOARD_SERVER_PORT": "x"}) == [
        "the environment: server.port: must be a whole number (set by the variable PEGBOARD_SERVER_PORT)"
    ]


def test_a_list_that_is_no_json_is_a_problem_of_its_variable() -> None:
    (line,) = problems(None, {"PEGBOARD_TRUST_ALLOW": "[a"})

    assert line.startswith("the environment: trust.allow: ")
    assert line.endswith("(set by the variable PEGBOARD_TRUST_ALLOW)")


def test_a_section_that_is_no_table_is_a_problem_even_when_a_variable_is_set(tmp_path: Path) -> None:
    path = write(tmp_path, "server = 5\n")

    assert problems(path, {"PEGBOARD_SERVER_PORT": "1"}) == [f"{path}: server: must be an object"]


def test_a_file_that_is_no_toml_is_named_with_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, "[server\n")

    (line,) = problems(path)

    assert line.startswith(f"{path}: not valid TOML: ")
    assert "line 1" in line


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff")

    assert problems(tmp_path)[0].startswith(f"{tmp_path}: cannot be read: ")
    assert problems(binary)[0].startswith(f"{binary}: cannot be read: ")


def test_the_file_is_the_given_one_or_the_variables_or_the_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nowhere = find_file(None, {})
    here, other = write(tmp_path, ""), write(tmp_path, "", "other.toml")

    assert nowhere is None
    assert find_file(None, {}) == Path("pegboard.toml")
    assert find_file(None, {"PEGBOARD_CONFIG": str(other)}) == other
    assert find_file(here, {"PEGBOARD_CONFIG": str(other)}) == here


def test_a_file_that_was_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x\.toml: there is no such file; `pegboard init` writes one"):
        find_file(tmp_path / "x.toml", {})


def test_a_folder_that_lets_nobody_look_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor that reloads goes on then, as it does for everything that is wrong with the configuration."""

    def denied(_: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_file", denied)
    for named in (Path("x.toml"), None):
        with pytest.raises(ConfigError, match=r"\.toml: cannot be read: Permission denied"):
            find_file(named, {})


def test_secrets_are_taken_from_variables_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    write(tmp_path, "file:secret\r\n\n", "secret.txt")
    path = write(tmp_path, '[plugins.x]\na = "env:DB_PASSWORD"\nb = ["file:secret.txt", 5]\nc = {d = "plain"}\n')

    assert load_settings(path, {}).plugins["x"] == {"a": "hunter2", "b": ["file:secret", 5], "c": {"d": "plain"}}


def test_a_reference_in_a_variable_is_followed_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Settings(PluginSettings):
        dsn: str = ""

    monkeypatch.chdir(tmp_path)
    write(tmp_path, "hunter2\n", "dsn")

    assert variables_of("db", Settings, {"PEGBOARD_DB_DSN": "file:dsn"}) == {"dsn": "hunter2"}


def test_a_reference_to_nothing_names_its_key_and_not_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    path = write(tmp_path, '[plugins.x]\na = "env:NOWHERE"\n')
    other = write(tmp_path, '[plugins.x]\na = ["file:nowhere"]\n', "other.toml")

    with pytest.raises(ConfigError, match=r"toml: plugins: x: a: refers to the variable NOWHERE, which is not set"):
        load_settings(path, {})
    with pytest.raises(ConfigError, match=r"toml: plugins: x: a: refers to the file .*nowhere, which cannot be read"):
        load_settings(other, {})


plain = st.text().filter(lambda text: not text.startswith(("env:", "file:")))


scalars = plain | st.integers() | st.booleans() | st.floats(allow_nan=False)


tables = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@given(tables)
def test_what_refers_to_nothing_stays_as_it_is(value: Any) -> None:
    assert resolve(value, Path(), "here") == value


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_what_a_variable_holds_is_never_taken_for_a_reference(value: str) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PEGBOARD_TEST_VALUE", value)

        assert resolve(["env:PEGBOARD_TEST_VALUE"], Path(), "here") == [value]


class Target(BaseModel):
    dsn: SecretStr
    tags: Annotated[list[str], Field(max_length=1)] = []

    model_config = {"extra": "forbid"}


class Settings(PluginSettings):
    token: SecretStr
    targets: dict[str, Target] = {}
    fallback: Target | None = None
    replicas: list[Target] = []


def problems_of(given: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        validate(Settings, given, "[plugins.x]", lambda _: "")
    return str(caught.value).splitlines()


def test_no_error_holds_a_value() -> None:
    bad = {"dsn": ["hunter2"], "tags": ["hunter2", "hunter2"], "hunter": "hunter2"}

    lines = problems_of({"token": 5, "targets": {"prod": bad}, "fallback": bad, "replicas": [bad]})

    assert len(lines) == 10
    assert "hunter2" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"tokn": "x"}, "tokn: unknown key; did you mean 'token'?"),
        ({"fallback": {"dsn": "x", "tag": 1}}, "fallback.tag: unknown key; did you mean 'tags'?"),
        ({"targets": {"a": {"dsn": "x", "tag": 1}}}, "targets.a.tag: unknown key; did you mean 'tags'?"),
        ({"replicas": [{"dsn": "x", "zzz": 1}]}, "replicas[0].zzz: unknown key; there are dsn, tags"),
        ({"targets": {"a": {}}}, "targets.a.dsn: required"),
    ],
)
def test_a_problem_inside_is_told_with_its_place(given: dict[str, Any], line: str) -> None:
    assert problems_of({"token": "t", **given}) == [f"[plugins.x]: {line}"]


def test_variables_nobody_reads_are_told() -> None:
    environ = {
        "PEGBOARD_CONFIG": "x",
        "PEGBOARD_SERVER_PORT": "1",
        "PEGBOARD_X_TOKEN": "1",
        "PEGBOARD_SERVER_PROT": "1",
        "PEGBOARD_ZZZZZZZZZZZZZZZZZZZZZZZ": "1",
        "PATH": "x",
    }

    assert unknown_variables(environ, {"x": Settings}) == [
        "PEGBOARD_SERVER_PROT: no setting has this name; did you mean 'PEGBOARD_SERVER_PORT'?",
        "PEGBOARD_ZZZZZZZZZZZZZZZZZZZZZZZ: no setting has this name",
    ]


def test_the_files_of_keys_and_certificates_count_from_the_configuration(tmp_path: Path) -> None:
    file = write(tmp_path, '[auth]\nkeys_file = "keys.json"\n[server]\ntls_certificate = "/etc/x.pem"\n')

    settings = load_settings(file, {})
    assert settings.auth.keys_file == tmp_path / "keys.json"
    assert settings.server.tls_certificate == Path("/etc/x.pem")
    assert load_settings(file, {"PEGBOARD_AUTH_KEYS_FILE": "here.json"}).auth.keys_file == Path("here.json")
