"""The audit: one line for each call that was run and for each that was denied."""

import hashlib
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.lowlevel
import pytest
from mcp import Client, MCPError
from mcp_types import ElicitResult
from pydantic import Field, SecretStr

from pegboard import Call, Plugin, PluginSettings, ToolError, tool
from pegboard.hub import Hub
from pegboard.security.audit import FIELDS, Audit
from pegboard.security.redaction import MASK
from pegboard.settings import HubSettings
from pegboard.testing.connect import Era, client_of, connect, hub_of

pytestmark = pytest.mark.anyio

CANARY = "canary-4c1d-hunter2"


class Settings(PluginSettings):
    """What a shop has."""

    dsn: SecretStr = SecretStr(f"postgresql://app:{CANARY}@db/shop")


@tool(read_only=True)
async def look(what: str, count: int = 1) -> str:
    """Look at something."""
    return what * count


@tool(read_only=True)
async def change_arguments(items: list[dict[str, Any]]) -> int:
    """Change what it was given."""
    items[0].clear()
    items.clear()
    return 0


@tool
async def sell(item: str, key: Annotated[str, Field(json_schema_extra={"writeOnly": True})] = "") -> str:
    """Sell something."""
    return f"sold {item}"


@tool(read_only=True)
async def refuse() -> str:
    """Say no."""
    raise ToolError(f"no: {CANARY}")


@tool(read_only=True)
async def crash() -> str:
    """Fail."""
    raise RuntimeError(CANARY)


@tool(read_only=True, timeout=0.05)
async def wait() -> str:
    """Take too long."""
    await anyio.sleep_forever()
    return ""


@tool(read_only=True)
async def give_up() -> str:
    """Be cancelled by nobody the caller knows."""
    raise anyio.get_cancelled_exc_class()


TOOLS = [look, change_arguments, sell, refuse, crash, wait, give_up]
SHOP = Plugin(name="shop", tools=TOOLS, settings=Settings)


def settings(path: Path, writes: str = "allow", **audit: str) -> dict[str, Any]:
    return {"audit": {"file": str(path), **audit}, "plugins": {"shop": {"writes": writes}}}


@asynccontextmanager
async def shop(path: Path, *, era: Era = "handshake", writes: str = "allow", **audit: str) -> AsyncGenerator[Client]:
    with anyio.fail_after(10):
        async with connect(SHOP, settings=settings(path, writes, **audit), era=era) as client:
            yield client


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_a_call_is_one_record_that_says_who_did_what_and_how_it_ended(path: Path, era: Era) -> None:
    async with shop(path, era=era) as client:
        await client.call_tool("shop_look", {"what": "né", "count": 2})

    (record,) = records(path)
    assert [field for field in FIELDS if field in record] == list(record)
    assert record["time"].endswith("Z")
    assert record["duration_ms"] > 0
    assert record["client"].startswith("mcp ")
    same = {key: record[key] for key in ("event", "outcome", "endpoint", "plugin", "tool", "environment", "arguments")}
    assert same == {
        "event": "call",
        "outcome": "ok",
        "endpoint": "all",
        "plugin": "shop",
        "tool": "shop_look",
        "environment": "default",
        "arguments": {"what": "né", "count": 2},
    }
    assert (record["bytes"], record["is_error"]) == (6, False)
    assert record["sha256"] == hashlib.sha256(b'{"count":2,"what":"n\\u00e9"}').hexdigest()


