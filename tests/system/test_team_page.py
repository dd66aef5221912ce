"""From laptop to team: every block of docs/team.md, from top to bottom, and its proxy in front of a real hub."""

import re
import socket
import ssl
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx
import pytest
from tests.system.balancers import program
from tests.system.installed import Installed
from tests.system.processes import PEGBOARD, Lines, environment, serving, stop
from tests.system.wire import OPENERS, Era, call

from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes

PAGE = (Path(__file__).parents[2] / "docs" / "team.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(toml|sh|caddyfile)\n(.*?)```", re.DOTALL)
BLOCKS: list[tuple[str, str]] = BLOCK.findall(PAGE)

SERVE = """
test -z "$HUB" || { kill $HUB; wait $HUB; }
pegboard serve >> serve.log 2>&1 &
HUB=$!
until curl -sf -o ready.json http://127.0.0.1:8000/ready; do kill -0 $HUB; sleep 0.1; done
"""
"""What `pegboard serve` is in a script that goes on: in the place of the one before, and ready."""

START = """
set -eu
HUB=
trap 'test -z "$HUB" || kill $HUB' EXIT
"""

ENVIRON = {
    "PEGBOARD_AWX_URL": "http://127.0.0.1:9",
    "PEGBOARD_AWX_TOKEN": "t",
    "PEGBOARD_POSTGRES_DSN": "postgresql://reader@127.0.0.1:9/shop",
}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def script(port: int) -> str:
    """The page as a shell runs it: what is to stand in the file is put into it."""
    parts = {
        "toml": "cat >> pegboard.toml <<'END'\n{}END\n",
        "sh": "{}",
        "caddyfile": "",
    }
    blocks = [parts[kind].format(text.replace("pegboard serve\n", SERVE)) for kind, text in BLOCKS]
    return "".join([START, *blocks]).replace("127.0.0.1:8000", f"127.0.0.1:{port}")


def test_every_command_of_the_page_runs(tmp_path: Path) -> None:
    """S-03: and what it says they print is what they print."""
    port = free_port()
    environ = {**environment([]), **ENVIRON, "PEGBOARD_SERVER_PORT": str(port)}
    environ["PATH"] = f"{Path(PEGBOARD).parent}:{environ['PATH']}"

    done = subprocess.run(
        ["bash", "-c", script(port)],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=240,
    )

    said = done.stdout.decode()
    assert done.returncode == 0, said + (tmp_path / "serve.log").read_text()
    assert re.findall(r"^[2-5]\d\d$", said, re.MULTILINE) == ["401", "200", "421"]
    for shown in ("alice", "prometheus", "pegboard_build_info", "https://hub.example.com/", "denied", "postgres_query"):
        assert shown in said, shown
    assert "Traceback" not in said + (tmp_path / "serve.log").read_text()
    keys = [(tmp_path / name).read_text().strip() for name in ("ci.key", "prometheus.key")]
    assert all(key.startswith("peg_") for key in keys)
    kept = (tmp_path / "keys.json").read_text() + (tmp_path / "serve.log").read_text() + said
    assert not [key for key in keys if key in kept]


class Here(httpx.AsyncBaseTransport):
    """Every name is this machine."""

    def __init__(self, certificates: ssl.SSLContext) -> None:
        self._inner = httpx.AsyncHTTPTransport(verify=certificates)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host="127.0.0.1")
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


OWN = "\tadmin off\n\tlocal_certs\n\tskip_install_trust\n\tauto_https disable_redirects"
"""What is different here from the page: nobody outside signs, and ports are not the usual ones."""


@contextmanager
def caddy(folder: Path, hub_port: int) -> Generator[tuple[str, Path]]:
    """Caddy with the page's configuration, but for ports and who signs its certificate; where it is, and who signed."""
    (shown,) = [text for kind, text in BLOCKS if kind == "caddyfile"]
    port = free_port()
    site = shown.replace("hub.example.com", f"hub.example.com:{port}").replace(
        "127.0.0.1:8000", f"127.0.0.1:{hub_port}"
    )
    (folder / "Caddyfile").write_text(f"{{\n{OWN}\n\tstorage file_system {folder}\n}}\n{site}")
    process = subprocess.Popen(
        [program("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment([]), "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
    )
    try:
        assert process.stdout is not None
        Lines(process.stdout).wait_for("certificate obtained successfully", 20)
        yield f"https://hub.example.com:{port}", folder / "pki" / "authorities" / "local" / "root.crt"
    finally:
        stop(process)


@pytest.fixture(scope="module")
def proxied(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[str, Path, str]]:
    """A hub behind the proxy: its public URL, who signed the certificate, and a key."""
    key, text = Key.create("alice", Scopes.of(["read"]))
    settings = {
        "server": {"allowed_hosts": ["hub.example.com"], "trusted_proxies": ["127.0.0.1"]},
        "keys": {"alice": {"id": key.id, "sha256": key.sha256, "scopes": ["read"]}},
    }
    with serving(tmp_path_factory.mktemp("hub"), probe, settings=settings) as hub:
        with caddy(tmp_path_factory.mktemp("caddy"), hub.port) as (url, root):
            yield url, root, text


@pytest.mark.parametrize("era", ["sse", "legacy", "modern"])
async def test_the_proxy_of_the_page_carries_every_transport(proxied: tuple[str, Path, str], era: Era) -> None:
    """S-34: by TLS, with a key and not without; answers of a stream arrive at once, and the hub knows its own URL."""
    url, root, key = proxied
    certificates = ssl.create_default_context(cafile=str(root))
    with anyio.fail_after(20):
        async with httpx.AsyncClient(base_url=url, transport=Here(certificates), timeout=10) as http:
            assert (await http.get("/mcp")).status_code == 401
            http.headers["Authorization"] = f"Bearer {key}"
            async with OPENERS[era](http, "/probe") as peer:
                assert await call(peer, "probe_echo", {"payload": "through"}) == "through"
            assert (await http.get("/")).json()["endpoints"][0]["mcp"] == f"{url}/mcp"
