"""The application without a port: its pages, and `/mcp` in both eras."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from starlette.types import Message

from pegboard import Call, Plugin, endpoint, tool
from pegboard.builtin import HubPlugin
from pegboard.endpoint import Endpoint
from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes
from pegboard.serving.app import HubApp
from pegboard.testing import hub_of

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
BOTH = "application/json, text/event-stream"


class Browser:
    """An HTTP client of an application in this process."""

    def __init__(self, app: HubApp, http: httpx.AsyncClient) -> None:
        self.app = app
        self.http = http

    async def modern(
        self, method: str, name: str | None = None, request_id: Any = 1, authorization: str = "", **params: Any
    ) -> httpx.Response:
        """One request of 2026-07-28."""
        headers = {"accept": BOTH, "mcp-protocol-version": MODERN, "mcp-method": method}
        headers |= {"authorization": authorization} if authorization else {}
        if name is not None:
            headers["mcp-name"], params["name"] = name, name
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": {**params, "_meta": META}}
        return await self.http.post("/mcp", json=message, headers=headers)

    async def legacy(
        self, method: str, session: str | None = None, request_id: Any = 1, **params: Any
    ) -> httpx.Response:
        """One request of a handshake era."""
        headers = {"accept": BOTH} | ({"mcp-session-id": session} if session else {})
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        return await self.http.post("/mcp", json=message, headers=headers)

    async def initialize(self) -> str:
        """Open a session; returns its id."""
        client = {"name": "test", "version": "1"}
        answer = await self.legacy("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=client)
        assert answer.status_code == 200
        return answer.headers["mcp-session-id"]


async def ping() -> str:
    """Answer."""
    return "pong"


WEATHER = Plugin(name="weather", tools=[ping])


@asynccontextmanager
async def browser(*plugins: Any, base: str = "http://localhost:8000", **settings: Any) -> AsyncGenerator[Browser]:
    with anyio.fail_after(5):
        async with hub_of(HubPlugin, *plugins, settings=settings, strict=False) as hub:
            app = HubApp(hub)
            async with app.run(), httpx.AsyncClient(transport=httpx.ASGITransport(app.asgi), base_url=base) as http:
                yield Browser(app, http)


def broken() -> None:
    raise ImportError("no <psycopg>")


# Pages


async def test_the_front_page_tells_programs_what_is_here() -> None:
    async with browser(WEATHER) as page:
        overview = (await page.http.get("/")).json()

    assert overview["connect"] == "npx mcp-remote http://localhost:8000/sse --transport sse-only --allow-http"
    assert {endpoint["name"]: endpoint["tools"] for endpoint in overview["endpoints"]}["weather"] == ["weather_ping"]
    assert overview["endpoints"][0]["mcp"] == "http://localhost:8000/mcp"
    assert overview["not_served"] == []


async def test_the_front_page_tells_people_what_is_here_and_what_is_not() -> None:
    async with browser(WEATHER, broken) as page:
        answer = await page.http.get("/", headers={"accept": "text/html"})

    assert answer.headers["content-type"].startswith("text/html")
    assert "http://localhost:8000/weather/sse" in answer.text
    assert "not imported: ImportError: no &lt;psycopg&gt;" in answer.text


async def test_health_is_the_state_of_the_process() -> None:
    async with browser(WEATHER) as page:
        fine = await page.http.get("/health")
    async with browser(WEATHER, broken) as page:
        degraded = await page.http.get("/health")

    assert (fine.status_code, fine.json()["status"]) == (200, "ok")
    assert (degraded.status_code, degraded.json()["status"]) == (200, "degraded")
    assert "no <psycopg>" in degraded.text


async def test_a_hub_is_ready_while_one_plugin_is_served() -> None:
    async with browser(WEATHER, broken) as page:
        answer = await page.http.get("/ready")

    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "reasons": [], "degraded": ["'broken' of pegboard-test-broken 1.0"]}


async def test_a_hub_whose_plugins_all_failed_is_not_ready_and_says_why() -> None:
    async with browser(broken) as page:
        answer = await page.http.get("/ready")

    assert answer.status_code == 503
    assert "not imported: ImportError" in answer.json()["reasons"][0]


async def test_a_hub_that_drains_is_not_ready() -> None:
    async with browser(WEATHER) as page:
        page.app.traffic.leaving = True
        answer = await page.http.get("/ready")

    assert (answer.status_code, answer.json()["reasons"]) == (503, ["the hub is shutting down"])


async def test_an_unknown_path_points_to_the_front_page() -> None:
    async with browser() as page:
        answer = await page.http.get("/nowhere")

    assert (answer.status_code, answer.json()["detail"]) == (404, "nothing is served at /nowhere; GET / lists what is")


async def test_every_route_is_guarded() -> None:
    async with browser(base="http://evil.example") as page:
        answers = [await page.http.get(path) for path in ("/", "/health", "/ready", "/mcp", "/sse", "/x")]

    assert [answer.status_code for answer in answers] == [421] * 6


# /mcp


async def test_a_single_request_is_answered_without_a_session() -> None:
    async with browser(WEATHER) as page:
        first, second = await page.modern("tools/list", request_id=1), await page.modern("tools/list", request_id="b")
        called = await page.modern("tools/call", "weather_ping", arguments={})

    assert first.json()["result"] == second.json()["result"]
    assert (first.json()["id"], second.json()["id"]) == (1, "b")
    assert '"text":"pong"' in called.text
    assert "mcp-session-id" not in first.headers


@pytest.mark.parametrize("repeated", [[], [("x-any", "1"), ("x-any", "2")]], ids=["short way", "the SDK's way"])
async def test_a_call_lists_nothing_however_many_tools_there_are(
    monkeypatch: pytest.MonkeyPatch, repeated: list[tuple[str, str]]
) -> None:
    """F-41: 205 tools; the SDK alone lists them all before each call that has arguments."""
    listed: list[Endpoint] = []
    list_tools = vars(Endpoint)["_list_tools"]

    def counted(asked: Endpoint, *given: Any) -> Any:
        listed.append(asked)
        return list_tools(asked, *given)

    monkeypatch.setattr(Endpoint, "_list_tools", counted)
    async with browser(Plugin(name="x", tools=[echo_as(number) for number in range(205)])) as page:
        for number in (0, 100, 204):
            name = f"x_echo_{number}"
            headers = {"accept": BOTH, "mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": name}
            params = {"name": name, "arguments": {"word": "pong"}, "_meta": META}
            message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            answer = await page.http.post("/mcp", json=message, headers=[*headers.items(), *repeated])
            assert answer.json()["result"]["content"][0]["text"] == "pong"
        assert listed == []
        await page.modern("tools/list")
    assert len(listed) == 1, "it would have been counted"


def echo_as(number: int) -> Any:
    """One of many tools that are alike."""

    async def echo(word: str) -> str:
        return word

    return tool(read_only=True, name=f"x_echo_{number}")(echo)


async def test_a_session_is_opened_used_and_ended() -> None:
    async with browser(WEATHER) as page:
        session = await page.initialize()
        called = await page.legacy("tools/call", session, 2, name="weather_ping", arguments={})
        ended = await page.http.delete("/mcp", headers={"mcp-session-id": session})
        gone = await page.legacy("tools/list", session, 3)

    assert '"text":"pong"' in called.text
    assert (ended.status_code, gone.status_code) == (200, 404)


async def test_what_is_no_message_is_refused_before_the_sdk_sees_it() -> None:
    async with browser() as page:
        answer = await page.http.post("/mcp", content=b"{")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == -32700


async def test_nothing_new_is_taken_while_the_hub_drains() -> None:
    async with browser(WEATHER) as page:
        page.app.traffic.draining = True
        answer = await page.modern("tools/list", request_id=7)

    assert (answer.status_code, answer.json()["id"], answer.headers["retry-after"]) == (503, 7, "1")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("name", ["mcp-session-id", "mcp-protocol-version"])
async def test_a_header_that_decides_who_answers_is_sent_once(method: str, name: str) -> None:
    """S-05 and S-20: the SDK takes the first, so that the second could name what is somebody else's."""
    values = {"mcp-session-id": ["mine", "theirs"], "mcp-protocol-version": ["2025-11-25", MODERN]}[name]
    async with browser(WEATHER) as page:
        headers = [("accept", BOTH), *((name, value) for value in values)]
        answer = await page.http.request(method, "/mcp", headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)
    assert answer.json()["error"]["message"] == f"{name} header appears more than once"


