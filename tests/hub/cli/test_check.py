"""`pegboard check`: what is wrong where."""

import json
from pathlib import Path

import pytest
from tests.hub.cli.conftest import TEA, TRUST, Install, Run

from pegboard.settings import HubSettings

DSN = "postgresql://reader:secret@localhost/x"


@pytest.fixture(autouse=True)
def postgres_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGBOARD_POSTGRES_DSN", DSN)


def write(text: str, mode: int = 0o600) -> None:
    Path("pegboard.toml").write_text(text)
    Path("pegboard.toml").chmod(mode)


def test_a_right_configuration_is_ok(run: Run, tea: Path) -> None:
    result = run("check", "--config", str(tea))

    assert (result.exit_code, result.stdout) == (0, "ok: pegboard.toml\n")


def test_no_file_is_right_too(run: Run) -> None:
    result = run("check")

    assert (result.exit_code, result.stdout) == (0, "ok: no file, so the environment and the defaults\n")


def test_a_file_that_is_no_toml_is_said_with_line_and_column(run: Run) -> None:
    write("[server]\nport = \n")

    result = run("check")

    assert result.exit_code == 1
    assert result.stdout.startswith("error: pegboard.toml: not valid TOML: Invalid value (at line 2, column 8)")


def test_a_file_that_is_not_there_is_wrong_usage(run: Run) -> None:
    assert run("check", "--config", "nowhere.toml").exit_code == 2


def test_every_problem_is_printed_not_only_the_first(
    run: Run, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme-tea", tea=TEA)
    monkeypatch.setattr("pegboard.cli.problems.OWN_DISTRIBUTIONS", frozenset({"pegboard-soup"}))
    monkeypatch.setenv("PEGBOARD_CALLS_DEADLINE", "-1")
    monkeypatch.setenv("PEGBOARD_LOG_LEVEL", "file:/nowhere")
    monkeypatch.setenv("PEGBOARD_SERVER_PROT", "1")
    write(
        """
        prot = 1
        [server]
        port = "x"
        hots = "a"
        allowed_hosts = ["env:NOT_SET_1"]
        [trust]
        allow = ["acme-tea"]
        [plugins.tea]
        key = "env:NOT_SET_2"
        kind = 3
        kin = "black"
        [plugins.posgres]
        [plugins.soup]
        [plugins.xyzzy]
        """
    )

    result = run("check")

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "error: pegboard.toml: server: allowed_hosts: refers to the variable NOT_SET_1, which is not set",
        "error: pegboard.toml: plugins: tea: key: refers to the variable NOT_SET_2, which is not set",
        "error: PEGBOARD_LOG_LEVEL: refers to the file /nowhere, which cannot be read",
        "error: pegboard.toml: server.port: must be a whole number",
        "error: pegboard.toml: server.hots: unknown key; did you mean 'host'?",
        "error: pegboard.toml: calls.deadline: must be greater than 0.0 (set by the variable PEGBOARD_CALLS_DEADLINE)",
        "error: pegboard.toml: prot: unknown key; there are " + ", ".join(HubSettings.model_fields),
        "error: pegboard.toml: [plugins.tea]: kind: must be a string (plugin 'tea' of acme-tea 1.0)",
        "error: pegboard.toml: [plugins.tea]: kin: unknown key; did you mean 'kind'? (plugin 'tea' of acme-tea 1.0)",
        "error: pegboard.toml: [plugins.posgres]: no plugin of this name is installed; did you mean 'postgres'?",
        "error: pegboard.toml: [plugins.soup]: no plugin of this name is installed; pip install pegboard-soup",
        "error: pegboard.toml: [plugins.xyzzy]: no plugin of this name is installed; "
        "`pegboard plugins` lists those that are",
        "warning: PEGBOARD_SERVER_PROT: no setting has this name; did you mean 'PEGBOARD_SERVER_PORT'?",
    ]


