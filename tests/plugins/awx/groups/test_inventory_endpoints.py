"""The endpoints of inventories, hosts, sources and schedules as a client sees them before it calls anything."""

import pytest
from tests.plugins.awx.asking import asking

from pegboard import Group
from pegboard_awx.groups import hosts, inventory, inventory_sources, schedules

NOWHERE = "http://127.0.0.1:9"
"""Listing tools asks nobody."""

CATALOG = [
    (inventory, "R R W WI DI W R W"),
    (hosts, "R WI DI R R W DI WI"),
    (inventory_sources, "R W W R DI"),
    (schedules, "R R W WI WI DI R R"),
]
"""Each group, and what its tools do to AWX: read, add, overwrite, delete; `I` where twice is as once."""

GROUPS = [module.GROUP for module, _ in CATALOG]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
async def test_a_group_fits_the_small_budget_with_room_for_environments(group: Group) -> None:
    async with asking(NOWHERE, group) as ask:
        tokens = await ask.tokens()

    assert len(tokens) == len(group.tools) <= 8
    assert sum(tokens.values()) < 1200, tokens


@pytest.mark.parametrize(("module", "letters"), CATALOG, ids=lambda value: getattr(value, "__name__", ""))
async def test_the_tools_say_what_they_do_to_awx(module: object, letters: str) -> None:
    group: Group = getattr(module, "GROUP")  # noqa: B009 # a module like any of them
    async with asking(NOWHERE, group) as ask:
        tools = [tool for tool in (await ask.client.list_tools()).tools if tool.name.startswith("awx_")]

    told: list[str] = []
    for tool in tools:
        hints = tool.annotations
        assert hints is not None
        assert hints.open_world_hint
        kind = "R" if hints.read_only_hint else "D" if hints.destructive_hint else "W"
        told.append(kind + ("I" if hints.idempotent_hint else ""))
    assert " ".join(told) == letters


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
async def test_where_writing_is_denied_only_the_tools_that_read_are_there(group: Group) -> None:
    async with asking(NOWHERE, group, writes="deny") as ask:
        tools = [tool for tool in (await ask.client.list_tools()).tools if tool.name.startswith("awx_")]

    assert 0 < len(tools) < len(group.tools)
    assert all(tool.annotations is not None and tool.annotations.read_only_hint for tool in tools)


@pytest.mark.parametrize("module", [module for module, _ in CATALOG], ids=lambda module: module.__name__)
def test_an_old_name_leads_to_a_tool_that_is_there(module: object) -> None:
    names = {tool.__name__ for tool in getattr(module, "GROUP").tools}  # noqa: B009

    assert set(getattr(module, "ALIASES").values()) <= names  # noqa: B009
