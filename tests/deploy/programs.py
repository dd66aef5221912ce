"""Programs and schemas that check what is in deploy/: scripts of PyPI's packages, and Go modules, kept in a cache."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import platformdirs
import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CACHE = platformdirs.user_cache_path("pegboard-tests", ensure_exists=True)
LIMIT = 300

COMPOSE_GO = "github.com/compose-spec/compose-go/v2/cmd@v2.16.2"
"""What `docker compose config` reads files with, as a program of its own."""


def output_of(
    *command: str | Path, folder: Path = ROOT, environ: Mapping[str, str] | None = None, timeout: float = LIMIT
) -> str:
    """What a command writes to standard output; fails, with all it said, when it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout.decode()


def script(name: str) -> str:
    """A program that one of the development dependencies brings."""
    found = Path(sys.executable).with_name(name)
    if not found.is_file():
        missing(f"{name} is missing; it comes with the development dependencies")
    return str(found)


def compose_reader() -> str:
    """The reader of Compose files, built the first time."""
    folder = CACHE / f"compose-go-{COMPOSE_GO.rpartition('@')[2]}"
    if not (folder / "cmd").is_file():
        output_of(_go(), "install", COMPOSE_GO, environ={"GOBIN": str(folder), "GOFLAGS": ""})
    return str(folder / "cmd")


def module_folder(module: str) -> Path:
    """Where the files of a Go module are: `path@version`."""
    return Path(json.loads(output_of(_go(), "mod", "download", "-json", module, environ={"GOFLAGS": ""}))["Dir"])


def missing(sentence: str) -> NoReturn:
    """Leave the test out, or fail where CI runs."""
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


def _go() -> str:
    """Go, from the development dependencies: the Go that a system has is often older than what has to be built."""
    return script("go")
