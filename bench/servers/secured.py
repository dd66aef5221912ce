"""pegboard as a team runs it: keys, scopes, limits, audit and metrics, and every call traced."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.peers import KEY
from bench.processes import free_port
from pegboard.cli.app import app
from pegboard.security.keys import hash_of

CONFIGURATION = """
[server]
port = {port}

[keys.bench]
id = "bench"
sha256 = "{sha256}"
scopes = ["bench:*", "hub:read"]

[trust]
allow = ["pegboard-bench"]

[budget]
profile = "unlimited"

[limits]
calls_per_minute = 100_000_000

[audit]
file = "{folder}/audit.jsonl"

[log]
format = "json"
calls = false

[telemetry]
otlp_endpoint = "http://127.0.0.1:{collector}"

[plugins.bench]
writes = "allow"
"""


def main() -> None:
    """Start a collector that throws away what it gets, and serve the hub."""
    folder = Path(tempfile.mkdtemp(prefix="pegboard-bench-"))
    collector = free_port()
    subprocess.Popen([sys.executable, "-m", "bench.servers.collector", str(collector), str(os.getpid())])
    file = folder / "pegboard.toml"
    file.write_text(
        CONFIGURATION.format(port=sys.argv[1], sha256=hash_of(KEY), folder=folder.as_posix(), collector=collector)
    )
    file.chmod(0o600)
    with (folder / "log").open("wb") as log:
        os.dup2(log.fileno(), 2)
    app.main(["serve", "--config", str(file)])


if __name__ == "__main__":
    main()
