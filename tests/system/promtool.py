"""promtool, which checks rules for Prometheus: the one that is installed, or Debian's in a cache folder."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs
import pytest

LIMIT = 300
MISSING = "promtool is missing; apt-get install prometheus brings it"


def installed_promtool() -> str:
    """The program. Where it cannot be had the test is left out, and fails where CI runs."""
    kept = platformdirs.user_cache_path("pegboard-tests", ensure_exists=True) / "promtool"
    found = shutil.which("promtool") or (str(kept) if kept.is_file() else None)
    if found is None and shutil.which("apt-get"):
        found = _downloaded(kept)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    return found


def _downloaded(kept: Path) -> str | None:
    """Debian's, unpacked and not installed: no service starts."""
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        if not (_ran(["apt-get", "download", "-q", "prometheus"], folder) or _updated_and_downloaded(folder)):
            return None
        (package,) = Path(folder).glob("prometheus_*.deb")
        if not _ran(["dpkg", "-x", str(package), "unpacked"], folder):
            return None
        (Path(folder) / "unpacked" / "usr" / "bin" / "promtool").replace(kept)
    return str(kept)


def _updated_and_downloaded(folder: str) -> bool:
    return _ran(["apt-get", "update", "-q"], folder) and _ran(["apt-get", "download", "-q", "prometheus"], folder)


def _ran(command: list[str], folder: str) -> bool:
    return subprocess.run(command, cwd=folder, timeout=LIMIT, check=False, stdin=subprocess.DEVNULL).returncode == 0