def test_a_key_whose_reference_leads_nowhere_is_not_called_missing_as_well(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEGBOARD_POSTGRES_DSN", "env:NOT_SET")

    result = run("check")

    assert result.stdout == "error: PEGBOARD_POSTGRES_DSN: refers to the variable NOT_SET, which is not set\n"


def test_a_plugin_nobody_speaks_of_is_only_warned_about(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEGBOARD_NEO4J_URL")

    result = run("check", env={"PEGBOARD_POSTGRES_DSN": "postgresql://reader:secret@localhost/x"})

    assert result.exit_code == 0
    assert result.stdout.startswith("warning: plugin 'neo4j' of pegboard-neo4j 0.1.0 is not served: not configured")


def test_a_wrong_trust_does_not_hide_the_other_problems(run: Run) -> None:
    write('plugins = 1\n[trust]\nallow = ["not a name"]\n[loading]\ntimeout = 3\n')

    result = run("check")

    assert result.exit_code == 1
    assert "trust.allow[0]: 'not a name' is not a distribution name" in result.stdout
    assert "plugins: must be an object" in result.stdout


def test_a_section_for_a_plugin_that_is_not_trusted_is_an_error_with_the_line_to_write(
    run: Run, install: Install
) -> None:
    install("acme-tea", tea="raise SystemExit('never imported')")
    write('[plugins.tea]\nkind = "black"\n')

    result = run("check", env={"PEGBOARD_TEA_KIND": "green"})

    assert result.exit_code == 1
    assert result.stdout == (
        "error: pegboard.toml: [plugins.tea] is for 'tea' of acme-tea 1.0, which is not trusted: it was not imported; "
        'if you trust it, write under [trust]: allow = ["acme-tea"]\n'
    )


def test_a_plugin_that_is_only_not_trusted_is_no_problem(run: Run, install: Install) -> None:
    install("acme-tea", tea="raise SystemExit('never imported')")

    assert run("check").exit_code == 0


def test_a_plugin_that_cannot_be_imported_is_an_error(run: Run, install: Install) -> None:
    install("acme-tea", tea="import no_such_module")
    write(TRUST)

    result = run("check")

    assert result.exit_code == 1
    assert "not imported: ModuleNotFoundError: No module named 'no_such_module'" in result.stdout


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o644, True)])
def test_secrets_in_a_file_that_others_can_read_are_warned_about(
    run: Run, install: Install, mode: int, warned: bool
) -> None:
    install("acme-tea", tea=TEA)
    write(TRUST + '[plugins.tea]\nkey = "swordfish"\n', mode)

    result = run("check")

    assert result.exit_code == 0
    assert ("warning: pegboard.toml: others can read it" in result.stdout) is warned
    assert "(plugins.tea.key)" in result.stdout or not warned
    assert "swordfish" not in result.stdout


def test_a_file_that_only_refers_to_secrets_may_be_read(run: Run, install: Install) -> None:
    install("acme-tea", tea=TEA)
    write(TRUST + '[plugins.tea]\nkey = "env:HOME"\n', 0o644)

    assert run("check").stdout == "ok: pegboard.toml\n"


def test_programs_get_the_problems_as_json(run: Run) -> None:
    write("[server]\nprot = 1\n")

    wrong, right = run("check", "--json"), run("check", "--json", "--config", "/dev/null")

    assert (wrong.exit_code, right.exit_code) == (1, 2)
    problem = {"level": "error", "message": "pegboard.toml: server.prot: unknown key; did you mean 'port'?"}
    assert json.loads(wrong.stdout) == {"ok": False, "file": "pegboard.toml", "problems": [problem]}
    Path("pegboard.toml").unlink()
    assert json.loads(run("check", "--json").stdout) == {"ok": True, "file": None, "problems": []}


def test_an_endpoint_that_cannot_keep_its_budget_is_an_error_with_the_numbers(run: Run) -> None:
    write(
        """
        [endpoints.tiny]
        tools = ["hub_*", "nothing_*"]
        budget = { tools = 1, overflow = "error" }
        [endpoints.hub]
        tools = ["*"]
        """
    )
    names = run("check")
    write(Path("pegboard.toml").read_text().replace("[endpoints.hub]", "[endpoints.mine]"))
    budgets = run("check")

    assert names.exit_code == budgets.exit_code == 1
    assert "error: pegboard.toml: [endpoints.hub]: the name belongs to plugin 'hub' of pegboard" in names.stdout
    assert "error: pegboard.toml: endpoint tiny: 2 tools of" in budgets.stdout
    assert "warning: [endpoints.tiny] tools: no tool has the name 'nothing_*'" in budgets.stdout


