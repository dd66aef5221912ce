"""The plugin as a whole: every tool of the catalog is there, every endpoint fits, and old names lead to new ones."""

import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp_types import CallToolResult, Tool
from tests.plugins.awx.local import NOWHERE

import pegboard_awx
from pegboard.cli.tables import page_with_tools
from pegboard.hub import Hub
from pegboard.testing import client_of, connect, hub_of
from pegboard_awx.double.seed import TOKEN

ROOT = Path(__file__).parents[3]
CATALOG: Mapping[str, Mapping[str, str]] = json.loads((Path(__file__).parent / "catalog.json").read_text())
"""By group and tool: what it does (R, W, WI, D, DI) and its arguments, those with `!` required."""
OPT_IN = {"local_playbooks", "local_projects"}
TOOLS = {f"awx_{tool}": words for group in CATALOG.values() for tool, words in group.items()}
KINDS = {
    "R": (True, False, False),
    "W": (False, False, False),
    "WI": (False, False, True),
    "D": (False, True, False),
    "DI": (False, True, True),
}
"""Read-only, destructive, idempotent."""
WITHOUT_AWX = {"awx_health_check"}
"""What asks nobody, and so is not open-world."""

OLD_NAMES = {
    "list_templates": "list_job_templates",
    "list_workflow_templates": "list_workflow_job_templates",
    "list_notifications": "list_notification_templates",
    "awx_templates_list": "list_job_templates",
    "awx_job_launch": "launch_job_template",
    "awx_job_get": "get_job",
    "awx_jobs_list": "list_jobs",
    "awx_job_cancel": "cancel_job",
    "awx_job_stdout": "get_job_output",
    "awx_job_events": "list_job_events",
    "awx_job_failure_summary": "analyze_job_failure",
    "awx_job_delete": "delete_job",
    "awx_inventories_list": "list_inventories",
    "awx_inventory_create": "create_inventory",
    "awx_inventory_delete": "delete_inventory",
    "awx_inventory_hosts_list": "list_hosts",
    "awx_inventory_host_create": "create_host",
    "awx_inventory_host_delete": "delete_host",
    "awx_inventory_groups_list": "list_groups",
    "awx_inventory_group_create": "create_group",
    "awx_inventory_group_delete": "delete_group",
    "awx_template_create": "create_job_template",
    "awx_template_delete": "delete_job_template",
    "awx_system_info": "get_config",
    "awx_projects_list": "list_projects",
    "awx_project_create": "create_project",
    "awx_project_delete": "delete_project",
    "awx_project_update": "sync_project",
    "awx_organizations_list": "list_organizations",
    "awx_organization_get": "get_organization",
    "awx_credentials_list": "list_credentials",
    "awx_credential_create": "create_credential",
    "awx_credential_delete": "delete_credential",
    "awx_credential_types_list": "list_credential_types",
    "env_list": "list_environments",
    "env_get_active": "get_active_environment",
    "env_set_active": "set_active_environment",
    "env_test_connection": "test_connection",
}
BARE = {name.removeprefix("awx_"): name.removeprefix("awx_") for name in TOOLS}
"""Older servers had no prefix."""


@asynccontextmanager
async def hub_with(path: Path, environments: int = 1, **table: Any) -> AsyncGenerator[Hub]:
    """A hub with the whole plugin, the opt-in groups too."""
    given: dict[str, Any] = {"url": NOWHERE, "token": "x", "local_roots": [str(path)], **table}
    if environments > 1:
        given["environments"] = {name: {} for name in ["production", "staging", "development"][:environments]}
    async with hub_of(pegboard_awx, settings={"plugins": {"awx": given}}) as hub:
        yield hub


async def listed(hub: Hub, path: str) -> dict[str, Tool]:
    async with client_of(hub, path) as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


def text_of(result: CallToolResult) -> str:
    return "".join(getattr(block, "text", "") for block in result.content)


# The catalog


def test_the_catalog_has_142_tools_in_19_groups() -> None:
    assert (len(CATALOG), len(TOOLS)) == (19, 142)


async def test_every_tool_of_the_catalog_is_there_and_no_other(tmp_path: Path) -> None:
    async with hub_with(tmp_path) as hub:
        (plugin,) = hub.plugins
        groups = {group.name: plugin.tool_names(group.name) for group in plugin.plugin.groups}

    assert groups == {group: [f"awx_{tool}" for tool in tools] for group, tools in CATALOG.items()}


@pytest.mark.parametrize("group", CATALOG)
async def test_every_tool_takes_the_arguments_of_the_catalog_and_says_what_it_does(tmp_path: Path, group: str) -> None:
    async with hub_with(tmp_path) as hub:
        tools = await listed(hub, f"/awx/{group}")

    assert set(tools) == {f"awx_{tool}" for tool in CATALOG[group]}
    for name, tool in tools.items():
        kind, *arguments = TOOLS[name].split()
        hints = tool.annotations
        assert hints is not None
        found = (bool(hints.read_only_hint), hints.destructive_hint, bool(hints.idempotent_hint))
        assert (name, found) == (name, KINDS[kind])
        assert (name, hints.open_world_hint) == (name, name not in WITHOUT_AWX)
        required = {argument[:-1] for argument in arguments if argument[-1] == "!"}
        assert (name, set(tool.input_schema["properties"])) == (name, {one.rstrip("!") for one in arguments})
        assert (name, set(tool.input_schema.get("required", ()))) == (name, required)
        assert tool.description


