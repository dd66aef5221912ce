"""The unit: what systemd says of it, and that the hub can live with what it forbids."""

import re
import subprocess
from pathlib import Path

import pytest
from tests.deploy.configurations import checked, filled
from tests.deploy.programs import DEPLOY, output_of
from tests.system.unpacked import program_of

UNIT = DEPLOY / "systemd" / "pegboard.service"
EXPOSURE = "15"
"""Tenths of the exposure that `systemd-analyze security` counts, of 100; most services have 90."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is here."""
    file = tmp_path / "pegboard.service"
    file.write_text(UNIT.read_text().replace("/opt/pegboard/bin/pegboard", "/bin/true"))
    return file


def verified(unit: Path) -> str:
    """What systemd has to say of it, in this file."""
    analyze = program_of("systemd-analyze", "systemd")
    done = subprocess.run([analyze, "verify", unit], capture_output=True, timeout=60, text=True)
    return "".join(line for line in done.stderr.splitlines(keepends=True) if unit.name in line)


def test_systemd_takes_the_unit(unit: Path) -> None:
    assert verified(unit) == ""


def test_systemd_finds_a_mistake(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystem=strikt"))

    assert "strikt" in verified(unit)


def test_the_unit_is_confined(unit: Path) -> None:
    analyze = program_of("systemd-analyze", "systemd")

    output_of(analyze, "security", "--offline=true", f"--threshold={EXPOSURE}", unit)


def test_every_secret_that_the_hub_reads_is_loaded(tmp_path: Path) -> None:
    loaded = set(re.findall(r"^LoadCredential=([\w-]+):", UNIT.read_text(), re.MULTILINE))
    text = (DEPLOY / "systemd" / "pegboard.toml").read_text()

    assert set(re.findall(r"/run/credentials/pegboard\.service/([\w-]+)", text)) == loaded
    assert checked(filled(text, tmp_path)) == []


def test_the_hub_has_longer_to_stop_than_its_calls() -> None:
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)

    assert int(seconds) > 30
