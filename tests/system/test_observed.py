"""What an operator sees of a running hub: metrics, the log, the dashboard and the alerts."""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.system.installed import PLUGINS, Installed, install
from tests.system.processes import PEGBOARD, HubProcess, Lines, configure, environment, serving, stop
from tests.system.unpacked import program_of
from tests.system.wire import OPENERS, Era, call, client

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
RULE_TESTS = DEPLOY / "prometheus" / "alerts_test.yml"
DASHBOARD = DEPLOY / "grafana" / "pegboard.json"

PASSWORD = "swordfish-7"
DSN = f"postgres://app:{PASSWORD}@db.example:5432/shop"
METRICS_KEY = f"peg_metrics1_{'m' * 43}"
TOOLS_KEY = f"peg_tools001_{'t' * 43}"
ERAS: tuple[Era, ...] = ("sse", "legacy", "modern")

ELSEWHERE = {"up", "pegboard_limits_shared"}
"""Prometheus' own, and one that is there with `[server] redis` only."""

SELDOM = {"pegboard_abandoned"}
"""There when a plugin has left something behind: see test_stuck_plugins."""


def observed(folder: Path) -> Installed:
    modules = {"pegobserved": (PLUGINS / "pegobserved.py").read_text()}
    return install(folder, "pegobserved", modules, {"observed": "pegobserved:Observed"})


def key(identity: str, text: str, *scopes: str) -> dict[str, Any]:
    return {"id": identity, "sha256": hashlib.sha256(text.encode()).hexdigest(), "scopes": list(scopes)}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Generator[HubProcess]:
    """A hub with keys, the audit log and JSON lines, whose plugin has a secret."""
    folder = tmp_path_factory.mktemp("watched")
    settings = {
        "keys": {
            "prometheus": key("metrics1", METRICS_KEY, "metrics"),
            "agent": key("tools001", TOOLS_KEY, "observed:*"),
        },
        "audit": {"file": str(folder / "audit.jsonl")},
        "plugins": {"observed": {"dsn": DSN}},
    }
    with serving(folder, observed(folder), settings=settings) as hub:
        yield hub


def showing(http: httpx.AsyncClient, text: str) -> httpx.AsyncClient:
    http.headers["authorization"] = f"Bearer {text}"
    return http


async def scraped(hub: HubProcess) -> httpx.Response:
    async with client(hub.url) as http:
        return await showing(http, METRICS_KEY).get("/metrics")


async def some_traffic(hub: HubProcess, era: Era) -> None:
    """Calls that end in each way."""
    async with client(hub.url) as http, OPENERS[era](showing(http, TOOLS_KEY)) as peer:
        assert await call(peer, "observed_work", {"text": "x"}) == "x"
        for tool in ("observed_refuse", "observed_crash"):
            answer = await peer.request("tools/call", {"name": tool, "arguments": {}})
            assert answer["result"]["isError"]
            assert PASSWORD not in str(answer)
        await peer.request("tools/call", {"name": "no_such_tool", "arguments": {}})


def events(hub: HubProcess) -> list[dict[str, Any]]:
    """The log so far; what stands before the hub is ready is for people."""
    return [json.loads(line) for line in hub.log.text.splitlines() if line.startswith("{")]


async def event(hub: HubProcess, pattern: str) -> dict[str, Any]:
    """The first line like this, waited for."""
    return json.loads((await hub.said(rf"(?m)^.*{pattern}.*$"))[0])


@pytest.mark.parametrize("era", ERAS)
async def test_requests_and_calls_are_counted_in_every_era(watched: HubProcess, era: Era) -> None:
    """S-24, S-35: and no secret, nor a name that a client made up, is among them."""
    await some_traffic(watched, era)

    text = (await scraped(watched)).text

    transport = "sse" if era == "sse" else "mcp"
    assert re.search(rf'mcp_requests_total{{method="tools/call",status="ok",transport="{transport}"}} [1-9]', text)
    assert re.search(rf'mcp_requests_total{{method="tools/call",status="error",transport="{transport}"}} [1-9]', text)
    for tool, outcome in (("work", "ok"), ("refuse", "error"), ("crash", "crash")):
        labels = f'outcome="{outcome}",plugin="observed",tool="observed_{tool}"'
        assert re.search(rf"pegboard_calls_total{{{labels}}} [1-9]", text)
    assert 'pegboard_pool_connections{kind="database",target="postgres://db.example:5432/shop"} 2.0' in text
    assert PASSWORD not in text
    assert "such" not in text


async def test_what_the_dashboard_and_the_alerts_use_is_there(watched: HubProcess) -> None:
    for era in ERAS:
        await some_traffic(watched, era)
    async with client(watched.url) as http:
        for _ in range(3):
            assert (await http.get("/mcp")).status_code == 401
    families = text_string_to_metric_families((await scraped(watched)).text)
    there = {sample.name for family in families for sample in family.samples}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", [])]

    texts = " ".join([*expressions, RULES.read_text()])
    used = set(re.findall(r"\b(?:pegboard|mcp|process)_[a-z_]+\b|\bup\b(?={)", texts))

    assert len(used) > 30
    assert used - there == ELSEWHERE


