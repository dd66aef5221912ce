"""The keys that count: changes of the file are noticed, and a broken file lets nobody in."""

import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from pegboard.errors import ConfigError
from pegboard.security.keyfile import changing
from pegboard.security.keys import Key
from pegboard.security.keystore import KeyStore
from pegboard.security.scopes import Scopes
from pegboard.settings import KeySettings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def add(file: Path, name: str = "ci", scopes: str = "read") -> tuple[Key, str]:
    key, text = Key.create(name, Scopes.of(scopes.split()))
    with changing(file) as keys:
        keys.append(key)
    return key, text


def revoke(file: Path) -> None:
    with changing(file) as keys:
        keys[:] = [key.revoked() for key in keys]


def watchful(file: Path, **given: Any) -> KeyStore:
    """A store that looks at its file every time."""
    return KeyStore(file, {}, look_every=0, **given)


async def test_a_key_is_known_at_once_and_only_as_a_whole(file: Path) -> None:
    key, text = add(file)
    store = KeyStore(file, {})

    assert store.known(text, "/mcp") == await store.verify(text, "/mcp") == key.principal
    assert store.known(text[:-1], "/mcp") is None
    assert await store.verify(text[:-1], "/mcp") is None
    assert store.recognizes(text)
    assert not store.recognizes("eyJ0eXAi")
    assert store.owns(key.principal)


async def test_a_key_that_is_added_counts_without_a_restart(file: Path) -> None:
    add(file)
    store = watchful(file)
    other, text = add(file, "other")

    assert await store.verify(text, "/mcp") == other.principal


async def test_a_key_that_is_revoked_counts_no_more(file: Path) -> None:
    """S-31."""
    key, text = add(file)
    store = watchful(file)
    assert store.is_live(key.principal)
    revoke(file)

    assert await store.verify(text, "/mcp") is None
    assert store.known(text, "/mcp") is None
    assert not store.is_live(key.principal)


async def test_the_file_is_looked_at_once_a_second_and_not_for_each_request(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = add(file)
    store, looks = KeyStore(file, {}), list[Path]()
    monkeypatch.setattr("pegboard.security.keystore._stamp", looks.append)

    for _ in range(1000):
        assert store.known(text, "/mcp") is not None
        assert await store.verify(text, "/mcp") is not None

    assert looks == []


async def test_a_file_that_stays_is_not_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, text = add(file)
    store = watchful(file)
    monkeypatch.setattr("pegboard.security.keystore.read_keys", None)

    assert await store.verify(text, "/mcp") is not None


@pytest.mark.parametrize("content", [None, "{", "", "{}"])
async def test_a_file_that_breaks_lets_nobody_in_until_it_is_whole_again(file: Path, content: str | None) -> None:
    """S-04."""
    key, text = add(file)
    whole, store = file.read_text(), watchful(file)
    file.unlink()
    if content is not None:
        file.write_text(content)

    for _ in range(2):
        with pytest.raises(ConfigError, match=str(file)):
            await store.verify(text, "/mcp")
    assert store.known(text, "/mcp") is None

    file.write_text(whole)
    assert await store.verify(text, "/mcp") == key.principal


async def test_a_broken_file_is_not_known_at_once_either_between_two_looks(file: Path) -> None:
    """S-04: what was read before it broke does not count."""
    _, text = add(file)
    store = KeyStore(file, {}, look_every=0.0)
    file.write_text("{")
    with pytest.raises(ConfigError):
        await store.refresh()
    store._look_every = 3600.0  # pyright: ignore[reportPrivateUsage] # from now on nobody looks

    assert store.known(text, "/mcp") is None
    with pytest.raises(ConfigError):
        await store.verify(text, "/mcp")


async def test_what_a_key_has_opened_survives_a_broken_file_for_a_moment_only(file: Path) -> None:
    """S-31: while somebody writes the file by hand, say."""
    key, _ = add(file)
    patient, hasty = watchful(file), watchful(file, grace=0)
    file.write_text("{")
    for store in (patient, hasty):
        with pytest.raises(ConfigError):
            await store.refresh()

    assert patient.is_live(key.principal)
    assert not hasty.is_live(key.principal)


def test_a_file_that_is_broken_at_the_start_is_an_error(file: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        KeyStore(file, {})


async def test_a_look_that_does_not_come_back_lets_nobody_in_and_is_not_joined_by_others(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-04: a network drive that hangs, say. The loop goes on, and one thread waits, not one for each request."""
    key, text = add(file)
    store, go_on, looks = watchful(file), threading.Event(), list[Path]()

    def hang(file: Path) -> object:
        looks.append(file)
        go_on.wait(5)
        return None

    with anyio.fail_after(5), monkeypatch.context() as patched:
        patched.setattr("pegboard.security.keystore._stamp", hang)
        with anyio.move_on_after(0.05):
            await store.verify(text, "/mcp")
        for _ in range(3):
            with pytest.raises(ConfigError, match="takes too long"):
                await store.verify(text, "/mcp")
    go_on.set()
    with anyio.fail_after(5):
        while store._looking:  # pyright: ignore[reportPrivateUsage] # until the thread is back
            await anyio.to_thread.run_sync(go_on.wait)

    assert len(looks) == 1
    assert await store.verify(text, "/mcp") == key.principal


async def test_a_plugin_that_takes_all_threads_keeps_nobody_out(file: Path) -> None:
    key, text = add(file)
    store, go_on = watchful(file), threading.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            limiter = anyio.to_thread.current_default_thread_limiter()
            for _ in range(int(limiter.total_tokens)):
                tasks.start_soon(anyio.to_thread.run_sync, go_on.wait)
            while limiter.available_tokens:
                await anyio.sleep(0.001)
            try:
                assert await store.verify(text, "/mcp") == key.principal
            finally:
                go_on.set()


async def test_keys_of_the_settings_count_too_and_need_no_file() -> None:
    key, text = Key.create("ci", Scopes.of(["read"]))
    named = KeySettings.model_validate(
        {"id": key.id, "sha256": key.sha256.upper(), "scopes": ["read"], "expires": "2099-01-01T00:00:00Z"}
    )
    store = KeyStore(None, {"ci": named}, look_every=0, grace=0)

    principal = store.known(text, "/mcp")
    assert principal is not None
    assert principal.name == "ci"
    assert store.is_live(principal)
    await store.refresh()


async def test_a_key_that_was_revoked_elsewhere_does_not_count_whatever_the_file_says(file: Path) -> None:
    key, text = add(file)
    other, another = add(file, name="other")
    revoked: set[str] = set()
    store = KeyStore(file, {}, revoked=revoked)
    assert store.known(text, "/mcp") == key.principal

    revoked.add(key.id)

    assert store.known(text, "/mcp") is await store.verify(text, "/mcp") is None
    assert not store.is_live(key.principal)
    assert store.known(another, "/mcp") == other.principal
    assert store.is_live(other.principal)


def test_scopes_of_the_settings_that_are_none_are_said_with_their_place() -> None:
    named = KeySettings.model_validate({"id": "abcd", "sha256": "0" * 64, "scopes": ["a b"]})

    with pytest.raises(ConfigError, match=r"\[keys.ci\] scopes: 'a b' is no scope"):
        KeyStore(None, {"ci": named})


def test_a_file_that_others_can_read_is_warned_about(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """S-36."""
    add(file)
    file.chmod(0o644)
    KeyStore(file, {})

    assert f"chmod 600 {file}" in caplog.text