async def test_every_way_a_call_can_end_is_one_record(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with shop(path) as client:
        for name in ("look", "refuse", "crash", "wait", "give_up"):
            await client.call_tool(f"shop_{name}", {})

    found = {record["tool"]: record for record in records(path)}
    assert len(found) == len(records(path)) == 5
    outcomes = {name: (record["outcome"], record["is_error"]) for name, record in found.items()}
    assert outcomes == {
        "shop_look": ("error", True),  # an argument is missing
        "shop_refuse": ("error", True),
        "shop_crash": ("crash", True),
        "shop_wait": ("timeout", True),
        "shop_give_up": ("crash", True),
    }
    assert f"ref {found['shop_crash']['ref']}" in caplog.text


@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_prompts_and_resources_are_on_record_as_tools_are(path: Path, era: Era) -> None:
    """What they run reads backends, too, and by the same key."""

    async def ask(about: str) -> str:
        """Ask."""
        if about == "crash":
            raise RuntimeError(CANARY)
        if about == "refuse":
            raise ToolError("no")
        if about == "wait":
            await anyio.sleep_forever()
        return about

    async def page(number: int) -> str:
        """Read."""
        return str(number)

    plugin = Plugin("desk", prompts=[ask], resources={"desk://{number}": page})
    given: dict[str, Any] = {"audit": {"file": str(path)}, "calls": {"deadline": 0.05}}
    with anyio.fail_after(10):
        async with connect(plugin, settings=given, era=era) as client:
            for about in ("x", "refuse", "crash", "wait"):
                with nullcontext() if about == "x" else pytest.raises(MCPError):
                    await client.get_prompt("desk_ask", {"about": about})
            await client.read_resource("desk://7")

    told = [(record["plugin"], record["outcome"], record["arguments"]) for record in records(path)]
    endings = {"x": "ok", "refuse": "error", "crash": "crash", "wait": "timeout"}
    assert told[:4] == [("desk", outcome, {"about": about}) for about, outcome in endings.items()]
    assert [(plugin, outcome) for plugin, outcome, _ in told[4:]] == [("desk", "ok")]
    assert "ref" in records(path)[2]
    assert CANARY not in path.read_text()


@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_a_question_to_the_user_is_on_record(path: Path, era: Era) -> None:
    async def agree(*_: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={})

    with anyio.fail_after(10):
        given = settings(path, "confirm")
        async with connect(SHOP, settings=given, era=era, elicitation_callback=agree) as client:
            await client.call_tool("shop_sell", {"item": "tea"})

    outcomes = [(record["outcome"], record["is_error"]) for record in records(path)]
    assert outcomes == ([("asked", False)] if era == "stateless" else []) + [("ok", False)]


async def test_no_secret_is_on_record(path: Path) -> None:
    async with shop(path) as client:
        await client.call_tool("shop_sell", {"item": f"at {CANARY}!", "key": "opaque-value"})
        await client.call_tool("shop_look", {"what": "password=tiger", CANARY: 1})
        await client.call_tool("shop_refuse", {})
        await client.call_tool("shop_crash", {})

    assert not [secret for secret in (CANARY, "opaque-value", "tiger") if secret in path.read_text()]
    assert records(path)[0]["arguments"] == {"item": f"at {MASK}!", "key": MASK}


async def test_the_arguments_are_those_that_were_given(path: Path) -> None:
    async with shop(path) as client:
        await client.call_tool("shop_change_arguments", {"items": [{"a": 1}]})

    assert records(path)[0]["arguments"] == {"items": [{"a": 1}]}


@pytest.mark.parametrize(
    "text", ["a\r\nb", '\n{"event":"call"}\n', "\x1b[31mred", "\u2028\u2029\x85\x7f", "\ud800", "x" * 1_000_000]
)
async def test_nothing_a_client_sends_makes_a_line_of_its_own_or_steers_a_terminal(path: Path, text: str) -> None:
    """S-24."""
    async with shop(path) as client:
        await client.call_tool("shop_look", {"what": text, text: 1})
    audit = Audit(path)
    async with audit:
        audit.denied("scope", endpoint=text, tool=text, client=text)

    written = path.read_text()
    assert written.isascii()
    assert written.replace("\n", "").isprintable()
    assert [record["event"] for record in records(path)] == ["call", "denied"]
    assert max(map(len, written.splitlines())) < 30_000


async def test_a_hundred_calls_at_once_are_a_hundred_records(path: Path) -> None:
    """I4, with every tenth cancelled by its client."""
    started = dict[int, anyio.Event]()

    @tool(read_only=True)
    async def visit(number: int) -> int:
        """Stay for a while."""
        started[number].set()
        await (anyio.sleep_forever() if number % 10 == 0 else anyio.lowlevel.checkpoint())
        return number

    async def one(client: Client, number: int) -> None:
        started[number] = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "park_visit", {"number": number})
            await started[number].wait()
            if number % 10 == 0:
                tasks.cancel_scope.cancel()

    with anyio.fail_after(10):
        async with connect(Plugin(name="park", tools=[visit]), settings={"audit": {"file": str(path)}}) as client:
            for start in range(0, 100, 25):
                async with anyio.create_task_group() as tasks:
                    for number in range(start, start + 25):
                        tasks.start_soon(one, client, number)

    found = [record["outcome"] for record in records(path)]
    assert (found.count("ok"), found.count("cancelled"), len(found)) == (90, 10, 100)
    assert sorted(record["arguments"]["number"] for record in records(path)) == list(range(100))


