"""Group jobs: follow jobs up, understand failures, run them again."""

from typing import Any

import pytest
from tests.plugins.awx.asking import asking, size

from pegboard_awx.analysis import hint_for, message_of
from pegboard_awx.api import Api
from pegboard_awx.double import Double, Fault
from pegboard_awx.double.seed import OPERATOR_TOKEN, READ_TOKEN, VIEWER_TOKEN
from pegboard_awx.groups import core
from pegboard_awx.groups.jobs import ALIASES, GROUP

HELLO, REPORT, CERTIFICATES, DEPLOY, PATCH, BACKUP = 33, 32, 31, 30, 29, 27
"""Finished jobs of the seed."""


def row(double: Double, collection: str, name: str) -> dict[str, Any]:
    found = double.world.store.find(collection, name=name)
    assert found is not None
    return found


def row_of_nora(double: Double) -> dict[str, Any]:
    found = double.world.store.find("users", username="nora")
    assert found is not None
    return found


async def test_the_group_fits_the_small_budget_in_full(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tokens = await ask.tokens()

    assert len(tokens) == 8
    assert sum(tokens.values()) <= 1500, tokens
    assert {f"awx_{name}" for name in ALIASES.values()} <= set(tokens)


async def test_where_writing_is_denied_only_reading_is_left(url: str) -> None:
    async with asking(url, GROUP, writes="deny") as ask:
        tokens = await ask.tokens()

    assert not {"awx_relaunch_job", "awx_delete_job", "awx_run_ad_hoc_command"} & set(tokens)
    assert len(tokens) == 5


async def test_failures_are_grouped_by_task_and_message_with_hosts_and_a_hint(url: str) -> None:
    async with asking(url, GROUP) as ask:
        analysis = await ask("analyze_job_failure", job_id=CERTIFICATES)

    challenge, limit, away = analysis["failures"]
    assert (analysis["category"], analysis["failed_hosts"], analysis["ok_hosts"]) == ("task_failed", 11, 7)
    assert challenge["task"] == limit["task"] == "Ask the authority for a certificate"
    assert (challenge["hosts"], challenge["examples"][0], challenge["rc"]) == (8, "web-01", 1)
    assert (limit["message"], limit["hosts"]) == ("rate limit reached", 2)
    assert limit["hint"] == "wait until the limit is lifted, then relaunch on failed hosts"
    assert (away["unreachable"], away["examples"]) == (True, ["legacy-01"])
    assert f"awx_relaunch_job(job_id={CERTIFICATES}, hosts='failed')" in analysis["suggestions"][-1]
    assert size(analysis) < 1000


async def test_a_full_disk_is_named_with_what_helps(url: str) -> None:
    async with asking(url, GROUP) as ask:
        analysis = await ask("analyze_job_failure", job_id=BACKUP)

    (failure,) = analysis["failures"]
    assert failure["message"] == "disk /var is 97% full on db-02"
    assert failure["module"] == "ansible.builtin.shell"
    assert failure["hint"].startswith("free disk space")


async def test_hosts_that_are_only_away_are_a_category_of_their_own(url: str) -> None:
    async with asking(url, GROUP) as ask:
        analysis = await ask("analyze_job_failure", job_id=PATCH)

    assert analysis["category"] == "unreachable"


async def test_a_job_that_did_not_fail_or_has_not_ended_says_so(url: str, double: Double) -> None:
    async with asking(url, GROUP, core.GROUP) as ask:
        well = await ask("analyze_job_failure", job_id=HELLO)
        job = await ask("launch_job_template", template_id="Hello")
        early = await ask("analyze_job_failure", job_id=job["job_id"])

    assert well["category"] == "not_failed"
    assert early["category"] == "not_finished"
    assert early["suggestions"] == [f"awx_wait_for_job(job_id={job['job_id']})"]


async def test_a_job_that_awx_could_not_run_is_explained_without_tasks(url: str, double: Double) -> None:
    job = double.world.store.get("jobs", HELLO)
    assert job is not None
    job |= {"status": "error", "job_explanation": "Job was killed: out of memory", "result_traceback": "Traceback: x"}
    async with asking(url, GROUP) as ask:
        analysis = await ask("analyze_job_failure", job_id=HELLO)

    assert (analysis["category"], analysis["summary"]) == ("error", "Job was killed: out of memory")
    assert analysis["traceback_tail"] == "Traceback: x"
    assert analysis["suggestions"] == ["the node had no memory or went away; run it again"]
    assert "PLAY RECAP" in analysis["output_tail"]


async def test_a_failed_project_update_is_analyzed_like_a_job(url: str, double: Double, api: Api) -> None:
    update = await api.post("projects", row(double, "projects", "Warehouse robots")["id"], "update")
    double.clock.advance(10)
    async with asking(url, GROUP) as ask:
        analysis = await ask("analyze_job_failure", job_id=update["id"])

    assert analysis["type"] == "project_update"
    assert analysis["failures"][0]["hint"] == "check the project's URL and its credential"


async def test_a_failed_workflow_leads_to_the_job_that_failed(url: str, double: Double, api: Api) -> None:
    workflow = row(double, "workflow_job_templates", "Release the shop")
    gather = row(double, "job_templates", "Gather facts")
    gather["playbook"] = "fail.yml"
    job = await api.post("workflow_job_templates", workflow["id"], "launch")
    for _ in range(4):
        double.clock.advance(10)
        await api.get("ping")
    async with asking(url, GROUP) as ask:
        analysis = await ask("analyze_job_failure", job_id=job["id"])

    assert (analysis["category"], analysis["status"]) == ("workflow", "failed")
    assert analysis["failures"][0]["task"] == "prepare"
    assert analysis["suggestions"][0].startswith("awx_analyze_job_failure(job_id=")


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            {"msg": "All items completed", "results": [{"failed": False}, {"failed": True, "msg": "no such package"}]},
            "no such package",
        ),
        ({"msg": "All items completed", "results": []}, "All items completed"),
        ({"stderr": "line 1\nline 2"}, "line 1 line 2"),
        ({}, "fatal: [a]"),
        (None, "fatal: [a]"),
    ],
)
def test_the_message_of_a_failure_is_that_of_its_first_failed_item(result: Any, message: str) -> None:
    assert message_of({"event_data": {"res": result}, "stdout": "\x1b[0;31mfatal: [a]\x1b[0m"}) == message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ssh: connect to host a port 22: Connection timed out", "is the host up"),
        ("Permission denied (publickey).", "machine credential"),
        ("Missing sudo password", "become password"),
        ("'release' is undefined", "a variable is not set"),
        ("No space left on device", "free disk space"),
        ("couldn't resolve module/action 'x.y.z'", "execution environment"),
        ("everything is fine", None),
    ],
)
def test_hints_follow_from_messages(text: str, hint: str | None) -> None:
    found = hint_for(text)

    assert found is None if hint is None else found is not None and hint in found


