"""Authentication: every route asks, whatever fails lets nobody in, and a session belongs to who opened it."""

import base64
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import anyio
import httpx
import pytest
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from pegboard import Plugin, ToolError, tool
from pegboard.builtin import HubPlugin
from pegboard.endpoint import PRINCIPAL
from pegboard.errors import ConfigError
from pegboard.security.keyfile import changing
from pegboard.security.keys import Key
from pegboard.security.principal import Principal
from pegboard.security.scopes import Scopes
from pegboard.serving.app import HubApp
from pegboard.serving.auth import MAX_USERS, NOBODY, Authentication, refuse_strangers
from pegboard.serving.closing import until
from pegboard.settings import HubSettings, ServerSettings
from pegboard.testing import hub_of

BASE = "http://localhost:8000"
EVERYTHING = Scopes.of(["*"])
PLACES = ("", "/vault", "/vault/doors", "/mine", "/profiles/small")


@dataclass
class Knows:
    """A verifier that knows some words, and can be told to fail."""

    people: Mapping[str, Principal] = field(default_factory=dict[str, Principal])
    fails: Callable[[], Any] | None = None
    live: bool = True
    asked: list[str] = field(default_factory=list[str])

    def recognizes(self, credential: str) -> bool:
        return bool(credential)

    def known(self, credential: str, path: str) -> Principal | None:  # noqa: ARG002 # nobody is
        return None

    async def verify(self, credential: str, path: str) -> Principal | None:
        self.asked.append(path)
        if self.fails is not None:
            await self.fails()
        return self.people.get(credential)

    async def refresh(self) -> None:
        if self.fails is not None:
            await self.fails()

    def is_live(self, principal: Principal) -> bool:  # noqa: ARG002 # as it was told
        return self.live

    def owns(self, principal: Principal) -> bool:  # noqa: ARG002 # all of them
        return True


ALICE = Principal("a1", EVERYTHING, "alice")
ROBOT = Principal("r1", EVERYTHING, "robot", issuer="https://login.example.com")


