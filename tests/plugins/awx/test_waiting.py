"""Waiting: for the end of a job and its output, with progress, and never longer than the client does."""

from typing import Any

import anyio
import pytest
from tests.plugins.awx.asking import Asking, asking
from tests.plugins.awx.conftest import reaching

from pegboard.call import HANDOVER
from pegboard.endpoint import DEADLINE_KEY
from pegboard.plugin import mark_of
from pegboard_awx import waiting
from pegboard_awx.double import Double, Fault
from pegboard_awx.groups import core, jobs

ANSWERS = {"release": "2026.11.3", "environment": "production", "batch": 4}
CLIENT = 60
"""Seconds after which most clients give up."""


class Progress:
    """What a client hears; each message lets the double's time pass, so that nothing is waited for."""

    def __init__(self, double: Double, seconds: float = 0) -> None:
        self.double = double
        self.seconds = seconds
        self.heard: list[tuple[float, str]] = []

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        assert total is None  # nobody knows how much there is to do
        self.heard.append((progress, message or ""))
        self.double.clock.advance(self.seconds)


async def called(ask: Asking, tool: str, hears: Progress, *, deadline: float | None = None, **arguments: Any) -> Any:
    """Call a tool as a client that hears progress, and that may have less time."""
    result = await ask.client.call_tool(
        f"awx_{tool}",
        arguments,
        progress_callback=hears,
        meta={DEADLINE_KEY: deadline} if deadline else None,
        read_timeout_seconds=CLIENT,
    )
    assert not result.is_error, result.content
    return result.structured_content


async def test_a_job_of_three_minutes_ends_with_its_result_in_two_calls_of_a_client_with_sixty_seconds(
    url: str, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "POLL", 2.0)  # as it is where nobody is in a hurry
    hears = Progress(double, seconds=30)
    async with asking(url, core.GROUP, jobs.GROUP) as ask:
        with anyio.fail_after(20):
            first = await called(
                ask,
                "launch_job_template",
                hears,
                deadline=HANDOVER + 1,
                template_id="Deploy web shop",
                limit="web-*",
                extra_vars=ANSWERS,
                wait=True,
            )
            in_first = len(hears.heard)
            second = await called(ask, "wait_for_job", hears, job_id=first["job_id"], poll_s=0.1)

    assert not first["is_finished"]
    assert first["next"] == f"awx_wait_for_job(job_id={first['job_id']})"
    assert 1 <= in_first < len(hears.heard)
    assert (second["status"], second["is_finished"], second["output_complete"]) == ("successful", True, True)
    assert second["elapsed_s"] == 180.0
    assert "PLAY RECAP" in second["output_tail"]
    assert any("running, task 'Restart the service', 2 hosts done" in text for _, text in hears.heard)
    assert len(double.seen("POST", "/launch/")) == 1


def test_tools_that_wait_answer_before_a_client_with_sixty_seconds_gives_up() -> None:
    tools = [tool for group in (core.GROUP, jobs.GROUP) for tool in group.tools]
    waiters = [tool for tool in tools if "wait" in (*tool.__annotations__, tool.__name__.partition("_")[0])]

    assert [tool.__name__ for tool in waiters] == ["launch_job_template", "wait_for_job", "run_ad_hoc_command"]
    assert all((mark_of(tool).timeout or CLIENT) <= CLIENT - 10 for tool in waiters)


async def test_progress_grows_and_tells_task_and_hosts(url: str, double: Double) -> None:
    hears = Progress(double, seconds=10)
    async with asking(url, core.GROUP, jobs.GROUP) as ask:
        job = await ask("launch_job_template", template_id="Patch servers", limit="db-*")
        answer = await called(ask, "wait_for_job", hears, job_id=job["job_id"], poll_s=0.1)

    numbers = [number for number, _ in hears.heard]
    assert numbers == sorted(set(numbers))
    assert hears.heard[0][1] == f"job {job['job_id']}: pending"
    assert any("running, task 'Update all packages', " in text for _, text in hears.heard)
    assert answer["status"] == "successful"


