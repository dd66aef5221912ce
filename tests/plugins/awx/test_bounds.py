"""Whatever a tool is asked, of however much: its answer is small, and none of it is AWX's own object."""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from tests.plugins.awx.asking import Asking, asking, size
from tests.plugins.awx.conftest import company
from tests.plugins.awx.grown import VARIABLES, grown

from pegboard_awx.double import serving
from pegboard_awx.plugin import MODULES

CATALOG: Mapping[str, Mapping[str, str]] = json.loads((Path(__file__).parent / "catalog.json").read_text())
LOCAL = {"local_playbooks", "local_projects"}
"""They read this machine and no AWX."""
GROUPS = [module.GROUP for module in MODULES if module.GROUP.name not in LOCAL]
TOOLS = {tool: words.split() for group in CATALOG if group not in LOCAL for tool, words in CATALOG[group].items()}

ANSWER, PAGE = 4000, 1500
"""The most tokens of any answer, and of twenty items of a list."""

TEMPLATE = {"template_id": "Deploy web shop"}
JOBS = {name: {"job_id": number} for name, number in (("failed", 31), ("long", 32), ("done", 33), ("waiting", 100))}
FLOW = {"workflow_id": "Release the shop"}

READS: dict[str, dict[str, Any]] = {
    **{tool: {} for tool, words in TOOLS.items() if words[0] == "R" and not any("!" in word for word in words)},
    "get_job": JOBS["waiting"],
    "get_job_output": {**JOBS["long"], "lines": 1000},
    "wait_for_job": JOBS["failed"],
    "list_job_events": JOBS["long"],
    "list_job_host_summaries": JOBS["failed"],
    "analyze_job_failure": JOBS["failed"],
    "get_inventory": {"inventory_id": 1},
    "get_host": {"host_id": 1},
    "get_host_facts": {"host_id": 1, "keys": ["*"]},
    "list_groups": {"inventory_id": 1},
    "get_inventory_update": {"update_id": 35, "include_output": True},
    "get_job_template": TEMPLATE,
    "get_launch_requirements": TEMPLATE,
    "search_templates": {"query": "web"},
    "get_workflow_job": {"job_id": 36},
    "get_user": {"user_id": 1},
    "get_user_by_name": {"username": "nora"},
    "list_object_access": {"object_type": "job_template", "object_id": 10},
    "get_project": {"project_id": "Web shop"},
    "list_project_playbooks": {"project_id": "Base system"},
    "list_project_updates": {"project_id": "Web shop"},
    "get_organization": {"organization_id": 1},
    "list_organization_members": {"organization_id": 1},
    "get_schedule": {"schedule_id": 1},
    "preview_schedule": {"rrule": "DTSTART:20261201T000000Z RRULE:FREQ=MINUTELY;INTERVAL=1", "count": 10},
    "get_credential": {"credential_id": 1},
    "get_credential_type": {"credential_type_id": 1},
    "get_activity_event": {"event_id": 60},
    "get_notification_template": {"notification_template_id": 1},
    "get_instance_group": {"instance_group_id": 1},
}
"""What only reads, asked for as much as there is."""

NEW = {"name": "New", "organization_id": "Alpenkraft"}
HOOK: dict[str, Any] = {"url": "https://chat.example/hook", "headers": {}, "http_method": "POST"}
RULE = "DTSTART:20261201T000000Z RRULE:FREQ=DAILY;INTERVAL=1"
ROLE = {"object_type": "job_template", "object_id": 10, "role": "Execute", "user_id": 3}
DRY = {"dry_run": True}

