"""What a client reads of an error: what it can act on, and never what only the hub should know."""

from typing import Any

import anyio
import pytest
from pydantic import SecretStr
from tests.security.asgi import Site
from tests.security.house import house
from tests.security.log import written
from tests.system.wire import envelope, rpc

from pegboard import HTTP, Call, Plugin, PluginSettings, ToolError, tool

SECRET = "error-canary-93ab"


class Settings(PluginSettings):
    token: SecretStr


def said(call: Call[Settings]) -> str:
    return f"the backend says: no such token {call.settings.token.get_secret_value()}"


@tool(read_only=True, name="bank_refuse")
async def refuse(call: Call[Settings]) -> str:
    """Refuse, in the backend's words."""
    raise ToolError(said(call))


@tool(read_only=True, name="bank_crash")
async def crash(call: Call[Settings]) -> str:
    """Crash, in the backend's words."""
    raise RuntimeError(said(call)) from ExceptionGroup(said(call), [ValueError(said(call))])


async def advice(call: Call[Settings]) -> str:
    """Refuse, as a prompt."""
    raise ToolError(said(call))


async def account(call: Call[Settings]) -> str:
    """Refuse, as a resource."""
    raise ToolError(said(call))


BANK = Plugin(
    name="bank", tools=[refuse, crash], prompts=[advice], resources={"bank://account": account}, settings=Settings
)
SETTINGS: dict[str, Any] = {"plugins": {"bank": {"token": SECRET}}}


async def answers(site: Site, method: str, params: dict[str, Any]) -> list[str]:
    """The answers in a session, without one, and over SSE."""
    legacy = {**dict(envelope("x")[1]), "Mcp-Session-Id": await site.initialize("")}
    del legacy["MCP-Protocol-Version"], legacy["Mcp-Method"]
    async with site.stream("") as stream:
        await site.ask("POST", stream.url, legacy, rpc("initialize", LATER, 0))
        await stream.answer(0)
        await site.ask("POST", stream.url, legacy, rpc("notifications/initialized"))
        await site.ask("POST", stream.url, legacy, rpc(method, params, 1))
        over_sse = str(await stream.answer(1))
    in_session = await site.ask("POST", "/mcp", legacy, rpc(method, params, 1))
    return [over_sse, in_session.text, (await site.modern("", method, params)).text]


LATER = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}

REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("tools/call", {"name": "bank_refuse", "arguments": {}}),
    ("prompts/get", {"name": "bank_advice"}),
    ("resources/read", {"uri": "bank://account"}),
]


@pytest.mark.parametrize(("method", "params"), REFUSED, ids=[method for method, _ in REFUSED])
async def test_an_expected_error_does_not_repeat_a_secret_that_a_backend_has_said(
    method: str, params: dict[str, Any]
) -> None:
    """S-22: over SSE, in sessions and without; the rest of the sentence is as it was."""
    with anyio.fail_after(10):
        async with house(BANK, **SETTINGS) as site:
            for text in await answers(site, method, params):
                assert "the backend says: no such token [redacted]" in text
                assert SECRET not in text


@tool(read_only=True, name="bank_open")
async def open_pool(call: Call[Settings]) -> str:
    """Open a pool whose address has the secret in its path."""
    await call.pool(HTTP, f"http://127.0.0.1:9/{call.settings.token.get_secret_value()}/")
    raise ToolError("opened")


async def test_a_pool_is_named_without_the_secret_in_its_address() -> None:
    """S-23 and S-35: some services want their token in the path."""
    with anyio.fail_after(10), written() as log:
        async with house(Plugin(name="bank", tools=[open_pool], settings=Settings), **SETTINGS) as site:
            await site.modern("", "tools/call", {"name": "bank_open", "arguments": {}})
            pages = [await site.ask("GET", page) for page in ("/health", "/ready", "/metrics", "/")]
            health = await site.modern("", "tools/call", {"name": "hub_health_check", "arguments": {}})
    shown = health.text + log.text + "".join(page.text for page in pages)
    assert "http://127.0.0.1:9/[redacted]/" in shown
    assert SECRET not in shown


async def test_a_crash_is_a_reference_for_the_client_and_masked_in_the_log() -> None:
    """S-22: also in what the exception was raised from."""
    with anyio.fail_after(10), written() as log:
        async with house(BANK, **SETTINGS) as site:
            for text in await answers(site, "tools/call", {"name": "bank_crash", "arguments": {}}):
                assert "internal error in bank_crash, ref " in text
                assert "the backend says" not in text
    assert SECRET not in log.text
    assert log.text.count("Traceback") >= 3, "and nothing else is missing"
