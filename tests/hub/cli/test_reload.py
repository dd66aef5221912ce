"""`pegboard reload`: what a hub that asks for keys tells, and to whom."""

from pathlib import Path

from tests.certificates import make_pair
from tests.hub.cli.conftest import Run, Start

from pegboard.security.keyfile import changing
from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes


def test_a_hub_that_asks_for_keys_is_reloaded_without_one_and_tells_why_not_with_one(
    run: Run, start: Start, tea: Path
) -> None:
    """S-35."""
    key, text = Key.create("me", Scopes.of(["metrics"]))
    with changing(Path("keys.json")) as keys:
        keys.append(key)
    right = tea.read_text() + '[auth]\nkeys_file = "keys.json"\n'
    tea.write_text(right)
    Path("empty.toml").touch()

    with start("serve", "--port", "0", "--config", str(tea), "--json") as running:
        arguments = ("reload", "--config", "empty.toml", "--url", running.ready()["url"])
        fine = run(*arguments)
        tea.write_text(right + "[calls]\ndeadline = -1\n")
        untold, told = run(*arguments), run(*arguments, env={"PEGBOARD_KEY": text})
        refused = run(*arguments, env={"PEGBOARD_KEY": "peg_no"})

    assert (fine.exit_code, "serves generation 2" in fine.stdout) == (0, True)
    assert (untold.exit_code, told.exit_code, refused.exit_code) == (2, 2, 1)
    assert "its log says why, and so would this command with the key of an operator in PEGBOARD_KEY" in untold.stderr
    assert "calls.deadline: must be greater than 0" in told.stderr
    assert "does not take the key in PEGBOARD_KEY" in refused.stderr


def test_a_hub_with_a_certificate_for_another_name_is_reloaded_too(run: Run, start: Start, tea: Path) -> None:
    """And the key of the variable stays here, since nobody vouches for who answers."""
    pair = make_pair(Path.cwd())
    tls = f'tls_certificate = "{pair.certificate}"\ntls_key = "{pair.key}"\n'
    tea.write_text(f"{tea.read_text()}[server]\n{tls}")

    with start("serve", "--port", "0", "--config", str(tea), "--json") as running:
        port = running.ready()["url"].rpartition(":")[2]
        Path("here.toml").write_text(f"[server]\nport = {port}\n{tls}")
        fine = run("reload", "--config", "here.toml", env={"PEGBOARD_KEY": "peg_mine"})

    assert fine.stdout == f"reloaded: https://127.0.0.1:{port} serves generation 2 of its configuration\n", fine.stderr
