"""Credentials that callers send: used for one call, by those who may, and found nowhere afterwards."""

import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import anyio
import anyio.to_thread
import pytest
from mcp import Client, MCPError
from mcp_types import TextResourceContents
from pydantic import SecretStr, field_validator
from tests.hub.callers import client_as, somebody

from pegboard import Call, Plugin, PluginSettings, PoolKind, ToolError, tool
from pegboard.errors import PluginError
from pegboard.hub import Hub
from pegboard.logs import LogHandler
from pegboard.security.credentials import NOTHING_SENT, CredentialHeaders, Sent
from pegboard.testing import client_of, hub_of
from pegboard.testing.connect import Era

ERAS: tuple[Era, ...] = get_args(Era)
each_era = pytest.mark.parametrize("era", ERAS)

ANN = somebody("*", id="ann")
TOKEN, OTHER = "token-of-ann-1234", "token-of-bob-5678"
HEADER = "X-Notes-Token"


class Settings(PluginSettings):
    url: str = "https://notes.example"
    token: SecretStr = SecretStr("the hub's own")
    user: str = ""
    limit: int = 10

    @field_validator("token")
    @classmethod
    def _check(cls, token: SecretStr) -> SecretStr:
        if token.get_secret_value().startswith("refused"):
            raise ValueError("is none of ours")
        return token


opened: list[Any] = []


@asynccontextmanager
async def _open(target: Any) -> AsyncGenerator[str]:
    opened.append(target)
    yield f"pool {len(opened)}"


KIND = PoolKind("notes", _open, describe=lambda _: "notes")


@tool(read_only=True)
async def login(call: Call[Settings]) -> list[str]:
    """Tell with what a call logs in."""
    return [call.settings.token.get_secret_value(), call.settings.user, call.settings.url, str(call.settings.limit)]


@tool(read_only=True)
async def ask(call: Call[Settings]) -> str:
    """Ask the pool."""
    return await call.pool(KIND, call.settings.token.get_secret_value())


@tool(read_only=True, everywhere=True)
async def all_logins(call: Call[Settings]) -> list[str]:
    """Tell it for every environment."""
    return [call.within(name).settings.token.get_secret_value() for name in call.environments.by_name]


@tool(read_only=True)
async def crash(call: Call[Settings], note: str = "") -> str:
    """Fail badly."""
    raise RuntimeError(f"no luck with {call.settings.token.get_secret_value()} {note}")


@tool(read_only=True)
async def numbers() -> list[int]:
    """Count far."""
    return list(range(20_000))


async def whose(call: Call[Settings]) -> str:
    """Whose it is."""
    return call.settings.token.get_secret_value()


NOTES = Plugin(
    name="notes",
    tools=[login, ask, all_logins, crash, numbers],
    settings=Settings,
    prompts=[whose],
    resources={"notes://whose": whose},
    credentials={HEADER: "token"},
    login=("token", "user"),
)


@tool(read_only=True, name="plain_login")
async def plain_login(call: Call[Settings]) -> str:
    """Tell with what a call logs in."""
    return call.settings.token.get_secret_value()


PLAIN = Plugin(name="plain", tools=[plain_login], settings=Settings)


@asynccontextmanager
async def hub_with(**settings: Any) -> AsyncGenerator[Hub]:
    opened.clear()
    given = {"plugins": {"notes": {"user": "hub", "limit": 3}}, **settings}
    with anyio.fail_after(10):
        async with hub_of(NOTES, PLAIN, settings=given) as hub:
            yield hub


