"""The Neo4j server from Maven Central, fetched once into a cache folder with the Maven and the Java of the machine."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs
import pytest

LISTED = Path(__file__).parent / "servers" / "pom.xml"
FETCH = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
FETCH_LIMIT = 900
JAVA = 17


def installed_neo4j() -> Path:
    """The folder with the libraries of `servers/pom.xml`; it is complete or not there.

    Without Java or Maven the tests that need it are skipped, with the reason; in CI they fail.
    """
    missing = _missing()
    if missing and os.environ.get("CI"):
        pytest.fail(f"{missing} (CI runs every test)")
    if missing:
        pytest.skip(missing)
    cache = platformdirs.user_cache_path("pegboard-tests", ensure_exists=True)
    folder = cache / f"neo4j-{hashlib.sha256(LISTED.read_bytes()).hexdigest()[:16]}"
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=cache, prefix=f"{folder.name}-") as temporary:
            _fetch(Path(temporary))
            try:
                (Path(temporary) / "new").rename(folder)
            except OSError:  # another run was faster
                assert folder.is_dir()
    return folder


def _missing() -> str:
    """What this machine lacks to run Neo4j, or nothing."""
    absent = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if absent:
        return f"Neo4j needs Java {JAVA} or later and Maven; not found: {', '.join(absent)}"
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, timeout=60).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < JAVA:
        return f"Neo4j needs Java {JAVA} or later; `java -version` says {said.splitlines()[0] if said else 'nothing'}"
    return ""


def _fetch(folder: Path) -> None:
    """Fetch into `new`; what Maven itself downloads on the way goes with the folder."""
    command = ["mvn", "--quiet", "--batch-mode", "--strict-checksums", "--file", str(LISTED)]
    options = [f"-Dmaven.repo.local={folder / 'repository'}", "-DincludeScope=runtime"]
    done = subprocess.run(
        [*command, *options, FETCH, f"-DoutputDirectory={folder / 'new'}"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=FETCH_LIMIT,
    )
    assert done.returncode == 0, f"{' '.join(done.args)}\n{done.stdout.decode(errors='replace')[-3000:]}"