async def test_other_headers_may_be_repeated() -> None:
    async with browser(WEATHER) as page:
        answer = await page.http.get("/mcp", headers=[("accept", "text/html"), ("accept", "text/plain")])

    assert answer.status_code != 400 or "more than once" not in answer.text


async def test_without_sessions_nobody_chooses_for_the_session_of_somebody_else() -> None:
    """S-05: where none are kept, a client may name any, and nobody has looked whose it is."""

    async def session(call: Call[Any]) -> str:
        """Tell."""
        return str(call.session)

    async with browser(Plugin(name="weather", tools=[session]), server={"stateless": True}) as page:
        answer = await page.legacy("tools/call", "theirs", name="weather_session", arguments={})

    assert "theirs" not in answer.text
    assert "None" in answer.text


async def test_one_session_too_many_is_told_when_to_come_back() -> None:
    async with browser(WEATHER, server={"max_sessions": 1}) as page:
        await page.initialize()
        answer = await page.legacy("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={})

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize("request_id", [7, "7"])
async def test_an_id_that_is_in_flight_in_a_session_is_refused(request_id: Any) -> None:
    started, over = anyio.Event(), anyio.Event()

    async def wait() -> str:
        started.set()
        await over.wait()
        return "waited"

    texts: list[str] = []
    async with browser(Plugin(name="x", tools=[wait])) as page:
        session = await page.initialize()

        async def call() -> None:
            texts.append((await page.legacy("tools/call", session, 7, name="x_wait", arguments={})).text)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await started.wait()
            refused = await page.legacy("ping", session, request_id)
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, -32600)
            over.set()

    assert '"text":"waited"' in texts[0]


