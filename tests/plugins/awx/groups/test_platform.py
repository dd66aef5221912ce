"""The group platform: what administrators of AWX do."""

from typing import Any

import pytest
from mcp.client.session import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult
from tests.plugins.awx.asking import asking, size

from pegboard import Plugin
from pegboard.testing import connect
from pegboard_awx import Settings
from pegboard_awx.double import Double, Fault
from pegboard_awx.double.seed import OPERATOR_TOKEN, READ_TOKEN, TOKEN
from pegboard_awx.groups.platform import GROUP
from pegboard_awx.metrics import families

IMAGE = {"name": "Shop EE", "image": "registry.example.com/shop:1"}


async def test_the_group_fits_the_small_budget_in_full(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tokens = await ask.tokens()

    assert len(tokens) == 8
    assert sum(tokens.values()) <= 1500, tokens


async def test_the_tools_say_what_they_do_to_awx(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tools = {tool.name: tool.annotations for tool in (await ask.client.list_tools()).tools}

    hints = {name.removeprefix("awx_"): h for name, h in tools.items() if h and not h.read_only_hint}
    assert {name: (h.destructive_hint, h.idempotent_hint) for name, h in hints.items()} == {
        "create_instance_group": (False, None),
        "update_instance_group": (False, True),
        "delete_instance_group": (True, True),
        "create_execution_environment": (False, None),
        "delete_execution_environment": (True, True),
        "update_settings": (True, True),
        "launch_system_job": (True, None),
    }


async def test_where_writing_is_denied_only_the_numbers_are_left(url: str) -> None:
    async with asking(url, GROUP, writes="deny") as ask:
        assert list(await ask.tokens()) == ["awx_get_metrics_summary"]


# Instance groups


async def test_an_instance_group_is_created_changed_and_deleted(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        made = await ask("create_instance_group", name="edge", policy_instance_percentage=0, max_forks=20)
        told = await ask("update_instance_group", instance_group_id="edge", max_forks=30, policy_instance_percentage=0)
        again = await ask("update_instance_group", instance_group_id=made["id"], max_forks=30)
        would = await ask("delete_instance_group", instance_group_id="edge", dry_run=True)
        did = await ask("delete_instance_group", instance_group_id="edge")

    assert (told["changed"], again["changed"]) == (["max_forks"], [])
    assert would == {"deleted": False, "dry_run": True, "id": made["id"], "name": "edge"}
    assert did == {"deleted": True, "id": made["id"], "name": "edge"}
    assert [len(double.seen(method, "/instance_groups/")) for method in ("POST", "PATCH", "DELETE")] == [1, 1, 1]


async def test_a_dry_run_counts_the_instances_of_a_group_and_awx_keeps_its_own(url: str) -> None:
    async with asking(url, GROUP) as ask:
        would = await ask("delete_instance_group", instance_group_id="controlplane", dry_run=True)
        reason = await ask.refused("delete_instance_group", instance_group_id="controlplane")

    assert would["related"] == {"instances": 1}
    assert "403" in reason
    assert "AWX keeps the groups controlplane and default" in reason


async def test_a_name_that_is_taken_is_a_conflict_that_says_by_what(url: str) -> None:
    async with asking(url, GROUP) as ask:
        assert "with the id 2" in await ask.refused("create_instance_group", name="default")
        made = await ask("create_execution_environment", **IMAGE)
        assert f"with the id {made['id']}" in await ask.refused("create_execution_environment", **IMAGE)


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("create_instance_group", {"name": "edge", "policy_instance_percentage": 101}, "policy_instance_percentage"),
        ("create_instance_group", {"name": "edge", "max_forks": -1}, "max_forks"),
        ("create_execution_environment", {**IMAGE, "pull": "sometimes"}, "pull"),
        ("launch_system_job", {"name": "cleanup_everything"}, "name"),
        ("launch_system_job", {"name": "cleanup_jobs", "days": 0}, "days"),
        ("launch_system_job", {"name": "cleanup_tokens", "days": 30}, "cleanup_tokens takes no days"),
    ],
)
async def test_values_that_cannot_be_are_refused_before_awx_sees_them(
    url: str, double: Double, tool: str, arguments: dict[str, Any], reason: str
) -> None:
    async with asking(url, GROUP) as ask:
        assert reason in await ask.refused(tool, **arguments)

    assert double.seen("POST", "/") == []


@pytest.mark.parametrize(
    ("tool", "field", "near"),
    [
        ("update_instance_group", "instance_group_id", "controlplane"),
        ("delete_instance_group", "instance_group_id", "controlplane"),
        ("delete_execution_environment", "execution_environment_id", "Control Plane Execution Environment"),
    ],
)
async def test_what_is_not_there_is_named_with_what_is_near(url: str, tool: str, field: str, near: str) -> None:
    async with asking(url, GROUP) as ask:
        assert f"did you mean '{near}'?" in await ask.refused(tool, **{field: "control"})
        assert "404" in await ask.refused(tool, **{field: 999})


@pytest.mark.parametrize("token", [OPERATOR_TOKEN, READ_TOKEN])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("create_instance_group", {"name": "edge"}),
        ("update_instance_group", {"instance_group_id": 1, "max_forks": 5}),
        ("delete_instance_group", {"instance_group_id": 2}),
        ("create_execution_environment", IMAGE),
        ("update_settings", {"category": "jobs", "values": {"MAX_FORKS": 5}}),
    ],
)
async def test_it_takes_an_administrator_with_a_token_for_writing(
    url: str, token: str, tool: str, arguments: dict[str, Any]
) -> None:
    async with asking(url, GROUP, token=token) as ask:
        assert "403" in await ask.refused(tool, **arguments)


