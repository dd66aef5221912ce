"""Secrets in every place that can hold one, every kind of error provoked, and all output searched for them."""

import base64
import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx
import pytest
from tests.security.upstream import Reply, upstream
from tests.system.canaries import CANARY, found_in
from tests.system.collector import Collected, collecting
from tests.system.installed import PLUGINS, Installed, install, install_probe
from tests.system.processes import PEGBOARD, HubProcess, environment, serving
from tests.system.wire import ACCEPT, OPENERS, Era, Json, client, envelope, hello, rpc

from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes

AWAY = "127.0.0.1:9"
WAYS = ("error", "group", "chained", "log", "library", "backend", "refuse", "pool", "slow", "exit")
TALKS: list[tuple[Era, str]] = [
    *(("sse", "operator"), ("legacy", "operator"), ("modern", "operator")),
    *(("modern", "acme"), ("sse", "narrow")),
]
PAGES = ("/", "/health", "/ready", "/metrics", "/.well-known/oauth-protected-resource/mcp", "/nothing")


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


CREDENTIALS: dict[str, dict[str, str]] = {
    "bearer": {"Authorization": f"Bearer {CANARY['bearer']}"},
    "a key's look": {"Authorization": f"Bearer peg_abcdefabcdef_{CANARY['bearer']:x<43}"},
    "jwt": {"Authorization": f"Bearer eyJhbGciOiJub25lIn0.{encoded(CANARY['jwt'])}.x"},
    "basic": {"Authorization": f"Basic {encoded('x:' + CANARY['basic'])}"},
    "internal": {"X-Internal-Token": CANARY["internal"]},
    "cookie": {"Cookie": f"session={CANARY['cookie']}"},
    "several": {"Authorization": f"Bearer {CANARY['bearer']}", "X-Internal-Token": CANARY["internal"]},
}