class Behind:
    """What stands behind the authentication: it keeps the scopes that reached it."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await PlainTextResponse("in")(scope, receive, send)


async def ask(auth: Authentication, path: str = "/mcp", **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(auth), base_url=BASE) as http:
        return await http.get(path, headers=given)


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.fixture
def behind() -> Behind:
    return Behind()


# The layer alone


async def test_without_verifiers_everybody_is_let_through_as_nobody_in_particular(behind: Behind) -> None:
    answer = await ask(Authentication(behind), authorization="Bearer whatever")

    assert answer.text == "in"
    assert PRINCIPAL not in behind.scopes[0]


@pytest.mark.parametrize(
    ("headers", "principal"),
    [
        ({"authorization": "Bearer key"}, ALICE),
        ({"authorization": "bearer  key "}, ALICE),
        ({"authorization": basic("alice", "key")}, ALICE),
        ({"authorization": basic("a1", "key")}, ALICE),
        ({"x_internal_token": "key"}, ALICE),
        ({"authorization": "Bearer token"}, ROBOT),
    ],
)
async def test_a_credential_is_taken_in_three_ways(
    behind: Behind, headers: dict[str, str], principal: Principal
) -> None:
    answer = await ask(Authentication(behind, [Knows({"key": ALICE, "token": ROBOT})]), **headers)

    assert answer.status_code == 200
    (scope,) = behind.scopes
    assert scope[PRINCIPAL] == principal
    assert isinstance(scope["user"], AuthenticatedUser)
    assert scope["user"].access_token.client_id == principal.id


WRONG = {
    "none": {},
    "garbage": {"authorization": "xyzzy"},
    "empty": {"authorization": ""},
    "empty bearer": {"authorization": "Bearer "},
    "wrong key": {"authorization": "Bearer no"},
    "wrong key that looks like one": {"authorization": f"Bearer peg_abcdefghijkl_{'x' * 43}"},
    "Basic without anything": {"authorization": "Basic"},
    "Basic that is none": {"authorization": "Basic %%%"},
    "Basic that is no text": {"authorization": f"Basic {base64.b64encode(bytes([255])).decode()}"},
    "Basic that is no ASCII": {"authorization": b"Basic \xff\xfe".decode("latin-1")},
    "Basic of somebody else": {"authorization": basic("bob", "key")},
    "Basic of nobody": {"authorization": basic("", "key")},
    "Basic without a password": {"authorization": basic("alice", "")},
    "Basic with a token": {"authorization": basic("robot", "token")},
    "a token as an internal one": {"x_internal_token": "token"},
    "an empty internal token": {"x_internal_token": ""},
    "another scheme": {"authorization": "Digest username=alice"},
    "two at once": {"authorization": "Bearer key", "x_internal_token": "key"},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG.keys())
async def test_what_is_no_credential_lets_nobody_in(behind: Behind, headers: dict[str, str]) -> None:
    """S-03."""
    auth = Authentication(behind, [Knows({"key": ALICE, "token": ROBOT})])
    given = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(auth), base_url=BASE) as http:
        answer = await http.get("/mcp", headers=given)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert behind.scopes == []


async def test_a_credential_that_is_sent_twice_lets_nobody_in(behind: Behind) -> None:
    """S-03: two headers of one name, of which somebody else may read the other one."""
    auth = Authentication(behind, [Knows({"key": ALICE})])
    twice = [("authorization", "Bearer key"), ("authorization", "Bearer key")]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(auth), base_url=BASE) as http:
        answer = await http.get("/mcp", headers=twice)

    assert (answer.status_code, behind.scopes) == (401, [])


@pytest.mark.parametrize("name", ["key", "api_key", "access_token", "token", "authorization"])
async def test_a_key_in_the_url_never_counts(behind: Behind, name: str) -> None:
    """S-03."""
    answer = await ask(Authentication(behind, [Knows({"key": ALICE})]), f"/mcp?{name}=key")

    assert (answer.status_code, behind.scopes) == (401, [])


async def crash() -> None:
    raise RuntimeError("hunter2")


async def hang() -> None:
    await anyio.sleep_forever()


async def nothing() -> Message:
    await anyio.sleep_forever()
    raise AssertionError


@pytest.mark.parametrize("fails", [crash, hang])
async def test_a_verifier_that_fails_lets_nobody_in(
    behind: Behind, monkeypatch: pytest.MonkeyPatch, fails: Callable[[], Any]
) -> None:
    """S-04."""
    monkeypatch.setattr("pegboard.serving.auth.VERIFY_TIMEOUT", 0.01)
    auth = Authentication(behind, [Knows({"key": ALICE}, fails)])

    with anyio.fail_after(5):
        answers = [await ask(auth, authorization=f"Bearer {text}") for text in ("key", "no")]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert all("retry-after" in answer.headers and "hunter2" not in answer.text for answer in answers)
    assert behind.scopes == []


async def test_a_verifier_that_fails_is_logged_once_a_minute_and_not_for_each_request(
    behind: Behind, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable() -> None:
        raise ConfigError("keys.json: the keys cannot be read")

    auth = Authentication(behind, [Knows({"key": ALICE}, unreadable)])
    for _ in range(20):
        await ask(auth, authorization="Bearer key")

    (record,) = caplog.records
    assert record.getMessage() == "callers are turned away: keys.json: the keys cannot be read"
    assert record.exc_info is None
    later = time.monotonic() + 61
    monkeypatch.setattr("pegboard.serving.auth.time.monotonic", lambda: later)
    await ask(auth, authorization="Bearer key")
    assert len(caplog.records) == 2


async def test_a_crash_of_a_verifier_has_its_traceback_in_the_log(
    behind: Behind, caplog: pytest.LogCaptureFixture
) -> None:
    await ask(Authentication(behind, [Knows(fails=crash)]), authorization="Bearer key")

    assert caplog.messages == ["callers are turned away: Knows failed with RuntimeError"]
    assert caplog.records[0].exc_info


async def test_pages_for_probes_are_open_and_whoever_asks_is_nobody(behind: Behind) -> None:
    auth = Authentication(behind, [Knows({"key": ALICE})])

    open_pages = ("/health", "/ready", "/.well-known/oauth-protected-resource/mcp")
    answers = [await ask(auth, path) for path in open_pages]

    assert [answer.text for answer in answers] == ["in"] * 3
    assert [scope[PRINCIPAL] for scope in behind.scopes] == [NOBODY] * 3
    assert not any("user" in scope for scope in behind.scopes)
    assert (await ask(auth, "/health", authorization="Bearer no")).status_code == 401
    assert (await ask(auth, "/health/", authorization="")).status_code == 401
    assert (await ask(auth, "/.well-known/oauth-protected-resourceful")).status_code == 401


async def test_the_sdks_user_is_made_once_for_each_principal(behind: Behind) -> None:
    auth = Authentication(behind, [Knows({"a": ALICE, "equal": replace(ALICE), "other": replace(ALICE, tenant="x")})])
    for text in ("a", "a", "equal", "other"):
        await ask(auth, authorization=f"Bearer {text}")

    first, second, equal, other = (scope["user"] for scope in behind.scopes)
    assert first is second is equal
    assert other is not first


async def test_users_are_forgotten_before_they_are_too_many(behind: Behind) -> None:
    people = {f"k{number}": Principal(f"p{number}", EVERYTHING) for number in range(MAX_USERS + 10)}
    auth = Authentication(behind, [Knows(people)])
    for principal in people.values():
        auth._user(principal)  # pyright: ignore[reportPrivateUsage] # a thousand requests take a second

    assert len(auth._users) == MAX_USERS  # pyright: ignore[reportPrivateUsage] # as above


# What is open


async def test_a_stream_ends_when_its_key_counts_no_more(behind: Behind) -> None:
    """S-31."""
    verifier = Knows()
    auth = Authentication(behind, [verifier])
    with auth.watching(ALICE) as alice, auth.watching(None) as nobody:
        await auth.check()
        assert not alice.is_set()
        verifier.live = False
        await auth.check()
        assert alice.is_set()
        assert not nobody.is_set()


async def test_a_stream_ends_when_its_key_expires(behind: Behind) -> None:
    """S-31."""
    auth = Authentication(behind, [Knows()])
    with auth.watching(replace(ALICE, expires_at=time.time() - 1)) as over:
        await auth.check()
        assert over.is_set()


async def test_a_verifier_that_fails_keeps_no_stream_of_another_open(
    behind: Behind, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """S-31, S-04."""
    monkeypatch.setattr("pegboard.serving.auth.REFRESH_TIMEOUT", 0.01)
    auth = Authentication(behind, [Knows(fails=crash, live=False), Knows(fails=hang, live=False)])
    with anyio.fail_after(5), auth.watching(ALICE) as over:
        await auth.check()
        assert over.is_set()
    assert caplog.messages == ["callers are turned away: Knows failed with RuntimeError"]


async def test_what_is_open_is_looked_after_while_the_layer_runs(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pegboard.serving.auth.CHECK_EVERY", 0)
    auth = Authentication(behind, [Knows(live=False)])
    with anyio.fail_after(5):
        async with auth.run():
            with auth.watching(ALICE) as over:
                await until([over], nothing)()


# A hub


@dataclass
class House:
    """A hub with keys, and what it takes to talk to it."""

    app: HubApp
    http: httpx.AsyncClient
    keys: Mapping[str, str]
    file: Path

    def bearer(self, name: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.keys[name]}"}

    async def post(
        self, who: str, method: str, session: str = "", request_id: Any = 1, **params: Any
    ) -> httpx.Response:
        headers = {"accept": "application/json, text/event-stream", **self.bearer(who)}
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        headers |= {"mcp-session-id": session} if session else {}
        return await self.http.post("/mcp", json=message, headers=headers)

    async def open_session(self, name: str) -> str:
        answer = await self.post(
            name, "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "t", "version": "1"}
        )
        assert answer.status_code == 200, answer.text
        return answer.headers["mcp-session-id"]


def vault() -> Plugin:
    @tool(read_only=True)
    async def look() -> str:
        """Look inside."""
        return "gold"

    @tool(read_only=False)
    async def take() -> str:
        """Take it."""
        raise ToolError("no")

    return Plugin(name="vault", tools=[look, take])


def broken() -> None:
    raise ImportError("no <psycopg>")


@asynccontextmanager
async def house(
    folder: Path, people: Mapping[str, Sequence[str]], *plugins: Any, **settings: Any
) -> AsyncGenerator[House]:
    file, keys = folder / "keys.json", dict[str, str]()
    with changing(file) as stored:
        for name, scopes in people.items():
            key, keys[name] = Key.create(name, Scopes.of(scopes))
            stored.append(key)
    given = {"auth": {"keys_file": file}, "limits": {"failures_per_minute": 10_000}, **settings}
    with anyio.fail_after(20):
        async with hub_of(HubPlugin, *plugins, settings=given, strict=False) as hub:
            app = HubApp(hub)
            async with app.run(), httpx.AsyncClient(transport=httpx.ASGITransport(app.asgi), base_url=BASE) as http:
                yield House(app, http, keys, file)


async def test_every_route_of_every_endpoint_asks(tmp_path: Path) -> None:
    """S-03: with no key, or a wrong one, a list of tools is as far away as a call; 404 is no answer either."""
    endpoints = {"mine": {"tools": ["vault_*"]}}
    routes = [("GET", "/"), ("GET", "/metrics"), ("GET", "/docs"), ("GET", "/nowhere"), ("POST", "/health/x")]
    for place in ("", "/vault", "/mine", "/hub", "/profiles/small"):
        routes += [
            ("GET", f"{place}/sse"),
            ("POST", f"{place}/sse"),
            ("POST", f"{place}/messages/?session_id={'0' * 32}"),
        ]
        routes += [(method, f"{place}/mcp") for method in ("GET", "POST", "DELETE", "PUT", "HEAD")]

    async with house(tmp_path, {"alice": ["*"]}, vault(), endpoints=endpoints) as it:
        wrong = [{}, {"authorization": f"Bearer {it.keys['alice'][:-1]}x"}, {"authorization": basic("alice", "x")}]
        for method, path in routes:
            for headers in wrong:
                answer = await it.http.request(method, path, headers=headers, content=b'{"method": "tools/list"}')
                assert answer.status_code == 401, (method, path, headers)
                assert answer.headers["www-authenticate"].startswith("Bearer ")
                assert "vault" not in answer.text
        assert (await it.http.get("/", headers=it.bearer("alice"))).status_code == 200


async def test_a_session_belongs_to_who_opened_it(tmp_path: Path) -> None:
    """S-05: to every other key it is not there; without one nobody gets that far. What is its owner's stays."""
    async with house(tmp_path, {"alice": ["*"], "bob": ["*"]}, vault()) as it:
        session = await it.open_session("alice")
        mine = {"mcp-session-id": session, "accept": "text/event-stream", **it.bearer("bob")}

        answers = [
            await it.post("bob", "tools/list", session),
            await it.post("bob", "ping", session),
            await it.http.get("/mcp", headers=mine),
            await it.http.delete("/mcp", headers=mine),
        ]
        assert [answer.status_code for answer in answers] == [404] * 4
        nobody = await it.http.delete("/mcp", headers={"mcp-session-id": session})
        assert nobody.status_code == 401

        owner = await it.post("alice", "tools/call", session, name="vault_look", arguments={})
        assert '"text":"gold"' in owner.text
        ended = await it.http.delete("/mcp", headers={"mcp-session-id": session, **it.bearer("alice")})
        assert ended.status_code == 200