WRITES: dict[str, dict[str, Any]] = {
    "launch_job_template": {"template_id": "Hello"},
    "cancel_job": JOBS["done"],
    "relaunch_job": JOBS["done"],
    "delete_job": {**JOBS["done"], **DRY},
    "run_ad_hoc_command": {"inventory_id": "Staging", "module_name": "ping", "credential_id": 1},
    "create_inventory": {**NEW, "variables": VARIABLES},
    "update_inventory": {"inventory_id": "Production", "variables": VARIABLES},
    "delete_inventory": {"inventory_id": "Production", **DRY},
    "sync_inventory": {"inventory_id": "Staging"},
    "create_host": {"name": "new-01", "inventory_id": "Production", "variables": VARIABLES},
    "update_host": {"host_id": 1, "variables": VARIABLES},
    "delete_host": {"host_id": 1, **DRY},
    "create_group": {"inventory_id": "Production", "name": "new", "variables": VARIABLES},
    "delete_group": {"group_id": 1, **DRY},
    "set_group_hosts": {"group_id": 1, "add": [9, 10, 9999], "remove": [1]},
    "create_inventory_source": {
        "inventory_id": "Staging",
        "name": "New",
        "source": "scm",
        "source_project_id": 6,
        "source_path": "new.ini",
    },
    "sync_inventory_source": {"source_id": 9},
    "delete_inventory_source": {"source_id": 9, **DRY},
    "create_job_template": {
        "name": "New",
        "project_id": "Web shop",
        "playbook": "deploy.yml",
        "inventory_id": "Production",
        "extra_vars": VARIABLES,
    },
    "update_job_template": {**TEMPLATE, "description": "New"},
    "delete_job_template": {**TEMPLATE, **DRY},
    "copy_job_template": {**TEMPLATE, "name": "New"},
    "set_survey": {**TEMPLATE, "questions": [{"question": "Why?", "variable": "why", "type": "text"}]},
    "create_workflow_job_template": {**NEW, "nodes": [{"id": "one", "template_id": "Hello"}]},
    "update_workflow_job_template": {**FLOW, "description": "New"},
    "delete_workflow_job_template": {**FLOW, **DRY},
    "launch_workflow_job_template": FLOW,
    "create_user": {"username": "rosa", "password": "mountain-goat-7"},
    "update_user": {"user_id": 3, "last_name": "Meier"},
    "delete_user": {"user_id": 3, **DRY},
    "create_team": NEW,
    "delete_team": {"team_id": "Operations", **DRY},
    "set_team_members": {"team_id": "Operations", "add": [3, "nobody"]},
    "grant_role": ROLE,
    "revoke_role": ROLE,
    "create_project": {**NEW, "scm_type": "git", "scm_url": "https://git.alpenkraft.example/new.git"},
    "update_project": {"project_id": "Web shop", "description": "New"},
    "delete_project": {"project_id": "Web shop", **DRY},
    "sync_project": {"project_id": "Web shop"},
    "create_organization": {"name": "New"},
    "update_organization": {"organization_id": "Lab", "max_hosts": 9},
    "delete_organization": {"organization_id": "Alpenkraft", **DRY},
    "create_schedule": {"template_id": "Hello", "name": "New", "rrule": RULE},
    "update_schedule": {"schedule_id": 1, "rrule": RULE},
    "toggle_schedule": {"schedule_id": 1, "enabled": False},
    "delete_schedule": {"schedule_id": 1, **DRY},
    "create_credential": {**NEW, "credential_type": "Machine", "inputs": {"username": "deploy", "password": "secret"}},
    "update_credential": {"credential_id": 1, "inputs": {"username": "other"}},
    "delete_credential": {"credential_id": 1, **DRY},
    "set_template_credentials": {"template_id": "Hello", "add": [1]},
    "create_notification_template": {**NEW, "notification_type": "webhook", "notification_configuration": HOOK},
    "update_notification_template": {"notification_template_id": 1, "notification_configuration": HOOK},
    "delete_notification_template": {"notification_template_id": 1, **DRY},
    "test_notification_template": {"notification_template_id": 1, "wait": False},
    "create_instance_group": {"name": "new"},
    "update_instance_group": {"instance_group_id": 2, "max_forks": 5},
    "delete_instance_group": {"instance_group_id": 2, **DRY},
    "create_execution_environment": {"name": "New", "image": "quay.io/alpenkraft/new:1"},
    "delete_execution_environment": {"execution_environment_id": 1, **DRY},
    "update_settings": {"category": "jobs", "values": {"DEFAULT_JOB_TIMEOUT": 60}},
    "launch_system_job": {"name": "cleanup_jobs", "days": 90},
    "set_active_environment": {"name": "default"},
    "decide_workflow_approval": {"approval_id": 249, "decision": "approve"},
}
PAGED = [tool for tool in READS if "page_size" in TOOLS[tool]]


@pytest.fixture(scope="module", params=[False, True], ids=["AWX", "AAP"])
async def large(request: pytest.FixtureRequest) -> AsyncGenerator[Asking]:
    """All tools, and the company that has grown; for what changes nothing."""
    unlimited = {"budget": {"profile": "unlimited"}}
    async with serving(grown(platform=request.param)) as url, asking(url, *GROUPS, hub=unlimited) as ask:
        yield ask


def raw(value: Any, path: str = "") -> Iterator[str]:
    """Where a value holds what is AWX's own: links within its API, and the objects beside an object."""
    if isinstance(value, dict):
        for key, one in cast(dict[str, Any], value).items():
            if key in ("summary_fields", "related_field_counts", "job_env", "object_roles", "user_capabilities"):
                yield f"{path}.{key}"
            yield from () if key == "api_prefix" else raw(one, f"{path}.{key}")
    elif isinstance(value, list):
        for index, one in enumerate(cast(list[Any], value)):
            yield from raw(one, f"{path}[{index}]")
    elif isinstance(value, str) and value.startswith(("/api/v2/", "/api/controller/")):
        yield f"{path} is {value}"


def test_every_tool_that_asks_awx_is_tried_here() -> None:
    assert set(READS) | set(WRITES) == set(TOOLS)
    assert [tool for tool in READS if TOOLS[tool][0] != "R"] == []


@pytest.mark.parametrize("tool", READS)
async def test_of_very_much_no_more_is_told_than_fits(large: Asking, tool: str) -> None:
    most = {name: value for name, value in (("page_size", 200), ("detail", "full")) if name in TOOLS[tool]}
    told = await large(tool, **READS[tool], **most)

    assert told
    assert size(told) <= ANSWER
    assert list(raw(told)) == []


@pytest.mark.parametrize("tool", PAGED)
async def test_a_page_of_twenty_costs_little(large: Asking, tool: str) -> None:
    told = await large(tool, **READS[tool], page_size=20)

    assert len(told["items"]) <= 20
    assert size(told) <= PAGE
    assert list(raw(told)) == []


@pytest.mark.parametrize("tool", WRITES)
async def test_what_changes_something_tells_little(tool: str) -> None:
    double = grown() if tool == "decide_workflow_approval" else company()
    (group,) = (group for group in GROUPS if tool in [function.__name__ for function in group.tools])
    async with serving(double) as url, asking(url, group) as ask:
        told = await ask(tool, **WRITES[tool])

    assert told
    assert size(told) <= PAGE
    assert list(raw(told)) == []
