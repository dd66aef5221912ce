"""Ansible's commands, installed once into a cache folder; nothing has to be there before."""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs

PACKAGES = ("ansible-core==2.19.14", "ansible-lint==26.10.1")
INSTALL_LIMIT = 300


def installed_ansible() -> Path:
    """The folder with the commands. A virtual environment knows where it is, so it is made in its place and marked."""
    name = hashlib.sha256(f"{sys.version_info} {PACKAGES}".encode()).hexdigest()[:16]
    cache = platformdirs.user_cache_path("pegboard-tests", ensure_exists=True)
    folder = cache / f"ansible-{name}"
    if not folder.is_symlink():
        made = Path(tempfile.mkdtemp(dir=cache, prefix=f"ansible-{name}-"))
        _run([sys.executable, "-m", "venv", str(made)])
        _run([str(made / "bin" / "python"), "-m", "pip", "install", "--quiet", *PACKAGES])
        link = made / "link"
        link.symlink_to(made.name)
        os.replace(link, folder)  # noqa: PTH105 # another run may have been faster, and its copy is as good
    return folder / "bin"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=INSTALL_LIMIT)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout.decode(errors='replace')[-3000:]}"
