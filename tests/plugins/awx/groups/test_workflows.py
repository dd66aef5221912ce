"""Workflows as a model makes them, runs them, and decides on their approvals."""

from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from mcp.client import ClientRequestContext
from mcp.types import ElicitRequestParams, ElicitResult
from tests.plugins.awx.asking import Asking, asking, size
from tests.plugins.awx.conftest import NOW
from tests.plugins.awx.rows import is_there, number, page, row, writes

from pegboard import Plugin
from pegboard.testing import connect
from pegboard_awx import Settings
from pegboard_awx.double import Double, Fault, serving
from pegboard_awx.double.seed import OPERATOR_TOKEN, READ_TOKEN, TOKEN, VIEWER_TOKEN
from pegboard_awx.groups.workflows import ALIASES, GROUP

WORKFLOW = "Release the shop"
ANNOTATIONS = {
    "list_workflow_job_templates": (True, False, True),
    "create_workflow_job_template": (False, False, False),
    "update_workflow_job_template": (False, False, True),
    "delete_workflow_job_template": (False, True, True),
    "launch_workflow_job_template": (False, True, False),
    "get_workflow_job": (True, False, True),
    "list_workflow_approvals": (True, False, True),
    "decide_workflow_approval": (False, True, False),
}
"""Whether a tool only reads, destroys, and may be repeated."""

NODES: list[dict[str, Any]] = [
    {"id": "facts", "template_id": "Gather facts", "success": ["gate"], "always": ["sync"]},
    {"id": "gate", "approval": {"name": "Go on?", "timeout": 60}, "success": ["deploy"], "failure": ["sync"]},
    {"id": "deploy", "template_id": "Hello"},
    {"id": "sync", "template_id": "Web shop"},
]


async def at_the_gate(ask: Asking, double: Double) -> dict[str, Any]:
    """Launch the workflow, and let it come to its approval."""
    launched = await ask("launch_workflow_job_template", workflow_id=WORKFLOW, extra_vars={"release": "1.2"})
    double.clock.advance(10)
    return await ask("get_workflow_job", job_id=launched["job_id"])


def statuses(job: dict[str, Any]) -> list[str]:
    return [node["status"] for node in job["nodes"]]