async def result_of(client: Client, name: str, /, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    return result.structured_content["result"] if result.structured_content else text_of(result)


def text_of(result: Any) -> str:
    return result.content[0].model_dump()["text"]


# What it does


@each_era
async def test_a_call_logs_in_with_what_came_with_it(era: Era) -> None:
    async with hub_with() as hub:
        async with client_as(hub, ANN, era=era, headers={HEADER: TOKEN}) as client:
            assert await result_of(client, "notes_login") == [TOKEN, "", "https://notes.example", "3"]
        async with client_as(hub, ANN, era=era) as client:
            assert await result_of(client, "notes_login") == ["the hub's own", "hub", "https://notes.example", "3"]


async def test_it_counts_in_the_environment_of_the_call() -> None:
    places = {"environments": {"a": {"url": "a", "token": "token-a"}, "b": {"url": "b"}}}

    async with hub_with(plugins={"notes": places}) as hub, client_as(hub, ANN, headers={HEADER: TOKEN}) as client:
        assert (await result_of(client, "notes_login", environment="b"))[:3] == [TOKEN, "", "b"]
        assert await result_of(client, "notes_all_logins") == [TOKEN, TOKEN]


async def test_it_comes_before_what_a_tenant_has() -> None:
    acme = {"acme": {"plugins": {"notes": {"url": "acme", "token": "acme's own"}}}}

    async with hub_with(tenants=acme) as hub:
        async with client_as(hub, somebody("*", tenant="acme"), headers={HEADER: TOKEN}) as client:
            assert (await result_of(client, "notes_login"))[:3] == [TOKEN, "", "acme"]


async def test_prompts_and_resources_use_it_too() -> None:
    async with hub_with() as hub, client_as(hub, ANN, headers={HEADER: TOKEN}) as client:
        prompt = await client.session.get_prompt("notes_whose")
        (contents,) = (await client.session.read_resource("notes://whose")).contents

        assert prompt.messages[0].content.model_dump()["text"] == TOKEN
        assert isinstance(contents, TextResourceContents)
        assert contents.text == TOKEN


async def test_it_is_for_its_own_plugin_only() -> None:
    async with hub_with() as hub, client_as(hub, ANN, headers={HEADER: TOKEN}) as client:
        assert await result_of(client, "plain_login") == "the hub's own"


async def test_other_headers_say_nothing() -> None:
    """S-11: where a call goes is never up to a header."""
    headers = {"X-Notes-Url": "https://evil.example", "X-Notes-Host": "evil.example", "X-Plain-Token": TOKEN}

    async with hub_with() as hub, client_as(hub, ANN, headers=headers) as client:
        assert (await result_of(client, "notes_login"))[:3] == ["the hub's own", "hub", "https://notes.example"]
        assert await result_of(client, "plain_login") == "the hub's own"


async def test_the_client_s_own_authorization_is_no_credential_for_a_backend() -> None:
    """S-10."""
    headers = {"Authorization": "Bearer peg_ann_secret", "Cookie": "session=1"}

    async with hub_with() as hub, client_as(hub, ANN, headers=headers) as client:
        assert (await result_of(client, "notes_login"))[0] == "the hub's own"


# When it does not count


@pytest.mark.parametrize(
    "value",
    [
        "",
        "short",
        "x" * 4097,
        "two words here",
        "line\r\nbreak-in-it",
        "nul\0nul\0nul",
        "ümläut-ümläut",
        "refused-by-the-plugin",
    ],
)
@each_era
async def test_what_cannot_be_used_is_refused_and_never_replaced_by_the_hubs_own(value: str, era: Era) -> None:
    """S-11: neither does the tool run, nor a prompt, nor is a resource read."""
    async with hub_with() as hub, client_as(hub, ANN, era=era, headers={HEADER: value}) as client:
        refused = await client.call_tool("notes_ask", {})
        assert refused.is_error
        assert "nothing was done" in text_of(refused)
        assert not value or value not in text_of(refused)
        with pytest.raises(MCPError, match="nothing was done"):
            await client.session.get_prompt("notes_whose")
        with pytest.raises(MCPError, match="nothing was done"):
            await client.session.read_resource("notes://whose")

    assert opened == []


async def test_it_counts_only_for_callers_who_show_who_they_are() -> None:
    """S-11."""
    async with hub_with() as hub, client_as(hub, None, headers={HEADER: TOKEN}) as client:
        refused = await client.call_tool("notes_ask", {})

        assert text_of(refused).startswith(f"{HEADER} counts only for callers who show a key")
        assert await result_of(client, "plain_login") == "the hub's own"


def sent(*headers: tuple[bytes, bytes], plugin: str = "notes", is_known: bool = True) -> Sent:
    return CredentialHeaders([NOTES, PLAIN]).sent(plugin, headers, is_known=is_known)


def test_two_of_them_are_one_too_many() -> None:
    twice = sent((b"x-notes-token", TOKEN.encode()), (b"x-notes-token", TOKEN.encode()))

    with pytest.raises(ToolError, match="was sent more than once"):
        twice.over(Settings())


def test_a_hub_without_such_plugins_looks_at_no_header() -> None:
    assert CredentialHeaders([PLAIN]).sent("plain", [(b"x-notes-token", b"x")], is_known=True) is NOTHING_SENT
    assert sent((b"accept", b"*/*")) is NOTHING_SENT


# Whose pools and answers


async def test_every_credential_has_a_pool_of_its_own_which_is_passing() -> None:
    async with hub_with() as hub:
        pools: list[str] = []
        for headers in ({HEADER: TOKEN}, {HEADER: OTHER}, {HEADER: TOKEN}, {}):
            async with client_as(hub, ANN, headers=headers) as client:
                pools.append(await result_of(client, "notes_ask"))

        assert pools == ["pool 1", "pool 2", "pool 1", "pool 3"]
        assert opened == [TOKEN, OTHER, "the hub's own"]


async def test_a_caller_with_ten_thousand_tokens_takes_nobodys_room() -> None:
    async with hub_with() as hub:
        for number in range(300):
            async with client_as(hub, ANN, headers={HEADER: f"token-{number:06}"}) as client:
                await result_of(client, "notes_ask")
        async with client_as(hub, ANN) as client:
            assert await result_of(client, "notes_ask") == "pool 301"

        assert len(hub.pools.states()) == 2


@each_era
@pytest.mark.parametrize("headers", [{HEADER: OTHER}, {}])
async def test_a_cursor_belongs_to_the_credential_it_came_with(headers: Mapping[str, str], era: Era) -> None:
    """S-40: two people behind one key of a gateway, say."""
    async with hub_with() as hub:
        async with client_as(hub, ANN, era=era, headers={HEADER: TOKEN}) as client:
            answer = await client.call_tool("notes_numbers", {})
            assert answer.structured_content is not None
            cursor = answer.structured_content["cursor"]
        async with client_as(hub, ANN, era=era, headers=headers) as client:
            assert "no such cursor" in text_of(await client.call_tool("fetch_more", {"cursor": cursor}))
        async with client_as(hub, ANN, era=era, headers={HEADER: TOKEN}) as client:
            assert not (await client.call_tool("fetch_more", {"cursor": cursor})).is_error
        assert TOKEN not in cursor


# Where it is not found


async def test_it_is_in_no_answer_and_no_record(tmp_path: Path) -> None:
    """S-23: not even when a plugin puts it into an error, or the client into an argument."""
    file = tmp_path / "audit.jsonl"

    async with hub_with(audit={"file": str(file)}) as hub:
        async with client_as(hub, ANN, headers={HEADER: TOKEN}) as client:
            answer = await client.call_tool("notes_crash", {"note": f"see {TOKEN}"})
            await result_of(client, "notes_ask")
        assert TOKEN not in str(hub.pools.states())
        assert TOKEN not in text_of(answer)

    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert [record["tool"] for record in records] == ["notes_crash", "notes_ask"]
    assert TOKEN not in file.read_text()
    assert "internal error" in text_of(answer)


async def test_it_is_in_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """S-22, S-23: nor in the traceback of a crash."""
    stream = StringIO()
    handler = LogHandler(stream, as_json=True)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])

    async with hub_with() as hub, client_as(hub, ANN, headers={HEADER: TOKEN}) as client:
        await client.call_tool("notes_crash", {})
    await anyio.to_thread.run_sync(handler.close)

    assert "no luck with [redacted]" in stream.getvalue()
    assert TOKEN not in stream.getvalue()