async def test_every_metric_stands_on_its_page(watched: HubProcess) -> None:
    families = text_string_to_metric_families((await scraped(watched)).text)
    ours = {family.name for family in families if family.name.startswith(("pegboard_", "mcp_"))}
    told = set(re.findall(r"\b(?:pegboard|mcp)_[a-z_]+\b", (DEPLOY.parent / "docs" / "metrics.md").read_text()))

    assert {name.removesuffix("_total") for name in told} == ours | SELDOM | ELSEWHERE - {"up"}


@pytest.mark.parametrize(
    "command",
    [
        ["check", "rules", RULES],
        ["test", "rules", RULE_TESTS],
        ["check", "config", RULES.with_name("prometheus.yml")],
    ],
    ids=["rules", "tests of rules", "example"],
)
def test_the_alerts_are_right(command: list[Any]) -> None:
    done = subprocess.run(
        [program_of("promtool", "prometheus"), *map(str, command)], capture_output=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_where_it_fires_and_where_it_is_quiet() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    tests = RULE_TESTS.read_text()

    for verdict in ("fires", "is quiet"):
        assert set(re.findall(rf"# (\w+) {verdict}\.", tests)) == alerts


async def test_the_log_is_one_json_object_a_line_and_has_no_secret(watched: HubProcess) -> None:
    """S-22, S-23, S-24: of calls that crash with a secret, and of what a caller has typed."""
    hostile = "a\r\nfake\x1b[31m\u2028\u2029\x85 password=hunter2"
    async with client(watched.url) as http, OPENERS["sse"](showing(http, TOOLS_KEY)) as peer:
        await call(peer, "observed_shout", {"text": hostile})
        answer = await peer.request("tools/call", {"name": "observed_crash", "arguments": {}})
    reference = re.findall(r"ref (\w+)", str(answer))[0]
    crashed = await event(watched, rf'"ref":"{reference}","traceback"')
    typed = await event(watched, "somebody typed")

    assert (crashed["tool"], crashed["plugin"], crashed["level"]) == ("observed_crash", "observed", "ERROR")
    assert crashed["traceback"].endswith("RuntimeError: cannot connect to [redacted]\n")
    assert typed["event"] == "somebody typed a\r\nfake\x1b[31m\u2028\u2029\x85 password=[redacted]"
    assert (typed["tool"], typed["session"]) == ("observed_shout", crashed["session"])
    assert not [secret for secret in (PASSWORD, "hunter2", TOOLS_KEY) if secret in watched.log.text]
    assert all(event["event"] for event in events(watched))
    assert not re.search(r"(?m)^(Traceback|fake)", watched.log.text)


async def test_each_call_is_a_line_of_the_log(watched: HubProcess) -> None:
    async with client(watched.url) as http, OPENERS["modern"](showing(http, TOOLS_KEY)) as peer:
        await call(peer, "observed_work", {"text": "nobody reads this"})
    told = await event(watched, '"event":"call","plugin":"observed","tool":"observed_work"')

    assert {"timestamp", "level", "event", "plugin", "tool", "environment", "duration_ms"} <= set(told)
    assert "nobody reads this" not in watched.log.text


async def test_a_plugin_that_holds_up_everybody_is_told_of(watched: HubProcess) -> None:
    """F-09: the log says where the event loop stood, and the metrics that it stood."""
    async with client(watched.url) as http, OPENERS["modern"](showing(http, TOOLS_KEY)) as peer:
        await call(peer, "observed_block", {"seconds": 0.8})
    held = await event(watched, "the event loop is held up")
    text = (await scraped(watched)).text

    assert "block (pegobserved.py:" in held["event"]
    at = {
        le: float(n) for le, n in re.findall(r'pegboard_event_loop_lag_seconds_bucket{le="([\d.+Inf]+)"} (\S+)', text)
    }
    assert at["+Inf"] - at["0.25"] >= 1


def test_a_log_that_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    """A full pipe: the hub serves on, and says afterwards what was lost."""
    reading, writing = os.pipe()
    settings = {"plugins": {"observed": {"dsn": DSN}}}
    plugin = observed(tmp_path)
    process = subprocess.Popen(
        [PEGBOARD, "serve", "--json", "--config", str(configure(tmp_path, [plugin], settings))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=writing,
        env=environment([plugin]),
    )
    os.close(writing)
    assert process.stdout is not None
    out = Lines(process.stdout)
    try:
        url = json.loads(out.wait_for(r"(?m)^{.*}$", 30)[0])["url"]
        text = anyio.run(_shout_until_lines_are_lost, url)
        assert re.search(r"pegboard_log_lost_total [1-9]", text)
        tail = b""
        while b"lines of the log were lost" not in tail:
            chunk = os.read(reading, 65_536)
            assert chunk, "the hub has ended"
            tail = tail[-1000:] + chunk
        process.terminate()
        assert process.wait(10) == 0
    finally:
        stop(process)
        os.close(reading)


async def _shout_until_lines_are_lost(url: str) -> str:
    """Fill the pipe and the room behind it; returns the metrics then."""
    with anyio.fail_after(60):
        async with client(url) as http, OPENERS["modern"](http) as peer:
            text = ""
            while not re.search(r"pegboard_log_lost_total [1-9]", text):
                await call(peer, "observed_shout", {"text": "x" * 1000, "times": 1000})
                text = (await http.get("/metrics")).text
    return text
