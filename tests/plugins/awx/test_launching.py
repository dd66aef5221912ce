"""Launching: nothing AWX would ignore, nothing twice, and nothing lost."""

from functools import partial
from typing import Any

import anyio
import pytest
from tests.plugins.awx.asking import asking

from pegboard_awx.double import Double, Fault
from pegboard_awx.double.seed import READ_TOKEN
from pegboard_awx.groups.core import GROUP
from pegboard_awx.launches import MOST, Launches

LAUNCH = "job_templates/*/launch/"
ANSWERS = {"release": "2026.11.3", "environment": "staging"}


def row(double: Double, collection: str, name: str) -> dict[str, Any]:
    """An object of the double."""
    found = double.world.store.find(collection, name=name)
    assert found is not None
    return found


def launches(double: Double) -> list[Any]:
    """The bodies of the launches that arrived."""
    return [seen.body for seen in double.seen("POST", "/launch/")]


async def test_a_limit_that_awx_would_drop_is_refused_since_the_job_would_run_on_every_host(
    url: str, double: Double
) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("launch_job_template", template_id="Back up databases", limit="db-01")

    assert "AWX would ignore limit without a word, and run on every host" in text
    assert "leave it out or turn on ask_limit_on_launch of the template" in text
    assert launches(double) == []


async def test_everything_that_is_wrong_with_a_launch_is_told_at_once_with_types_and_choices(
    url: str, double: Double
) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused(
            "launch_job_template", template_id="Deploy web shop", forks=3, extra_vars={"colour": "red"}
        )

    assert "extra_vars.release (text, min 3, max 20: Which release?)" in text
    assert "extra_vars.environment (multiplechoice, one of staging, production: Where to?)" in text
    assert "AWX would ignore forks, extra_vars.colour" in text
    assert "ask_forks_on_launch, ask_variables_on_launch" in text
    assert launches(double) == []


