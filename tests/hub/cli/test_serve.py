"""`pegboard serve`, as a process: what it says, and how it ends."""

import signal
import socket
import urllib.request
from pathlib import Path

import pytest
from tests.hub.cli.conftest import Install, Run, Start

BROKEN = "raise RuntimeError('the kettle is broken')"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(start: Start, number: int) -> None:
    with start("serve", "--port", "0", "--json") as running:
        running.ready()
        status, output, errors = running.ended(signal=number)

    assert (status, output) == (0, "")
    assert "Traceback" not in errors


def test_people_are_told_on_standard_error_only(start: Start) -> None:
    with start("serve", "--port", "0") as running:
        running.wait_for_line("is ready at http://127.0.0.1:")
        status, output, _ = running.ended(signal=signal.SIGTERM)

    assert (status, output) == (0, "")


def test_what_is_said_when_it_is_ready_is_enough_to_connect(start: Start, tea: Path) -> None:
    with start("serve", "--port", "0", "--json") as running:
        ready = running.ready()
        url = ready["url"]
        with urllib.request.urlopen(f"{url}/ready", timeout=5) as answer:
            assert answer.status == 200
        _, _, errors = running.ended(signal=signal.SIGTERM)

    endpoints = {endpoint["name"]: endpoint for endpoint in ready["endpoints"]}
    assert endpoints["tea"] == {
        "name": "tea",
        "sse": f"{url}/tea/sse",
        "mcp": f"{url}/tea/mcp",
        "tools": ["tea_brew", "tea_spill"],
    }
    assert f"{url}/tea/sse" in errors
    assert f"{url}/tea/mcp" in errors
    assert f"npx mcp-remote {url}/sse --transport sse-only --allow-http" in errors
    assert tea.exists()


def test_plugins_that_are_not_served_are_named_with_the_remedy(start: Start, install: Install) -> None:
    install("acme-tea", tea="raise SystemExit('never imported')")

    with start("serve", "--port", "0", "--json") as running:
        ready = running.ready()
        _, _, errors = running.ended(signal=signal.SIGTERM)

    reasons = {plugin["name"]: plugin for plugin in ready["not_served"]}
    assert reasons["tea"]["distribution"] == "acme-tea"
    assert reasons["tea"]["phase"] == "trusted"
    assert "dsn" in reasons["postgres"]["reason"]
    assert 'allow = ["acme-tea"]' in errors


def test_strict_does_not_start_with_a_broken_plugin(start: Start, install: Install) -> None:
    install("acme-tea", tea=BROKEN)

    variables = {"PEGBOARD_TRUST_ALLOW": "acme-tea", "PEGBOARD_POSTGRES_DSN": "nonsense"}
    with start("serve", "--port", "0", "--strict", **variables) as running:
        status, _, errors = running.ended()

    assert status == 1
    assert "error: plugin 'postgres'" in errors
    assert "RuntimeError: the kettle is broken" in errors
    assert "Traceback" not in errors


def test_a_port_that_is_taken_is_said_without_a_traceback(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with start("serve", "--port", str(taken.getsockname()[1])) as running:
            status, _, errors = running.ended()

    assert status == 2
    assert "error: cannot listen on 127.0.0.1" in errors
    assert "Traceback" not in errors


def test_an_address_for_everybody_has_to_be_wanted(start: Start) -> None:
    with start("serve", "--host", "0.0.0.0", "--port", "0") as running:
        status, _, errors = running.ended()

    assert status == 2
    assert "unauthenticated = true" in errors


def test_a_wrong_file_is_said_before_anything_starts(run: Run) -> None:
    Path("pegboard.toml").write_text("[server]\nprot = 1\n")

    result = run("serve")

    assert result.exit_code == 2
    assert result.stderr == "error: pegboard.toml: server.prot: unknown key; did you mean 'port'?\n"


OPENING = """
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from pegboard import Plugin, hookimpl


@hookimpl
def hub_plugin() -> Plugin:
    return Plugin(name="opening")


@hookimpl
@asynccontextmanager
async def hub_lifespan():
    try:
        Path("opening").touch()
        await anyio.sleep(9)
        yield
    finally:
        Path("closed").touch()
"""


def test_a_signal_while_it_starts_cleans_up_and_ends_it_with_status_0(start: Start, install: Install) -> None:
    install("acme-opening", opening=OPENING)

    with start("serve", "--port", "0", PEGBOARD_TRUST_ALLOW="acme-opening") as running:
        running.wait_for(Path("opening"))
        status, _, errors = running.ended(signal=signal.SIGTERM)

    assert status == 0
    assert errors.endswith("stopped\n")
    assert Path("closed").exists()
