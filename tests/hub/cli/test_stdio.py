"""`pegboard stdio`, as a process: only the protocol on standard output, and every end is clean."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.hub.cli.conftest import Install, Start

HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def call(number: int, name: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def lines(*messages: dict[str, Any]) -> str:
    return "".join(json.dumps(message) + "\n" for message in messages)


LOUD = """
import os
import subprocess

import anyio

from pegboard import Plugin, hookimpl, tool

print("printed at import")
os.write(1, b"written at import\\n")
subprocess.run(["echo", "said by a child at import"], check=True)


@tool(read_only=True)
async def slow() -> str:
    print("printed in a call")
    await anyio.sleep(0.3)
    return "done"


@hookimpl
def hub_plugin() -> Plugin:
    return Plugin(name="loud", tools=[slow])
"""


def test_only_the_protocol_is_on_standard_output_and_the_end_of_input_waits_for_answers(
    start: Start, install: Install
) -> None:
    install("acme-loud", loud=LOUD)

    with start("stdio", PEGBOARD_TRUST_ALLOW="acme-loud") as running:
        status, output, errors = running.ended(text=lines(INITIALIZE, INITIALIZED, call(2, "loud_slow")))

    answers = [json.loads(line) for line in output.splitlines()]
    assert status == 0
    assert [answer["id"] for answer in answers] == [1, 2]
    assert answers[1]["result"]["content"][0]["text"] == "done"
    for text in ("printed at import", "written at import", "said by a child at import", "printed in a call"):
        assert text in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(start: Start, number: int) -> None:
    with start("stdio", "--endpoint", "hub") as running:
        running.stdin.write(lines(INITIALIZE))
        running.stdin.flush()
        assert running.ready()["result"]["serverInfo"]["name"] == "pegboard hub"
        status, output, errors = running.ended(signal=number)

    assert (status, output) == (0, "")
    assert "Traceback" not in errors


def test_an_endpoint_that_is_not_served_is_explained(start: Start) -> None:
    with start("stdio", "--endpoint", "postgres") as running:
        status, output, errors = running.ended()

    assert (status, output) == (2, "")
    assert "there is no endpoint 'postgres'; plugin 'postgres' of pegboard-postgres" in errors
    assert "dsn: required" in errors


def test_an_endpoint_that_is_misspelt_is_answered_with_the_nearest(start: Start, tea: Path) -> None:
    with start("stdio", "--endpoint", "tee") as running:
        status, _, errors = running.ended()

    assert status == 2
    assert "there is no endpoint 'tee'; did you mean 'tea'?" in errors
    assert tea.exists()
