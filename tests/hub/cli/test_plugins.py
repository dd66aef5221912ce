"""`pegboard plugins`: what was found, what is served, and why the rest is not."""

import json
from pathlib import Path

from tests.hub.cli.conftest import Install, Run

BROKEN = "raise RuntimeError('the kettle is broken')"


def test_plugins_are_listed_with_origin_state_tools_and_endpoints(run: Run, tea: Path) -> None:
    result = run("plugins", "--config", str(tea))

    assert result.exit_code == 0
    rows = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.strip()}
    assert rows["tea"] == ["tea", "acme-tea", "1.2", "served", "2", "/tea"]
    assert rows["hub"][3] == "served"


def test_a_plugin_that_is_not_served_is_listed_with_phase_reason_and_remedy(run: Run, install: Install) -> None:
    install("acme-tea", tea=BROKEN)

    untrusted = run("plugins").stdout
    imported = run("plugins", env={"PEGBOARD_TRUST_ALLOW": "acme-tea"}).stdout

    assert "tea of acme-tea is not served\n  not trusted: it was not imported" in untrusted
    assert 'allow = ["acme-tea"]' in untrusted
    assert "tea of acme-tea is not served\n  not imported: RuntimeError: the kettle is broken" in imported


def test_programs_get_plugins_as_json(run: Run, tea: Path) -> None:
    result = run("plugins", "--json", "--config", str(tea))

    plugins = {plugin["name"]: plugin for plugin in json.loads(result.stdout)}
    assert plugins["tea"] == {
        "name": "tea",
        "distribution": "acme-tea",
        "version": "1.2",
        "state": "served",
        "tools": ["tea_brew", "tea_spill"],
        "endpoints": ["/tea"],
    }
    assert plugins["postgres"]["phase"] == "configured"
    assert "PEGBOARD_POSTGRES_DSN" in plugins["postgres"]["reason"]


def test_strict_fails_for_a_plugin_that_fails_and_not_for_one_that_is_only_not_trusted(
    run: Run, install: Install
) -> None:
    install("acme-tea", tea=BROKEN)
    dsn = {"PEGBOARD_POSTGRES_DSN": "postgresql://reader:secret@localhost/x"}

    untrusted = run("plugins", "--strict", env=dsn)
    failed = run("plugins", "--strict", env={**dsn, "PEGBOARD_TRUST_ALLOW": "acme-tea"})

    assert untrusted.exit_code == 0
    assert (failed.exit_code, failed.stderr) == (1, "error: not served: tea\n")
    assert "kettle" in failed.stdout


def test_strict_in_the_configuration_does_not_keep_plugins_from_being_listed(run: Run) -> None:
    result = run("plugins", env={"PEGBOARD_LOADING_STRICT": "true"})

    assert result.exit_code == 0
    assert "dsn: required" in result.stdout
