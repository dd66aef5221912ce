"""A view: what an endpoint lists, the same for every session, era and start."""

import json
from typing import Annotated, Any, get_args

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client
from pydantic import Field
from tests.plugins.many import many

from pegboard import Group, Plugin, tool
from pegboard.budget import PROFILES, tokens_of
from pegboard.hub import Hub
from pegboard.testing import client_of, connect, hub_of
from pegboard.testing.connect import Era
from pegboard.view import MAX_PLACES

ERAS: tuple[Era, ...] = get_args(Era)
MIXED: dict[str, Any] = {
    "endpoints": {
        "ops": {"tools": ["many_*_hosts", "many_restart_*"], "budget": {"tools": 6, "pinned": ["many_export_hosts"]}},
        "tight": {"tools": ["*"], "budget": {"tokens": 900}},
        "split": {"tools": ["*"], "budget": {"profile": "small", "overflow": "split"}},
    }
}


async def listed(client: Client) -> bytes:
    """The list a client gets, as bytes."""
    result = await client.list_tools()
    return json.dumps(
        [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in result.tools]
    ).encode()


async def lists_of(hub: Hub, era: Era) -> dict[str, bytes]:
    lists: dict[str, bytes] = {}
    for path in hub.endpoints:
        async with client_of(hub, path, era) as client:
            lists[path] = await listed(client)
    return lists


@pytest.mark.parametrize("era", ERAS)
async def test_every_list_is_the_same_to_the_byte_for_every_session_and_after_a_restart(era: Era) -> None:
    with anyio.fail_after(60):
        async with hub_of(many(60), many(9, "other"), settings=MIXED) as hub:
            before = await lists_of(hub, era)
            assert before == await lists_of(hub, era)
        async with hub_of(many(9, "other"), many(60), settings=MIXED) as hub:  # found in another order
            assert before == await lists_of(hub, era)


async def test_every_list_is_the_same_in_both_eras() -> None:
    async with hub_of(many(60), settings=MIXED) as hub:
        one, other = [await lists_of(hub, era) for era in ERAS]

    assert {path: json.loads(list_) for path, list_ in one.items()} == {
        path: json.loads(list_) for path, list_ in other.items()
    }


async def test_what_clients_get_is_within_every_limit() -> None:
    async with hub_of(many(60), settings=MIXED) as hub:
        for path, endpoint in hub.endpoints.items():
            budget = endpoint.offer.budget
            async with client_of(hub, path) as client:
                tools = (await client.list_tools()).tools
            tokens = sum(tokens_of(tool.name, tool.description or "", tool.input_schema) for tool in tools)
            assert budget.tools is None or len(tools) <= budget.tools
            assert budget.tokens is None or tokens <= budget.tokens
            assert tokens == hub.receipt(path)["tokens_listed"]
            assert len(tools) == hub.receipt(path)["tools_listed"]


async def test_listed_tools_stand_in_canonical_order_and_the_meta_tools_last() -> None:
    async with hub_of(many(60), settings=MIXED) as hub, client_of(hub, "/ops") as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        canonical = [tool.name for tool in hub.endpoints["/ops"].offer.tools]

    assert len(names) == 6
    assert "many_export_hosts" in names
    assert names == [*(name for name in canonical if name in names), "search_tools", "call_tool"]


async def test_a_trimmed_tool_is_called_as_ever() -> None:
    @tool(read_only=True, title="Say it")
    async def say(word: Annotated[str, Field(description="Any word. " * 300)]) -> str:
        """Say a word. Or do not. And so on, and so on."""
        return word

    async with connect(Plugin(name="x", tools=[say]), settings={"budget": {"tokens": 40}}) as client:
        (definition,) = (await client.list_tools()).tools
        result = await client.call_tool("x_say", {"word": "hi"})

    assert definition.description == "Say a word."
    assert definition.input_schema["properties"] == {"word": {"type": "string"}}
    assert definition.title == "Say it"
    assert definition.annotations is not None
    assert definition.annotations.read_only_hint
    assert result.content[0].model_dump()["text"] == "hi"


async def test_a_tool_without_any_description_has_none() -> None:
    async def say() -> None:
        """Words."""

    say.__doc__ = "word " * 500
    async with connect(Plugin(name="x", tools=[say]), settings={"budget": {"tokens": 40}}) as client:
        (definition,) = (await client.list_tools()).tools

    assert definition.description is None


@given(st.integers(1, 3000), st.integers(2, 60), st.integers(200, 9000))
@settings(max_examples=5, deadline=None)
def test_pure_views_of_many_tools(count: int, tools: int, tokens: int) -> None:
    async def check() -> None:
        plugin = many(min(count, 400))
        budget = {"tools": tools, "tokens": tokens}
        given = {"endpoints": {"x": {"tools": ["*"], "budget": budget}}}
        async with hub_of(plugin, settings=given) as hub:
            receipt = hub.receipt("/x")
            assert receipt["tools_listed"] <= tools
            assert receipt["tokens_listed"] <= tokens

    anyio.run(check)