async def test_a_job_is_finished_only_when_its_output_is_complete(url: str, double: Double) -> None:
    hears = Progress(double)
    async with asking(url, core.GROUP, jobs.GROUP) as ask:
        job = await ask("launch_job_template", template_id="Hello")
        double.clock.advance(1.45)
        early = await ask("get_job_output", job_id=job["job_id"])
        hears.seconds = 1
        answer = await called(ask, "wait_for_job", hears, job_id=job["job_id"], poll_s=0.1)

    assert (early["job_status"], early["output_complete"]) == ("successful", False)
    assert "PLAY RECAP" not in early["text"]
    assert hears.heard == [(1, f"job {job['job_id']}: successful, its output is still coming in")]
    assert answer["output_complete"]
    assert "PLAY RECAP" in answer["output_tail"]


async def test_output_that_awx_never_calls_complete_is_not_waited_for_forever(
    url: str, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "OUTPUT_CAP", 0.1)  # ten seconds would be slept
    job = double.world.store.get("jobs", 33)
    assert job is not None
    job["event_processing_finished"] = False
    async with asking(url, jobs.GROUP) as ask:
        answer = await ask("wait_for_job", job_id=33, poll_s=0.1)

    assert (answer["is_finished"], answer["output_complete"]) == (True, False)


async def test_a_job_that_was_over_long_ago_is_answered_at_once(url: str, double: Double) -> None:
    hears = Progress(double)
    async with asking(url, jobs.GROUP) as ask:
        answer = await called(ask, "wait_for_job", hears, job_id=27)

    assert answer["status"] == "failed"
    assert answer["next"] == "awx_analyze_job_failure(job_id=27)"
    assert hears.heard == []


async def test_no_time_at_all_gives_the_handle(url: str) -> None:
    async with asking(url, core.GROUP, jobs.GROUP) as ask:
        answer = await ask("launch_job_template", template_id="Hello", wait=True, wait_timeout_s=0)

    assert not answer["is_finished"]
    assert answer["now"] == "it has just been launched, and starts when AWX schedules it"


async def test_an_awx_that_is_away_for_a_while_is_waited_for(url: str, double: Double) -> None:
    async with asking(url, core.GROUP, jobs.GROUP) as ask:
        job = await ask("launch_job_template", template_id="Hello")
        hears = Progress(double, seconds=5)
        double.faults.add(Fault("html", "GET", f"jobs/{job['job_id']}/", times=0, status=500))
        away = double.faults.planned[-1]

        async def leave(progress: float, total: float | None, message: str | None) -> None:
            away.times = 1 if progress == 1 else 0
            await hears(progress, total, message)

        arguments = {"job_id": job["job_id"], "poll_s": 0.1}
        result = await ask.client.call_tool("awx_wait_for_job", arguments, progress_callback=leave)

    assert not result.is_error
    assert result.structured_content is not None
    assert result.structured_content["status"] == "successful"
    assert len(hears.heard) == 2


async def test_an_awx_that_stays_away_costs_the_news_but_not_the_handle(url: str, double: Double) -> None:
    double.faults.add(Fault("html", "GET", "jobs/*/", times=1000, status=500))
    async with asking(url, core.GROUP, jobs.GROUP) as ask:
        answer = await ask(
            "launch_job_template",
            {DEADLINE_KEY: HANDOVER + 2.5},
            template_id="Gather facts",
            wait=True,
        )

    assert answer["next"] == f"awx_wait_for_job(job_id={answer['job_id']})"
    assert "the job itself goes on" in answer["warnings"][0]


