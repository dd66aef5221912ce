"""A light load: wrk of Debian's packages, which leaves the cores to the server where several processes serve."""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

import psutil

from bench import wire
from bench.load import CALLERS, WARM_UP, WrongAnswerError

WRK = shutil.which("wrk")
"""The program, where it is installed."""


@dataclass(frozen=True, slots=True)
class Light:
    """What came of it."""

    rate: float
    """Answers per second."""
    cpu: float
    """Seconds of CPU time of all processes of the server, per answer."""
    cores: float
    """How many cores those had."""


def measure_lightly(path: str, port: int, server: psutil.Process, seconds: float) -> Light:
    """Call the tool over `/mcp` as fast as it answers. Raises `WrongAnswerError` for anything but 200.

    It looks at no answer but by its status: the other loads have looked at the same ones.
    """
    assert WRK is not None
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_script(path))
        script.flush()
        command = [WRK, "-t1", f"-c{CALLERS}", "-s", script.name, f"http://127.0.0.1:{port}{path}"]
        subprocess.run([*command, f"-d{max(1, round(WARM_UP))}s"], check=True, capture_output=True)
        before = cpu_of(server)
        said = subprocess.run([*command, f"-d{max(1, round(seconds))}s"], check=True, capture_output=True, text=True)
    used = cpu_of(server) - before
    wrong = re.search(r"Non-2xx.*|Socket errors: .*", said.stdout)
    if wrong is not None:
        raise WrongAnswerError(f"wrk says {wrong[0]}")
    requests, took = re.search(r"(\d+) requests in ([\d.]+)s", said.stdout), re.search(r"in ([\d.]+)s", said.stdout)
    assert requests is not None
    assert took is not None
    count, wall = int(requests[1]), float(took[1])
    return Light(count / wall, used / count, used / wall)


def cpu_of(server: psutil.Process) -> float:
    """Seconds of CPU time that all its processes have had."""
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def _script(path: str) -> str:
    request = wire.modern("tools/call", wire.CALL, path, wire.is_echo).request.decode()
    head, _, body = request.partition("\r\n\r\n")
    headers = [line.split(": ", 1) for line in head.split("\r\n")[1:]]
    lines = ['wrk.method = "POST"', f"wrk.body = {json.dumps(body)}"]
    return "\n".join([*lines, *(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers)])
