"""Programs of Debian's packages: what is installed, or unpacked into a cache folder, so that no service starts."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs
import pytest

LIMIT = 300


def program_of(name: str, package: str) -> str:
    """The program. Where it cannot be had the test is left out, and fails where CI runs."""
    kept = platformdirs.user_cache_path("pegboard-tests", ensure_exists=True) / name
    found = shutil.which(name) or (str(kept) if kept.is_file() else None)
    if found is None and shutil.which("apt-get"):
        found = _downloaded(kept, package)
    if found is None:
        missing = f"{name} is missing; apt-get install {package} brings it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return found


def _downloaded(kept: Path, package: str) -> str | None:
    download = ["apt-get", "download", "-q", package]
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        if not (_ran(download, folder) or (_ran(["apt-get", "update", "-q"], folder) and _ran(download, folder))):
            return None
        (file,) = Path(folder).glob("*.deb")
        if not _ran(["dpkg", "-x", str(file), "unpacked"], folder):
            return None
        (Path(folder) / "unpacked" / "usr" / "bin" / kept.name).replace(kept)
    return str(kept)


def _ran(command: list[str], folder: str) -> bool:
    return subprocess.run(command, cwd=folder, timeout=LIMIT, check=False, stdin=subprocess.DEVNULL).returncode == 0
