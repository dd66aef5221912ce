"""The group infrastructure: nodes, settings, counts."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.plugins.awx.asking import asking, size

from pegboard_awx.double import Double, serving
from pegboard_awx.double.seed import OPERATOR_TOKEN, VIEWER_TOKEN
from pegboard_awx.groups.infrastructure import ALIASES, GROUP
from pegboard_awx.system_settings import masked

LISTS = ("list_instances", "list_instance_groups", "list_execution_environments")


async def test_the_group_fits_the_small_budget_in_full(url: str) -> None:
    async with asking(url, GROUP, writes="deny") as ask:
        tokens = await ask.tokens()
        tools = (await ask.client.list_tools()).tools

    assert len(tokens) == 8
    assert sum(tokens.values()) <= 1500, tokens
    assert {f"awx_{name}" for name in ALIASES.values()} <= set(tokens)
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)


@pytest.mark.parametrize("platform", [False, True], ids=["AWX", "AAP"])
async def test_a_ping_works_with_wrong_credentials_too(platform: bool) -> None:
    double = Double(speed=0, start=datetime.now(UTC), platform=platform)
    async with serving(double) as url, asking(url, GROUP, token="wrong") as ask:  # that is the point
        told = await ask("ping_awx")

    (node,) = told["instances"]
    assert (told["version"], told["ha"], told["active_node"]) == ("24.6.1", False, "awx-1")
    assert 10 <= node["heartbeat_age_s"] <= 60
    assert told["instance_groups"][0] == {"name": "controlplane", "capacity": node["capacity"], "instances": 1}


async def test_the_configuration_says_more_to_administrators(url: str) -> None:
    async with asking(url, GROUP) as ask:
        admin = await ask("get_config")
        full = await ask("get_config", detail="full")
    async with asking(url, GROUP, token=VIEWER_TOKEN) as ask:
        viewer = await ask("get_config")

    assert viewer == {"version": "24.6.1", "license_type": "open", "time_zone": "UTC"}
    assert admin == {**viewer, "project_base_dir": "/var/lib/awx/projects", "project_local_paths": []}
    assert {"become_methods", "product"} <= set(full) - set(admin)
    assert size(full) <= 400


async def test_the_dashboard_counts_without_addresses(url: str) -> None:
    async with asking(url, GROUP) as ask:
        told = await ask("get_dashboard")

    assert told["job_templates"] == {"total": 8}
    assert set(told["hosts"]) == {"total", "failed"}
    assert list(told["scm_types"]) == ["git"]
    assert "http" not in str(told)
    assert "/api/" not in str(told)
    assert size(told) <= 400


# Settings


async def test_without_a_category_only_what_is_not_as_awx_came_is_shown(url: str, double: Double) -> None:
    double.world.settings["jobs"]["MAX_FORKS"] = 50
    async with asking(url, GROUP) as ask:
        told = await ask("get_settings")

    assert told["settings"] == {"MAX_FORKS": 50}
    assert {"jobs", "ldap", "system"} <= set(told["categories"])
    assert size(told) <= 500


async def test_of_a_category_what_is_empty_is_counted_only(url: str) -> None:
    async with asking(url, GROUP) as ask:
        jobs = await ask("get_settings", category="jobs")
        ldap = await ask("get_settings", category="ldap")

    assert jobs["settings"]["MAX_FORKS"] == 200
    assert jobs["settings"]["GALAXY_IGNORE_CERTS"] is False
    assert None not in ldap["settings"].values()
    assert ldap["empty"] > len(ldap["settings"])


async def test_settings_are_found_by_name_or_pattern_in_any_category(url: str) -> None:
    async with asking(url, GROUP) as ask:
        told = await ask("get_settings", keys=["max_forks", "AUTH_LDAP_BIND*", "SCHEDULE_MAX_JOB"])

    assert told["settings"]["MAX_FORKS"] == 200
    assert {"AUTH_LDAP_BIND_DN", "AUTH_LDAP_BIND_PASSWORD"} <= set(told["settings"])
    assert told["unknown"] == {"SCHEDULE_MAX_JOB": told["unknown"]["SCHEDULE_MAX_JOB"]}
    assert "SCHEDULE_MAX_JOBS" in told["unknown"]["SCHEDULE_MAX_JOB"]


async def test_a_category_that_is_not_there_is_answered_with_those_that_are(url: str) -> None:
    async with asking(url, GROUP) as ask:
        assert "there are all, authentication" in await ask.refused("get_settings", category="job")


@pytest.mark.parametrize("token", [OPERATOR_TOKEN, VIEWER_TOKEN])
async def test_settings_are_for_administrators(url: str, token: str) -> None:
    async with asking(url, GROUP, token=token) as ask:
        assert "403" in await ask.refused("get_settings", category="jobs")


def test_settings_are_shown_without_secrets_at_any_depth() -> None:
    env = {"AWS_SECRET_ACCESS_KEY": "a1", "HTTPS_PROXY": "http://me:b2@proxy:3128", "LANG": "C", "TOKENS": ["c3"]}

    assert masked("AWX_TASK_ENV", env) == {
        "AWS_SECRET_ACCESS_KEY": "$hidden$",
        "HTTPS_PROXY": "http://…@proxy:3128",
        "LANG": "C",
        "TOKENS": ["$hidden$"],
    }
    assert masked("OAUTH2_PROVIDER", {"ACCESS_TOKEN_EXPIRE_SECONDS": 600}) == {"ACCESS_TOKEN_EXPIRE_SECONDS": 600}
    assert masked("AUTH_LDAP_BIND_PASSWORD", "$encrypted$") == "$encrypted$"
    assert masked("AUTH_LDAP_BIND_PASSWORD", "") == ""


# Instances, groups and images


async def test_instances_are_shown_with_what_they_have_left() -> None:
    double = Double(speed=0, start=datetime.now(UTC))
    async with serving(double) as url, asking(url, GROUP) as ask:
        (node,) = (await ask("list_instances", name_contains="AWX"))["items"]
        (full,) = (await ask("list_instances", detail="full"))["items"]
        none = await ask("list_instances", name_contains="db")

    assert node.pop("last_seen_age_s") < 300
    assert node == {
        "id": 1,
        "hostname": "awx-1",
        "node_type": "hybrid",
        "state": "ready",
        "enabled": True,
        "capacity": node["capacity"],
        "used_percent": 0,
    }
    assert {"version", "memory_gib"} <= set(full)
    assert none["items"] == []


@pytest.mark.parametrize("ref", [1, "controlplane"])
async def test_an_instance_group_is_shown_with_its_members(url: str, ref: int | str) -> None:
    async with asking(url, GROUP) as ask:
        listing = await ask("list_instance_groups")
        group = await ask("get_instance_group", instance_group_id=ref)

    assert [item["name"] for item in listing["items"]] == ["controlplane", "default"]
    assert [one["hostname"] for one in group["instances"]] == ["awx-1"]
    assert group["policy_instance_percentage"] == 100


async def test_execution_environments_are_listed_with_their_images(url: str) -> None:
    async with asking(url, GROUP) as ask:
        listing = await ask("list_execution_environments", search="latest")

    assert listing["items"] == [{"id": 1, "name": "AWX EE (latest)", "image": "quay.io/ansible/awx-ee:latest"}]


@pytest.mark.parametrize("tool", LISTS)
async def test_lists_have_pages_totals_and_few_tokens(url: str, double: Double, tool: str) -> None:
    collection = tool.removeprefix("list_")
    template = double.world.store.all(collection)[0]
    for number in range(24):
        row: dict[str, Any] = {name: value for name, value in template.items() if not name.startswith("_")}
        row.pop("id")
        row |= {"hostname": f"node-{number:02}"} if collection == "instances" else {"name": f"more {number:02}"}
        double.world.store.add(collection, **row)
    async with asking(url, GROUP) as ask:
        first = await ask(tool)
        last = await ask(tool, page=2, detail="full")
        past = await ask(tool, page=9)

    assert (len(first["items"]), first["has_more"], last["has_more"]) == (20, True, False)
    assert first["total"] == len(double.world.store.all(collection))
    assert (past["items"], past["has_more"]) == ([], False)
    assert size(first) <= 1500
    assert "related" not in str(last)


@pytest.mark.parametrize("tool", LISTS)
async def test_a_filter_that_awx_does_not_know_is_named(url: str, tool: str) -> None:
    async with asking(url, GROUP) as ask:
        assert "weight" in await ask.refused(tool, order_by="weight")


async def test_a_group_that_is_not_there_is_named_with_those_that_are_near(url: str) -> None:
    async with asking(url, GROUP) as ask:
        reason = await ask.refused("get_instance_group", instance_group_id="control")
        assert "did you mean 'controlplane'?" in reason
        assert "404" in await ask.refused("get_instance_group", instance_group_id=99)