async def test_the_tools_fit_the_small_budget_and_say_what_they_do_to_awx(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tokens = await ask.tokens()
        tools = {tool.name.removeprefix("awx_"): tool.annotations for tool in (await ask.client.list_tools()).tools}

    assert len(tokens) == 8
    assert sum(tokens.values()) < 1200
    for name, (reads, destroys, repeats) in ANNOTATIONS.items():
        hints = tools[name]
        assert hints is not None
        assert (hints.read_only_hint is True, hints.destructive_hint is True) == (reads, destroys)
        assert reads or (hints.idempotent_hint is True) is repeats
        assert hints.open_world_hint is True
    assert {f"awx_{name}" for name in ALIASES.values()} <= tokens.keys()


async def test_workflows_are_listed_page_by_page(url: str, double: Double) -> None:
    lab = number(double, "organizations", "Lab")
    for index in range(25):
        double.world.make("workflow_job_templates", None, name=f"Flow {index:02}", organization=lab)
    async with asking(url, GROUP) as ask:
        first = await ask("list_workflow_job_templates")
        second = await ask("list_workflow_job_templates", page=2)
        beyond = await ask("list_workflow_job_templates", page=9)
        few = await ask("list_workflow_job_templates", name_contains="shop", detail="full")
        none = await ask("list_workflow_job_templates", search="zeppelin")

    assert (len(first["items"]), first["total"], first["has_more"]) == (20, 26, True)
    assert (len(second["items"]), second["has_more"]) == (6, False)
    assert (beyond["items"], none["items"], none["total"]) == ([], [], 0)
    assert [item["name"] for item in few["items"]] == [WORKFLOW]
    assert few["items"][0]["description"].startswith("Back up")
    assert second["items"][-1] == {
        "id": number(double, "workflow_job_templates", WORKFLOW),
        "name": WORKFLOW,
        "organization": "Alpenkraft",
        "asks": ["extra_vars"],
    }
    assert size(first) < 1500


async def test_a_workflow_is_made_with_its_nodes_edges_and_approval(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        made = await ask(
            "create_workflow_job_template",
            name="Flow",
            organization_id="Alpenkraft",
            inventory_id="Staging",
            extra_vars={"a": 1},
            nodes=NODES,
        )

    assert made["web_url"] == page(double, url, f"templates/workflow_job_template/{made['id']}/details")
    assert [node["identifier"] for node in made["nodes"]] == ["facts", "gate", "deploy", "sync"]
    assert row(double, "workflow_job_templates", "Flow")["extra_vars"] == '{"a": 1}'
    store = double.world.store
    nodes = {
        node["identifier"]: node
        for node in store.where("workflow_job_template_nodes", workflow_job_template=made["id"])
    }
    edges = {
        (name, edge, after["identifier"])
        for name, node in nodes.items()
        for edge in ("success", "failure", "always")
        for after in store.linked(node, f"{edge}_nodes")
    }
    assert edges == {
        ("facts", "success", "gate"),
        ("facts", "always", "sync"),
        ("gate", "success", "deploy"),
        ("gate", "failure", "sync"),
    }
    gate = row(double, "workflow_approval_templates", "Go on?")
    assert (gate["timeout"], nodes["gate"]["unified_job_template"]) == (60, gate["id"])
    assert nodes["sync"]["unified_job_template"] == number(double, "projects", "Web shop")


@pytest.mark.parametrize(
    ("nodes", "reasons"),
    [
        ([{"id": "a", "template_id": 1}, {"id": "a", "template_id": 1}], ["'a' is the id of several nodes"]),
        ([{"id": "a", "template_id": 1, "success": ["b"]}], ["'a' leads to 'b', which is no node"]),
        ([{"id": "a"}], ["'a' needs a template_id or an approval, one of them"]),
        ([{"id": "a", "template_id": 1, "approval": {"name": "x"}}], ["needs a template_id or an approval"]),
        (
            [{"id": "a", "template_id": 1, "success": ["b"]}, {"id": "b", "failure": ["a", "c"]}],
            ["'b' leads to 'c'", "'b' needs", "'a', 'b' can never start: there is a circle among them"],
        ),
        ([{"id": "a", "template_id": "Helo"}], ["there is no template 'Helo'"]),
        ([{"id": "a", "template_id": "Deploy"}], ["did you mean", "'Deploy web shop'"]),
        ([{"template_id": 1}], ["id"]),
    ],
)
async def test_nodes_that_cannot_be_are_refused_all_at_once_before_anything_is_made(
    url: str, double: Double, nodes: Sequence[dict[str, Any]], reasons: Sequence[str]
) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_workflow_job_template", name="Flow", nodes=nodes)

    assert [reason for reason in reasons if reason not in text] == []
    assert writes(double) == []


async def test_a_workflow_that_cannot_be_finished_is_taken_back(url: str, double: Double) -> None:
    nodes = [*NODES, {"id": "last", "template_id": 999}]
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_workflow_job_template", name="Flow", organization_id="Lab", nodes=nodes)

    assert "UnifiedJobTemplate matching query does not exist" in text
    assert "the workflow was taken back, so nothing is left of it" in text
    assert not is_there(double, "workflow_job_templates", "Flow")


async def test_a_workflow_that_is_there_in_part_is_named_with_how_to_delete_it(url: str, double: Double) -> None:
    double.faults.add(Fault("drop_after", "POST", "*/workflow_nodes/"))
    double.faults.add(Fault("status", "DELETE", "workflow_job_templates/*", status=403))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_workflow_job_template", name="Flow", organization_id="Lab", nodes=NODES)

    made = number(double, "workflow_job_templates", "Flow")
    assert f"is there in part: awx_delete_workflow_job_template(workflow_id={made})" in text
    assert len(double.seen("POST", "/workflow_nodes/")) == 1


async def test_a_name_that_is_taken_comes_with_the_id_of_what_has_it(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_workflow_job_template", name=WORKFLOW, organization_id="Alpenkraft")

    assert f"the id {number(double, 'workflow_job_templates', WORKFLOW)}" in text


async def test_only_what_differs_is_changed_and_told(url: str, double: Double) -> None:
    changes = {
        "description": "Go",
        "ask_limit_on_launch": True,
        "ask_variables_on_launch": True,
        "extra_vars": {"a": 1},
    }
    async with asking(url, GROUP) as ask:
        first = await ask("update_workflow_job_template", workflow_id=WORKFLOW, **changes)
        again = await ask("update_workflow_job_template", workflow_id=WORKFLOW, **changes)

    assert first["changed"] == ["description", "extra_vars.a", "ask_limit_on_launch"]
    assert again["changed"] == []
    sent = [body for _, body in writes(double)]
    assert sent == [{"description": "Go", "extra_vars": '{"a": 1}', "ask_limit_on_launch": True}]


async def test_a_dry_run_counts_what_would_go_and_a_deletion_tells_what_is_gone(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        dry = await ask("delete_workflow_job_template", workflow_id=WORKFLOW, dry_run=True)
        assert writes(double) == []
        gone = await ask("delete_workflow_job_template", workflow_id=WORKFLOW)

    assert (dry["deleted"], dry["related"]) == (False, {"nodes": 4})
    assert (gone["deleted"], gone["name"]) == (True, WORKFLOW)
    assert not is_there(double, "workflow_job_templates", WORKFLOW)


async def test_a_workflow_that_runs_is_not_deleted(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        job = await at_the_gate(ask, double)
        text = await ask.refused("delete_workflow_job_template", workflow_id=WORKFLOW)

    assert f"active jobs {job['id']}" in text
    assert is_there(double, "workflow_job_templates", WORKFLOW)


async def test_a_launch_starts_one_run_and_says_how_to_follow_it(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        launched = await ask("launch_workflow_job_template", workflow_id=WORKFLOW, extra_vars={"release": "1.2"})
        again = await ask("launch_workflow_job_template", workflow_id=WORKFLOW, extra_vars={"release": "1.2"})

    assert (launched["type"], launched["status"]) == ("workflow_job", "pending")
    assert launched["next"] == f"awx_wait_for_job(job_id={launched['job_id']})"
    assert again["job_id"] == launched["job_id"]
    assert "nothing was started now" in again["warnings"][0]
    assert [body for _, body in writes(double)] == [{"extra_vars": {"release": "1.2"}}]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"limit": "web-01"}, "AWX would ignore limit without a word, and run on every host"),
        ({"inventory_id": "Staging", "labels": [1]}, "AWX would ignore inventory, labels"),
        ({"job_tags": "a", "skip_tags": "b", "scm_branch": "c"}, "ignore scm_branch"),
        ({"inventory_id": "Stage"}, "there is no inventory 'Stage'"),
        ({"workflow_id": "Release"}, "did you mean 'Release the shop'?"),
    ],
)
async def test_a_launch_that_awx_would_not_do_as_told_is_refused(
    url: str, double: Double, arguments: dict[str, Any], reason: str
) -> None:
    """AWX drops what is not prompted for, and a dropped limit runs everywhere."""
    async with asking(url, GROUP) as ask:
        text = await ask.refused("launch_workflow_job_template", **{"workflow_id": WORKFLOW, **arguments})

    assert all(word in text for word in reason.split("ignore ")[-1].split(", "))
    assert writes(double) == []


async def test_what_the_operator_does_not_allow_is_neither_launched_nor_approved(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        job = await at_the_gate(ask, double)
    before = len(writes(double))
    async with asking(url, GROUP, allow_templates=["Deploy*"]) as ask:
        launch = await ask.refused("launch_workflow_job_template", workflow_id=WORKFLOW)
        approval = job["waiting_for_approval"][0]["approval_id"]
        decision = await ask.refused("decide_workflow_approval", approval_id=approval, decision="approve")

    assert "the operator allows 'Deploy*'" in launch
    assert "the operator allows 'Deploy*'" in decision
    assert len(writes(double)) == before


async def test_waiting_for_a_run_ends_at_the_approval_it_waits_for_itself() -> None:
    async with serving(Double(speed=1000, start=NOW)) as url, asking(url, GROUP) as ask:
        with anyio.fail_after(20):
            told = await ask("launch_workflow_job_template", workflow_id=WORKFLOW, wait=True)
        waiting = (await ask("list_workflow_approvals"))["items"]

    assert told["is_finished"] is False
    assert "Approve the release" in told["now"]
    assert told["next"].startswith(f"awx_decide_workflow_approval(approval_id={waiting[0]['id']},")


async def test_a_run_is_shown_node_by_node_with_what_it_waits_for(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        launched = await ask("launch_workflow_job_template", workflow_id=WORKFLOW)
        early = await ask("get_workflow_job", job_id=launched["job_id"])
        double.clock.advance(10)
        job = await ask("get_workflow_job", job_id=launched["job_id"])

    assert statuses(early) == ["not started"] * 4
    assert early["next"] == f"awx_wait_for_job(job_id={launched['job_id']})"
    assert [node["identifier"] for node in job["nodes"]] == ["prepare", "gate", "deploy", "rescue"]
    assert statuses(job) == ["successful", "pending", "not started", "not started"]
    assert (job["nodes"][0]["template"], job["nodes"][1]["job_type"]) == ("Gather facts", "workflow_approval")
    approval = job["waiting_for_approval"][0]
    assert approval["expires"].startswith("2026-11-20T09:00")
    assert job["next"] == (
        f"awx_decide_workflow_approval(approval_id={approval['approval_id']}, decision='approve' or 'deny')"
    )
    assert not {"related", "summary_fields"} & {*job, *job["nodes"][0]}
    assert size(job) < 500


async def test_a_node_nobody_has_named_is_shown_without_the_name_awx_made_up(url: str, double: Double) -> None:
    workflow = number(double, "workflow_job_templates", WORKFLOW)
    nodes = double.world.store.where("workflow_job_template_nodes", workflow_job_template=workflow)
    next(iter(nodes))["identifier"] = "0b1f4c5e-6c1e-4a52-9d0a-9a5c0f4b8d11"
    async with asking(url, GROUP) as ask:
        job = await at_the_gate(ask, double)

    assert "identifier" not in job["nodes"][0]


async def test_an_approved_run_goes_on_to_its_end(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        job = await at_the_gate(ask, double)
        approval = job["waiting_for_approval"][0]["approval_id"]
        decided = await ask("decide_workflow_approval", approval_id=approval, decision="approve")
        double.clock.advance(10)
        done = await ask("get_workflow_job", job_id=job["id"])

    assert decided == {
        "approval_id": approval,
        "decision": "approve",
        "workflow_job": job["id"],
        "next": f"awx_get_workflow_job(job_id={job['id']})",
    }
    assert (done["status"], statuses(done)) == ("successful", ["successful", "successful", "successful", "skipped"])
    assert not {"next", "waiting_for_approval"} & done.keys()


async def test_a_denied_run_fails_and_the_same_approval_cannot_be_decided_again(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        job = await at_the_gate(ask, double)
        approval = job["waiting_for_approval"][0]["approval_id"]
        await ask("decide_workflow_approval", approval_id=approval, decision="deny")
        double.clock.advance(1)
        done = await ask("get_workflow_job", job_id=job["id"])
        text = await ask.refused("decide_workflow_approval", approval_id=approval, decision="approve")

    assert (done["status"], statuses(done)) == ("failed", ["successful", "failed", "skipped", "skipped"])
    assert f"approval {approval} 'Approve the release' of the workflow 'Release the shop' is denied already" in text
    assert len(double.seen("POST", "/approve/")) == 0


async def test_an_approval_that_was_decided_meanwhile_is_told_from_awxs_refusal(url: str, double: Double) -> None:
    double.faults.add(Fault("drop_after", "POST", "workflow_approvals/*"))
    async with asking(url, GROUP) as ask:
        job = await at_the_gate(ask, double)
        approval = job["waiting_for_approval"][0]["approval_id"]
        lost = await ask.refused("decide_workflow_approval", approval_id=approval, decision="approve")
        again = await ask.refused("decide_workflow_approval", approval_id=approval, decision="approve")

    assert "it may have been done all the same, so look before you repeat it" in lost
    assert "is approved already" in again
    assert len(double.seen("POST", "/approve/")) == 1


async def test_approvals_are_listed_by_what_became_of_them(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        none = await ask("list_workflow_approvals")
        job = await at_the_gate(ask, double)
        pending = await ask("list_workflow_approvals")
        double.clock.advance(4000)
        expired = await ask("list_workflow_approvals", status="failed")
        beyond = await ask("list_workflow_approvals", status="failed", page=2)
        approved = await ask("list_workflow_approvals", status="successful")

    assert (none["items"], none["total"], approved["items"], beyond["items"]) == ([], 0, [], [])
    item = pending["items"][0]
    assert (item["workflow"], item["workflow_job"], item["can_approve"]) == (WORKFLOW, job["id"], True)
    assert item["expires"].startswith("2026-11-20T09:00")
    assert [one["status"] for one in expired["items"]] == ["timed out"]


@pytest.mark.parametrize(("action", "posts"), [("accept", 1), ("decline", 0)])
async def test_a_decision_is_confirmed_by_a_user_who_sees_what_is_decided(
    url: str, double: Double, action: Any, posts: int
) -> None:
    asked: list[str] = []

    async def elicit(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action=action)

    async with asking(url, GROUP) as ask:
        approval = (await at_the_gate(ask, double))["waiting_for_approval"][0]["approval_id"]
    plugin = Plugin(name="awx", groups=[GROUP], settings=Settings)
    settings = {"plugins": {"awx": {"url": url, "token": TOKEN, "writes": "confirm"}}}
    async with connect(plugin, settings=settings, elicitation_callback=elicit) as client:
        arguments = {"approval_id": approval, "decision": "approve"}
        result = await client.call_tool("awx_decide_workflow_approval", arguments)

    assert asked == [
        f"Approve approval {approval} 'Approve the release' of the workflow 'Release the shop' in default?"
    ]
    assert len(double.seen("POST", "/approve/")) == posts
    assert result.is_error is (posts == 0)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("update_workflow_job_template", {"name": "x"}),
        ("delete_workflow_job_template", {"dry_run": True}),
        ("delete_workflow_job_template", {}),
        ("launch_workflow_job_template", {}),
    ],
)
async def test_a_workflow_that_is_not_there_is_named_with_those_that_are_near(
    url: str, tool: str, arguments: dict[str, Any]
) -> None:
    async with asking(url, GROUP) as ask:
        name = await ask.refused(tool, workflow_id="Release", **arguments)
        by_number = await ask.refused(tool, workflow_id=999, **arguments)

    assert name == "there is no workflow template 'Release'; did you mean 'Release the shop'?"
    assert "404" in by_number


async def test_a_job_of_another_type_is_named_as_what_it_is(url: str, double: Double) -> None:
    job = double.world.store.all("jobs")[0]["id"]
    async with asking(url, GROUP) as ask:
        other = await ask.refused("get_workflow_job", job_id=job)
        none = await ask.refused("get_workflow_job", job_id=9999)
        approval = await ask.refused("decide_workflow_approval", approval_id=job, decision="deny")

    assert other == f"job {job} is no run of a workflow; awx_get_job(job_id={job}) shows it"
    assert "there is no job 9999" in none
    assert "404" in approval


@pytest.mark.parametrize(
    ("token", "tool", "arguments"),
    [
        (OPERATOR_TOKEN, "update_workflow_job_template", {"workflow_id": WORKFLOW, "name": "x"}),
        (OPERATOR_TOKEN, "delete_workflow_job_template", {"workflow_id": WORKFLOW}),
        (READ_TOKEN, "create_workflow_job_template", {"name": "x"}),
        (READ_TOKEN, "launch_workflow_job_template", {"workflow_id": WORKFLOW}),
        (READ_TOKEN, "decide_workflow_approval", {"approval_id": "{approval}", "decision": "approve"}),
        (VIEWER_TOKEN, "get_workflow_job", {"job_id": "{job}"}),
    ],
)
async def test_who_lacks_a_role_is_told_so(
    url: str, double: Double, token: str, tool: str, arguments: dict[str, Any]
) -> None:
    async with asking(url, GROUP) as ask:
        job = await at_the_gate(ask, double)
    there = {"{job}": job["id"], "{approval}": job["waiting_for_approval"][0]["approval_id"]}
    given = {name: there.get(value, value) for name, value in arguments.items()}
    async with asking(url, GROUP, token=token) as ask:
        text = await ask.refused(tool, **given)

    assert "403" in text
    assert "ask for a role on it" in text


async def test_an_approval_of_somebody_elses_is_refused_before_awx_is_asked(url: str, double: Double) -> None:
    vera = double.world.store.find("users", username="vera")
    assert vera is not None
    workflow = row(double, "workflow_job_templates", WORKFLOW)
    double.world.store.link(double.world.role(workflow, "read_role"), "users", vera)
    async with asking(url, GROUP) as ask:
        job = await at_the_gate(ask, double)
    approval = job["waiting_for_approval"][0]["approval_id"]
    async with asking(url, GROUP, token=VIEWER_TOKEN) as ask:
        listed = await ask("list_workflow_approvals")
        text = await ask.refused("decide_workflow_approval", approval_id=approval, decision="approve")

    assert "can_approve" not in listed["items"][0]
    assert "this user may not decide on approval" in text
    assert len(double.seen("POST", "/approve/")) == 0
