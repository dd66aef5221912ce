"""The wheels: installed with pip into an empty environment, they work with no workspace around them."""

import json
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import TextContent
from tests.system.processes import configure, environment, serving
from tests.system.wire import call, client, connected

ROOT = Path(__file__).parents[2]
PACKAGES = ("hub", "plugins/postgres", "examples/weather")
FORBIDDEN = ("qdrant", "neo4j", "awx", "opentelemetry-exporter-otlp-proto-http", "redis", "pytest", "fastmcp")
"""What `pip install pegboard pegboard-postgres` must not bring."""

ALLOWED = ["pegboard-weather"]


class Environment:
    """A virtual environment with the wheels in it."""

    def __init__(self, folder: Path) -> None:
        self.pegboard = str(folder / "bin" / "pegboard")
        self.python = str(folder / "bin" / "python")

    def run(self, *command: str, folder: Path, timeout: float = 60) -> str:
        """What a command says on standard output; fails when it fails."""
        done = subprocess.run(
            command, cwd=folder, env=environment([]), capture_output=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        return done.stdout.decode()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Wheels built from the workspace, and an environment that has them and what they need, nothing else."""
    folder = tmp_path_factory.mktemp("wheels")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    made = Environment(folder / "env")
    pip = [made.python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    sources = [str(ROOT / package) for package in PACKAGES]
    made.run(*pip, "wheel", "--no-deps", "--wheel-dir", str(folder / "dist"), *sources, folder=folder, timeout=180)
    wheels = sorted(map(str, (folder / "dist").glob("*.whl")))
    assert len(wheels) == len(PACKAGES)
    made.run(*pip, "install", *wheels, folder=folder, timeout=300)
    return made


@pytest.fixture
def weather_station() -> Generator[str]:
    """A server that knows tomorrow's weather."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name the server calls
            body = f"{self.path.lstrip('/').partition('?')[0]}: sun".encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the name it has there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


async def test_the_example_is_served_everywhere_when_it_is_allowed(
    installed: Environment, weather_station: str, tmp_path: Path
) -> None:
    settings = {"plugins": {"weather": {"url": weather_station}}}
    with serving(tmp_path, settings=settings, trust=ALLOWED, program=installed.pegboard) as hub:
        async with client(hub.url) as http:
            served = {endpoint["name"]: endpoint["tools"] for endpoint in (await http.get("/")).json()["endpoints"]}
        assert served["weather"] == ["weather_forecast"]
        assert "weather_forecast" in served["all"]
        for path in ("", "/weather"):
            for era in ("sse", "legacy", "modern"):
                async with connected(era, hub.url, path) as peer:
                    assert await call(peer, "weather_forecast", {"city": "Rome"}) == "Rome: sun"

    file = configure(tmp_path, [], settings, ALLOWED)
    command = StdioServerParameters(
        command=installed.pegboard, args=["stdio", "--config", str(file)], env=environment([]), cwd=tmp_path
    )
    with anyio.fail_after(30):
        async with Client(stdio_client(command), mode="legacy") as stdio:
            answer = await stdio.call_tool("weather_forecast", {"city": "Oslo"})
    assert isinstance(answer.content[0], TextContent)
    assert answer.content[0].text == "Oslo: sun"


async def test_the_example_is_not_imported_until_it_is_allowed(installed: Environment, tmp_path: Path) -> None:
    seen = tmp_path / "imported"
    spy = tmp_path / "spy"
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(SPY.format(seen=str(seen)))
    environ = {"PYTHONPATH": str(spy)}
    with serving(tmp_path, trust=[], program=installed.pegboard, environ=environ) as hub:
        async with connected("modern", hub.url) as peer:
            listed = await peer.request("tools/list")
        assert not any(tool["name"].startswith("weather") for tool in listed["result"]["tools"])
        assert 'allow = ["pegboard-weather"]' in hub.log.text
        assert not seen.exists()
    with serving(tmp_path, trust=ALLOWED, program=installed.pegboard, environ=environ):
        assert seen.exists()


def test_nothing_of_the_other_plugins_comes_along(installed: Environment, tmp_path: Path) -> None:
    listed = json.loads(installed.run(installed.python, "-m", "pip", "list", "--format=json", folder=tmp_path))
    names = {package["name"].lower() for package in listed}
    assert {"pegboard", "pegboard-postgres", "pegboard-weather", "asyncpg"} <= names
    assert [name for name in names if name.startswith(FORBIDDEN) or name.endswith(FORBIDDEN)] == []
    assert "No broken requirements" in installed.run(installed.python, "-m", "pip", "check", folder=tmp_path)


@pytest.mark.parametrize("module", ["pegboard", "pegboard_postgres", "pegboard_weather"])
def test_a_wheel_carries_its_types(installed: Environment, tmp_path: Path, module: str) -> None:
    code = f"import {module}, pathlib; print(pathlib.Path({module}.__file__).with_name('py.typed').is_file())"
    assert installed.run(installed.python, "-c", code, folder=tmp_path).strip() == "True"


@pytest.mark.parametrize("command", [["plugins", "--json"], ["tools", "--json"], ["check"]])
def test_the_command_line_works_from_a_wheel(installed: Environment, tmp_path: Path, command: Sequence[str]) -> None:
    settings = {"plugins": {"postgres": {"dsn": "postgresql://reader@127.0.0.1:1/nothing"}}}
    file = configure(tmp_path, [], settings, ALLOWED)
    said = installed.run(installed.pegboard, *command, "--config", str(file), folder=tmp_path)
    if "--json" in command:
        assert "weather_forecast" in said


SPY = """
import sys

class Spy:
    def find_spec(self, name, path=None, target=None):
        if name == "pegboard_weather":
            open({seen!r}, "w").close()

sys.meta_path.insert(0, Spy())
"""