async def test_the_groups_for_this_machine_are_there_only_when_folders_are_opened() -> None:
    async with hub_of(pegboard_awx, settings={"plugins": {"awx": {"url": NOWHERE, "token": "x"}}}) as hub:
        groups = {path.removeprefix("/awx/") for path in hub.endpoints if path.startswith("/awx/")}
        (plugin,) = hub.plugins

    assert groups == set(CATALOG) - OPT_IN
    assert len(plugin.tools) == 127


async def test_without_leave_to_write_there_is_nothing_that_writes(tmp_path: Path) -> None:
    async with hub_with(tmp_path, writes="deny") as hub:
        (plugin,) = hub.plugins
        names = {tool.name for tool in plugin.tools}

    chooses = {"awx_set_active_environment"}  # it changes the session and no AWX
    assert names - chooses == {name for name, words in TOOLS.items() if words.split()[0] == "R"}


# Budgets


@pytest.mark.parametrize("environments", [1, 3])
@pytest.mark.parametrize("group", CATALOG)
async def test_a_groups_endpoint_fits_the_small_budget_in_full(tmp_path: Path, group: str, environments: int) -> None:
    async with hub_with(tmp_path, environments) as hub:
        fit = hub.endpoints[f"/awx/{group}"].view.fit

    assert fit.tools <= 8
    assert fit.tokens <= 1500, {line.name: line.full for line in fit.lines}
    assert {line.state for line in fit.lines} == {"listed"}


@pytest.mark.parametrize("environments", [1, 3])
async def test_the_whole_plugin_fits_the_large_budget_and_the_rest_is_found(tmp_path: Path, environments: int) -> None:
    async with hub_with(tmp_path, environments) as hub:
        fit = hub.endpoints["/awx"].view.fit
        tools = await listed(hub, "/awx")

    assert (fit.tools, fit.tokens <= 8000) == (40, True)
    assert {"awx_launch_job_template", "awx_get_job", "awx_list_job_templates", "awx_wait_for_job"} <= set(tools)
    assert {"search_tools", "call_tool"} <= set(tools)
    assert {line.state for line in fit.kept} == {"listed"}


async def test_the_first_tools_are_those_to_launch_and_to_understand(tmp_path: Path) -> None:
    async with hub_with(tmp_path) as hub:
        tools = await listed(hub, "/profiles/small")

    assert {"awx_launch_job_template", "awx_get_job", "awx_list_job_templates"} <= set(tools)


async def test_what_an_operator_pins_is_listed_before_all_others(tmp_path: Path) -> None:
    pinned = ["awx_launch_job_template", "awx_get_job", "awx_list_job_templates", "awx_decide_workflow_approval"]
    table = {"url": NOWHERE, "token": "x"}
    budget = {"profile": "large", "tools": 8, "tokens": 1500, "pinned": pinned}
    settings = {"plugins": {"awx": table}, "endpoints": {"ops": {"tools": ["awx_*"], "budget": budget}}}
    async with connect(pegboard_awx, settings=settings, path="/ops") as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}

    assert set(pinned) <= tools


@pytest.mark.parametrize("name", TOOLS)
async def test_every_tool_is_found_by_its_name(name: str, found: Mapping[str, str]) -> None:
    assert found[name] == name


# Old names


@pytest.fixture(scope="module")
async def found() -> dict[str, str]:
    """What a search for each name, and each old name, finds first."""
    table = {"url": NOWHERE, "token": "x", "local_roots": ["/tmp"]}
    found: dict[str, str] = {}
    async with connect(pegboard_awx, settings={"plugins": {"awx": table}}, path="/awx") as client:
        for name in [*TOOLS, *OLD_NAMES, *BARE]:
            first = text_of(await client.call_tool("search_tools", {"query": name})).splitlines()[0]
            found[name] = first.partition("(")[0]
    return found


@pytest.mark.parametrize("old", [*OLD_NAMES, *BARE])
async def test_an_old_name_finds_the_tool(old: str, found: Mapping[str, str]) -> None:
    assert found[old] == f"awx_{ {**BARE, **OLD_NAMES}[old] }"


@pytest.mark.parametrize("old", ["list_templates", "awx_templates_list", "list_job_templates", "templates_list"])
async def test_call_tool_runs_a_tool_by_its_old_name(url: str, old: str) -> None:
    settings = {"plugins": {"awx": {"url": url, "token": TOKEN}}}
    async with connect(pegboard_awx, settings=settings, path="/awx") as client:
        result = await client.call_tool("call_tool", {"name": old, "arguments": {"search": "web shop"}})

    assert not result.is_error, text_of(result)
    assert "Deploy web shop" in text_of(result)


# Documents


def test_the_table_of_the_readme_is_that_of_the_plugin() -> None:
    page = (ROOT / "plugins/awx/README.md").read_text()

    assert page_with_tools(page, {"awx": pegboard_awx.hub_plugin()}) == page, "`make docs` writes it anew"
    assert set(re.findall(r"^\| `(awx_\w+)` \|", page, re.MULTILINE)) == set(TOOLS)


def test_every_tool_the_page_names_is_there() -> None:
    named = set(re.findall(r"\bawx_\w+", (ROOT / "docs/awx.md").read_text()))

    assert named
    assert named <= {*TOOLS, *OLD_NAMES}