async def test_another_key_does_not_learn_what_is_in_flight_in_a_session(tmp_path: Path) -> None:
    """S-05: and cannot keep its owner from an id either."""
    started, over = anyio.Event(), anyio.Event()

    async def wait() -> str:
        started.set()
        await over.wait()
        return "waited"

    async with house(tmp_path, {"alice": ["*"], "bob": ["*"]}, Plugin(name="x", tools=[wait])) as it:
        session, texts = await it.open_session("alice"), list[str]()

        async def call() -> None:
            texts.append((await it.post("alice", "tools/call", session, 7, name="x_wait", arguments={})).text)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await started.wait()
            assert (await it.post("bob", "ping", session, 7)).status_code == 404
            assert (await it.post("alice", "ping", session, 7)).status_code == 400
            over.set()

    assert '"text":"waited"' in texts[0]


async def test_an_id_may_be_used_again_as_soon_as_it_was_answered(tmp_path: Path) -> None:
    """F-18: some clients give every request the same id; the one before may not be tidied up when the next comes."""
    async with house(tmp_path, {"alice": ["*"]}, vault()) as it:
        session, answers = await it.open_session("alice"), list[httpx.Response]()

        async def look() -> None:
            answers.append(await it.post("alice", "tools/call", session, 1, name="vault_look", arguments={}))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
            tasks.start_soon(look)

    assert ['"text":"gold"' in answer.text for answer in answers] == [True] * 2


