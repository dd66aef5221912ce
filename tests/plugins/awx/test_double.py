"""What happens in the double: jobs live, workflows go on, roles count, filters filter."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.awx.conftest import NOW, reaching

from pegboard_awx import AwxError
from pegboard_awx.api import Api, Object
from pegboard_awx.double import Double, serving
from pegboard_awx.double.filtering import LOOKUPS, filtered
from pegboard_awx.double.refusals import Refusal
from pegboard_awx.double.rrules import read
from pegboard_awx.double.seed import OPERATOR_TOKEN, READ_TOKEN, VIEWER_TOKEN

DOUBLE = Double(speed=0, start=NOW)
"""For what only reads."""


async def id_of(api: Api, collection: str, name: str) -> int:
    found = await api.first(collection, params={"name": name})
    assert found is not None
    return int(found["id"])


async def launch(api: Api, name: str, **body: Any) -> Object:
    return await api.post("job_templates", await id_of(api, "job_templates", name), "launch", json=body)


async def test_a_job_is_pending_runs_and_ends_with_the_time(api: Api, double: Double) -> None:
    job = await launch(api, "Hello")
    seen = [(job["status"], job["event_processing_finished"])]
    for seconds in (0.15, 0.5, 1.0, 1.0):
        double.clock.advance(seconds)
        job = await api.get("jobs", job["id"])
        seen.append((job["status"], job["event_processing_finished"]))

    assert seen == [
        ("pending", False),
        ("waiting", False),
        ("running", False),
        ("successful", False),
        ("successful", True),
    ]


async def test_the_output_is_not_complete_at_the_end(api: Api, double: Double) -> None:
    job = await launch(api, "Hello")
    double.clock.advance(1.5)

    assert (await api.get("jobs", job["id"]))["status"] == "successful"
    early = await api.text("jobs", job["id"], "stdout", params={"format": "txt"})
    double.clock.advance(1.5)
    complete = await api.text("jobs", job["id"], "stdout", params={"format": "txt"})

    assert len(early) < len(complete)
    assert complete.startswith(early)
    assert "PLAY RECAP" in complete


async def test_the_second_run_of_a_template_waits_for_the_first(api: Api, double: Double) -> None:
    first, second = await launch(api, "Hello"), await launch(api, "Hello")
    double.clock.advance(1)
    assert (await api.get("jobs", second["id"]))["status"] == "pending"
    double.clock.advance(1)

    assert (await api.get("jobs", first["id"]))["status"] == "successful"
    assert (await api.get("jobs", second["id"]))["status"] == "running"


async def test_a_job_is_canceled_in_a_moment_and_only_once(api: Api, double: Double) -> None:
    job = await launch(api, "Deploy web shop", extra_vars={"release": "2026.12.1", "environment": "staging"})
    double.clock.advance(5)
    await api.post("jobs", job["id"], "cancel")
    double.clock.advance(2)

    done = await api.get("jobs", job["id"])
    with pytest.raises(AwxError) as raised:
        await api.post("jobs", job["id"], "cancel")

    assert (done["status"], done["failed"]) == ("canceled", True)
    assert raised.value.kind == "not_allowed_now"


async def test_failed_hosts_are_launched_again_alone(api: Api, double: Double) -> None:
    job = await launch(api, "Renew certificates")
    double.clock.advance(60)
    again = await api.post("jobs", job["id"], "relaunch", json={"hosts": "failed"})

    assert (await api.get("jobs", job["id"]))["status"] == "failed"
    assert again["limit"].startswith("web-01,web-02")
    assert "db-01" not in again["limit"]


async def test_a_workflow_waits_for_its_approval_and_goes_on(api: Api, double: Double) -> None:
    template = await id_of(api, "workflow_job_templates", "Release the shop")
    job = await api.post("workflow_job_templates", template, "launch")
    double.clock.advance(30)
    approval = await api.first("workflow_approvals", params={"status": "pending"})
    assert approval is not None
    await api.post("workflow_approvals", approval["id"], "approve")
    double.clock.advance(30)

    nodes = {one["identifier"]: one async for one in api.all("workflow_jobs", job["id"], "workflow_nodes")}

    assert (await api.get("workflow_jobs", job["id"]))["status"] == "successful"
    assert nodes["deploy"]["summary_fields"]["job"]["status"] == "successful"
    assert nodes["rescue"]["do_not_run"] is True


@pytest.mark.parametrize("how", ["deny", "wait"])
async def test_a_workflow_without_its_approval_fails(api: Api, double: Double, how: str) -> None:
    template = await id_of(api, "workflow_job_templates", "Release the shop")
    job = await api.post("workflow_job_templates", template, "launch")
    double.clock.advance(30)
    approval = await api.first("workflow_approvals", params={"status": "pending"})
    assert approval is not None
    if how == "deny":
        await api.post("workflow_approvals", approval["id"], "deny")
    double.clock.advance(4000)

    assert (await api.get("workflow_jobs", job["id"]))["status"] == "failed"
    assert (await api.get("workflow_approvals", approval["id"]))["timed_out"] is (how == "wait")


async def test_a_source_brings_hosts_and_a_project_a_revision(api: Api, double: Double) -> None:
    staging = await id_of(api, "inventories", "Staging")
    project = await id_of(api, "projects", "Web shop")
    before = (await api.get("projects", project))["scm_revision"]
    await api.post("inventories", staging, "update_inventory_sources")
    await api.post("projects", project, "update")
    double.clock.advance(10)

    assert (await api.page("inventories", staging, "hosts")).total == 6
    assert (await api.get("projects", project))["scm_revision"] != before


async def test_values_that_are_not_asked_for_are_ignored_and_named(api: Api) -> None:
    job = await launch(api, "Hello", limit="lab-01", extra_vars={"a": 1})

    assert job["ignored_fields"] == {"limit": "lab-01", "extra_vars": {"a": 1}}
    assert job["limit"] == ""


async def test_a_password_of_a_survey_is_never_shown(api: Api) -> None:
    answers = {"release": "2026.12.1", "environment": "staging", "approval_code": "4711-secret"}
    job = await launch(api, "Deploy web shop", extra_vars=answers)

    assert "4711" not in str(job)
    assert "$encrypted$" in job["extra_vars"]


async def test_a_secret_that_is_left_out_of_inputs_is_erased(api: Api, double: Double) -> None:
    credential = await api.first("credentials", params={"name": "Git deploy key"})
    assert credential is not None
    assert credential["inputs"]["password"] == "$encrypted$"
    row = double.world.store.get("credentials", credential["id"])
    assert row is not None
    kept = row["inputs"]["password"]

    await api.patch("credentials", credential["id"], json={"inputs": {"username": "git", "password": "$encrypted$"}})
    assert row["inputs"]["password"] == kept
    await api.patch("credentials", credential["id"], json={"inputs": {"username": "git"}})
    assert "password" not in row["inputs"]


async def test_with_an_organization_goes_what_is_in_it(api: Api) -> None:
    lab = await id_of(api, "organizations", "Lab")

    assert await api.delete("organizations", lab) == 204
    assert await api.first("inventories", params={"name": "Lab servers"}) is None
    assert await api.first("hosts", params={"name": "lab-01"}) is None


async def test_roles_decide_what_is_seen_and_done(url: str) -> None:
    async with reaching(url, token=OPERATOR_TOKEN) as api:
        assert (await api.page("job_templates")).total == 4
        backup = await id_of(api, "job_templates", "Back up databases")
        assert (await api.post("job_templates", backup, "launch"))["status"] == "pending"
        with pytest.raises(AwxError) as raised:
            await api.patch("job_templates", backup, json={"name": "Mine"})
    assert raised.value.kind == "permission"

    async with reaching(url, token=VIEWER_TOKEN) as api:
        assert (await api.page("job_templates")).total == 1
        with pytest.raises(AwxError) as raised:
            await api.post("job_templates", backup, "launch")
    assert raised.value.kind == "permission"

    async with reaching(url, token=READ_TOKEN) as api:
        assert (await api.page("job_templates")).total == 8
        with pytest.raises(AwxError) as raised:
            await api.post("job_templates", backup, "launch")
    assert raised.value.kind == "permission"


async def test_a_role_that_is_granted_lets_its_holder_launch(url: str, api: Api) -> None:
    hello = await api.first("job_templates", params={"name": "Hello"})
    vera = await api.first("users", params={"username": "vera"})
    assert hello is not None
    assert vera is not None
    role = hello["summary_fields"]["object_roles"]["execute_role"]["id"]

    await api.associate("roles", role, "users", id=vera["id"])

    async with reaching(url, token=VIEWER_TOKEN) as hers:
        assert (await hers.post("job_templates", hello["id"], "launch"))["status"] == "pending"


async def test_a_platform_keeps_users_to_itself() -> None:
    async with serving(Double(speed=0, start=NOW, platform=True)) as url, reaching(url) as api:
        with pytest.raises(AwxError) as made:
            await api.post("users", json={"username": "new", "password": "secret"})
        with pytest.raises(AwxError) as tokens:
            await api.get("tokens")

    assert made.value.kind == "policy"
    assert "changed through its platform" in str(made.value)
    assert tokens.value.kind == "not_found"


NAMES = [row["name"] for row in DOUBLE.world.store.all("hosts")]


def found(*pairs: tuple[str, str]) -> list[str]:
    store = DOUBLE.world.store
    return [row["name"] for row in filtered(store, "hosts", store.all("hosts"), pairs)]


@given(st.sampled_from(NAMES), st.sampled_from(["exact", "iexact", "contains", "icontains", "startswith", "endswith"]))
def test_a_name_is_found_by_each_way_of_comparing_it(name: str, lookup: str) -> None:
    assert name in found((f"name__{lookup}", name))
    assert name not in found((f"not__name__{lookup}", name))


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
def test_several_names_are_found_together(names: list[str]) -> None:
    several = found(("name__in", ",".join(names)))
    either = found(*(("or__name", name) for name in names))

    assert sorted(several) == sorted(either)
    assert set(several) == set(names)


@given(st.text(min_size=1), st.sampled_from(sorted(LOOKUPS)), st.text())
def test_no_filter_breaks_the_double(name: str, lookup: str, text: str) -> None:
    for key in (name, f"name__{lookup}", f"id__{lookup}", f"inventory__{lookup}", f"created__{lookup}"):
        with suppress(Refusal):
            found((key, text))


def test_filters_go_through_relations() -> None:
    assert len(found(("inventory__name", "Production"), ("name__startswith", "web-"))) == 8
    assert len(found(("groups__name", "databases"))) == 4
    assert found(("last_job_host_summary__failed", "true"), ("name__startswith", "legacy")) == ["legacy-01"]
    assert len(found(("inventory__organization__name", "Lab"))) == 2
    assert found(("search", "WEB-01")) == ["web-01", "stage-web-01"]


@pytest.mark.parametrize(
    ("rule", "first"),
    [
        ("DTSTART;TZID=Europe/Zurich:20270101T030000 RRULE:FREQ=DAILY;INTERVAL=1", "2027-01-01T02:00:00+00:00"),
        ("DTSTART:20270104T060000Z RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,WE", "2027-01-04T06:00:00+00:00"),
        ("DTSTART:20270131T060000Z RRULE:FREQ=MONTHLY;INTERVAL=1;COUNT=2", "2027-01-31T06:00:00+00:00"),
        ("DTSTART:20261101T000000Z RRULE:FREQ=HOURLY;INTERVAL=6", "2026-11-20T12:00:00+00:00"),
    ],
)
def test_a_rule_fires_when_it_says(rule: str, first: str) -> None:
    moment = read(rule).next_after(NOW)

    assert moment is not None
    assert moment.isoformat() == first


def test_a_rule_that_is_over_fires_no_more() -> None:
    assert read("DTSTART:20260101T000000Z RRULE:FREQ=DAILY;INTERVAL=1;COUNT=3").next_after(NOW) is None


@pytest.mark.parametrize(
    ("collection", "body"),
    [
        ("hosts", {"name": "objects", "inventory": 1, "variables": {"a": 1}}),
        ("hosts", {"name": "nowhere", "inventory": 424242}),
        ("hosts", ["a", "list"]),
        ("job_templates", {"description": "without a name"}),
        ("schedules", {"name": "x", "unified_job_template": 1, "rrule": "daily"}),
    ],
)
async def test_what_is_wrong_is_refused(api: Api, collection: str, body: Any) -> None:
    with pytest.raises(AwxError) as raised:
        await api.post(collection, json=body)

    assert (raised.value.kind, raised.value.status) == ("validation", 400)