async def test_a_subscription_ends_with_a_result_when_the_hub_closes() -> None:
    answers: list[httpx.Response] = []

    async with browser(WEATHER) as page:

        async def listen() -> None:
            answers.append(await page.modern("subscriptions/listen", notifications={}))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await anyio.wait_all_tasks_blocked()
            assert page.app.traffic.subscriptions.value == 1
            await page.app.traffic.drain(1, page.app.close_subscriptions)

        assert page.app.traffic.streams.value == 0

    assert '"result"' in answers[0].text


async def test_one_key_does_not_take_the_subscriptions_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "SUBSCRIPTIONS_OF_ONE", 1)
    ann, ben = Key.create("ann", Scopes.of(["*"])), Key.create("ben", Scopes.of(["*"]))
    keys = {key.name: {"id": key.id, "sha256": key.sha256, "scopes": ["*"]} for key, _ in (ann, ben)}
    answers: list[str] = []

    async with browser(WEATHER, keys=keys) as page:

        async def listen(key: str) -> None:
            answer = await page.modern("subscriptions/listen", authorization=f"Bearer {key}", notifications={})
            answers.append(answer.text)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen, ann[1])
            await anyio.wait_all_tasks_blocked()
            await listen(ann[1])
            tasks.start_soon(listen, ben[1])
            await anyio.wait_all_tasks_blocked()
            assert page.app.traffic.subscriptions.value == 2
            page.app.close_subscriptions()

    assert "this key has 1 subscriptions here; end one of them" in answers[0]
    assert all('"result"' in answer for answer in answers[1:])


async def test_the_stream_of_a_session_ends_when_the_hub_closes() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    async with browser(WEATHER) as page:
        session = await page.initialize()
        headers = [(b"host", b"localhost"), (b"accept", b"text/event-stream"), (b"mcp-session-id", session.encode())]
        scope = {"type": "http", "method": "GET", "path": "/mcp", "query_string": b"", "headers": headers}

        async def listen() -> None:
            await page.app.asgi(scope, receive, send)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await anyio.wait_all_tasks_blocked()
            assert page.app.traffic.streams.value == 1
            await page.app.traffic.drain(1)

        assert page.app.traffic.streams.value == 0

    assert sent[0]["status"] == 200


async def test_a_trace_in_a_header_is_no_obstacle() -> None:
    async with browser(WEATHER) as page:
        headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        answer = await page.http.get("/health", headers=headers)

    assert answer.status_code == 200
