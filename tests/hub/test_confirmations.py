"""Confirmations: a user agrees through a client that cannot ask them, by a token in a second call."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import anyio
import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent
from tests.hub.callers import client_as, somebody

from pegboard import Call, Plugin, PluginSettings, tool
from pegboard.confirmations import LIFETIME, MOST_USED, TOKEN, Confirmations
from pegboard.seal import Seal
from pegboard.testing import connect, hub_of
from pegboard.testing.connect import Era, client_of

ERAS: tuple[Era, ...] = get_args(Era)
each_era = pytest.mark.parametrize("era", ERAS)

PLACES = {"prod": {"url": "p"}, "staging": {"url": "s"}}


class Settings(PluginSettings):
    url: str = "u"


class Shop:
    """A plugin whose tools write, and remember that they did."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.left = 3

    @tool
    async def change(
        self, item: str, call: Call[Settings], secret: str = "", options: dict[str, Any] | None = None
    ) -> str:
        """Change something."""
        assert secret != options
        self.done.append((item, call.environment))
        return "changed"

    @tool(destructive=True, confirms=True)
    async def clear(self, shelf: str, call: Call[Settings]) -> str:
        """Clear a shelf."""
        if call.writes == "confirm":
            await call.confirm(f"Clear {shelf} with {self.left} things?")
        self.done.append(shelf)
        return "cleared"

    @tool
    async def own(self, confirmation: str) -> str:
        """Take a word."""
        self.done.append(confirmation)
        return confirmation

    @tool(read_only=True)
    async def look(self) -> str:
        """Look."""
        return "looked"

    @property
    def plugin(self) -> Plugin:
        return Plugin(name="shop", tools=[self.change, self.clear, self.own, self.look], settings=Settings)


def writing(writes: str = "confirm", **more: Any) -> dict[str, Any]:
    return {"plugins": {"shop": {"writes": writes, **more}}}


async def ask(client: Client, name: str, arguments: Mapping[str, Any]) -> tuple[CallToolResult, str]:
    """The result, and the token in it."""
    with anyio.fail_after(5):
        result = await client.call_tool(name, dict(arguments))
    found = re.search(r'confirmation="([^"]*)"', text_of(result))
    return result, found[1] if found else ""