async def test_calls_go_on_when_the_log_cannot_be_written(caplog: pytest.LogCaptureFixture) -> None:
    """F-28, `on_failure = "open"`."""
    async with shop(Path("/dev/full")) as client:
        for _ in range(20):
            assert not (await client.call_tool("shop_sell", {"item": "tea"})).is_error

    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "/dev/full cannot be written: No space left on device" in warnings[0]


async def test_what_writes_is_refused_when_it_cannot_be_recorded(tmp_path: Path) -> None:
    """F-28, `on_failure = "closed"`."""
    path = tmp_path / "later" / "audit.jsonl"
    async with shop(path, on_failure="closed") as client:
        refused = await client.call_tool("shop_sell", {"item": "tea"})
        read = await client.call_tool("shop_look", {"what": "tea"})

    assert refused.is_error
    assert "shop_sell was not run: what writes must be recorded" in str(refused.content)
    assert not read.is_error


async def test_a_refused_call_is_on_record_as_soon_as_that_is_possible(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    with anyio.fail_after(10):
        async with (
            hub_of(SHOP, settings=settings(folder / "audit.jsonl", on_failure="closed")) as hub,
            client_of(hub) as client,
        ):
            await client.call_tool("shop_sell", {"item": "tea"})
            folder.mkdir()
            assert await hub.audit.journal.flush()
            assert not (await client.call_tool("shop_sell", {"item": "tea"})).is_error

    denied, sold = records(folder / "audit.jsonl")
    assert (denied["event"], denied["outcome"], denied["reason"]) == ("denied", "denied", "audit")
    assert (sold["event"], sold["outcome"]) == ("call", "ok")


async def test_lost_records_leave_a_record_of_their_number(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    audit = Audit(folder / "audit.jsonl")
    audit.journal = type(audit.journal)(folder / "audit.jsonl", room=150, retry=0.01)
    with anyio.fail_after(10):
        async with audit:
            for _ in range(4):
                audit.denied("scope", endpoint="all", tool="shop_sell")
            folder.mkdir()
            assert await audit.journal.flush()
            audit.denied("rate", endpoint="all", tool="shop_sell")

    found = [(record["event"], record.get("lost"), record.get("reason")) for record in records(folder / "audit.jsonl")]
    scope, rate = ("denied", None, "scope"), ("denied", None, "rate")
    assert found == [scope, scope, ("gap", 2, None), rate]


async def test_a_reload_changes_the_file_under_open_sessions(path: Path, tmp_path: Path) -> None:
    with anyio.fail_after(10):
        async with hub_of(SHOP) as hub, client_of(hub) as client:
            await client.call_tool("shop_look", {"what": "nobody looks"})
            for file in (path, tmp_path / "other.jsonl", None):
                audit = {"file": str(file)} if file else {}
                await hub.reload(HubSettings.model_validate({**hub.settings.model_dump(), "audit": audit}))
                await client.call_tool("shop_look", {"what": str(file)})

    assert [record["arguments"]["what"] for record in records(path)] == [str(path)]
    assert [record["arguments"]["what"] for record in records(tmp_path / "other.jsonl")] == [
        str(tmp_path / "other.jsonl")
    ]


async def test_sessions_are_told_apart_and_not_given_away(path: Path) -> None:
    async with hub_of(SHOP, settings=settings(path)) as hub:
        for _ in range(2):
            async with client_of(hub) as client:
                await client.call_tool("shop_look", {"what": "a"})
                await client.call_tool("shop_look", {"what": "b"})

    first, again, second, again_second = [record["session"] for record in records(path)]
    assert (first == again, second == again_second, first == second) == (True, True, False)
    assert len(first) == 12


async def test_a_hub_without_a_file_keeps_no_log() -> None:
    hub = Hub(HubSettings(), found=[], environ={})
    async with hub:
        hub.audit.denied("scope", endpoint="all", tool="x")
        assert hub.audit.journal.waiting == 0


async def test_a_record_of_what_is_no_error_of_ours(path: Path) -> None:
    """An exception of the protocol passes through the runner; an exit of the interpreter never should."""
    call: Call[Any] = Call(Settings(), "shop", "shop_sell", "all", 1, 1, pools=None)  # type: ignore[arg-type] # unused
    async with Audit(path) as audit:
        for error in (ValueError, SystemExit):
            with pytest.raises(error), audit.call(call, {}):
                raise error

    assert [record["outcome"] for record in records(path)] == ["error", "crash"]
