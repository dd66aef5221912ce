"""Programs of Debian's packages: what is installed, or unpacked into a cache folder, so that no service starts."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs
import pytest

LIMIT = 300

CACHE = platformdirs.user_cache_path("pegboard-tests", ensure_exists=True)
LIBRARIES = CACHE / "lib"
"""What unpacked programs need to be found in `LD_LIBRARY_PATH`."""


def program_of(name: str, package: str, *libraries: str) -> str:
    """The program. Where it cannot be had the test is left out, and fails where CI runs.

    `libraries` are packages it needs that no other program here has brought; they go to `LIBRARIES`.
    """
    kept = CACHE / name
    found = shutil.which(name) or (str(kept) if kept.is_file() else None)
    if found is None and shutil.which("apt-get"):
        found = _downloaded(kept, package, *libraries)
    if found is None:
        missing = f"{name} is missing; apt-get install {package} brings it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return found


def _downloaded(kept: Path, *packages: str) -> str | None:
    download = ["apt-get", "download", "-q", *packages]
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        if not (_ran(download, folder) or (_ran(["apt-get", "update", "-q"], folder) and _ran(download, folder))):
            return None
        if not all(_ran(["dpkg", "-x", str(file), "unpacked"], folder) for file in Path(folder).glob("*.deb")):
            return None
        unpacked = Path(folder) / "unpacked" / "usr"
        for library in unpacked.glob("lib/*-linux-gnu/*.so.*"):
            LIBRARIES.mkdir(exist_ok=True)
            shutil.move(library, LIBRARIES / library.name)
        (program,) = unpacked.glob(f"*bin/{kept.name}")
        program.replace(kept)
    return str(kept)


def _ran(command: list[str], folder: str) -> bool:
    return subprocess.run(command, cwd=folder, timeout=LIMIT, check=False, stdin=subprocess.DEVNULL).returncode == 0