@pytest.mark.parametrize("era", ERAS)
async def test_a_hidden_tool_is_called_by_its_own_name(era: Era) -> None:
    async with connect(many(60), era=era, path="/profiles/small") as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        result = await client.call_tool("many_delete_hosts", {"id": 7})

    assert "many_delete_hosts" not in names
    assert result.structured_content == {"id": 7}


# Instructions


async def test_the_instructions_say_how_to_reach_what_is_hidden() -> None:
    async with hub_of(many(60)) as hub:
        async with client_of(hub) as client:
            assert (client.instructions or "").splitlines()[1:] == [
                "22 more tools are not listed: search_tools finds them, call_tool runs them."
            ]
        async with client_of(hub, "/profiles/unlimited") as client:
            assert "more tools" not in (client.instructions or "")


async def test_the_instructions_of_split_name_the_endpoints_that_list_the_rest() -> None:
    async with hub_of(many(60), settings=MIXED) as hub:
        async with client_of(hub, "/split") as client:
            (said,) = (client.instructions or "").splitlines()
        receipt = hub.receipt("/split")
        hidden = {line["name"]: line["listed_at"] for line in receipt["tools"] if line["state"] == "hidden"}

    assert said.startswith(f"{len(hidden)} more tools are listed at /many/jobs, ")
    places = said.removesuffix(".").partition(" at ")[2].split(", ")
    assert all(set(places) & set(listed_at) for listed_at in hidden.values())


async def test_a_tool_in_no_group_is_listed_where_split_says() -> None:
    loose = [tool(name=f"x_{number}")(lambda: None) for number in range(9)]
    settings = {"budget": {"tools": 4, "overflow": "split"}}

    async with hub_of(Plugin(name="x", tools=loose), settings=settings) as hub:
        async with client_of(hub) as client:
            at_the_hub = client.instructions or ""
        async with client_of(hub, "/x") as client:
            at_the_plugin = client.instructions or ""
        assert all("/profiles/unlimited" in line["listed_at"] for line in hub.receipt("/x")["tools"])

    assert at_the_hub.endswith("\n5 more tools are listed at /x.")
    assert at_the_plugin == "5 more tools are listed at /profiles/unlimited."


async def test_instructions_stay_short_with_hundreds_of_groups() -> None:
    settings = {"budget": {"overflow": "split"}}

    async with connect(many(400), settings=settings) as client:
        said = (client.instructions or "").splitlines()[-1]

    assert said.count("/many/") == MAX_PLACES
    assert said.endswith(" more.")
    assert len(said) < 1000


# What breaks only its own plugin


async def broken_default(word: str = "\ud800") -> None: ...


async def broken_parameter(word: Annotated[str, Field(description="half \ud83d")]) -> None: ...


async def broken_docstring() -> None: ...


broken_docstring.__doc__ = "half \ud83d"


@pytest.mark.parametrize("function", [broken_default, broken_parameter, broken_docstring])
async def test_a_tool_that_no_client_could_read_disables_its_plugin_only(function: Any) -> None:
    async def fine() -> None: ...

    plugins = Plugin(name="broken", tools=[function]), Plugin(name="good", tools=[fine])
    async with hub_of(*plugins, strict=False) as hub, client_of(hub) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["good_fine"]
        (quarantined,) = hub.failed

    assert f"the tool {function.__name__} cannot be written as JSON" in quarantined.why


async def test_a_group_over_its_budget_disables_its_plugin_only() -> None:
    async def fine() -> None: ...

    wide = Plugin(name="wide", groups=[Group("one", tools=[f for f, _ in many(41).functions()])])
    plugins = many(60), wide, Plugin(name="good", tools=[fine])
    async with hub_of(*plugins, strict=False) as hub, client_of(hub) as client:
        assert "/wide" not in hub.endpoints
        assert "/wide/one" not in hub.endpoints
        assert (await client.call_tool("good_fine", {})).is_error is False
        assert [plugin.name for plugin in hub.plugins] == ["good", "many"]
        (quarantined,) = hub.failed

    assert quarantined.why.startswith("not opened: group wide/one: 41 tools of ")
    assert "do not fit a budget of 40 tools / 8000 tokens; split them into groups of 5 to 8, or use profile 'unl" in (
        quarantined.why
    )


def test_the_profiles_have_endpoints_of_their_own() -> None:
    async def check() -> None:
        async with hub_of(many(60)) as hub:
            for name, profile in PROFILES.items():
                receipt = hub.receipt(f"/profiles/{name}")
                assert (receipt["tool_limit"], receipt["token_limit"]) == (profile.tools, profile.tokens)

    anyio.run(check)