async def test_probes_learn_the_state_and_operators_the_details(tmp_path: Path) -> None:
    """S-35."""
    people = {"operator": ["metrics"], "admin": ["*"], "alice": ["read"]}
    async with house(tmp_path, people, vault(), broken) as it:
        nobody = [(await it.http.get(page)).json() for page in ("/health", "/ready")]
        alice = [(await it.http.get(page, headers=it.bearer("alice"))).json() for page in ("/health", "/ready")]
        operators = [
            (await it.http.get(page, headers=it.bearer(name))).json()
            for name in ("operator", "admin")
            for page in ("/health", "/ready")
        ]

    for health, ready in (nobody, alice):
        assert set(health) == {"status", "version", "uptime_seconds", "pid", "configuration"}
        assert set(health["configuration"]) == {"generation", "attempts"}
        assert health["status"] == "degraded"
        assert ready == {"ready": True}
    assert [set(body) >= {"plugins", "pools"} for body in operators] == [True, False] * 2
    assert "psycopg" in str(operators[0])
    assert operators[1]["degraded"]


async def test_the_front_page_shows_each_what_is_theirs(tmp_path: Path) -> None:
    """S-35."""
    people = {"admin": ["*"], "alice": ["vault:read"], "metrics": ["metrics"]}
    async with house(tmp_path, people, vault(), broken) as it:
        pages = {name: (await it.http.get("/", headers=it.bearer(name))).json() for name in people}

    assert {tool for endpoint in pages["admin"]["endpoints"] for tool in endpoint["tools"]} >= {
        *("vault_look", "vault_take", "hub_health_check"),
    }
    alice = {tool for endpoint in pages["alice"]["endpoints"] for tool in endpoint["tools"]}
    assert "vault_look" in alice
    assert "vault_take" not in str(pages["alice"])
    assert "hub" not in {endpoint["name"] for endpoint in pages["alice"]["endpoints"]}
    assert pages["alice"]["not_served"] == []
    assert "broken" not in str(pages["alice"])
    assert pages["metrics"]["not_served"]
    assert not any("vault_look" in endpoint["tools"] for endpoint in pages["metrics"]["endpoints"])
    assert "--header 'Authorization: Bearer ${PEGBOARD_KEY}'" in pages["admin"]["connect"]


