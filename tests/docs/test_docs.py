"""The pages say what is so: their code runs, their links lead somewhere, and they leave nothing out."""

import re
import sys
from pathlib import Path

import pytest

from pegboard import hookspecs
from pegboard.cli.app import COMMANDS
from pegboard.settings import sections

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/*/README.md")])
WEATHER = ROOT / "examples/weather/src"

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = LINK.findall(page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in page.read_text()], ids=name_of)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(WEATHER), *sys.path])
    namespace: dict[str, object] = {"__name__": "page"}

    for block in BLOCK.findall(page.read_text()):
        exec(compile(block, str(page), "exec"), namespace)


def test_the_readme_shows_the_whole_weather_plugin() -> None:
    source = (WEATHER / "pegboard_weather/__init__.py").read_text()

    assert source in BLOCK.findall((ROOT / "README.md").read_text())


def test_the_weather_plugin_has_about_twenty_lines() -> None:
    lines = (WEATHER / "pegboard_weather/__init__.py").read_text().splitlines()

    assert len([line for line in lines if line.strip()]) <= 20


def test_every_setting_stands_on_the_settings_page() -> None:
    page = (ROOT / "docs/settings.md").read_text()
    models = sections().items()
    variables = [f"PEGBOARD_{name}_{key}".upper() for name, model in models for key in model.model_fields]

    assert [variable for variable in variables if variable not in page] == []


def test_every_command_has_a_heading() -> None:
    page = (ROOT / "docs/cli.md").read_text()

    assert [command for command in COMMANDS if f"## pegboard {command}\n" not in page] == []


def test_every_hook_is_told_about_in_the_page_for_authors() -> None:
    page = (ROOT / "docs/plugins.md").read_text()
    hooks = [name for name in vars(hookspecs) if name.startswith("hub_")]

    assert len(hooks) == 3
    assert [hook for hook in hooks if hook not in page] == []


def test_every_page_of_docs_is_reachable_from_the_readme() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text()))

    assert [name_of(page) for page in ROOT.glob("docs/*.md") if name_of(page) not in linked] == []
