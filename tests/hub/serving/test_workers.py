"""Several workers, in one process: what they are told, what they hand over, and what they say together."""

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message, Receive, Scope, Send

from pegboard.prometheus import joined
from pegboard.serving.app import HubApp
from pegboard.serving.workers.assignment import Assignment, Configuration, names_of
from pegboard.serving.workers.door import answer_at
from pegboard.serving.workers.handover import Handover
from pegboard.serving.workers.line import written
from pegboard.serving.workers.supervisor import Patience
from pegboard.serving.workers.together import Together
from pegboard.settings import AuditSettings, HubSettings, ServerSettings
from pegboard.testing import hub_of

NAMES = ("w0", "w1")


def assignment_of(number: int, folder: Path) -> Assignment:
    return Assignment(number, NAMES, 8000, str(folder), "s" * 43)


def http_to(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell what arrived, in two pieces."""
    body = (await receive()).get("body", b"")
    headers = [(name, value) for name, value in scope["headers"] if name == b"mcp-session-id"]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    told = [scope["path"], scope["client"], scope["scheme"], scope["query_string"].decode(), body.decode()]
    await send({"type": "http.response.body", "body": json.dumps(told).encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def pair(folder: Path, *apps: Any) -> AsyncGenerator[list[Handover]]:
    """Workers whose doors are open."""
    handovers = [Handover(assignment_of(number, folder), app) for number, app in enumerate(apps)]
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for number, handover in enumerate(handovers):
                opened = anyio.Event()
                tasks.start_soon(answer_at, folder / str(number), handover.own, opened.set)
                await opened.wait()
            yield handovers
            for handover in handovers:
                await handover.close()
            tasks.cancel_scope.cancel()
            await anyio.sleep(0)


def test_an_assignment_survives_the_way_to_the_worker(tmp_path: Path) -> None:
    given = assignment_of(1, tmp_path)

    told = given.told({"strict": True}, Configuration("pegboard.toml", "[log]", generation=2))

    assert Assignment.read(written(told)) == (given, {"strict": True}, Configuration("pegboard.toml", "[log]", 2))
    assert (given.name, given.others, given.door_of("w0")) == ("w1", ("w0",), tmp_path / "0")


def test_a_worker_has_its_own_name_and_audit_log_and_the_secret_of_all(tmp_path: Path) -> None:
    server = ServerSettings(workers=2, replica="hub-1")
    settings = HubSettings(server=server, audit=AuditSettings(file=tmp_path / "audit.jsonl"))
    names = names_of(settings)

    applied = Assignment(1, names, 9000, str(tmp_path), "s" * 43).applied(settings)

    assert names == ("hub-1-w0", "hub-1-w1")
    assert (applied.server.messages, applied.server.port) == ("messages/hub-1-w1/", 9000)
    assert applied.server.secret is not None
    assert applied.server.secret.get_secret_value() == "s" * 43
    assert applied.audit.file == tmp_path / "audit.jsonl-w1"


def test_a_secret_that_is_configured_stays() -> None:
    settings = HubSettings(server=ServerSettings.model_validate({"workers": 2, "secret": "c" * 40}))

    applied = assignment_of(0, Path()).applied(settings)

    assert applied.server.secret == settings.server.secret
    assert applied.audit.file is None


def test_a_worker_that_dies_young_again_and_again_is_given_up() -> None:
    patience = Patience()

    assert [patience.after(1) for _ in range(5)] == [0.2, 0.4, 0.8, 1.6, None]
    assert patience.after(3600) == 0.1


async def test_a_message_goes_to_the_worker_in_its_path_as_it_came(tmp_path: Path) -> None:
    async with pair(tmp_path, echo, echo) as (first, _), http_to(first) as http:
        for _ in range(3):  # over one stream, which is used again
            answer = await http.post("/tea/messages/w1/?session_id=0", content=b"pour")
            assert answer.json() == ["/tea/messages/w1/", ["127.0.0.1", 123], "http", "session_id=0", "pour"]


async def test_the_mark_of_a_session_is_seen_by_clients_only(tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(dict(scope["headers"])[b"mcp-session-id"])
        await echo(scope, receive, send)

    async with pair(tmp_path, echo, app) as (first, second):
        for worker in (first, second):
            async with http_to(worker) as http:
                answer = await http.post("/mcp", headers={"Mcp-Session-Id": "w1-77"})
                assert answer.headers["mcp-session-id"] == "w1-77"
    assert seen == [b"77", b"77"]


async def test_who_is_asked_for_a_worker_that_is_gone_says_that_its_sessions_are(tmp_path: Path) -> None:
    async with http_to(Handover(assignment_of(0, tmp_path), echo)) as http:
        answer = await http.post("/mcp", headers={"Mcp-Session-Id": "w1-77"})

    assert answer.status_code == 404
    assert "open another" in answer.text


async def test_a_worker_that_ends_in_the_middle_is_no_answer_but_no_silence(tmp_path: Path) -> None:
    async def dies(scope: Scope, receive: Receive, send: Send) -> None:
        raise EOFError

    async with pair(tmp_path, echo, dies) as (first, _), http_to(first) as http:
        answer = await http.post("/messages/w1/", content=b"x")

    assert answer.status_code == 502
    assert "before you repeat it" in answer.text


async def test_a_client_that_leaves_is_gone_at_the_other_worker_too(tmp_path: Path) -> None:
    began, left = anyio.Event(), anyio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        began.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.body", "body": b"nobody reads this"})
        left.set()

    messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        if len(messages) == 1:
            await began.wait()
        return messages.pop(0)

    async def send(message: Message) -> None:
        pass

    async with pair(tmp_path, echo, waits) as (first, _):
        scope: Scope = {"type": "http", "method": "POST", "path": "/messages/w1/", "headers": [], "query_string": b""}
        await first(scope, receive, send)
        await left.wait()
    assert first.handed.value == 0


async def test_a_body_that_is_not_read_does_not_reach_the_next_request(tmp_path: Path) -> None:
    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body", "body": scope["query_string"]})

    async with pair(tmp_path, echo, refuses) as (first, _), http_to(first) as http:
        for number in range(3):
            answer = await http.post(f"/messages/w1/?{number}", content=b"x" * 300_000)
            assert (answer.status_code, answer.text) == (413, str(number))


@asynccontextmanager
async def hubs(folder: Path, **settings: Any) -> AsyncGenerator[list[Together]]:
    """Two hubs as two workers."""
    async with AsyncExitStack() as stack:
        apps: list[HubApp] = []
        for _ in NAMES:
            apps.append(HubApp(await stack.enter_async_context(hub_of(settings=settings, strict=False))))
            await stack.enter_async_context(apps[-1].run())
        handovers = await stack.enter_async_context(pair(folder, *(app.asgi for app in apps)))
        yield [Together(assignment_of(number, folder), one) for number, one in enumerate(handovers)]


async def test_pages_are_about_all_workers(tmp_path: Path) -> None:
    async with hubs(tmp_path) as (first, second):
        for worker in (first, second):
            async with http_to(worker) as http:
                ready, health = await http.get("/ready"), (await http.get("/health")).json()
                assert (ready.status_code, ready.json()["ready"]) == (200, True)
                assert ready.json()["workers"] == {"w0": True, "w1": True}
                assert (health["status"], list(health["workers"])) == ("ok", ["w0", "w1"])
                assert health["configuration"] == {"generation": 1, "attempts": 0, "problem": None}
                assert (await http.get("/")).status_code == 200


async def test_one_worker_that_is_away_is_told(tmp_path: Path) -> None:
    async with hubs(tmp_path) as (first, _):
        (tmp_path / "1").unlink()
        async with http_to(first) as http:
            ready, health = await http.get("/ready"), (await http.get("/health")).json()
    assert ready.status_code == 503
    assert ready.json()["reasons"] == ["worker w1 does not answer"]
    assert (health["status"], health["workers"]["w1"]) == ("degraded", None)


def health_of(generation: int) -> Any:
    """An app that says how a worker is that serves this generation of the configuration."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        configuration = {"generation": generation, "attempts": 1}
        told = {"status": "ok", "pid": generation, "configuration": configuration}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})

    return app


