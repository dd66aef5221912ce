"""The image, as far as it goes without an engine: its lines are run, and what they make is started as it says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.conftest import open_folder
from tests.deploy.dockerfile import Line, stages_of
from tests.deploy.programs import DEPLOY, ROOT, missing, output_of, script
from tests.system.processes import READY, START_LIMIT, HubProcess, environment, stop
from tests.system.wire import OPENERS

from pegboard.security.keyfile import changing
from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes

DOCKERFILE = DEPLOY / "Dockerfile"
BUILD, IMAGE = stages_of(DOCKERFILE)
ARGUMENTS = {"PLUGINS": "awx postgres", "EXTRAS": "otel redis"}
USER = "10001"

CONFINED = """
set -eu
mount --make-rprivate /
prefix=$(readlink -f "$PREFIX")
case $prefix in "$HOME"/*)  # another user may not enter it, but has to find the interpreter there
    mkdir -p "$ROOT/python"
    mount --bind "$prefix" "$ROOT/python"
    mount -t tmpfs -o mode=755 tmpfs "$HOME"
    mkdir -p "$prefix"
    mount --move "$ROOT/python" "$prefix"
esac
mount --bind "$ROOT/state" "$ROOT/state"
mount --bind "$ROOT" "$ROOT"
mount --rbind "$ROOT/state" "$ROOT/state"
mount -o remount,bind,ro "$ROOT"
mount -o remount,bind,ro /
cd "$ROOT/etc"
exec setpriv --reuid USER --regid USER --clear-groups --bounding-set=-all --no-new-privs "$@"
""".replace("USER", USER)
"""What an engine does for a container with a read-only root, no capabilities and the image's user."""


@dataclass(frozen=True, slots=True)
class Image:
    """What the Dockerfile makes, in a folder in place of a container's root."""

    root: Path

    @property
    def opt(self) -> Path:
        return self.root / "opt" / "pegboard"

    def confined(self, *command: str) -> list[str]:
        return ["unshare", "--mount", "sh", "-c", CONFINED, "sh", *command]

    def environ(self, port: int = 0) -> dict[str, str]:
        """The image's own, and what the confinement has to know."""
        text = " ".join(line.rest for line in IMAGE if line.word == "ENV")
        own = dict(word.split("=", 1) for word in text.split())
        own["PATH"] = own["PATH"].replace("/opt/pegboard", str(self.opt)).replace("$PATH", os.environ["PATH"])
        confining = {"ROOT": str(self.root), "PREFIX": sys.base_prefix, "HOME": str(Path.home())}
        return {**environment([]), **own, **confining, "PEGBOARD_SERVER_PORT": str(port), "TMPDIR": "/nowhere"}


def said(stage: list[Line], word: str) -> list[Line]:
    return [line for line in stage if line.word == word]


@pytest.fixture(scope="module")
def image() -> Generator[Image]:
    """The first stage, line by line: what it copies, and what it runs."""
    with open_folder() as root:
        (root / "src").mkdir()
        output_of(sys.executable, "-m", "venv", root / "builder")
        for line in BUILD:
            if line.word == "COPY":
                _copy(line, root / "src")
            elif line.word == "RUN":
                _run(line, root)
        (root / "state").mkdir()
        (root / "state").chmod(0o777)
        (root / "etc").mkdir()
        yield Image(root)


def _copy(line: Line, target: Path) -> None:
    *sources, place = line.words
    for source in sources:
        given = ROOT / source
        if given.is_dir():
            shutil.copytree(given, target / place, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "dist"))
        else:
            (target / place).mkdir(parents=True, exist_ok=True)
            shutil.copy2(given, target / place)


def _run(line: Line, root: Path) -> None:
    path = f"{root / 'builder' / 'bin'}:{os.environ['PATH']}"
    command = line.rest.replace("/opt/pegboard", str(root / "opt" / "pegboard"))
    output_of("sh", "-c", command, folder=root / "src", environ={**ARGUMENTS, "PATH": path})


@contextmanager
def started(image: Image) -> Generator[HubProcess]:
    """The image's command, as its user, where nothing but the state may be written."""
    if os.geteuid() != 0:
        missing("only root can make a file system read-only for a test")
    command = [*said(IMAGE, "ENTRYPOINT")[0].words, *said(IMAGE, "CMD")[0].words]
    environ = {**image.environ(), "PEGBOARD_AUTH_KEYS_FILE": str(image.root / "state" / "keys.json")}
    process = subprocess.Popen(
        image.confined(*command),
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    hub = HubProcess(process)
    try:
        hub.url = hub.log.wait_for(READY, START_LIMIT)[1]
        yield hub
    finally:
        stop(process)


@pytest.fixture
def key(image: Image) -> Generator[str]:
    """Somebody's key, in the file that the image's user may read."""
    key, shown = Key.create("somebody", Scopes.of(["*"]))
    file = image.root / "state" / "keys.json"
    with changing(file) as keys:
        keys.append(key)
    os.chown(file, int(USER), int(USER))
    yield shown
    file.unlink()


def test_the_dockerfile_is_what_hadolint_wants() -> None:
    output_of(script("hadolint"), "--failure-threshold", "style", DOCKERFILE)


def test_the_builder_is_sent_what_is_copied_and_nothing_else() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source for line in said(BUILD, "COPY") for source in line.words[:-1]}

    assert kept == copied
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_the_image_has_the_chosen_plugins_and_nothing_of_the_others(image: Image) -> None:
    listed = output_of(
        image.opt / "bin" / "python",
        "-c",
        "import importlib.metadata as m; print(*sorted(d.name for d in m.distributions()))",
    )

    ours = [name for name in listed.split() if name.startswith("pegboard")]
    assert ours == ["pegboard", "pegboard-awx", "pegboard-postgres"]
    assert {"redis", "asyncpg"} <= set(listed.split())
    assert not {"neo4j", "qdrant-client", "pytest", "pip", "uv"} & set(listed.split())


def test_the_image_has_the_versions_of_the_lock(image: Image) -> None:
    listed = output_of(
        image.opt / "bin" / "python",
        "-c",
        "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))",
    )

    locked = set(re.findall(r"^([\w.-]+==[\w.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    installed = set(listed.lower().replace("_", "-").split())
    ours = {version for version in installed if version.startswith("pegboard")}
    assert installed - ours <= locked


def test_a_plugin_that_is_not_there_is_named_with_those_that_are() -> None:
    done = subprocess.run(
        [DEPLOY / "build.sh", "/nowhere"], env={**os.environ, "PLUGINS": "postgers"}, capture_output=True, timeout=60
    )

    assert done.returncode == 1
    assert b"there is no plugin 'postgers'; PLUGINS may have awx neo4j postgres qdrant" in done.stderr


async def test_the_hub_of_the_image_serves_without_writing_anywhere(image: Image, key: str) -> None:
    with started(image) as hub:
        url = f"http://127.0.0.1:{hub.port}"
        status = Path(f"/proc/{hub.pid}/status").read_text()
        assert re.search(rf"^Uid:\s+{USER}\s+{USER}", status, re.MULTILINE)
        assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)
        asking = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"})
        async with asking as http, OPENERS["modern"](http, "") as peer:
            listed = await peer.request("tools/list")
        assert listed["result"]["tools"]

        output_of(*_probe(image), environ=image.environ(hub.port))
        hub.process.terminate()
        assert await hub.ended() == 0
    assert "Read-only file system" not in hub.log.text


def test_nothing_but_the_state_can_be_written_there(image: Image) -> None:
    if os.geteuid() != 0:
        missing("only root can make a file system read-only for a test")
    refused = f"for file in /tmp/x {image.opt}/x {image.root}/x; do ! touch $file 2>/dev/null || exit 1; done"
    tries = f"{refused}; touch {image.root}/state/x"

    output_of(*image.confined("sh", "-c", tries), environ=image.environ())


def test_the_health_check_fails_when_nobody_answers(image: Image) -> None:
    done = subprocess.run(_probe(image), env=image.environ(1), capture_output=True, timeout=30)

    assert done.returncode == 1
    assert b"http://127.0.0.1:1/health does not answer" in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_image_ends_as_the_hub_does() -> None:
    assert [line.rest for line in said(IMAGE, "STOPSIGNAL")] == ["SIGTERM"]
    for line in (*said(IMAGE, "ENTRYPOINT"), *said(IMAGE, "CMD")):
        assert line.rest.startswith("["), "a shell would keep the signal for itself"


def _probe(image: Image) -> list[str]:
    (line,) = said(IMAGE, "HEALTHCHECK")
    python, file = Line("CMD", line.rest.partition("CMD ")[2]).words
    return [str(image.opt / "bin" / python), file.replace("/opt/pegboard", str(image.opt))]
