"""The reference: complete, and never stale."""

import subprocess
import sys
from pathlib import Path

import pytest

from pegboard.cli.app import COMMANDS
from pegboard.cli.reference import main, pages
from pegboard.settings import sections

DOCS = Path(__file__).parents[3] / "docs"


def test_the_pages_in_docs_are_not_stale() -> None:
    for name, text in pages().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, "run `make docs`"


def test_ci_finds_out_whether_they_are() -> None:
    command = [sys.executable, "-m", "pegboard.cli.reference", str(DOCS), "--check"]

    assert subprocess.run(command, check=False, timeout=30).returncode == 0


def test_every_command_and_section_has_a_heading() -> None:
    commands, settings = pages()["cli.md"], pages()["settings.md"]

    assert all(f"\n## pegboard {name}\n" in commands for name in COMMANDS)
    assert all(f"\n## [{name}]\n" in settings for name in [*sections(), "plugins.postgres"])
    assert "| `port` | integer | `8000` |" in settings
    assert "`PEGBOARD_POSTGRES_DSN`" in settings


def test_nothing_of_the_environment_or_the_terminal_is_in_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    before = pages()
    monkeypatch.setenv("PEGBOARD_SERVER_PORT", "1")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert pages() == before


def test_a_stale_page_is_named_and_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path, check=True) == 1
    assert "cli.md is stale" in capsys.readouterr().err
    assert main(tmp_path, check=False) == 0
    assert "settings.md" in capsys.readouterr().err
    assert main(tmp_path, check=True) == 0