def text_of(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


@each_era
@pytest.mark.parametrize("path", ["", "/shop"])
async def test_a_second_call_with_the_token_confirms_the_first(path: str, era: Era) -> None:
    """S-38: nothing is written before."""
    shop = Shop()
    async with connect(shop.plugin, settings=writing(), path=path, era=era) as client:
        refused, token = await ask(client, "shop_change", {"item": "lamp"})
        before = list(shop.done)
        agreed, _ = await ask(client, "shop_change", {"item": "lamp", "confirmation": token})

    assert refused.is_error
    assert text_of(refused) == (
        "shop_change needs the agreement of your user and has done nothing yet. Show them what stands below; only if "
        f'they agree, call shop_change again with the same arguments and confirmation="{token}", within 5 minutes.'
        '\n\nRun shop_change with item: "lamp"?'
    )
    assert (before, text_of(agreed), shop.done) == ([], "changed", [("lamp", "default")])


@each_era
async def test_a_tool_that_asks_itself_is_confirmed_in_the_same_way(era: Era) -> None:
    shop = Shop()
    async with connect(shop.plugin, settings=writing(), era=era) as client:
        refused, token = await ask(client, "shop_clear", {"shelf": "a"})
        agreed, _ = await ask(client, "shop_clear", {"confirmation": token, "shelf": "a"})

    assert text_of(refused).endswith("Clear a with 3 things?")
    assert (text_of(agreed), shop.done) == ("cleared", ["a"])


async def test_the_token_works_in_another_session_and_era_of_the_same_caller() -> None:
    shop = Shop()
    async with hub_of(shop.plugin, settings=writing()) as hub:
        async with client_as(hub, somebody("*")) as client:
            _, token = await ask(client, "shop_change", {"item": "lamp"})
        async with client_as(hub, somebody("*"), "/shop", "stateless") as client:
            agreed, _ = await ask(client, "shop_change", {"item": "lamp", "confirmation": token})

    assert text_of(agreed) == "changed"


@each_era
async def test_a_token_counts_for_one_call_only(era: Era) -> None:
    shop = Shop()
    async with connect(shop.plugin, settings=writing(), era=era) as client:
        _, token = await ask(client, "shop_change", {"item": "lamp"})
        await ask(client, "shop_change", {"item": "lamp", "confirmation": token})
        again, other = await ask(client, "shop_change", {"item": "lamp", "confirmation": token})

    assert text_of(again).startswith("this confirmation does not count: it was used already. shop_change needs")
    assert (len(shop.done), other != token) == (1, True)


@pytest.mark.parametrize(
    "other",
    [
        {"item": "desk"},
        {"item": "lamp", "options": {"a": 1}},
        {"item": "lamp", "environment": "staging"},
        {"item": "lamp", "environment": "prod", "secret": "x"},
    ],
)
async def test_a_token_counts_for_the_same_call_only(other: dict[str, Any]) -> None:
    shop = Shop()
    async with connect(shop.plugin, settings=writing(environments=PLACES)) as client:
        _, token = await ask(client, "shop_change", {"item": "lamp", "environment": "prod"})
        refused, _ = await ask(client, "shop_change", {**other, "confirmation": token})

    assert "does not count: it was given for other arguments" in text_of(refused) or "environment: " in text_of(refused)
    assert shop.done == []


async def test_a_token_does_not_count_for_another_tool_or_another_caller() -> None:
    """S-40."""
    shop = Shop()
    async with hub_of(shop.plugin, settings=writing()) as hub:
        async with client_as(hub, somebody("*")) as client:
            _, token = await ask(client, "shop_clear", {"shelf": "a"})
            other_tool, _ = await ask(client, "shop_change", {"item": "a", "confirmation": token})
        async with client_as(hub, somebody("*", id="bob")) as client:
            other_caller, _ = await ask(client, "shop_clear", {"shelf": "a", "confirmation": token})
        async with client_of(hub) as client:
            nobody, _ = await ask(client, "shop_clear", {"shelf": "a", "confirmation": token})

    assert all("does not count" in text_of(refused) for refused in (other_tool, other_caller, nobody))
    assert shop.done == []


async def test_what_it_would_do_must_still_be_the_same() -> None:
    shop = Shop()
    async with connect(shop.plugin, settings=writing()) as client:
        _, token = await ask(client, "shop_clear", {"shelf": "a"})
        shop.left = 300
        refused, _ = await ask(client, "shop_clear", {"shelf": "a", "confirmation": token})

    assert "does not count" in text_of(refused)
    assert text_of(refused).endswith("Clear a with 300 things?")
    assert shop.done == []


async def test_the_order_of_arguments_makes_no_difference() -> None:
    shop = Shop()
    async with connect(shop.plugin, settings=writing()) as client:
        _, token = await ask(client, "shop_change", {"item": "lamp", "options": {"a": 1, "b": [2]}})
        agreed, _ = await ask(
            client, "shop_change", {"options": {"b": [2], "a": 1}, "confirmation": f" {token} ", "item": "lamp"}
        )

    assert text_of(agreed) == "changed"


@pytest.mark.parametrize("token", ["yes", "", 7, None, "0" * 8 + "-" + "0" * 8 + "-" + "0" * 16, "é" * 34])
async def test_a_word_of_the_models_own_is_no_confirmation(token: Any) -> None:
    shop = Shop()
    async with connect(shop.plugin, settings=writing()) as client:
        refused, _ = await ask(client, "shop_change", {"item": "lamp", "confirmation": token})

    assert "shop_change needs the agreement of your user" in text_of(refused)
    assert shop.done == []


@each_era
async def test_call_tool_confirms_too(era: Era) -> None:
    shop = Shop()
    settings = {**writing(), "budget": {"tools": 3}}
    async with connect(shop.plugin, settings=settings, era=era) as client:
        call: dict[str, Any] = {"name": "shop_change", "arguments": {"item": "lamp"}}
        _, token = await ask(client, "call_tool", call)
        agreed, _ = await ask(client, "call_tool", {**call, "confirmation": token})
        _, token = await ask(client, "call_tool", call)
        inside, _ = await ask(
            client, "call_tool", {"name": "shop_change", "arguments": {"item": "lamp", "confirmation": token}}
        )

    assert (text_of(agreed), text_of(inside)) == ("changed", "changed")


@each_era
async def test_a_client_that_can_ask_its_user_is_asked_whatever_token_it_has(era: Era) -> None:
    shop, asked = Shop(), list[str]()

    async def refuse(_: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="decline")

    async with hub_of(shop.plugin, settings=writing()) as hub:
        async with client_of(hub, era=era) as client:
            _, token = await ask(client, "shop_change", {"item": "lamp"})
        async with client_of(hub, era=era, elicitation_callback=refuse) as client:
            refused, _ = await ask(client, "shop_change", {"item": "lamp", "confirmation": token})

    assert asked == ['Run shop_change with item: "lamp"?']
    assert text_of(refused) == "the user did not confirm shop_change; nothing was done"
    assert shop.done == []


async def properties_of(settings: dict[str, Any]) -> dict[str, set[str]]:
    async with connect(Shop().plugin, settings=settings) as client:
        return {tool.name: set(tool.input_schema["properties"]) for tool in (await client.list_tools()).tools}


async def test_the_schema_says_so_where_the_user_has_to_agree_and_nowhere_else() -> None:
    confirm, allow = await properties_of(writing()), await properties_of(writing("allow"))
    off = await properties_of({**writing(), "calls": {"confirm_by_token": False}})
    one = await properties_of(writing("deny", environments={"a": {"writes": "confirm"}, "b": {"writes": "allow"}}))

    assert confirm == {
        "shop_change": {"item", "secret", "options", "confirmation"},
        "shop_clear": {"shelf", "confirmation"},
        "shop_own": {"confirmation"},
        "shop_look": set(),
    }
    assert allow == off == {**confirm, "shop_change": {"item", "secret", "options"}, "shop_clear": {"shelf"}}
    assert one["shop_clear"] == {"shelf", "confirmation", "environment"}


async def test_a_parameter_of_the_tools_own_of_that_name_is_the_tools() -> None:
    shop = Shop()
    async with connect(shop.plugin, settings=writing("allow")) as client:
        assert text_of((await ask(client, "shop_own", {"confirmation": "word"}))[0]) == "word"
    async with connect(shop.plugin, settings=writing()) as client:
        refused, _ = await ask(client, "shop_own", {"confirmation": "word"})

    assert text_of(refused) == "shop_own needs the user's confirmation and this client cannot ask for it (elicitation)"


async def test_an_operator_can_want_a_user_and_not_a_model() -> None:
    shop = Shop()
    async with connect(shop.plugin, settings={**writing(), "calls": {"confirm_by_token": False}}) as client:
        refused, token = await ask(client, "shop_change", {"item": "lamp"})
        unknown, _ = await ask(client, "shop_change", {"item": "lamp", "confirmation": "x"})

    assert "this client cannot ask for it (elicitation)" in text_of(refused)
    assert (token, "confirmation: unknown argument" in text_of(unknown), shop.done) == ("", True, [])


@each_era
async def test_the_audit_says_that_it_asked_and_not_the_token(era: Era, tmp_path: Path) -> None:
    shop, file = Shop(), tmp_path / "audit.jsonl"
    async with connect(shop.plugin, settings={**writing(), "audit": {"file": str(file)}}, era=era) as client:
        _, token = await ask(client, "shop_change", {"item": "lamp"})
        await ask(client, "shop_change", {"item": "lamp", "confirmation": token})

    asked, done = [json.loads(line) for line in file.read_text().splitlines()]
    assert (asked["outcome"], asked["is_error"], done["outcome"]) == ("asked", False, "ok")
    assert token not in file.read_text()


# The tokens themselves


def make(now: list[float]) -> Confirmations:
    return Confirmations(Seal(), clock=lambda: now[0])


async def test_a_token_expires() -> None:
    now = [1_000_000.0]
    confirmations = make(now)
    token = confirmations.ask("q")
    now[0] += LIFETIME

    assert await confirmations.problem_with(token, "q") == "it has expired"


async def test_a_clock_that_is_set_back_prolongs_nothing() -> None:
    now = [1_000_000.0]
    confirmations = make(now)
    token = confirmations.ask("q")
    now[0] -= 3600

    assert await confirmations.problem_with(token, "q") == "it has expired"


async def test_a_token_of_another_hub_is_none() -> None:
    now = [1_000_000.0]
    assert "by nobody" in str(await make(now).problem_with(make(now).ask("q"), "q"))


async def test_hubs_that_share_a_key_know_the_tokens_of_each_other() -> None:
    key, clock = b"k" * 32, lambda: 1_000_000.0

    assert await Confirmations(Seal(key), clock).problem_with(Confirmations(Seal(key), clock).ask("q"), "q") is None


@pytest.mark.parametrize("position", [0, 7, 9, 16, 18, 33])
async def test_no_digit_of_a_token_can_be_changed(position: int) -> None:
    confirmations = make([1_000_000.0])
    token = confirmations.ask("q")
    forged = token[:position] + ("1" if token[position] == "0" else "0") + token[position + 1 :]

    assert TOKEN.fullmatch(token)
    assert "by nobody" in str(await confirmations.problem_with(forged, "q"))
    assert await confirmations.problem_with(token, "q") is None


async def test_what_is_remembered_is_bounded_and_what_is_forgotten_does_not_count_again() -> None:
    now = [1_000_000.0]
    confirmations = make(now)
    first = confirmations.ask("q")
    assert await confirmations.problem_with(first, "q") is None
    now[0] += 1
    used = [confirmations.ask("q") for _ in range(MOST_USED)]
    accepted = [token for token in used if await confirmations.problem_with(token, "q") is None]

    assert await confirmations.problem_with(first, "q") == "it has expired"
    assert len(accepted) >= MOST_USED - 1
    assert None not in [await confirmations.problem_with(token, "q") for token in accepted]
    now[0] += 2
    assert await confirmations.problem_with(confirmations.ask("q"), "q") is None


async def test_room_is_made_of_what_has_expired_first() -> None:
    now = [1_000_000.0]
    confirmations = make(now)
    for _ in range(MOST_USED - 1):
        assert await confirmations.problem_with(confirmations.ask("q"), "q") is None
    now[0] += LIFETIME + 1
    fresh = [confirmations.ask("q") for _ in range(2)]

    assert [await confirmations.problem_with(token, "q") for token in fresh] == [None, None]


async def test_a_token_that_another_replica_has_used_does_not_count() -> None:
    used: dict[str, int] = {}

    async def is_first(name: str, seconds: int) -> bool:
        return used.setdefault(name, seconds) is seconds and len(used) == 1

    key, clock = b"k" * 32, lambda: 1_000_000.0
    one, other = (Confirmations(Seal(key), clock, is_first) for _ in range(2))
    token = one.ask("q")

    assert await other.problem_with(token, "another question") is not None
    assert used == {}
    assert await one.problem_with(token, "q") is None
    used["by the other"] = LIFETIME
    assert await other.problem_with(token, "q") == "it was used already"
    assert token[-16:] not in str(used)
    assert list(used.values()) == [LIFETIME, LIFETIME]