def test_it_is_in_no_repr() -> None:
    found = sent((b"x-notes-token", TOKEN.encode()))

    assert TOKEN not in repr(found) + repr(found.over(Settings()))
    assert found.over(Settings()).token.get_secret_value() == TOKEN


def test_it_is_masked_as_json_writes_it() -> None:
    value = 'quo"ted\\token'
    found = sent((b"x-notes-token", value.encode()))

    assert found.mask(f"{value} and {json.dumps(value)}") == '[redacted] and "[redacted]"'
    assert NOTHING_SENT.mask(value) == value


# What a plugin declares


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"credentials": {"Authorization": "token"}}, "'Authorization' cannot carry a credential"),
        ({"credentials": {"Cookie": "token"}}, "cannot carry a credential"),
        ({"credentials": {"X-Internal-Token": "token"}}, "cannot carry a credential; call it X-Bad-Token, say"),
        ({"credentials": {"X-Forwarded-For": "token"}}, "cannot carry a credential"),
        ({"credentials": {"X-Bad Token": "token"}}, "cannot carry a credential"),
        ({"credentials": {"X-Bad-Token": "tokn"}}, "it logs in with 'tokn', which is no key"),
        ({"login": ("nobody",)}, "it logs in with 'nobody'"),
        ({"credentials": {"X-Bad-Token": "user"}}, "'user', which must be a SecretStr"),
        ({"credentials": {"X-Bad-Token": "token", "X-BAD-TOKEN": "token"}}, "one header cannot carry two"),
    ],
)
def test_what_cannot_be_declared_is_an_error(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(PluginError, match=problem):
        Plugin(name="bad", settings=Settings, **given)


async def test_without_a_request_there_are_none() -> None:
    async with hub_with() as hub, client_of(hub) as client:
        assert (await result_of(client, "notes_login"))[0] == "the hub's own"