async def ending(scope: Scope, receive: Receive, send: Send) -> None:
    """A worker that is killed while it is asked."""
    raise RuntimeError


async def test_a_worker_that_ends_while_it_is_asked_is_one_that_does_not_answer(tmp_path: Path) -> None:
    async with pair(tmp_path, health_of(2), ending) as (first, _):
        async with http_to(Together(assignment_of(0, tmp_path), first)) as http:
            health = (await http.get("/health")).json()
    assert (health["status"], health["workers"]["w1"]) == ("degraded", None)


@pytest.mark.parametrize(("other", "status"), [(2, "ok"), (1, "degraded")])
async def test_workers_that_serve_different_configurations_are_not_well(
    tmp_path: Path, other: int, status: str
) -> None:
    async with pair(tmp_path, health_of(2), health_of(other)) as (first, _):
        async with http_to(Together(assignment_of(0, tmp_path), first)) as http:
            health = (await http.get("/health")).json()
    assert (health["status"], health["configuration"]) == (status, {"generation": other, "attempts": 1})
    assert {name: worker["generation"] for name, worker in health["workers"].items()} == {"w0": 2, "w1": other}


async def test_metrics_of_all_workers_are_in_one_answer(tmp_path: Path) -> None:
    async with hubs(tmp_path) as (first, _), http_to(first) as http:
        answer = await http.get("/metrics", headers={"Accept": "application/openmetrics-text"})
        plain = await http.get("/metrics")
    found = {
        sample.labels["worker"] for family in text_string_to_metric_families(plain.text) for sample in family.samples
    }
    assert found == {"w0", "w1"}
    assert answer.headers["content-type"].startswith("application/openmetrics-text")


async def test_who_may_not_see_a_page_is_told_by_the_worker_that_is_asked(tmp_path: Path) -> None:
    async with hubs(tmp_path, metrics={"enabled": False}) as (first, _), http_to(first) as http:
        assert (await http.get("/metrics")).status_code == 404
        assert (await http.get("/ready", headers={"Host": "evil.example"})).status_code == 421


def test_series_are_kept_apart_by_worker() -> None:
    text = '# HELP calls_total Calls.\n# TYPE calls_total counter\ncalls_total{tool="echo"} %d\n'

    told, kind = joined({"w0": text % 2, "w1": text % 3}, "")

    assert told.decode().splitlines()[-2:] == [
        'calls_total{tool="echo",worker="w0"} 2.0',
        'calls_total{tool="echo",worker="w1"} 3.0',
    ]
    assert kind.startswith("text/plain")
    assert told.count(b"# TYPE") == 1