async def test_a_missing_inventory_is_named_as_the_argument_is(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("launch_job_template", template_id="Ad hoc deploy")
        staging = row(double, "inventories", "Staging")
        answer = await ask("launch_job_template", template_id="Ad hoc deploy", inventory_id=staging["id"])

    assert "needs inventory_id" in text
    assert answer["inventory"] == "Staging"


async def test_passwords_of_credentials_are_asked_for_and_never_shown(url: str, double: Double) -> None:
    template = row(double, "job_templates", "Patch servers")
    machine = row(double, "credentials", "Alpenkraft servers")
    machine["inputs"]["password"] = "ASK"
    async with asking(url, GROUP) as ask:
        text = await ask.refused("launch_job_template", template_id=template["id"])
        answer = await ask(
            "launch_job_template",
            template_id=template["id"],
            credential_passwords={"ssh_password": "hunter2"},
            extra_vars={"db_password": "hunter3"},
        )

    assert "credential_passwords.ssh_password (a password)" in text
    assert "hunter" not in str(answer)
    assert answer["extra_vars"] == {"db_password": "$hidden$"}
    assert launches(double)[0]["credential_passwords"] == {"ssh_password": "hunter2"}


async def test_what_the_template_has_anyway_needs_no_prompt(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        answer = await ask("launch_job_template", template_id="Back up databases", limit="databases", job_type="run")

    assert answer["limit"] == "databases"
    assert launches(double) == [{}]


async def test_objects_that_the_template_has_anyway_need_no_prompt_either(url: str, double: Double) -> None:
    machine = row(double, "credentials", "Alpenkraft servers")
    vault = row(double, "credentials", "Shop vault")
    production = row(double, "inventories", "Production")
    async with asking(url, GROUP) as ask:
        same = {"template_id": "Patch servers", "inventory_id": production["id"]}
        await ask("launch_job_template", **same, credentials=[machine["id"]])
        text = await ask.refused("launch_job_template", **same, credentials=[machine["id"], vault["id"]])

    assert "AWX would ignore credentials without a word" in text
    assert launches(double) == [{}]


async def test_required_answers_with_a_default_are_sent_as_awx_own_page_does(url: str, double: Double) -> None:
    template = row(double, "job_templates", "Deploy web shop")
    template["_survey"]["spec"][1]["default"] = "staging"
    async with asking(url, GROUP) as ask:
        await ask("launch_job_template", template_id="Deploy web shop", extra_vars={"release": "2026.11.3"})

    assert launches(double) == [{"extra_vars": ANSWERS}]


async def test_answers_that_awx_refuses_are_explained_with_the_survey(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused(
            "launch_job_template", template_id="Deploy web shop", extra_vars={**ANSWERS, "environment": "moon"}
        )

    assert "Value moon for 'environment' expected to be one of" in text
    assert "environment (multiplechoice, one of staging, production: Where to?)" in text
    assert len(launches(double)) == 1


async def test_what_awx_ignores_all_the_same_is_a_warning(url: str, double: Double) -> None:
    async def changed() -> None:
        """The prompt is switched off between the check and the launch."""
        while not double.seen("GET", "/survey_spec/"):
            await anyio.lowlevel.checkpoint()
        template["ask_limit_on_launch"] = False

    template = row(double, "job_templates", "Deploy web shop")
    async with asking(url, GROUP) as ask, anyio.create_task_group() as tasks:
        tasks.start_soon(changed)
        answer = await ask("launch_job_template", template_id=template["id"], limit="web-01", extra_vars=ANSWERS)

        assert answer["warnings"] == ["AWX ignored limit, which the template does not let a launch choose"]


async def test_the_same_launch_again_answers_with_the_first_job_and_another_one_starts_its_own(
    url: str, double: Double
) -> None:
    async with asking(url, GROUP) as ask:
        first = await ask("launch_job_template", template_id="Gather facts")
        again = await ask("launch_job_template", template_id="Gather facts")
        other = await ask("launch_job_template", template_id="Patch servers", limit="web-01")

    assert again["job_id"] == first["job_id"]
    assert "nothing was started now" in again["warnings"][0]
    assert other["job_id"] != first["job_id"]
    assert len(launches(double)) == 2


async def test_two_equal_launches_at_the_same_time_start_one_job(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask, anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(partial(ask, "launch_job_template", template_id="Gather facts"))

    assert len(launches(double)) == 1


async def test_without_a_window_every_launch_starts_a_job(url: str, double: Double) -> None:
    async with asking(url, GROUP, launch_window=0) as ask:
        jobs = {(await ask("launch_job_template", template_id="Gather facts"))["job_id"] for _ in range(2)}

    assert len(jobs) == len(launches(double)) == 2


async def test_a_launch_whose_answer_was_lost_is_found_and_never_repeated(url: str, double: Double) -> None:
    """F-33: exactly one POST."""
    double.faults.add(Fault("drop_after", "POST", LAUNCH))
    async with asking(url, GROUP) as ask:
        answer = await ask("launch_job_template", template_id="Patch servers", limit="web-01")
        again = await ask("launch_job_template", template_id="Patch servers", limit="web-01")

    assert answer["warnings"] == ["AWX's answer was lost; this is the job it started, found by template and time"]
    assert again["job_id"] == answer["job_id"]
    assert len(launches(double)) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("status", status=503, retry_after=0), "AWX is busy (503"),
        (Fault("status", status=429), "AWX is busy (429"),
        (Fault("status", status=504), "its job has not appeared"),
        (Fault("html", status=502), "its job has not appeared"),
        (Fault("html", status=200), "its job has not appeared"),
        (Fault("drop"), "its job has not appeared"),
    ],
    ids=["503", "429", "504", "HTML 502", "HTML 200", "dropped"],
)
async def test_a_launch_that_fails_is_sent_exactly_once(url: str, double: Double, fault: Fault, words: str) -> None:
    fault.method, fault.path = "POST", LAUNCH
    double.faults.add(fault)
    async with asking(url, GROUP) as ask:
        text = await ask.refused("launch_job_template", template_id="Gather facts")

    assert words in text
    assert len(launches(double)) == 1


async def test_a_launch_that_did_not_arrive_can_be_made_again(url: str, double: Double) -> None:
    double.faults.add(Fault("drop", "POST", LAUNCH))
    async with asking(url, GROUP) as ask:
        await ask.refused("launch_job_template", template_id="Gather facts")
        answer = await ask("launch_job_template", template_id="Gather facts")

    assert "warnings" not in answer
    assert len(launches(double)) == 2


async def test_a_lost_launch_that_shows_up_later_is_the_answer_to_the_same_launch(url: str, double: Double) -> None:
    double.faults.add(Fault("drop_after", "POST", LAUNCH))
    double.faults.add(Fault("status", "GET", "jobs/", times=0, status=403))
    hidden = double.faults.planned[-1]
    async with asking(url, GROUP) as ask:

        async def hide() -> None:
            while not launches(double):
                await anyio.lowlevel.checkpoint()
            hidden.times = 3

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hide)
            assert "not appeared" in await ask.refused("launch_job_template", template_id="Gather facts")
        answer = await ask("launch_job_template", template_id="Gather facts")

    assert answer["warnings"] == ["an earlier launch, whose answer was lost, started this job"]
    assert len(launches(double)) == 1