def test_what_is_wrong_about_tokens_is_named_with_its_key(run: Run) -> None:
    write(
        """
        [oauth]
        issuer = "http://login.example.com"
        algorithms = ["RS256", "HS256"]
        """
    )

    result = run("check")

    assert result.exit_code == 1
    assert "pegboard.toml: oauth.issuer: must be an https URL like https://hub.example.com" in result.stdout
    assert "pegboard.toml: oauth.algorithms[1]: must be one of RS256, RS384" in result.stdout


def test_an_issuer_without_a_resource_is_no_safe_configuration(run: Run) -> None:
    write('[oauth]\nissuer = "https://login.example.com"\n')

    assert 'oauth: a token must be issued for this hub; say its URL: resource = "https://' in run("check").stdout


def test_scopes_of_tokens_that_are_none_and_tenants_that_are_missing_are_said(run: Run) -> None:
    write(
        """
        [oauth]
        issuer = "https://login.example.com"
        resource = "https://hub.example.com"
        tenant_claim = "org"
        [oauth.scopes]
        ops = ["awx:*", "a:b:c"]
        """
    )

    result = run("check")

    assert result.exit_code == 1
    assert "pegboard.toml: [oauth.scopes] ops: 'a:b:c' is no scope; write *, read" in result.stdout
    assert "pegboard.toml: oauth.tenant_claim: no token counts, since there is no tenant" in result.stdout


def test_what_is_wrong_with_a_tenant_is_named_with_its_section(run: Run, install: Install) -> None:
    install("acme-tea", tea=TEA)
    write(
        TRUST
        + """
        [tenants.acme.plugins.tea]
        kin = "black"
        [tenants.acme.plugins.posgres]
        [tenants.lost.plugins.tea]
        key = "env:NOT_SET_3"
        """
    )

    result = run("check")

    assert result.exit_code == 1
    assert "pegboard.toml: [tenants.acme.plugins.tea]: kin: unknown key; did you mean 'kind'?" in result.stdout
    assert (
        "[tenants.acme.plugins.posgres]: no plugin of this name is installed; did you mean 'postgres'" in result.stdout
    )
    assert "tenants: lost: plugins: tea: key: refers to the variable NOT_SET_3, which is not set" in result.stdout


def test_a_wrong_key_elsewhere_hides_no_tenants_mistake(run: Run, install: Install) -> None:
    install("acme-tea", tea=TEA)
    write('[server]\nport = "x"\n' + TRUST + '[tenants.acme.plugins.tea]\nkin = "black"\n')

    result = run("check")

    assert "port" in result.stdout
    assert "[tenants.acme.plugins.tea]: kin: unknown key" in result.stdout


def test_a_plugin_that_only_a_tenant_speaks_of_and_nobody_trusts_is_an_error(run: Run, install: Install) -> None:
    install("acme-tea", tea=TEA)
    write("[tenants.acme.plugins.tea]\n")

    assert "which is not trusted" in run("check").stdout


def test_secrets_of_a_tenant_in_a_file_that_others_can_read_are_warned_about(run: Run, install: Install) -> None:
    install("acme-tea", tea=TEA)
    write(TRUST + '[tenants.acme.plugins.tea]\nkey = "swordfish"\n', 0o644)

    result = run("check")

    assert "(tenants.acme.plugins.tea.key)" in result.stdout
    assert "swordfish" not in result.stdout


def test_a_list_that_is_too_long_for_a_tenant_is_an_error(run: Run, install: Install) -> None:
    install("acme-tea", tea=TEA)
    places = "".join(f"[tenants.acme.plugins.tea.environments.place-{n}]\n" for n in range(200))
    write(TRUST + places + '[endpoints.mine]\ntools = ["tea_brew"]\nbudget = { tokens = 300, overflow = "error" }\n')

    result = run("check")

    assert result.exit_code == 1
    assert "error: pegboard.toml: tenant acme: endpoint mine: " in result.stdout