@dataclass
class Caged:
    """A hub full of secrets, and everything it has answered so far."""

    hub: HubProcess
    folder: Path
    plugins: list[Installed]
    keys: dict[str, str]
    collected: Collected
    answers: list[str] = field(default_factory=list[str])

    def heard(self, response: httpx.Response) -> httpx.Response:
        self.answers.append(
            f"{response.request.method} {response.request.url.path}\n{response.headers}\n{response.text}"
        )
        return response

    def run(self, *arguments: str) -> str:
        """What a command says, in both streams."""
        done = subprocess.run(
            [PEGBOARD, *arguments],
            cwd=self.folder,
            env=environment(self.plugins, {"PEGBOARD_KEY": self.keys["operator"]}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
        )
        return done.stdout.decode()


def echo(request: BaseHTTPRequestHandler) -> Reply:
    """A backend whose errors repeat what they were sent."""
    said = {"detail": f"no such token: {dict(request.headers)!r}", "error": str(request.headers)}
    return 403, {"Content-Type": "application/json", "X-Said": "no"}, json.dumps(said).encode()


def settings_of(url: str, collector: str, keys: dict[str, dict[str, Any]]) -> dict[str, Any]:
    awx = {"url": url, "token": CANARY["awx"], "writes": "confirm"}
    return {
        "auth": {"keys_file": "keys.json"},
        "keys": keys,
        "server": {"redis": f"redis://:{CANARY['redis']}@{AWAY}/0"},
        "limits": {"calls_per_minute": 100_000, "burst": 10_000},
        "log": {"level": "debug", "format": "json"},
        "audit": {"file": "audit.jsonl"},
        "telemetry": {"otlp_endpoint": collector},
        "loading": {"timeout": 20},
        "tenants": {"acme": {"plugins": {"awx": {"token": CANARY["tenant"]}}}},
        "plugins": {
            "leak": {"token": CANARY["setting"], "login": {"password": CANARY["nested"]}, "url": url},
            "awx": awx,
            "postgres": {"dsn": f"postgresql://reader:{CANARY['dsn']}@{AWAY}/shop"},
            "neo4j": {"url": f"bolt://{AWAY}", "password": CANARY["neo4j"]},
            "qdrant": {"url": url, "api_key": CANARY["qdrant"]},
        },
    }


def make_keys() -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Keys in the settings: their texts, and their tables."""
    texts: dict[str, str] = {}
    tables: dict[str, dict[str, Any]] = {}
    for name, scopes, tenant in (("operator", ["*"], None), ("narrow", ["leak:read"], None), ("acme", ["*"], "acme")):
        key, texts[name] = Key.create(name, Scopes.of(scopes))
        tables[name] = {"id": key.id, "sha256": key.sha256, "scopes": scopes, **({"tenant": tenant} if tenant else {})}
    return texts, tables


@contextmanager
def caged(folder: Path) -> Generator[Caged]:
    leak = install(folder, "pegleak", {"pegleak": (PLUGINS / "pegleak.py").read_text()}, {"leak": "pegleak"})
    texts, tables = make_keys()
    with collecting() as collected, upstream(echo) as backend:
        plugins = [leak, install_probe(folder)]
        (folder / "keys.json").write_text('{"version": 1, "keys": []}')
        (folder / "keys.json").chmod(0o600)
        settings = settings_of(backend.url, collected.url, tables)
        with serving(folder, *plugins, settings=settings, environ={"OTEL_BSP_SCHEDULE_DELAY": "200"}) as hub:
            yield Caged(hub, folder, plugins, texts, collected)


@pytest.fixture(scope="module")
def cage(tmp_path_factory: pytest.TempPathFactory) -> Generator[Caged]:
    with caged(tmp_path_factory.mktemp("cage")) as cage:
        yield cage


def bearer(cage: Caged, name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {cage.keys[name]}"}


async def provoke(cage: Caged, era: Era, name: str) -> None:
    """Every kind of error over one transport, by one key."""
    async with client(cage.hub.url) as http:
        http.headers.update({**bearer(cage, name), "X-AWX-Token": CANARY["header"], "Cookie": CANARY["cookie"]})
        async with OPENERS[era](http) as peer:
            for way in WAYS:
                arguments = {"way": way, "password": CANARY["argument"]}
                cage.answers.append(
                    json.dumps(await peer.request("tools/call", {"name": "leak_leak", "arguments": arguments}))
                )
            for tool, arguments in CALLS:
                cage.answers.append(
                    json.dumps(await peer.request("tools/call", {"name": tool, "arguments": arguments}))
                )
            for method, params in OTHERS:
                cage.answers.append(json.dumps(await peer.request(method, params)))


CALLS: list[tuple[str, Json]] = [
    ("awx_list_job_templates", {}),
    ("awx_launch_job_template", {"template": "Hello", "password": CANARY["argument"]}),
    ("postgres_query", {"sql": f"SELECT 'password={CANARY['argument']}'"}),
    ("neo4j_query", {"cypher": "RETURN 1", "params": {"password": CANARY["argument"]}}),
    ("qdrant_list_collections", {}),
    ("qdrant_scroll", {"collection": "places", "api_key": CANARY["argument"]}),
    ("hub_health_check", {}),
    ("hub_list_services", {}),
    ("fetch_more", {"cursor": "nothing", "token": CANARY["argument"]}),
]
OTHERS: list[tuple[str, Json]] = [
    ("tools/list", {}),
    ("resources/list", {}),
    ("resources/read", {"uri": "pegboard://budget"}),
    ("resources/read", {"uri": f"https://x:{CANARY['argument']}@example.com/"}),
    ("prompts/get", {"name": "nothing", "arguments": {"password": CANARY["argument"]}}),
]


async def knock(cage: Caged) -> None:
    """Wrong credentials, and right ones with wrong bodies, at every page and route."""
    call = rpc("tools/call", {"name": "leak_leak", "arguments": {"password": CANARY["argument"]}}, 1)
    async with client(cage.hub.url) as http:
        for path in (*PAGES, "/sse", "/mcp", f"/mcp?key={CANARY['query']}", f"/?token={CANARY['query']}"):
            for headers in CREDENTIALS.values():
                cage.heard(await http.get(path, headers={**ACCEPT, **headers}))
                cage.heard(await http.post(path, json=call, headers={**ACCEPT, **headers}))
        for name in cage.keys:
            for path in PAGES:
                cage.heard(await http.get(path, headers=bearer(cage, name)))
            _, modern = envelope("tools/call", {"name": "leak_leak"})
            secret = json.dumps({"password": CANARY["argument"]}).encode()
            for body in (
                secret,
                secret[:-3],
                b"[" + secret + b"]",
                json.dumps(call).encode() + secret,
                b"\xff" + secret,
            ):
                cage.heard(await http.post("/mcp", content=body, headers={**modern, **bearer(cage, name)}))
                cage.heard(await http.post("/mcp", content=body, headers={**ACCEPT, **bearer(cage, name)}))
        wrong = {**hello(), "clientInfo": {"name": f"password={CANARY['argument']}", "version": 1}}
        cage.heard(
            await http.post("/mcp", json=rpc("initialize", wrong, 1), headers={**ACCEPT, **bearer(cage, "acme")})
        )


SHOW_SETTINGS = """
import sys, traceback
from pathlib import Path
from pegboard.configuration import load_settings
settings = load_settings(Path("pegboard.toml"))
print(repr(settings), str(settings), f"{settings}", repr(settings.keys), settings.auth, settings.limits)
try:
    raise RuntimeError(f"wrong: {settings!r}")
except RuntimeError:
    traceback.print_exc()
"""


def commands(cage: Caged) -> dict[str, str]:
    """What the command line says about this configuration."""
    said = {
        " ".join(words): cage.run(*words)
        for words in (
            ("check",),
            ("plugins", "--json"),
            ("keys", "list"),
            ("keys", "create", "new", "--scope", "nonsense:"),
            ("audit", "tail", "-n", "500"),
            ("call", "leak_leak", "way=error", "--debug"),
        )
    }
    done = subprocess.run(
        [sys.executable, "-c", SHOW_SETTINGS],
        cwd=cage.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
    )
    return {**said, "repr(settings)": done.stdout.decode()}


def test_the_search_finds_a_canary_however_it_is_written() -> None:
    """S-23: else no hit would mean nothing."""
    secret = CANARY["dsn"]
    for shown in (
        secret,
        f"postgresql://x:{secret}@y",
        base64.b64encode(f"a:{secret}".encode()).decode(),
        secret.encode().hex(),
    ):
        assert found_in(f"something {shown} and more"), shown
    assert found_in("cnry and nothing else") == []


async def test_no_secret_is_in_anything_the_hub_writes(cage: Caged) -> None:
    """S-22 and S-23: answers, log, audit log, metrics, spans, pages and commands, over every transport."""
    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            for era, name in TALKS:
                tasks.start_soon(provoke, cage, era, name)
        await knock(cage)
        said = await anyio.to_thread.run_sync(commands, cage)
        await cage.hub.said("leak_leak")
        await anyio.to_thread.run_sync(lambda: cage.collected.span(lambda span: "leak_leak" in span.name))
    cage.hub.process.terminate()
    await cage.hub.ended()

    written = {
        **said,
        "answers": "\n".join(cage.answers),
        "log": cage.hub.log.wait_for_end(),
        "audit": (cage.folder / "audit.jsonl").read_text(),
        "spans": cage.collected.text,
    }
    assert all(written.values()), {place: len(text) for place, text in written.items()}
    keys = {text: name for name, text in cage.keys.items()}
    hits = {place: found_in(text, [*CANARY.values(), *keys]) for place, text in written.items()}
    # Who sends an argument may read it again, in what is said about it.
    hits["answers"] = [hit for hit in hits["answers"] if not hit.startswith(CANARY["argument"])]
    assert {place: hit for place, hit in hits.items() if hit} == {}
    assert written["log"].count("internal error") + written["log"].count("Traceback") > 10, "the errors have happened"
