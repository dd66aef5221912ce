"""Calls over `/mcp` whose key is taken back: cancelled within a second, told why, and written down."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from pegboard import Call, Group, Plugin, tool
from pegboard.security.keyfile import changing
from pegboard.security.keys import Key
from pegboard.security.keystore import KeyStore
from pegboard.security.scopes import Scopes
from pegboard.serving.app import HubApp
from pegboard.serving.streamable import TAKEN_BACK
from pegboard.testing import hub_of

BASE = "http://localhost:8000"
MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
PLACES = ("", "/slow", "/slow/door", "/mine")
Json = dict[str, Any]
CALL: Json = {"name": "slow_wait", "arguments": {}}


@dataclass
class Slow:
    """A plugin whose calls end when they are told to, and that knows how each has ended."""

    begun: list[str] = field(default_factory=list[str])
    ended: dict[str, str] = field(default_factory=dict[str, str])
    go_on: anyio.Event = field(default_factory=anyio.Event)

    @property
    def plugin(self) -> Plugin:
        @tool(read_only=True, name="slow_wait")
        async def wait(call: Call[Any], says: bool = False) -> str:
            """Wait until you are told to go on."""
            who = str(call.principal)
            if says:
                await call.progress(1, 2)
            self.begun.append(who)
            try:
                await self.go_on.wait()
            except anyio.get_cancelled_exc_class():
                self.ended[who] = "cancelled"
                raise
            self.ended[who] = "ok"
            return "waited"

        return Plugin(name="slow", groups=[Group("door", title="Door", tools=[wait])])


@dataclass
class House:
    """A hub with two keys, and a client of each."""

    app: HubApp
    http: httpx.AsyncClient
    slow: Slow
    file: Path
    keys: Mapping[str, Key]
    texts: Mapping[str, str]
    path: str = ""

    async def post(self, who: str, method: str, params: Json, headers: Json | None = None) -> httpx.Response:
        message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        given = {"accept": "application/json, text/event-stream", "authorization": f"Bearer {self.texts[who]}"}
        return await self.http.post(f"{self.path}/mcp", json=message, headers=given | (headers or {}))

    async def call(self, who: str, era: str) -> httpx.Response:
        params: Json = {"name": "slow_wait", "arguments": {"says": era == "says"}}
        if era in ("modern", "says"):
            params["_meta"] = {**META, "progressToken": "p"}
            routing = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "slow_wait"}
            return await self.post(who, "tools/call", params, routing)
        return await self.post(who, "tools/call", params, await self.session(who) if era == "legacy" else {})

    async def session(self, who: str) -> Json:
        opened = await self.post(who, "initialize", HELLO)
        return {"mcp-session-id": opened.headers["mcp-session-id"]}

    async def until(self, calls: int) -> None:
        while len(self.slow.begun) < calls:
            await anyio.sleep(0)

    async def revoke(self, who: str) -> None:
        with changing(self.file) as stored:
            stored[:] = [key.revoked() if key.name == who else key for key in stored]
        await self.app.auth.check()


@asynccontextmanager
async def house(folder: Path, path: str = "", **server: Any) -> AsyncGenerator[House]:
    file, keys, texts, slow = folder / "keys.json", dict[str, Key](), dict[str, str](), Slow()
    with changing(file) as stored:
        for name in ("alice", "bob"):
            keys[name], texts[name] = Key.create(name, Scopes.of(["*"]))
            stored.append(keys[name])
    given = {
        "auth": {"keys_file": file},
        "audit": {"file": folder / "audit.jsonl"},
        "endpoints": {"mine": {"tools": ["slow_*"]}},
        "server": server,
    }
    with anyio.fail_after(10):
        async with hub_of(slow.plugin, settings=given) as hub:
            app = HubApp(hub)
            app.auth.verifiers = [KeyStore(file, {}, look_every=0)]
            async with app.run(), httpx.AsyncClient(transport=httpx.ASGITransport(app.asgi), base_url=BASE) as http:
                yield House(app, http, slow, file, keys, texts, path)


def error_of(answer: httpx.Response) -> Json:
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    (last,) = [event for event in events if "method" not in event]
    assert last["id"] == 7
    return last["error"]


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("era", ["modern", "says", "legacy", "stateless"])
async def test_a_call_ends_when_its_key_is_taken_back_and_those_of_others_go_on(
    tmp_path: Path, era: str, path: str
) -> None:
    """S-31: and the client is told why, with 401 where the answer has not begun."""
    answers: dict[str, httpx.Response] = {}
    async with house(tmp_path, path, stateless=era == "stateless") as it:

        async def call(who: str) -> None:
            answers[who] = await it.call(who, era)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, "alice")
            tasks.start_soon(call, "bob")
            await it.until(2)
            await it.revoke("alice")
            while "alice" not in answers or not it.slow.ended:
                await anyio.sleep(0)
            assert it.slow.ended == {it.keys["alice"].id: "cancelled"}
            it.slow.go_on.set()

    assert "waited" in answers["bob"].text
    if era == "modern":
        assert answers["alice"].status_code == 401
        assert answers["alice"].json()["detail"] == TAKEN_BACK
        assert answers["alice"].headers["www-authenticate"].startswith('Bearer realm="pegboard", error=')
    else:
        assert error_of(answers["alice"])["message"] == TAKEN_BACK
    records = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    denied = [record for record in records if record["principal"] == it.keys["alice"].id]
    assert sorted(str(record.get("reason") or record["outcome"]) for record in denied) == ["cancelled", "revoked"]


async def test_a_call_that_nobody_waits_for_ends_with_its_session(tmp_path: Path) -> None:
    """S-31: the SDK lets it run on when its client has left; the session ends with its key, and it with that."""
    async with house(tmp_path) as it:
        session = await it.session("alice")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(it.post, "alice", "tools/call", CALL, session)
            await it.until(1)
            tasks.cancel_scope.cancel()
        assert it.slow.ended == {}
        assert it.app._sessions()["mcp"] == 1  # pyright: ignore[reportPrivateUsage]

        await it.revoke("alice")
        while not it.slow.ended:
            await anyio.sleep(0)

        assert it.slow.ended == {it.keys["alice"].id: "cancelled"}
        assert it.app._sessions()["mcp"] == 0  # pyright: ignore[reportPrivateUsage]


async def test_a_session_that_has_ended_is_not_ended_again(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        session = await it.session("alice")
        bearer = {"authorization": f"Bearer {it.texts['alice']}"}
        assert (await it.http.delete("/mcp", headers=bearer | session)).status_code == 200
        # As when it was not used for too long, and somebody ends it in the moment in which that is noticed.
        streamable = it.app._served[""].streamable  # pyright: ignore[reportPrivateUsage]
        await streamable._forget(session["mcp-session-id"])  # pyright: ignore[reportPrivateUsage]

        assert it.app.auth._running == {}  # pyright: ignore[reportPrivateUsage]


async def test_nothing_is_kept_of_an_endpoint_that_is_not_served_any_more(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        await it.session("alice")
        auth = it.app.auth
    assert auth._running == {}  # pyright: ignore[reportPrivateUsage]


async def test_a_call_goes_on_when_the_time_of_its_key_is_over(tmp_path: Path) -> None:
    """A call has an end of its own, and a client gets another token only when it is asked for one."""
    ends: list[str] = []
    async with house(tmp_path) as it:
        over = replace(it.keys["alice"].principal, expires_at=1.0)
        it.app.auth.began(over, lambda: ends.append("over"))
        await it.app.auth.check()
    assert ends == []


async def test_an_answer_that_is_no_stream_and_has_begun_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be put behind half a document."""
    begun, answers = anyio.Event(), list[str]()

    async def half(*given: Any) -> None:
        headers = [(b"content-type", b"application/json")]
        await given[-1]({"type": "http.response.start", "status": 200, "headers": headers})
        begun.set()
        await anyio.sleep_forever()

    async def call(it: House) -> None:
        try:
            await it.call("alice", "modern")
        except AssertionError:  # httpx looks whether an answer has an end
            answers.append("not whole")

    monkeypatch.setattr("pegboard.serving.streamable.exchange", half)
    async with house(tmp_path) as it, anyio.create_task_group() as tasks:
        tasks.start_soon(call, it)
        await begun.wait()
        await it.revoke("alice")
    assert answers == ["not whole"]