@pytest.mark.parametrize("kind", ["project_updates", "inventory_updates", "workflow_jobs", "ad_hoc_commands"])
async def test_every_kind_of_job_can_be_waited_for_by_its_number_alone(url: str, double: Double, kind: str) -> None:
    posts = {
        "project_updates": ("projects", "Web shop", "update"),
        "inventory_updates": ("inventory_sources", "Cloud servers", "update"),
        "workflow_jobs": ("workflow_job_templates", "Release the shop", "launch"),
    }
    hears = Progress(double, seconds=5)
    async with asking(url, jobs.GROUP) as ask:
        if kind == "ad_hoc_commands":
            answer = await ask("run_ad_hoc_command", inventory_id="Staging", module_name="ping", credential_id=1)
            number = answer["job_id"]
        else:
            number = await _posted(url, double, posts[kind])
        if kind == "workflow_jobs":
            await _approved(double, number)
        answer = await called(ask, "wait_for_job", hears, job_id=number, poll_s=0.1)

    assert answer["type"] == kind.removesuffix("s")
    assert (answer["status"], answer["is_finished"]) == ("successful", True)
    assert hears.heard


async def _posted(url: str, double: Double, path: tuple[str, str, str]) -> int:
    collection, name, action = path
    row = double.world.store.find(collection, name=name)
    assert row is not None
    async with reaching(url) as api:
        return int((await api.post(collection, row["id"], action))["id"])


async def _approved(double: Double, number: int) -> None:
    """Let the workflow come to its approval, and approve it."""
    for _ in range(3):
        double.clock.advance(5)
        double.life.settle()
    approval = double.world.store.find("workflow_approvals", _workflow_job=number)
    assert approval is not None
    double.life.finish(approval, "successful", double.world.now())


async def test_a_workflow_that_waits_for_an_approval_only_says_so_at_once(url: str, double: Double) -> None:
    number = await _posted(url, double, ("workflow_job_templates", "Release the shop", "launch"))
    for _ in range(3):
        double.clock.advance(5)
        double.life.settle()
    approval = double.world.store.find("workflow_approvals", _workflow_job=number)
    assert approval is not None
    hears = Progress(double)
    async with asking(url, jobs.GROUP) as ask:
        answer = await called(ask, "wait_for_job", hears, job_id=number)

    assert answer["next"] == f"awx_decide_workflow_approval(approval_id={approval['id']}, decision='approve' or 'deny')"
    assert answer["now"] == f"running, 1 nodes done, waits for approval {approval['id']} 'Approve the release'"
    assert [text for _, text in hears.heard] == [f"workflow job {number}: {answer['now']}"]


async def test_a_result_without_its_output_is_still_a_result(url: str, double: Double) -> None:
    double.faults.add(Fault("html", "GET", "jobs/*/stdout/", status=500))
    async with asking(url, jobs.GROUP) as ask:
        answer = await ask("wait_for_job", job_id=33)

    assert answer["status"] == "successful"
    assert "500" in answer["warnings"][0]


async def test_a_job_that_is_deleted_meanwhile_is_waited_for_no_longer(url: str, double: Double) -> None:
    async with asking(url, core.GROUP, jobs.GROUP) as ask:
        job = await ask("launch_job_template", template_id="Hello")

        async def delete(progress: float, total: float | None, message: str | None) -> None:
            found = double.world.store.get("jobs", job["job_id"])
            if found is not None:
                double.world.store.remove(found)

        arguments = {"job_id": job["job_id"], "poll_s": 0.1}
        result = await ask.client.call_tool("awx_wait_for_job", arguments, progress_callback=delete)

    assert result.is_error
    assert "404" in str(result.content)


async def test_an_awx_that_does_not_tell_the_task_is_waited_for_all_the_same(url: str, double: Double) -> None:
    double.faults.add(Fault("html", "GET", "jobs/*/job_events/", times=99, status=500))
    hears = Progress(double, seconds=1)
    async with asking(url, core.GROUP, jobs.GROUP) as ask:
        job = await ask("launch_job_template", template_id="Hello")
        answer = await called(ask, "wait_for_job", hears, job_id=job["job_id"], poll_s=0.1)

    assert (2, f"job {job['job_id']}: running") in hears.heard
    assert (answer["status"], answer.get("warnings")) == ("successful", None)
