"""The official conformance suite, over the fixtures it expects, in both eras."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.system.installed import install_conformance
from tests.system.npm import LISTED, Clients
from tests.system.processes import HubProcess, serving

ALPHA = "@modelcontextprotocol/conformance/dist/index.js"
STABLE = "conformance-stable/dist/index.js"

GENERIC = {
    "2025-11-25": {
        "server-initialize",
        "server-session-lifecycle",
        "ping",
        "tools-list",
        "server-sse-multiple-streams",
        "dns-rebinding-protection",
    },
    "2026-07-28": {
        "server-stateless",
        "tools-list",
        "server-sse-multiple-streams",
        "dns-rebinding-protection",
        "http-header-validation",
        "sep-2164-resource-not-found",
    },
}
"""Scenarios every server has to pass; they must not get into the files of expected failures."""


@pytest.fixture(scope="module")
def conforming_hub(tmp_path_factory: pytest.TempPathFactory) -> Generator[HubProcess]:
    with serving(
        tmp_path_factory.mktemp("conformance"), install_conformance(tmp_path_factory.mktemp("installed"))
    ) as hub:
        yield hub


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_a_revision_of_the_protocol_is_met(
    conforming_hub: HubProcess, clients: Clients, tmp_path: Path, revision: str
) -> None:
    done = await clients.run(
        ALPHA,
        "server",
        *("--url", f"http://localhost:{conforming_hub.port}/mcp"),
        *("--requirements", revision),
        *("--expected-failures", str(LISTED / f"expected-{revision}.yml")),
        *("--output-dir", str(tmp_path)),
        timeout=180,
    )
    said = done.stdout.decode()
    failed = failures(tmp_path)
    assert done.returncode == 0, f"{said[said.find('=== SUMMARY') :]}\n{failed}"
    assert not {scenario for scenario, check in failed if "list-changed" not in check} & GENERIC[revision]


async def test_the_stable_suite_passes(conforming_hub: HubProcess, clients: Clients, tmp_path: Path) -> None:
    done = await clients.run(
        STABLE,
        "server",
        *("--url", f"http://localhost:{conforming_hub.port}/mcp"),
        *("--expected-failures", str(LISTED / "expected-0.1.16.yml")),
        *("--output-dir", str(tmp_path)),
        timeout=180,
    )
    said = done.stdout.decode()
    assert done.returncode == 0, f"{said[said.find('=== SUMMARY') :]}\n{failures(tmp_path)}"


def failures(results: Path) -> list[tuple[str, str]]:
    """Every check that failed or warned, with its scenario; and that there are results at all."""
    files = list(results.glob("*/checks.json"))
    assert len(files) >= 30
    return [
        (file.parent.name.removeprefix("server-").rpartition("-20")[0], check["id"])
        for file in files
        for check in json.loads(file.read_text())
        if check["status"] in ("FAILURE", "WARNING")
    ]
