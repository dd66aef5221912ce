"""`pegboard init`: a file with everything in it that changes nothing."""

import re
import tomllib
from pathlib import Path

from tests.hub.cli.conftest import Install, Run

from pegboard.cli.fields import hub_sections, plugin_sections
from pegboard.cli.init import render
from pegboard.configuration import load_settings
from pegboard.plugin import PluginSettings
from pegboard.settings import HubSettings


def test_init_writes_a_file_that_is_right_and_changes_nothing(run: Run) -> None:
    result = run("init")

    assert result.exit_code == 0
    assert load_settings(Path("pegboard.toml"), {}) == HubSettings(
        plugins={"awx": {}, "neo4j": {}, "postgres": {}, "qdrant": {}}
    )
    assert run("check", env={"PEGBOARD_POSTGRES_DSN": "postgresql://reader:secret@localhost/x"}).exit_code == 0
    assert Path("pegboard.toml").stat().st_mode & 0o777 == 0o600


def test_every_line_of_the_file_can_be_uncommented(run: Run) -> None:
    run("init", "mine.toml")

    text = re.sub(r"^# (\w+ = )", r"\1", Path("mine.toml").read_text(), flags=re.MULTILINE)
    table = tomllib.loads(text)
    assert table["plugins"]["postgres"].pop("dsn") == "..."
    unset = {
        (section.name, setting.key)
        for section in hub_sections()
        for setting in section.settings
        if setting.default is None or setting.is_secret
    }
    assert {("telemetry", "otlp_endpoint"), ("auth", "keys_file"), ("oauth", "issuer"), ("budget", "tools")} <= unset
    assert all(table[section].pop(key) in ("...", ["..."]) for section, key in unset)
    assert table.pop("oauth").pop("scopes") == {}  # without an issuer the rest of it is an error
    assert HubSettings.model_validate(table) == HubSettings(plugins=table["plugins"])
    assert table["plugins"]["postgres"]["max_rows"] == 1000


def test_the_file_names_variables_and_distributions_that_wait_for_trust(run: Run, install: Install) -> None:
    install("acme-tea", tea="raise SystemExit('never imported')")

    run("init")

    text = Path("pegboard.toml").read_text()
    assert "(PEGBOARD_SERVER_PORT)" in text
    assert "# Installed, and not allowed: acme-tea" in text


def test_tables_of_which_there_may_be_several_are_shown_as_comments(run: Run) -> None:
    run("init")

    text = Path("pegboard.toml").read_text()
    assert '# [keys.NAME]\n#   What stands in the key behind `peg_`. Required.\n#   id = "..."\n' in text
    assert '#   scopes = ["..."]\n' in text
    assert "# [tenants.NAME]\n" in text
    assert not load_settings(Path("pegboard.toml"), {}).keys


def test_init_does_not_replace_a_file_unless_told_to(run: Run) -> None:
    Path("pegboard.toml").write_text("# mine\n")

    refused = run("init")

    assert refused.exit_code == 2
    assert "error: pegboard.toml is there already; --force replaces it" in refused.stderr
    assert Path("pegboard.toml").read_text() == "# mine\n"
    assert run("init", "--force").exit_code == 0
    assert "# mine" not in Path("pegboard.toml").read_text()


def test_a_file_that_cannot_be_written_is_said(run: Run) -> None:
    result = run("init", "no/such/folder/pegboard.toml")

    assert result.exit_code == 2
    assert result.stderr == "error: no/such/folder/pegboard.toml: cannot be written: No such file or directory\n"


def test_tables_and_settings_without_a_description_are_written_as_toml() -> None:
    class Settings(PluginSettings):
        names: dict[str, int] = {"a": 1}
        choice: int | str | None = 5

    text = render(plugin_sections({"odd": Settings}))

    assert "# names = {a = 1}" in text
    assert "# choice = 5" in text
    assert not text.endswith("\n\n")


def test_kinds_are_readable() -> None:
    class Settings(PluginSettings):
        """For a test."""

        many: list[int | str] = []
        anything: object = None
        flag: dict[str, bool] = {}

    (section,) = plugin_sections({"odd": Settings})

    assert section.about == "For a test."
    assert [setting.kind for setting in section.settings] == [
        *("list of integer|strings", "any", "table"),
        *("deny|confirm|allow", "string"),
    ]
    assert {section.name for section in hub_sections()} >= {"server", "trust"}
