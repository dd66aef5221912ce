"""Two callers, one server, the same request ids at the same time: each answer is the caller's own."""

import json
from typing import Any

import anyio
from tests.security.asgi import Site
from tests.security.house import bearer, house, key_of
from tests.system.wire import ACCEPT, Json, envelope, hello, rpc

from pegboard import Call, Plugin, tool

ROUNDS = 1700
"""Of each of six conversations: 10 200 calls."""


@tool(read_only=True, name="mirror_look")
async def look(payload: str, call: Call[Any]) -> str:
    """Say who looks, and what they hold."""
    await anyio.lowlevel.checkpoint()  # let the others go first
    return f"{call.principal} {payload}"


MIRROR = Plugin(name="mirror", tools=[look])


def held(payload: str) -> Json:
    return {"name": "mirror_look", "arguments": {"payload": payload}}


async def test_callers_with_the_same_ids_get_their_own_answers() -> None:
    """S-07: two keys over SSE, in sessions and without, and what the tool knows of its caller is right, too."""
    wrong: list[tuple[str, str]] = []
    keys = {name: key_of("*", name) for name in ("anna", "ben")}
    table = {name: entry for _, entries in keys.values() for name, entry in entries.items()}
    async with house(MIRROR, keys=table, server={"max_calls_per_session": 1000}) as site:
        async with anyio.create_task_group() as tasks:
            for name, (text, entries) in keys.items():
                for talk in (over_sse, in_a_session, without_a_session):
                    tasks.start_soon(talk, site, bearer(text), f"{entries[name]['id']}", wrong)
    assert wrong == []


async def over_sse(site: Site, key: dict[str, str], who: str, wrong: list[tuple[str, str]]) -> None:
    async with site.stream("", key) as stream:
        await site.ask("POST", stream.url, {**ACCEPT, **key}, rpc("initialize", hello("2024-11-05"), 0))
        await stream.answer(0)
        await site.ask("POST", stream.url, {**ACCEPT, **key}, rpc("notifications/initialized"))
        for number in range(1, ROUNDS + 1):
            posted = await site.ask(
                "POST", stream.url, {**ACCEPT, **key}, rpc("tools/call", held(f"sse {number}"), number)
            )
            assert posted.status == 202, posted
            note(await stream.answer(number), f"{who} sse {number}", wrong)
        assert not any(stream.messages.values()), "and nobody else's"


async def in_a_session(site: Site, key: dict[str, str], who: str, wrong: list[tuple[str, str]]) -> None:
    headers = {**ACCEPT, **key, "Mcp-Session-Id": await site.initialize("", key)}
    for number in range(1, ROUNDS + 1):
        answer = await site.whole("POST", "/mcp", headers, rpc("tools/call", held(f"legacy {number}"), number))
        note(answer, f"{who} legacy {number}", wrong)


async def without_a_session(site: Site, key: dict[str, str], who: str, wrong: list[tuple[str, str]]) -> None:
    for number in range(1, ROUNDS + 1):
        params, headers = envelope("tools/call", held(f"modern {number}"))
        answer = await site.whole("POST", "/mcp", {**headers, **key}, rpc("tools/call", params, number))
        note(answer, f"{who} modern {number}", wrong)


def note(answer: Json, expected: str, wrong: list[tuple[str, str]]) -> None:
    text = answer["result"]["content"][0]["text"] if "result" in answer else json.dumps(answer)
    if text != expected:
        wrong.append((text, expected))
