"""Bodies no client of good will sends: refused with 400, 408 or 413, never 500, and never shown in the log."""

import json
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack

import anyio
import httpx
import pytest
from tests.system.installed import Installed
from tests.system.processes import HubProcess, serving
from tests.system.raw import exchange, parse, receive
from tests.system.wire import (
    ACCEPT,
    Json,
    Streamable,
    call,
    client,
    connected,
    envelope,
    hello,
    inside,
    legacy,
    rpc,
    sse,
)

SECRET = "hunter2"
LIMIT = 256 * 1024
MIB = 1024 * 1024
BODY_TIMEOUT = 1.0

PARSE_ERROR, INVALID_REQUEST = -32700, -32600


def ask(payload: str) -> str:
    """A call in JSON, whose payload is put in as it is."""
    params, _ = envelope("tools/call", {"name": "probe_echo", "arguments": {"payload": "HERE"}})
    return json.dumps(rpc("tools/call", params, 7)).replace('"HERE"', payload)


MALFORMED = {
    "nothing": b"",
    "no JSON": f"password={SECRET}".encode(),
    "half a message": ask('"x"').encode()[:-5],
    "invalid UTF-8": ask('"HERE"').encode().replace(b"HERE", b"\xff\xfe" + SECRET.encode()),
    "a lone surrogate": ask(f'"\\ud800{SECRET}"').encode(),
    "NaN": ask("NaN").encode(),
    "infinity": ask("-Infinity").encode(),
    "nested 100 000 deep": ask("[" * 100_000 + "]" * 100_000).encode(),
    "two messages": (ask('"x"') + ask('"x"')).encode(),
}
NOT_A_REQUEST = {
    "a batch": b"[" + ask(json.dumps(SECRET)).encode() + b"]",
    "an empty batch": b"[]",
    "a string": f'"{SECRET}"'.encode(),
    "a number": b"7",
    "null": b"null",
    "an empty object": b"{}",
    "no method": f'{{"jsonrpc":"2.0","id":1,"params":{{"a":"{SECRET}"}}}}'.encode(),
    "another version": ask(f'"{SECRET}"').replace('"2.0"', '"1.0"').encode(),
    "a method that is a number": b'{"jsonrpc":"2.0","id":1,"method":7}',
    "params that are a list": b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[1]}',
    "an id that is null": ask('"x"').replace('"id": 7', '"id": null').encode(),
    "an id that is a list": ask('"x"').replace('"id": 7', '"id": [7]').encode(),
    "an id that is a fraction": ask('"x"').replace('"id": 7', '"id": 7.5').encode(),
    "an id that is true": ask('"x"').replace('"id": 7', '"id": true').encode(),
    "an id beyond all numbers": ask('"x"').replace('"id": 7', '"id": 1' + "0" * 400).encode(),
}


