"""The file of keys: what it looks like, and that nobody's change is lost."""

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from pegboard.errors import ConfigError
from pegboard.security.keyfile import changing, exposure, moment, read_keys
from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes

READ = Scopes.of(["read"])


def add(file: Path, name: str = "ci", **given: Any) -> str:
    key, text = Key.create(name, READ, **given)
    with changing(file) as keys:
        keys.append(key)
    return text


def test_a_key_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = Key("abcd", "ci", "0" * 64, Scopes.of(["a:*@prod", "read"]), "acme", 1e9, 2e9, 1.5e9)
    with changing(file) as keys:
        keys.append(key)

    assert read_keys(file) == [key]


def test_the_file_is_readable_and_holds_no_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    text = add(file, expires_at=1893456000.0)

    stored = json.loads(file.read_text())
    assert stored["version"] == 1
    assert stored["keys"][0]["expires"] == "2030-01-01T00:00:00Z"
    assert list(stored["keys"][0]) == ["id", "name", "sha256", "scopes", "created", "expires"]
    assert text.rpartition("_")[2] not in file.read_text()


def test_only_its_owner_can_read_a_new_file(tmp_path: Path) -> None:
    """S-36."""
    file = tmp_path / "keys.json"
    before = os.umask(0)
    try:
        add(file)
    finally:
        os.umask(before)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert exposure(file) is None


@pytest.mark.parametrize(("mode", "can"), [(0o640, "can read"), (0o604, "can read"), (0o620, "can change")])
def test_a_file_that_others_reach_is_said_with_the_remedy(tmp_path: Path, mode: int, can: str) -> None:
    """S-36."""
    file = tmp_path / "keys.json"
    add(file)
    file.chmod(mode)

    assert exposure(file) == f"{file}: others than its owner {can} the keys; chmod 600 {file}"


def test_a_change_keeps_mode_and_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.json"
    add(file)
    file.chmod(0o640)
    owners: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    monkeypatch.setattr(os, "fchown", lambda _, user, group: owners.append((user, group)))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] # as os.fchown

    add(file, "other")

    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert owners == [(file.stat().st_uid, file.stat().st_gid)]


def test_changes_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    threads = [threading.Thread(target=add, args=(file, f"key-{number}")) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert {key.name for key in read_keys(file)} == {f"key-{number}" for number in range(12)}
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.json"
    add(file)
    before = file.read_text()

    with pytest.raises(RuntimeError):
        forget_and_fail(file)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="the keys cannot be changed: No space left"):
        add(file, "other")

    assert file.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def forget_and_fail(file: Path) -> None:
    with changing(file) as keys:
        keys.clear()
        raise RuntimeError


def full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_the_file_behind_a_link_is_changed_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "keys.json"
    link.symlink_to(tmp_path / "real" / "keys.json")
    add(link)

    assert link.is_symlink()
    assert len(read_keys(link)) == 1


def entry(**given: Any) -> dict[str, Any]:
    return {"id": "abcd", "name": "ci", "sha256": "0" * 64, "scopes": ["read"], **given}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "this is no JSON"),
        ("\x00", "this is no JSON"),
        ("[]", "must be an object"),
        ({"keys": []}, "version: required"),
        ({"version": 2, "keys": []}, "version: must be one of 1"),
        ({"version": 1, "keys": [entry(sha256="secret")]}, "keys[0].sha256: must match the pattern"),
        ({"version": 1, "keys": [entry(sha256="é" * 64)]}, "keys[0].sha256: must match the pattern"),
        ({"version": 1, "keys": [entry(scopes=["a b"])]}, "the key 'ci': 'a b' is no scope"),
        ({"version": 1, "keys": [entry(expires="2030-01-01T00:00:00")]}, "keys[0].expires: must have an offset"),
        ({"version": 1, "keys": [entry(admin=True)]}, "keys[0].admin: unknown key"),
    ],
)
def test_a_file_that_is_wrong_is_said_with_the_place_and_without_a_value(
    tmp_path: Path, content: Any, problem: str
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))

    with pytest.raises(ConfigError) as error:
        read_keys(file)
    assert problem in str(error.value)
    assert str(file) in str(error.value)
    assert "secret" not in str(error.value)


def test_a_file_that_is_not_there_is_said_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file; `pegboard keys create NAME --scope SCOPE` makes it"):
        read_keys(tmp_path / "keys.json")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_keys(tmp_path)


def test_a_time_that_is_none_is_none() -> None:
    assert moment(None) is None
