"""`pegboard keys`: made, shown once, listed without secrets, ended and replaced."""

import json
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.hub.cli.conftest import Install, Run

from pegboard.configuration import parse_settings
from pegboard.security.keyfile import changing, read_keys
from pegboard.security.keys import Key, Keyring
from pegboard.security.scopes import Scopes

FILE = Path("keys.json")


@pytest.fixture
def configured(tea: Path) -> Path:
    """A configuration with a plugin and a file of keys, which is not there yet."""
    tea.write_text(tea.read_text() + '[auth]\nkeys_file = "keys.json"\n')
    return tea


def create(run: Run, *arguments: str) -> str:
    result = run("keys", "create", *arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.usefixtures("configured")
def test_a_key_is_alone_on_standard_output_and_counts(run: Run) -> None:
    result = run("keys", "create", "ci", "--scope", "read", "--scope", "tea:*", "--expires", "90d")

    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    key = Keyring(read_keys(FILE)).find(line)
    assert key is not None
    assert (key.name, str(key.scopes)) == ("ci", "read tea:*")
    assert key.expires_at is not None
    left = datetime.fromtimestamp(key.expires_at, UTC) - datetime.now(UTC)
    assert timedelta(days=89) < left <= timedelta(days=90)
    assert result.stderr == f"stored the key 'ci' ({key.id}) in keys.json\n"
    assert FILE.stat().st_mode & 0o777 == 0o600


def test_a_file_that_no_configuration_names_is_told_how_to_be_used(run: Run) -> None:
    result = run("keys", "create", "ci", "--scope", "*", "--file", "other.json")

    assert result.exit_code == 0
    assert 'keys_file = "other.json" under [auth]' in result.stderr
    assert run("keys", "create", "ci", "--scope", "*").stderr.startswith("error: no file of keys is configured")


def test_a_table_is_printed_to_paste_and_nothing_is_stored(run: Run) -> None:
    result = run("keys", "create", "my.ci", "--scope", "read", "--tenant", "acme", "--expires", "2099-01-31", "--print")

    table = tomllib.loads(result.stderr.partition("\n\n")[2].partition("warning:")[0])
    (key,) = result.stdout.split()
    assert key not in result.stderr
    settings = parse_settings(table, "x", {}).keys["my.ci"]
    assert settings.expires == datetime(2099, 1, 31, tzinfo=UTC)
    assert (settings.tenant, settings.scopes) == ("acme", ("read",))
    assert tomllib.loads(run("keys", "create", "b", "--scope", "*", "--print").stderr.partition("\n\n")[2]).keys() == {
        "keys"
    }
    Path("pegboard.toml").write_text(result.stderr.partition("\n\n")[2].partition("warning:")[0])
    listed = json.loads(run("keys", "list", "--json").stdout)
    assert [entry["name"] for entry in listed] == ["my.ci"]
    assert not FILE.exists()


@pytest.mark.usefixtures("configured")
def test_what_will_not_be_as_meant_is_a_warning(run: Run) -> None:
    right = ["tea:*", "tea_brew", "metrics", "write", "write@x"]
    wrong = ["tea", "tee_brew", "coffee:read", "tea/leaves:*", "*@prod"]

    result = run("keys", "create", "ci", *(f"--scope={scope}" for scope in right + wrong), "--tenant", "acme")

    look = "`pegboard tools` lists what there is"
    assert result.exit_code == 0
    assert [line.removeprefix("warning: ") for line in result.stderr.splitlines()[1:]] == [
        "there is no [tenants.acme] in the configuration, so that this key may call nothing yet",
        f"the scope '*@prod' fits nothing: there is no environment 'prod'; {look}",
        f"the scope 'coffee:read' fits nothing: no plugin 'coffee' is served; {look}",
        "the scope 'tea' fits nothing: there is no tool 'tea'; did you mean 'tea:*'?",
        f"the scope 'tea/leaves:*' fits nothing: 'tea' has no tools there; {look}",
        "the scope 'tee_brew' fits nothing: there is no tool 'tee_brew'; did you mean 'tea_brew'?",
    ]


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["ci", "--scope", "a b"], "'a b' is no scope"),
        (["ci"], "Missing option '--scope'"),
        (["a:b", "--scope", "*"], "'a:b' is no name for a key"),
        (["ci", "--scope", "*", "--expires", "soon"], "'soon' is no time; write 12h, 90d"),
        (["ci", "--scope", "*", "--expires", "999999w"], "'999999w' is no time"),
        (["ci", "--scope", "*", "--expires", "2020-01-01"], "'2020-01-01' is over already"),
        (["ci", "--scope", "*", "--expires", "0d"], "'0d' is over already"),
        (["taken", "--scope", "*"], "there is a key 'taken' already"),
        (["ci", "--scope", "*", "--file", "no/such/keys.json"], "the keys cannot be changed: No such file"),
    ],
)
def test_bad_input_stores_nothing_and_shows_no_key(run: Run, arguments: list[str], problem: str) -> None:
    create(run, "taken", "--scope", "*")

    result = run("keys", "create", *arguments)

    assert result.exit_code == 2
    assert problem in result.stderr
    assert result.stdout == ""
    assert len(read_keys(FILE)) == 1


