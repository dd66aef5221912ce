"""The image: built by buildah, and run by podman as an engine runs it, on a base that is made here."""

import json
import os
import re
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from tests.authserver import free_port
from tests.conftest import open_folder
from tests.deploy.container import Engine, engine
from tests.deploy.dockerfile import Line, stages_of
from tests.deploy.programs import DEPLOY, ROOT, output_of, script
from tests.system.processes import READY, START_LIMIT, HubProcess, environment, stop
from tests.system.wire import OPENERS

DOCKERFILE = DEPLOY / "Dockerfile"
BUILD, IMAGE = stages_of(DOCKERFILE)
ARGUMENTS = {"PLUGINS": "awx postgres", "EXTRAS": "otel redis"}
USER = "10001"
TAG = "pegboard:test"
STATE = "--volume=hub:/var/lib/pegboard"
KEYS = "/var/lib/pegboard/keys.json"


@dataclass(frozen=True, slots=True)
class Image:
    """What the Dockerfile makes."""

    engine: Engine

    def said(self, program: str, *arguments: str) -> str:
        """What another program than the hub writes in there."""
        return output_of(*self.engine.run(STATE, f"--entrypoint={program}", TAG, *arguments))


def said(stage: list[Line], word: str) -> list[Line]:
    return [line for line in stage if line.word == word]


@pytest.fixture(scope="module")
def image() -> Generator[Image]:
    with open_folder() as folder, engine(folder) as made:
        made.build(DOCKERFILE, TAG, ARGUMENTS)
        yield Image(made)


@pytest.fixture(scope="module")
def key(image: Image) -> str:
    """The first key, made as docs/deploy.md says."""
    create = ("keys", "create", "admin", "--scope", "*", "--file", KEYS)
    return output_of(*image.engine.run(STATE, TAG, *create)).strip()


@asynccontextmanager
async def started(image: Image, name: str, *command: str) -> AsyncGenerator[HubProcess]:
    """A container that may write nothing but the state; `/tmp` is there for workers, who meet in a folder."""
    given = {"PORT": str(free_port()), "HOST": "127.0.0.1"}  # it shares this machine's network
    variables = [f"--env=PEGBOARD_SERVER_{variable}={value}" for variable, value in given.items()]
    options = [
        f"--name={name}",
        STATE,
        *(["--tmpfs=/tmp"] if command else []),
        f"--env=PEGBOARD_AUTH_KEYS_FILE={KEYS}",
        *variables,
    ]
    process = subprocess.Popen(
        image.engine.run(*options, TAG, *command),
        env=environment([]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    hub = HubProcess(process)
    try:
        hub.url = (await hub.said(READY, START_LIMIT))[1]
        yield hub
    finally:
        await anyio.to_thread.run_sync(stop, process)


async def tools(hub: HubProcess, key: str) -> list[Any]:
    asking = httpx.AsyncClient(base_url=hub.url, headers={"Authorization": f"Bearer {key}"})
    async with asking as http, OPENERS["modern"](http, "") as peer:
        return (await peer.request("tools/list"))["result"]["tools"]


def test_the_dockerfile_is_what_hadolint_wants() -> None:
    output_of(script("hadolint"), "--failure-threshold", "style", DOCKERFILE)


def test_the_builder_is_sent_what_is_copied_and_nothing_else() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source for line in said(BUILD, "COPY") for source in line.words[:-1]}

    assert kept == copied
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_the_image_has_the_chosen_plugins_in_the_versions_of_the_lock(image: Image) -> None:
    listed = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
    installed = set(image.said("/opt/pegboard/bin/python", "-c", listed).lower().replace("_", "-").split())

    names = {version.partition("==")[0] for version in installed}
    ours = {version for version in installed if version.startswith("pegboard")}
    locked = set(re.findall(r"^([\w.-]+==[\w.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert {version.partition("==")[0] for version in ours} == {"pegboard", "pegboard-awx", "pegboard-postgres"}
    assert {"redis", "asyncpg"} <= names
    assert not {"neo4j", "qdrant-client", "pytest", "pip", "uv"} & names
    assert installed - ours <= locked


def test_a_plugin_that_is_not_there_is_named_with_those_that_are() -> None:
    done = subprocess.run(
        [DEPLOY / "build.sh", "/nowhere"], env={**os.environ, "PLUGINS": "postgers"}, capture_output=True, timeout=60
    )

    assert done.returncode == 1
    assert b"there is no plugin 'postgers'; PLUGINS may have awx neo4j postgres qdrant" in done.stderr


@pytest.mark.parametrize("command", [(), ("serve", "--workers", "2")], ids=["one process", "two workers"])
async def test_the_container_serves_and_ends_as_an_engine_expects(
    image: Image, key: str, command: tuple[str, ...]
) -> None:
    """As the image's user, on a root that cannot be written; SIGTERM ends it with status 0."""
    name = f"hub-{len(command)}"
    with anyio.fail_after(120):
        async with started(image, name, *command) as hub:
            (seen,) = json.loads(image.engine.said("inspect", name))
            status = Path(f"/proc/{seen['State']['Pid']}/status").read_text()
            assert re.search(rf"^Uid:\s+{USER}\s+{USER}", status, re.MULTILINE)
            assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)

            assert httpx.get(f"{hub.url}/ready").status_code == 200
            assert await tools(hub, key)
            image.engine.said("healthcheck", "run", name)

            await anyio.to_thread.run_sync(image.engine.said, "stop", "--time=20", name)
            assert await hub.ended() == 0
        assert "Read-only file system" not in hub.log.text


def test_nothing_but_the_state_can_be_written_there(image: Image) -> None:
    refused = "for file in /tmp/x /opt/pegboard/x /etc/pegboard/x /x; do ! touch $file 2>/dev/null || exit 1; done"

    image.said("sh", "-c", f"{refused}; touch /var/lib/pegboard/x && id -u | grep -qx {USER}")


def test_the_health_check_fails_when_nobody_answers(image: Image) -> None:
    (line,) = said(IMAGE, "HEALTHCHECK")
    python, file = Line("CMD", line.rest.partition("CMD ")[2]).words
    assert file == "/opt/pegboard/healthcheck.py"
    asking = image.engine.run("--env=PEGBOARD_SERVER_PORT=1", f"--entrypoint={python}", TAG, file)
    done = subprocess.run(asking, capture_output=True, timeout=60, check=False)

    assert done.returncode == 1
    assert b"http://127.0.0.1:1/health does not answer" in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_image_ends_as_the_hub_does() -> None:
    assert [line.rest for line in said(IMAGE, "STOPSIGNAL")] == ["SIGTERM"]
    for line in (*said(IMAGE, "ENTRYPOINT"), *said(IMAGE, "CMD")):
        assert line.rest.startswith("["), "a shell would keep the signal for itself"