async def test_a_reload_with_keys_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    """S-04."""
    async with house(tmp_path, {"alice": ["*"]}, vault()) as it:
        settings = it.app.hub.settings
        wrong = settings.model_copy(update={"auth": settings.auth.model_copy(update={"keys_file": tmp_path / "no"})})
        with pytest.raises(ConfigError, match="no such file"):
            await it.app.reload(wrong)

        assert it.app.hub.generation == 1
        assert (await it.http.get("/", headers=it.bearer("alice"))).status_code == 200
        assert (await it.http.get("/")).status_code == 401


async def test_a_reload_never_opens_a_hub_that_others_reach(tmp_path: Path) -> None:
    """What is listened on stays through a reload, so that the last key has to."""
    async with house(tmp_path, {"alice": ["*"]}, vault(), server={"host": "0.0.0.0"}) as it:
        settings = it.app.hub.settings
        local = {"auth": HubSettings().auth, "server": ServerSettings()}
        with pytest.raises(ConfigError, match="Two lines fix it"):
            await it.app.reload(settings.model_copy(update=local))
        assert (await it.http.get("/")).status_code == 401

        meant = local | {"server": ServerSettings(unauthenticated=True)}
        await it.app.reload(settings.model_copy(update=meant))
        assert (await it.http.get("/")).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "10.0.0.1", "hub.example.com"])
def test_a_hub_without_keys_is_for_this_machine_only(host: str) -> None:
    with pytest.raises(ConfigError) as error:
        refuse_strangers(ServerSettings(host=host))

    lines = str(error.value).splitlines()
    assert lines[1:3] == ['  keys_file = "keys.json"', "  pegboard keys create NAME --scope '*'"]
    refuse_strangers(ServerSettings(host=host, unauthenticated=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_keys(host: str) -> None:
    refuse_strangers(ServerSettings(host=host))


async def test_a_key_costs_microseconds(tmp_path: Path) -> None:
    """Measured: 4 us; the bound is wide, since the machine may be busy. A cancel scope alone takes 15."""

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    async with house(tmp_path, {"ci": ["*"]}) as it:
        auth = Authentication(nothing, it.app.auth.verifiers)
        headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {it.keys['ci']}".encode())]
        best = float("inf")
        for _ in range(20):
            start = time.perf_counter()
            for _ in range(100):
                scope = {"type": "http", "path": "/mcp", "headers": headers}
                await auth(scope, cast(Receive, None), cast(Send, None))  # nothing reads or writes
            best = min(best, (time.perf_counter() - start) / 100)
    assert best < 50e-6