@pytest.mark.usefixtures("configured")
def test_a_broken_file_is_left_alone(run: Run) -> None:
    FILE.write_text("{")

    for arguments in (["create", "ci", "--scope", "*"], ["list"], ["revoke", "ci"], ["rotate", "ci"]):
        result = run("keys", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "keys.json: the keys cannot be read: this is no JSON" in result.stderr
    assert FILE.read_text() == "{"


@pytest.mark.usefixtures("configured")
def test_a_file_that_others_can_read_is_warned_about(run: Run) -> None:
    """S-36."""
    create(run, "ci", "--scope", "*")
    FILE.chmod(0o644)

    result = run("keys", "create", "other", "--scope", "*")

    assert "warning: keys.json: others than its owner can read the keys; chmod 600 keys.json" in result.stderr


@pytest.mark.usefixtures("configured")
def test_the_list_has_everything_but_what_is_secret(run: Run) -> None:
    text = create(run, "ci", "--scope", "read", "--expires", "2099-01-01")
    create(run, "old", "--scope", "*")
    run("keys", "revoke", "old")

    shown, listed = run("keys", "list").stdout, run("keys", "list", "--json").stdout

    header, first, second = shown.splitlines()
    assert header.split() == ["ID", "NAME", "STATE", "SCOPES", "TENANT", "CREATED", "EXPIRES"]
    assert first.split()[1:5] == ["ci", "live", "read", "-"]
    assert second.split()[2] == "revoked"
    assert json.loads(listed)[0]["expires"] == "2099-01-01T00:00:00Z"
    for key in read_keys(FILE):
        assert key.sha256 not in shown + listed
    assert text.rpartition("_")[2] not in shown + listed


@pytest.mark.usefixtures("configured")
def test_a_list_of_nothing_says_how_to_make_a_key(run: Run) -> None:
    with changing(FILE):
        pass

    assert run("keys", "list").stderr.startswith("there are no keys; `pegboard keys create")


@pytest.mark.usefixtures("configured")
def test_a_key_is_revoked_by_its_id_or_name(run: Run) -> None:
    first, second = create(run, "a", "--scope", "*"), create(run, "b", "--scope", "*")
    by_id = run("keys", "revoke", first.split("_")[1])
    by_name = run("keys", "revoke", "b")

    assert by_id.exit_code == by_name.exit_code == 0
    assert Keyring(read_keys(FILE)).find(first) is Keyring(read_keys(FILE)).find(second) is None
    assert "the key 'b' has ended already" in run("keys", "revoke", "b").stderr
    create(run, "b", "--scope", "*")  # the name is free again


@pytest.mark.usefixtures("configured")
def test_a_key_that_is_not_there_is_said_with_the_nearest(run: Run, configured: Path) -> None:
    create(run, "alice", "--scope", "*")
    named = f'[keys.robot]\nid = "abcd"\nsha256 = "{"0" * 64}"\nscopes = ["read"]\n'
    configured.write_text(configured.read_text() + named)

    assert "there is no key 'alcie'; did you mean 'alice'?" in run("keys", "revoke", "alcie").stderr
    assert "there is no key 'x'; `pegboard keys list` shows them" in run("keys", "rotate", "x").stderr
    assert "stands in the configuration; remove it there" in run("keys", "revoke", "robot").stderr
    assert "there is a key 'robot' already" in run("keys", "create", "robot", "--scope", "*").stderr
    assert [entry["name"] for entry in json.loads(run("keys", "list", "--json").stdout)] == ["alice", "robot"]


@pytest.mark.usefixtures("configured")
def test_a_key_is_replaced_at_once(run: Run) -> None:
    old = create(run, "ci", "--scope", "read", "--scope", "write")
    result = run("keys", "rotate", "ci")

    ring = Keyring(read_keys(FILE))
    new = ring.find(result.stdout.strip())
    assert new is not None
    assert (new.name, str(new.scopes), new.expires_at) == ("ci", "read write", None)
    assert ring.find(old) is None
    assert "counts no more" in result.stderr


@pytest.mark.usefixtures("configured")
def test_an_old_key_may_count_for_a_while_and_the_new_one_lives_as_long_as_it_did(run: Run) -> None:
    old = create(run, "ci", "--scope", "read", "--expires", "30d")
    new = run("keys", "rotate", "ci", "--keep", "24h").stdout.strip()
    third = run("keys", "rotate", "ci", "--expires", "2099-01-01").stdout.strip()

    ring = Keyring(read_keys(FILE))
    assert ring.find(old) is ring.find(new) is None
    first, second, last = read_keys(FILE)
    assert first.expires_at is not None
    assert second.expires_at is not None
    assert second.created_at is not None
    assert first.expires_at - second.created_at == pytest.approx(24 * 3600, abs=5)  # pyright: ignore[reportUnknownMemberType] # half typed
    assert second.expires_at - second.created_at == pytest.approx(30 * 24 * 3600, abs=5)  # pyright: ignore[reportUnknownMemberType] # as above
    assert ring.find(third) == last
    assert last.expires_at == datetime(2099, 1, 1, tzinfo=UTC).timestamp()


def test_on_a_terminal_it_says_that_this_is_the_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pegboard.cli.keys._is_terminal", lambda: True)

    result = run("keys", "create", "ci", "--scope", "*", "--file", "keys.json")

    assert "this is the key; it is not shown again:" in result.stderr
    assert len(result.stdout.split()) == 1


def test_the_group_alone_shows_its_help(run: Run) -> None:
    assert "Make the keys that callers show" in run("keys").stdout


# `pegboard check`, and the start


def check(run: Run) -> list[str]:
    return [line for line in run("check").stdout.splitlines() if "is not served" not in line]


@pytest.mark.usefixtures("configured")
def test_check_says_what_is_wrong_with_keys(run: Run, configured: Path) -> None:
    """S-36, among others."""
    assert "error: keys.json: there is no such file; `pegboard keys create NAME --scope SCOPE` makes it" in check(run)
    with changing(FILE) as keys:
        keys.append(Key.create("ci", Scopes.of(["tea_bru"]), tenant="acme")[0])
        keys.append(Key.create("ci", Scopes.of(["tea_bru"]), tenant="acme")[0])
        keys.append(Key.create("gone", Scopes.of(["nothing"]))[0].revoked())
    FILE.chmod(0o644)

    assert check(run) == [
        "warning: keys.json: others than its owner can read the keys; chmod 600 keys.json",
        "warning: the key 'ci': the scope 'tea_bru' fits nothing: there is no tool 'tea_bru'; did you mean 'tea_brew'?",
        "warning: the key 'ci': there is no [tenants.acme], so that it may call nothing",
        f"ok: {configured}",
    ]


def test_check_says_that_a_hub_is_open_to_strangers(run: Run, tea: Path) -> None:
    tea.write_text(tea.read_text() + '[server]\nhost = "0.0.0.0"\n')

    first, *rest = check(run)
    assert first.startswith("error: listening on '0.0.0.0' would let anybody who reaches this machine call every tool")
    assert [line.strip() for line in rest[:2]] == ['keys_file = "keys.json"', "pegboard keys create NAME --scope '*'"]


def test_check_names_secrets_in_a_file_that_others_can_read(run: Run, tea: Path) -> None:
    """S-36."""
    tea.write_text(
        f'{tea.read_text()}[server]\nredis = "redis://h"\n[keys.ci]\nid = "abcd"\nsha256 = "{"0" * 64}"\n'
        'scopes = ["*"]\n[plugins.tea]\nkey = "k"\n[tenants.a.plugins.tea]\nkey = "env:HOME"\n'
        '[tenants.b.plugins.tea]\nkey = "k"\n[plugins.tea.environments.prod]\nkey = "k"\n'
    )
    tea.chmod(0o644)

    places = (
        "server.redis, keys.ci.sha256, plugins.tea.key, plugins.tea.environments.prod.key, tenants.b.plugins.tea.key"
    )
    expected = f"others can read it, and it holds secrets ({places}); chmod 600 pegboard.toml, or write env:NAME"
    assert any(expected in line for line in check(run))


def test_a_file_without_secrets_may_be_read_by_others(run: Run, tea: Path) -> None:
    tea.write_text(f'{tea.read_text()}[plugins.tea]\nkey = "file:cupboard"\n')
    Path("cupboard").write_text("k")
    tea.chmod(0o644)

    assert check(run) == [f"ok: {tea}"]


def test_serve_refuses_to_be_open_to_strangers_and_says_which_two_lines_fix_it(run: Run, tea: Path) -> None:
    result = run("serve", "--host", "0.0.0.0", "--port", "0", "--config", str(tea))

    assert result.exit_code == 2
    lines = [line.strip() for line in result.stderr.splitlines()]
    index = next(number for number, line in enumerate(lines) if line.startswith("error: listening on '0.0.0.0'"))
    assert lines[index + 1 : index + 3] == ['keys_file = "keys.json"', "pegboard keys create NAME --scope '*'"]


def test_the_two_lines_do_fix_it(run: Run, tea: Path) -> None:
    """What the error says to write and to type is enough."""
    tea.write_text(f'{tea.read_text()}[server]\nhost = "0.0.0.0"\n[auth]\nkeys_file = "keys.json"\n')
    create(run, "me", "--scope", "*")

    assert check(run) == [f"ok: {tea}"]


def test_serve_warns_of_secrets_that_others_can_read(run: Run, install: Install, tea: Path) -> None:
    """S-36."""
    tea.write_text(f'{tea.read_text()}[plugins.tea]\nkey = "k"\n')
    tea.chmod(0o644)

    result = run("serve", "--host", "0.0.0.0", "--port", "0", "--config", str(tea))

    assert "others can read it, and it holds secrets (plugins.tea.key); chmod 600" in result.stderr