async def test_a_job_is_run_again_on_the_hosts_that_failed(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        answer = await ask("relaunch_job", job_id=PATCH, hosts="failed")
        again = await ask("relaunch_job", job_id=PATCH, hosts="failed")

    assert (answer["from_job_id"], answer["hosts_targeted"], answer["status"]) == (PATCH, 1, "pending")
    assert answer["next"] == f"awx_wait_for_job(job_id={answer['new_job_id']})"
    assert again["new_job_id"] == answer["new_job_id"]
    assert "nothing was started now" in again["warnings"][0]
    assert [seen.body for seen in double.seen("POST", "/relaunch/")] == [{"hosts": "failed"}]


async def test_a_relaunch_whose_answer_was_lost_is_found(url: str, double: Double) -> None:
    double.faults.add(Fault("drop_after", "POST", "jobs/*/relaunch/"))
    async with asking(url, GROUP) as ask:
        answer = await ask("relaunch_job", job_id=HELLO, job_type="check")

    assert "answer was lost" in answer["warnings"][0]
    assert len(double.seen("POST", "/relaunch/")) == 1


async def test_a_relaunch_without_a_failed_host_or_a_password_is_refused_before_it_is_sent(
    url: str, double: Double
) -> None:
    job = double.world.store.get("jobs", DEPLOY)
    assert job is not None
    job["passwords_needed_to_start"] = ["ssh_password"]
    async with asking(url, GROUP, core.GROUP) as ask:
        well = await ask.refused("relaunch_job", job_id=HELLO, hosts="failed")
        secret = await ask.refused("relaunch_job", job_id=DEPLOY)
        new = await ask("launch_job_template", template_id="Hello")
        early = await ask.refused("relaunch_job", job_id=new["job_id"], hosts="failed")

    assert well == f"no host failed in job {HELLO}; use hosts='all' to run it again"
    assert "needs credential_passwords: ssh_password" in secret
    assert "wait for its end" in early
    assert not double.seen("POST", "/relaunch/")


async def test_what_may_not_be_launched_may_not_be_relaunched_either(url: str, double: Double) -> None:
    async with asking(url, GROUP, allow_templates=["Deploy*"]) as ask:
        template = await ask.refused("relaunch_job", job_id=HELLO)
    async with asking(url, GROUP, allow_inventories=["Staging"]) as ask:
        inventory = await ask.refused("relaunch_job", job_id=HELLO)

    assert "the template 'Hello'" in template
    assert "the inventory 'Lab servers'" in inventory
    assert not double.seen("POST", "/relaunch/")


async def test_events_are_read_in_order_and_read_on_by_their_counter(url: str) -> None:
    async with asking(url, GROUP) as ask:
        first = await ask("list_job_events", job_id=PATCH, page_size=20)
        second = await ask("list_job_events", job_id=PATCH, page_size=200, after_counter=first["next_counter"])

    counters = [item["counter"] for item in (*first["items"], *second["items"])]
    assert counters == sorted(set(counters))
    assert len(counters) == first["total"]
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert size(first) < 1500


@pytest.mark.parametrize(
    ("arguments", "hosts"),
    [
        ({"failed_only": True}, {"legacy-01"}),
        ({"host": "web-03"}, {"web-03"}),
        ({"task_contains": "reboot", "host": "db-01"}, {"db-01"}),
        ({"host": "nobody"}, set[str]()),
    ],
    ids=str,
)
async def test_events_are_filtered(url: str, arguments: dict[str, Any], hosts: set[str]) -> None:
    async with asking(url, GROUP) as ask:
        listing = await ask("list_job_events", job_id=PATCH, **arguments)

    assert {item["host"] for item in listing["items"]} == hosts


async def test_an_event_tells_message_and_return_code_and_more_on_request(url: str) -> None:
    async with asking(url, GROUP) as ask:
        short = await ask("list_job_events", job_id=BACKUP, failed_only=True)
        full = await ask("list_job_events", job_id=BACKUP, failed_only=True, detail="full")

    (event,) = short["items"]
    assert event == {
        "counter": event["counter"],
        "event": "runner_on_failed",
        "task": "Check free space",
        "host": "db-02",
        "failed": True,
        "msg": "disk /var is 97% full on db-02",
        "rc": 1,
    }
    assert full["items"][0]["stderr"] == "disk /var is 97% full on db-02"
    assert full["items"][0]["module"] == "ansible.builtin.shell"


async def test_long_results_of_events_are_cut(url: str) -> None:
    async with asking(url, GROUP) as ask:
        listing = await ask("list_job_events", job_id=REPORT, page_size=20)
        full = await ask("list_job_events", job_id=REPORT, page_size=200, detail="full")

    assert max(len(item.get("msg", "")) for item in listing["items"]) == 200
    assert size(full) <= 4000


async def test_hosts_of_a_job_are_listed_with_what_became_of_them(url: str) -> None:
    async with asking(url, GROUP) as ask:
        listing = await ask("list_job_host_summaries", job_id=PATCH, page_size=5)
        failed = await ask("list_job_host_summaries", job_id=PATCH, failed_only=True)

    assert (listing["total"], listing["has_more"], len(listing["items"])) == (18, True, 5)
    assert listing["items"][0] == {"host": "cache-01", "ok": 4, "changed": 2, "failed": False}
    assert failed["items"] == [{"host": "legacy-01", "unreachable": 1, "failed": True}]


async def test_deleting_shows_first_what_would_go(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        shown = await ask("delete_job", job_id=HELLO, dry_run=True)
        before = len(double.seen("DELETE"))
        gone = await ask("delete_job", job_id=HELLO)
        again = await ask.refused("delete_job", job_id=HELLO)

    assert (shown["deleted"], shown["name"], shown["related"]) == (False, "Hello", {"events": 13, "host_summaries": 2})
    assert before == 0
    assert gone["deleted"]
    assert "there is no job" in again


async def test_a_running_job_is_not_deleted_and_the_way_is_named(url: str, double: Double) -> None:
    async with asking(url, GROUP, core.GROUP) as ask:
        job = await ask("launch_job_template", template_id="Patch servers")
        text = await ask.refused("delete_job", job_id=job["job_id"])

    assert text == f"job {job['job_id']} is pending; awx_cancel_job(job_id={job['job_id']}) first"
    assert not double.seen("DELETE")


async def test_jobs_of_all_types_stand_in_one_list(url: str, double: Double, api: Api) -> None:
    await api.post("projects", row(double, "projects", "Web shop")["id"], "update")
    async with asking(url, GROUP) as ask:
        newest = await ask("list_unified_jobs", page_size=2)
        updates = await ask("list_unified_jobs", types=["project_update", "workflow_job"])
        failed = await ask("list_unified_jobs", status=["failed", "error"], detail="full")
        recent = await ask("list_unified_jobs", since="2026-11-20T05:00:00Z")
        page = await ask("list_unified_jobs")

    assert [item["type"] for item in newest["items"]] == ["project_update", "job"]
    assert (newest["total"], newest["has_more"]) == (34, True)
    assert updates["total"] == 1
    assert {item["status"] for item in failed["items"]} == {"failed"}
    assert failed["items"][0]["launched_by"] == "nora"
    assert recent["total"] == 2
    assert size(page) < 1500


async def test_one_module_is_run_on_an_inventory_by_name(url: str, double: Double) -> None:
    credential = row(double, "credentials", "Alpenkraft servers")["id"]
    arguments: dict[str, Any] = {"inventory_id": "Staging", "credential_id": credential, "limit": "databases"}
    async with asking(url, GROUP, core.GROUP) as ask:
        job = await ask("run_ad_hoc_command", module_name="shell", module_args="uptime", **arguments)
        again = await ask("run_ad_hoc_command", module_name="shell", module_args="uptime", **arguments)
        double.clock.advance(10)
        done = await ask("wait_for_job", job_id=job["job_id"])

    assert (job["type"], job["limit"]) == ("ad_hoc_command", "databases")
    assert again["job_id"] == job["job_id"]
    assert done["status"] == "successful"
    assert "stage-db-01" in done["output_tail"]
    assert len(double.seen("POST", "/ad_hoc_commands/")) == 1


async def test_a_module_that_awx_does_not_allow_brings_those_it_does(url: str) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("run_ad_hoc_command", inventory_id="Staging", module_name="reboot", credential_id=1)

    assert '"reboot" is not a valid choice; AWX allows command, shell' in text


async def test_a_user_who_may_not_read_the_settings_still_gets_awx_s_own_words(url: str, double: Double) -> None:
    credential = row(double, "credentials", "Alpenkraft servers")
    double.world.store.link(double.world.role(credential, "use_role"), "users", row_of_nora(double))
    async with asking(url, GROUP, token=OPERATOR_TOKEN) as ask:
        text = await ask.refused(
            "run_ad_hoc_command", inventory_id="Production", module_name="reboot", credential_id=credential["id"]
        )

    assert text.endswith('module_name: "reboot" is not a valid choice')


async def test_all_that_an_ad_hoc_command_misses_is_told_at_once(url: str) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("run_ad_hoc_command", inventory_id="Staging", module_name="command")

    assert "credential: This field cannot be blank" in text
    assert "module_args: No argument passed to command module" in text


async def test_an_ad_hoc_command_stays_on_allowed_inventories(url: str, double: Double) -> None:
    async with asking(url, GROUP, allow_inventories=["Staging"]) as ask:
        text = await ask.refused("run_ad_hoc_command", inventory_id="Production", module_name="ping")

    assert "the inventory 'Production'" in text
    assert not double.seen("POST")


@pytest.mark.parametrize(
    "tool",
    [
        "wait_for_job",
        "relaunch_job",
        "list_job_events",
        "list_job_host_summaries",
        "analyze_job_failure",
        "delete_job",
    ],
)
async def test_what_is_not_there_or_may_not_be_seen_is_told_apart(url: str, tool: str) -> None:
    async with asking(url, GROUP) as ask:
        missing = await ask.refused(tool, job_id=4711)
    async with asking(url, GROUP, token=VIEWER_TOKEN) as ask:
        hidden = await ask.refused(tool, job_id=HELLO)

    assert "there is no job 4711" in missing or "(404)" in missing
    assert "(403)" in hidden


@pytest.mark.parametrize(
    ("token", "tool", "arguments"),
    [
        (READ_TOKEN, "relaunch_job", {"job_id": HELLO}),
        (READ_TOKEN, "delete_job", {"job_id": HELLO}),
        (READ_TOKEN, "run_ad_hoc_command", {"inventory_id": "Staging", "module_name": "ping", "credential_id": 1}),
        (OPERATOR_TOKEN, "delete_job", {"job_id": PATCH}),
    ],
)
async def test_writing_without_the_right_to_is_refused(
    url: str, token: str, tool: str, arguments: dict[str, Any]
) -> None:
    async with asking(url, GROUP, token=token) as ask:
        text = await ask.refused(tool, **arguments)

    assert "(403)" in text


async def test_a_workflow_has_no_events_and_says_where_to_look(url: str, double: Double, api: Api) -> None:
    workflow = row(double, "workflow_job_templates", "Release the shop")
    job = await api.post("workflow_job_templates", workflow["id"], "launch")
    async with asking(url, GROUP) as ask:
        text = await ask.refused("list_job_events", job_id=job["id"])
        shown = await ask("delete_job", job_id=job["id"], dry_run=True)

    assert text.endswith("shows its nodes, whose jobs have events")
    assert shown["related"] == {}