@pytest.fixture(scope="module")
def strict_hub(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[HubProcess]:
    """A hub with small limits, whose log must not show what it was sent, asked for everything or not (D-17)."""
    settings = {"server": {"max_body_bytes": LIMIT, "body_timeout": BODY_TIMEOUT}, "log": {"level": "debug"}}
    with serving(tmp_path_factory.mktemp("strict"), probe, settings=settings) as hub:
        yield hub
        assert SECRET not in hub.log.text
        assert "Traceback" not in hub.log.text


@pytest.fixture
async def http(strict_hub: HubProcess) -> AsyncGenerator[httpx.AsyncClient]:
    async with client(strict_hub.url) as opened:
        yield opened


async def post_everywhere(http: httpx.AsyncClient, content: bytes) -> dict[str, httpx.Response]:
    """The answers to one body: over SSE, in a session of `/mcp`, without one, and as 2026-07-28."""
    _, headers = envelope("tools/call", {"name": "probe_echo"})
    answers: dict[str, httpx.Response] = {}
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(sse(http))
        peer = await stack.enter_async_context(legacy(http))
        answers["sse"] = await session.post(content)
        answers["legacy"] = await http.post("/mcp", content=content, headers=peer.headers)
        answers["no session"] = await http.post("/mcp", content=content, headers=ACCEPT)
        answers["modern"] = await http.post("/mcp", content=content, headers=headers)
        for client_of in (session, peer):
            assert await call(client_of, "probe_echo", {"payload": SECRET}) == SECRET
    return answers


@pytest.mark.parametrize("content", MALFORMED.values(), ids=list(MALFORMED))
async def test_what_is_no_json_is_a_parse_error(http: httpx.AsyncClient, content: bytes) -> None:
    """F-17."""
    answers = await post_everywhere(http, content)
    assert {era: answer.status_code for era, answer in answers.items()} == dict.fromkeys(answers, 400)
    for era in ("legacy", "no session", "modern"):
        assert answers[era].json()["error"]["code"] == PARSE_ERROR
    assert SECRET not in "".join(answer.text for answer in answers.values())


@pytest.mark.parametrize("content", NOT_A_REQUEST.values(), ids=list(NOT_A_REQUEST))
async def test_json_that_is_no_request_is_refused(http: httpx.AsyncClient, content: bytes) -> None:
    """F-17."""
    answers = await post_everywhere(http, content)
    assert {era: answer.status_code for era, answer in answers.items()} == dict.fromkeys(answers, 400)
    for era in ("legacy", "no session", "modern"):
        assert answers[era].json()["error"]["code"] in (PARSE_ERROR, INVALID_REQUEST), answers[era].text
    assert SECRET not in "".join(answer.text for answer in answers.values())


@pytest.mark.parametrize("size", [LIMIT, 5 * MIB])
async def test_a_body_over_the_limit_is_413(http: httpx.AsyncClient, size: int) -> None:
    """F-16."""
    for era, answer in (await post_everywhere(http, ask(json.dumps("x" * size)).encode())).items():
        assert answer.status_code == 413, era


async def test_a_chunked_body_without_end_is_413(strict_hub: HubProcess) -> None:
    """F-16: it is not kept, either, not even when five come at once."""
    async with connected("modern", strict_hub.url) as peer:
        before = await inside(peer)
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(pour_without_end, strict_hub.port)
        assert (await inside(peer))["memory"] < before["memory"] + 5 * MIB


async def pour_without_end(port: int) -> None:
    """Send chunk after chunk until there is an answer, which must be 413."""
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    status = 0
    with anyio.fail_after(10):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(head)
            async with anyio.create_task_group() as tasks:

                async def pour() -> None:
                    while True:
                        try:
                            await stream.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                        except anyio.BrokenResourceError:
                            return

                tasks.start_soon(pour)
                status, _ = parse(await receive(stream))
                tasks.cancel_scope.cancel()
    assert status == 413


@pytest.mark.parametrize("path", ["/mcp", "/messages/?session_id=00000000000000000000000000000000"])
async def test_a_body_that_does_not_come_is_408(strict_hub: HubProcess, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n".encode()
    with anyio.fail_after(BODY_TIMEOUT + 2):
        async with await anyio.connect_tcp("127.0.0.1", strict_hub.port) as stream:
            await stream.send(head + b'{"jsonrpc"')
            status, _ = parse(await receive(stream))
    assert status == 408


async def test_arguments_are_checked_before_the_tool_sees_them(strict_hub: HubProcess) -> None:
    """D-9, in every era."""
    for era in ("sse", "legacy", "modern"):
        async with connected(era, strict_hub.url) as peer:
            assert await call(peer, "probe_typed", {"count": "5", "names": '["a"]'}) == "5 ['a']"
            wrongs: list[Json] = [{}, {"count": "five", "names": []}, {"count": 1, "names": ["a"], "nams": ["b"]}]
            for wrong in wrongs:
                answer = await peer.request("tools/call", {"name": "probe_typed", "arguments": wrong})
                assert answer["result"]["isError"], answer
                text = answer["result"]["content"][0]["text"]
                assert text.startswith("invalid arguments\n- ")
                assert "pydantic" not in text


@pytest.mark.parametrize("kind", ["error", "group", "exit", "recursion"])
async def test_what_a_tool_raises_stays_in_the_log(shared_hub: HubProcess, kind: str) -> None:
    """F-08, D-8: in every era; the process lives on."""
    for era in ("sse", "legacy", "modern"):
        async with connected(era, shared_hub.url) as peer:
            answer = await peer.request("tools/call", {"name": "probe_crash", "arguments": {"kind": kind}})
            assert answer["result"]["isError"]
            text = answer["result"]["content"][0]["text"]
            assert "internal error in probe_crash, ref " in text
            assert SECRET not in json.dumps(answer)
            reference = text.partition("ref ")[2].partition(";")[0]
            await shared_hub.said(f"ref {reference}")


async def test_a_strange_path_or_session_is_not_served(strict_hub: HubProcess, http: httpx.AsyncClient) -> None:
    body = rpc("tools/list", {}, 1)
    assert (await http.post("/messages/", json=body)).status_code == 400
    for session in ("0" * 32, "not-an-id", "%00", "../x"):
        answer = await http.post(f"/messages/?session_id={session}", json=body)
        assert answer.status_code in (400, 404), session
    for path in ("/nothing/sse", "/sse/", "//sse", "/probe/../sse", "/%2e%2e/health"):
        status, _ = await exchange(strict_hub.port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert status == 404, path
    for headers in ({**ACCEPT, "Mcp-Session-Id": "0" * 32}, {**ACCEPT, "Mcp-Session-Id": "not an id"}):
        peer = Streamable(http, "/mcp", headers)
        async with peer.open("tools/list", {}, 1) as response:
            assert response.status_code in (400, 404)


async def test_a_session_belongs_to_its_endpoint(http: httpx.AsyncClient) -> None:
    async with legacy(http, "/probe") as peer:
        answer = await http.post("/hub/mcp", json=rpc("tools/list", {}, 1), headers=peer.headers)
        assert answer.status_code == 404
    async with sse(http, "/probe") as session:
        elsewhere = session.url.replace("/probe/", "/hub/")
        answer = await http.post(elsewhere, json=rpc("tools/list", {}, 1), headers=ACCEPT)
        assert answer.status_code == 404
        listed = await session.request("tools/list")
        assert all(tool["name"].startswith("probe_") for tool in listed["result"]["tools"])


async def test_session_ids_are_long_and_never_the_same(http: httpx.AsyncClient) -> None:
    ids: set[str] = set()
    for _ in range(50):
        answer = await http.post("/mcp", json=rpc("initialize", hello(), 1), headers=ACCEPT)
        ids.add(answer.headers["mcp-session-id"])
        await http.delete("/mcp", headers={"Mcp-Session-Id": answer.headers["mcp-session-id"]})
    assert len(ids) == 50
    assert min(map(len, ids)) >= 32