# Execution environments


async def test_an_execution_environment_is_created_and_deleted(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        made = await ask("create_execution_environment", **IMAGE, pull="always", organization_id="Lab")
        hello = double.world.store.find("job_templates", name="Hello")
        assert hello is not None
        hello["execution_environment"] = made["id"]
        would = await ask("delete_execution_environment", execution_environment_id="Shop EE", dry_run=True)
        row = double.world.store.get("execution_environments", made["id"])
        assert row is not None
        assert (row["pull"], row["organization"]) == ("always", 2)
        did = await ask("delete_execution_environment", execution_environment_id=made["id"])

    assert would["related"] == {"templates": 1}
    assert did["deleted"]


async def test_awx_keeps_the_images_it_manages(url: str) -> None:
    async with asking(url, GROUP) as ask:
        name = "Control Plane Execution Environment"
        reason = await ask.refused("delete_execution_environment", execution_environment_id=name)

    assert "AWX keeps the images it manages itself" in reason


# Settings


async def test_a_change_of_settings_tells_before_and_after(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        told = await ask("update_settings", category="jobs", values={"SCHEDULE_MAX_JOBS": 11, "MAX_FORKS": 200})
        again = await ask("update_settings", category="jobs", values={"SCHEDULE_MAX_JOBS": 11})

    assert told == {"changed": {"SCHEDULE_MAX_JOBS": [10, 11]}}
    assert again == {"changed": {}}
    assert len(double.seen("PATCH", "/settings/jobs/")) == 1


async def test_a_setting_that_awx_would_ignore_without_a_word_is_refused(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        values = {"SCHEDULE_MAX_JOB": 11, "MAX_FORKS": 10}
        reason = await ask.refused("update_settings", category="jobs", values=values)

    assert "SCHEDULE_MAX_JOB (near: SCHEDULE_MAX_JOBS" in reason
    assert double.seen("PATCH", "/") == []


async def test_a_value_that_awx_refuses_is_told_with_its_name(url: str) -> None:
    async with asking(url, GROUP) as ask:
        reason = await ask.refused("update_settings", category="jobs", values={"SCHEDULE_MAX_JOBS": "abc"})
        missing = await ask.refused("update_settings", category="job", values={"SCHEDULE_MAX_JOBS": 1})

    assert "SCHEDULE_MAX_JOBS: A valid integer is required" in reason
    assert "there are all, authentication" in missing


async def test_secrets_in_settings_are_changed_and_kept_without_being_shown(url: str, double: Double) -> None:
    jobs, ldap = double.world.settings["jobs"], double.world.settings["ldap"]
    jobs["AWX_TASK_ENV"] = {"VAULT_TOKEN": "hvs.old", "LANG": "C"}
    async with asking(url, GROUP) as ask:
        env = {"VAULT_TOKEN": "$hidden$", "LANG": "de"}
        told = await ask("update_settings", category="jobs", values={"AWX_TASK_ENV": env})
        secret = await ask("update_settings", category="ldap", values={"AUTH_LDAP_BIND_PASSWORD": "new-secret"})
        ignored = await ask("update_settings", category="ldap", values={"AUTH_LDAP_BIND_PASSWORD": "$encrypted$"})

    assert jobs["AWX_TASK_ENV"] == {"VAULT_TOKEN": "hvs.old", "LANG": "de"}
    assert told["changed"]["AWX_TASK_ENV"] == [{"VAULT_TOKEN": "$hidden$", "LANG": "C"}, env]
    assert ldap["AUTH_LDAP_BIND_PASSWORD"] == "new-secret"
    assert "AUTH_LDAP_BIND_PASSWORD" in secret["changed"]
    assert "new-secret" not in str(secret)
    assert ignored == {"changed": {}}


@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_the_question_shows_what_would_change(url: str, double: Double, action: Any) -> None:
    asked: list[str] = []

    async def elicit(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action=action)

    plugin = Plugin(name="awx", groups=[GROUP], settings=Settings)
    settings = {"plugins": {"awx": {"url": url, "token": TOKEN, "writes": "confirm"}}}
    async with connect(plugin, settings=settings, elicitation_callback=elicit) as client:
        values = {"MAX_FORKS": 50, "SCHEDULE_MAX_JOBS": 10}
        await client.call_tool("awx_update_settings", {"category": "jobs", "values": values})

    assert asked == ["Change the jobs settings of AWX in default? MAX_FORKS: 200 -> 50"]
    assert len(double.seen("PATCH", "/settings/")) == (action == "accept")


# System jobs


@pytest.mark.parametrize(
    ("name", "days", "sent"),
    [("cleanup_jobs", 90, {"extra_vars": {"days": 90}}), ("cleanup_sessions", None, {})],
)
async def test_a_system_job_is_started_once_and_can_be_waited_for(
    url: str, double: Double, name: str, days: int | None, sent: dict[str, Any]
) -> None:
    async with asking(url, GROUP) as ask:
        told = await ask("launch_system_job", name=name, days=days)
        again = await ask("launch_system_job", name=name, days=days)

    (request,) = double.seen("POST", "/launch/")
    assert request.body == sent
    assert (told["type"], told["status"]) == ("system_job", "pending")
    assert told["next"].startswith("awx_wait_for_job(")
    assert again["job_id"] == told["job_id"]
    assert "nothing was started now" in again["warnings"][0]


async def test_a_system_job_whose_answer_is_lost_is_found(url: str, double: Double) -> None:
    double.faults.add(Fault("drop_after", "POST", "system_job_templates/*", times=1))
    async with asking(url, GROUP) as ask:
        told = await ask("launch_system_job", name="cleanup_jobs", days=30)

    assert "answer was lost" in told["warnings"][0]
    assert len(double.seen("POST", "/launch/")) == 1


async def test_the_list_of_templates_that_may_be_launched_is_also_for_system_jobs(url: str, double: Double) -> None:
    async with asking(url, GROUP, allow_templates=["Deploy*"]) as ask:
        assert "may not be used in default" in await ask.refused("launch_system_job", name="cleanup_jobs")

    assert double.seen("POST", "/") == []


async def test_a_system_job_takes_an_administrator(url: str) -> None:
    async with asking(url, GROUP, token=OPERATOR_TOKEN) as ask:
        assert "administrator" in await ask.refused("launch_system_job", name="cleanup_jobs")


# Metrics


async def test_metrics_are_a_few_numbers_and_never_all(url: str) -> None:
    """The exposition of a real AWX has 13 to 53 KB."""
    async with asking(url, GROUP) as ask:
        usual = await ask("get_metrics_summary")
        every = await ask("get_metrics_summary", names=["*"])

    assert usual["metrics"]["awx_job_templates_total"] == 8
    assert usual["metrics"]["awx_status_total"]["failed"] > 0
    assert usual["families_in_all"] > 100
    assert size(usual) <= 500
    assert len(every["metrics"]) == 40
    assert every["left_out"] == every["families_in_all"] - 40
    assert size(every) <= 1500


async def test_metrics_are_found_by_name_or_pattern(url: str) -> None:
    async with asking(url, GROUP) as ask:
        names = ["awx_hosts_total", "awx_p*_total", "awx_host_total", "capacity"]
        told = await ask("get_metrics_summary", names=names)

    assert list(told["metrics"]) == ["awx_projects_total", "awx_hosts_total", "awx_pending_jobs_total"]
    assert "awx_hosts_total" in told["unknown"]["awx_host_total"]
    assert told["unknown"]["capacity"] == ["awx_instance_capacity"]


async def test_metrics_are_for_administrators(url: str) -> None:
    async with asking(url, GROUP, token=OPERATOR_TOKEN) as ask:
        assert "403" in await ask.refused("get_metrics_summary")


def test_families_are_told_in_as_few_words_as_they_take() -> None:
    def sample(value: float, **labels: str) -> dict[str, Any]:
        return {"labels": labels, "value": value}

    buckets = [{**sample(4, le="10", node="a"), "sample_type": "bucket"} for _ in range(20)]
    ends = [{**sample(4, node="a"), "sample_type": "count"}, {**sample(17.5, node="a"), "sample_type": "sum"}]
    info = {"instance_uuid": "f00", "version": "24.6.1", "hostname": "a"}
    told: dict[str, Any] = {
        "one": {"type": "gauge", "samples": [sample(0.123456, node="a")]},
        "by_node": {"type": "gauge", "samples": [sample(1, node="a", cluster="x"), sample(2, node="b", cluster="x")]},
        "size": {"type": "histogram", "samples": [*buckets, *ends]},
        "awx_instance_info": {"type": "gauge", "samples": [sample(1, **info)]},
        "many": {"type": "gauge", "samples": [sample(number, job=str(number)) for number in range(30)]},
        "none": {"type": "gauge", "samples": []},
    }

    found, left_out = families(told, ["*"])

    many = found.pop("many")
    assert left_out == 0
    assert (many["more"], many["29"], "1" in many) == (18, 29, False)
    assert found == {
        "one": 0.1235,
        "by_node": {"a": 1, "b": 2},
        "size": {"count": 4, "sum": 17.5},
        "awx_instance_info": {"version": "24.6.1", "hostname": "a"},
        "none": {},
    }
