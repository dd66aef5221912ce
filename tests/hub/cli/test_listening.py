"""Listening: what `pegboard check` says about the certificate and the limits."""

from pathlib import Path
from typing import Any

from tests.certificates import make_pair

from pegboard.cli.listening import listening_errors, listening_warnings
from pegboard.cli.problems import find_problems
from pegboard.settings import HubSettings


def settings(**sections: Any) -> HubSettings:
    return HubSettings.model_validate(sections)


def test_nothing_is_wrong_with_what_is_not_said() -> None:
    assert list(listening_errors(settings())) == []
    assert list(listening_warnings(settings())) == []


def test_a_certificate_that_cannot_be_served_is_an_error(tmp_path: Path) -> None:
    pair, other = make_pair(tmp_path), make_pair(tmp_path, "other")
    right = {"tls_certificate": pair.certificate, "tls_key": pair.key}

    assert list(listening_errors(settings(server=right))) == []
    (line,) = listening_errors(settings(server={**right, "tls_key": other.key}))
    assert line == f"[server] tls_key: {other.key} is not the private key of {pair.certificate}"


def test_a_key_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    pair.key.chmod(0o644)

    (line,) = listening_warnings(settings(server={"tls_certificate": pair.certificate, "tls_key": pair.key}))

    assert f"chmod 600 {pair.key}" in line


def test_a_redis_that_cannot_be_is_an_error_and_one_that_is_away_is_none() -> None:
    assert list(listening_errors(settings(server={"redis": "redis://:hunter2@127.0.0.1:1/0"}))) == []
    (line,) = listening_errors(settings(server={"redis": "postgres://:hunter2@127.0.0.1"}))
    assert line == "[server] redis: not a URL of Redis; write redis://HOST:6379/0"


def test_a_rate_for_keys_that_nobody_has_is_a_warning() -> None:
    key = {"ci": {"id": "abcd", "sha256": "0" * 64, "scopes": ["read"]}}

    assert "counts for each key" in str(list(listening_warnings(settings(limits={"calls_per_minute": 60}))))
    assert list(listening_warnings(settings(limits={"calls_per_minute": 60}, keys=key))) == []


def test_check_says_so(tmp_path: Path) -> None:
    file = tmp_path / "pegboard.toml"
    file.write_text('[server]\ntls_certificate = "missing.pem"\n\n[limits]\ncalls_per_minute = 60\n')

    found = [(problem.level, problem.message) for problem in find_problems(file, {})]

    missing = tmp_path / "missing.pem"
    assert ("error", f"[server] tls_certificate: {missing} cannot be read: No such file or directory") in found
    assert any(level == "warning" and "calls_per_minute" in message for level, message in found)