async def test_the_job_of_another_launch_is_not_taken_for_a_lost_one(url: str, double: Double) -> None:
    double.faults.add(Fault("drop", "POST", LAUNCH))
    async with asking(url, GROUP) as ask, anyio.create_task_group() as tasks:

        async def other() -> None:
            while not launches(double):
                await anyio.lowlevel.checkpoint()
            await ask("launch_job_template", template_id="Patch servers", limit="db-01")

        tasks.start_soon(other)
        text = await ask.refused("launch_job_template", template_id="Patch servers", limit="web-01")

        assert "its job has not appeared" in text


async def test_a_template_that_does_not_run_twice_at_once_says_what_is_in_its_way(url: str) -> None:
    async with asking(url, GROUP) as ask:
        first = await ask("launch_job_template", template_id="Patch servers", limit="web-01")
        second = await ask("launch_job_template", template_id="Patch servers", limit="web-02")

    assert second["warnings"] == [f"job {first['job_id']} of the same template is pending; this one waits for its end"]


@pytest.mark.parametrize("allowed", [["Gather*"], ["Patch servers", "Gather facts"], [14]])
async def test_only_allowed_templates_are_launched(url: str, double: Double, allowed: list[int | str]) -> None:
    async with asking(url, GROUP, allow_templates=allowed) as ask:
        text = await ask.refused("launch_job_template", template_id="Back up databases")
        answer = await ask("launch_job_template", template_id="Gather facts")

    assert "the template 'Back up databases' (12) may not be used in default" in text
    assert "allow_templates" in text
    assert answer["name"] == "Gather facts"
    assert len(launches(double)) == 1


async def test_jobs_run_on_allowed_inventories_only_the_template_s_own_included(url: str, double: Double) -> None:
    production = row(double, "inventories", "Production")
    async with asking(url, GROUP, allow_inventories=["Stag*"]) as ask:
        own = await ask.refused("launch_job_template", template_id="Gather facts")
        given = await ask.refused("launch_job_template", template_id="Ad hoc deploy", inventory_id=production["id"])
        await ask("launch_job_template", template_id="Fleet report")

    assert "the inventory 'Production'" in own
    assert "the operator allows 'Stag*' (allow_inventories of the plugin)" in given
    assert len(launches(double)) == 1


async def test_what_is_allowed_may_differ_between_environments(url: str, double: Double) -> None:
    environments: dict[str, Any] = {"stage": {}, "prod": {"allow_templates": []}}
    async with asking(url, GROUP, environments=environments) as ask:
        text = await ask.refused("launch_job_template", template_id="Hello", environment="prod")
        await ask("launch_job_template", template_id="Hello", environment="stage")

    assert "may not be used in prod" in text
    assert len(launches(double)) == 1


async def test_a_token_that_only_reads_cannot_launch(url: str) -> None:
    async with asking(url, GROUP, token=READ_TOKEN) as ask:
        text = await ask.refused("launch_job_template", template_id="Hello")

    assert "403" in text
    assert "scope write" in text


async def test_launches_are_forgotten_in_time() -> None:
    launches = Launches()
    for number in range(2 * MOST):
        async with launches.turn(str(number), 60) as launch:
            launch.sent(after=number)
    async with launches.turn("0", 60) as first, launches.turn(str(2 * MOST - 1), 60) as last:
        assert (first.after, last.after) == (None, 2 * MOST - 1)
