"""Group core: launch job templates and follow their jobs."""

from typing import Any

import pytest
from tests.plugins.awx.asking import asking, size
from tests.plugins.awx.conftest import NOW
from tests.plugins.awx.rows import page

from pegboard_awx.double import Double, Fault, serving
from pegboard_awx.double.seed import OPERATOR_TOKEN, TOKEN, VIEWER_TOKEN
from pegboard_awx.groups.core import ALIASES, GROUP

HELLO, REPORT, CERTIFICATES, DEPLOY, PATCH = 33, 32, 31, 30, 29
"""Finished jobs of the seed."""


async def test_the_group_fits_the_small_budget_in_full(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tokens = await ask.tokens()

    assert len(tokens) == 8
    assert sum(tokens.values()) <= 1500, tokens
    assert {f"awx_{name}" for name in ALIASES.values()} <= set(tokens)


async def test_the_tools_say_what_they_do_to_awx(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tools = {tool.name: tool.annotations for tool in (await ask.client.list_tools()).tools}

    reads = {name for name, hints in tools.items() if hints and hints.read_only_hint and name.startswith("awx")}
    assert set(tools) - reads - {"fetch_more"} == {"awx_launch_job_template", "awx_cancel_job"}
    launch, cancel = tools["awx_launch_job_template"], tools["awx_cancel_job"]
    assert launch is not None
    assert cancel is not None
    assert (launch.destructive_hint, bool(launch.idempotent_hint)) == (True, False)
    assert (cancel.destructive_hint, bool(cancel.idempotent_hint)) == (True, True)


async def test_where_writing_is_denied_there_is_nothing_to_launch_or_cancel_with(url: str) -> None:
    async with asking(url, GROUP, writes="deny") as ask:
        tokens = await ask.tokens()
        health = await ask("health_check")

    assert not {"awx_launch_job_template", "awx_cancel_job"} & set(tokens)
    assert health["read_only"]


async def test_health_is_told_while_awx_is_down() -> None:
    async with asking("http://127.0.0.1:9", GROUP) as ask:
        health = await ask("health_check")

    assert (health["status"], health["environment"], health["url"]) == ("ok", "default", "http://127.0.0.1:9")
    assert not health["read_only"]


@pytest.mark.parametrize("root", ["", "/awx"])
@pytest.mark.parametrize("platform", [False, True], ids=["AWX", "AAP"])
async def test_the_way_from_launch_to_output_is_the_same_on_every_platform(platform: bool, root: str) -> None:
    double = Double(speed=0, start=NOW, platform=platform, root=root)
    settings = {"username": "admin", "password": "alpenkraft", "token": ""}
    async with serving(double) as url, asking(url, GROUP, **settings) as ask:
        connection = await ask("test_connection")
        templates = await ask("list_job_templates", name_contains="hello")
        launched = await ask("launch_job_template", template_id=templates["items"][0]["id"])
        double.clock.advance(10)
        job = await ask("get_job", job_id=launched["job_id"])
        output = await ask("get_job_output", job_id=launched["job_id"])

    assert connection["platform"] == ("aap" if platform else "awx")
    assert connection["auth"] == "basic"
    assert job["web_url"] == page(double, url, f"jobs/playbook/{job['id']}/output")
    assert job["status"] == "successful"
    assert "hello from lab-01" in output["text"]


async def test_the_connection_names_version_and_user(url: str, double: Double) -> None:
    async with asking(url, GROUP, token=OPERATOR_TOKEN) as ask:
        connection = await ask("test_connection")

    assert connection.pop("latency_ms") >= 0
    assert connection == {
        "reachable": True,
        "url": url,
        "auth": "token",
        "platform": "aap" if double.platform else "awx",
        "version": "24.6.1",
        "api_prefix": double.prefix.removeprefix(double.root),
        "user": "nora",
        "is_superuser": False,
    }


@pytest.mark.parametrize(
    ("settings", "fault", "step"),
    [
        ({"url": "http://no-such-host.invalid"}, None, "dns"),
        ({"url": "http://127.0.0.1:9"}, None, "connect"),
        ({"url": "https://{host}"}, None, "tls"),
        ({"url": "http://{host}/elsewhere"}, None, "prefix"),
        ({"token": "wrong"}, None, "login"),
        ({}, Fault("html", "GET", "me/", times=9, status=500), "answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_connection_that_fails_names_the_step(
    url: str, double: Double, settings: dict[str, Any], fault: Fault | None, step: str
) -> None:
    if fault is not None:
        double.faults.add(fault)
    given = {"url": url, "token": TOKEN, **settings}
    target = given.pop("url").format(host=url.removeprefix("http://"))
    async with asking(target, GROUP, **given) as ask:
        connection = await ask("test_connection")

    assert connection["failed_step"] == step, connection
    assert connection["error"]
    assert TOKEN not in str(connection)


async def test_templates_are_listed_small_with_what_they_ask_for(url: str) -> None:
    async with asking(url, GROUP) as ask:
        listing = await ask("list_job_templates")

    deploy = next(item for item in listing["items"] if item["name"] == "Deploy web shop")
    assert deploy == {
        "id": deploy["id"],
        "name": "Deploy web shop",
        "playbook": "deploy.yml",
        "project": "Web shop",
        "inventory": "Production",
        "survey": True,
        "asks": ["limit"],
        "last_job": {"id": DEPLOY, "status": "successful", "finished": "2026-11-18T08:03:00Z"},
    }
    assert (listing["total"], listing["has_more"]) == (8, False)
    assert size(listing) / len(listing["items"]) <= 70  # so that twenty are below 1 500


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"search": "patch"}, ["Patch servers"]),
        ({"name_contains": "RE"}, ["Fleet report", "Renew certificates"]),
        ({"order_by": "-name", "page_size": 2}, ["Renew certificates", "Patch servers"]),
        ({"name_contains": "nothing like it"}, []),
        ({"page": 3, "page_size": 3}, ["Patch servers", "Renew certificates"]),
        ({"page": 9}, []),
    ],
    ids=str,
)
async def test_templates_are_searched_ordered_and_paged(url: str, arguments: dict[str, Any], names: list[str]) -> None:
    async with asking(url, GROUP) as ask:
        listing = await ask("list_job_templates", **arguments)

    assert [item["name"] for item in listing["items"]] == names


async def test_templates_of_a_project_or_an_inventory_are_found(url: str, double: Double) -> None:
    project = double.world.store.find("projects", name="Lab manual")
    inventory = double.world.store.find("inventories", name="Staging")
    assert project is not None
    assert inventory is not None
    async with asking(url, GROUP) as ask:
        manual = await ask("list_job_templates", project_id=project["id"])
        staging = await ask("list_job_templates", inventory_id=inventory["id"])
        neither = await ask("list_job_templates", inventory_id=inventory["id"], project_id=project["id"])

    assert [item["name"] for item in manual["items"]] == ["Hello"]
    assert [item["name"] for item in staging["items"]] == ["Fleet report"]
    assert neither["items"] == []


async def test_pages_tell_that_there_is_more(url: str) -> None:
    async with asking(url, GROUP) as ask:
        first = await ask("list_jobs", page_size=20)
        second = await ask("list_jobs", page_size=20, page=2)

    assert (first["total"], first["has_more"], len(first["items"])) == (33, True, 20)
    assert (second["total"], second["has_more"], len(second["items"])) == (33, False, 13)
    assert {item["id"] for item in first["items"]} & {item["id"] for item in second["items"]} == set()


async def test_only_templates_that_the_user_may_run_are_listed_on_request(url: str) -> None:
    async with asking(url, GROUP, token=OPERATOR_TOKEN) as ask:
        listing = await ask("list_job_templates", executable_only=True)

    assert [item["name"] for item in listing["items"]] == [
        "Back up databases",
        "Deploy web shop",
        "Gather facts",
        "Patch servers",
    ]


async def test_details_are_there_on_request_but_never_raw(url: str) -> None:
    async with asking(url, GROUP) as ask:
        templates = await ask("list_job_templates", detail="full")
        jobs = await ask("list_jobs", detail="full", page_size=3)

    deploy = next(item for item in templates["items"] if item["name"] == "Deploy web shop")
    assert deploy["credentials"] == ["Alpenkraft servers", "Shop vault"]
    assert deploy["labels"] == ["production"]
    assert jobs["items"][0]["launched_by"] == "nora"
    assert "summary_fields" not in str(jobs) + str(templates)


async def test_a_page_of_twenty_jobs_is_small(url: str) -> None:
    async with asking(url, GROUP) as ask:
        listing = await ask("list_jobs")

    assert size(listing) < 1500
    assert [item["id"] for item in listing["items"]][:3] == [HELLO, REPORT, CERTIFICATES]


@pytest.mark.parametrize(
    ("arguments", "total"),
    [
        ({"status": "failed"}, 16),
        ({"status": ["failed", "successful"]}, 33),
        ({"failed_only": True}, 16),
        ({"template_id": 16}, 1),
        ({"created_after": "2026-11-20T00:00:00Z"}, 3),
        ({"finished_after": "2026-11-20T06:00:00Z"}, 1),
        ({"launched_by": "nora"}, 33),
        ({"launched_by": "vera"}, 0),
        ({"search": "certificates"}, 1),
    ],
    ids=str,
)
async def test_jobs_are_filtered(url: str, arguments: dict[str, Any], total: int) -> None:
    async with asking(url, GROUP) as ask:
        listing = await ask("list_jobs", **arguments)

    assert listing["total"] == total


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("list_jobs", {"order_by": "beauty"}, "400"),
        ("list_jobs", {"created_after": "yesterday"}, "created_after"),
        ("list_job_templates", {"page_size": 500}, "page_size"),
        ("list_job_templates", {"page": 0}, "page"),
        ("get_job", {"job_id": 33, "job_type": "cron"}, "job_type"),
        ("get_job_output", {"job_id": 33, "mode": "all"}, "mode"),
        ("launch_job_template", {"template_id": 10, "verbosity": 6}, "verbosity"),
    ],
)
async def test_arguments_that_cannot_be_are_named(url: str, tool: str, arguments: dict[str, Any], words: str) -> None:
    async with asking(url, GROUP) as ask:
        assert words in await ask.refused(tool, **arguments)


@pytest.mark.parametrize("tool", ["get_job", "cancel_job", "get_job_output"])
async def test_a_job_that_is_not_there_says_where_to_look(url: str, tool: str) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused(tool, job_id=4711)

    assert text.startswith("there is no job 4711; awx_list_jobs")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("get_job", {"job_id": DEPLOY}),
        ("get_job_output", {"job_id": DEPLOY}),
        ("cancel_job", {"job_id": DEPLOY}),
        ("launch_job_template", {"template_id": 10}),
    ],
)
async def test_what_the_user_may_not_is_a_refusal_and_not_an_absence(
    url: str, tool: str, arguments: dict[str, Any]
) -> None:
    async with asking(url, GROUP, token=VIEWER_TOKEN) as ask:
        text = await ask.refused(tool, **arguments)

    assert "403" in text
    assert "ask for a role" in text


async def test_a_template_name_that_is_nearly_right_brings_the_right_ones(url: str) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("launch_job_template", template_id="web shop")

    assert text == "there is no job template 'web shop'; did you mean 'Deploy web shop'?"


async def test_a_name_with_its_organization_is_a_template_too(url: str) -> None:
    async with asking(url, GROUP) as ask:
        answer = await ask("launch_job_template", template_id="Hello++Lab")

    assert answer["template"] == "Hello"


async def test_a_job_is_shown_without_what_nobody_reads(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        job = await ask("get_job", job_id=DEPLOY)

    assert job == {
        "id": DEPLOY,
        "type": "job",
        "name": "Deploy web shop",
        "status": "successful",
        "is_finished": True,
        "output_complete": True,
        "started": "2026-11-18T08:00:00Z",
        "finished": "2026-11-18T08:03:00Z",
        "elapsed_s": 180.0,
        "launched_by": "nora",
        "template": "Deploy web shop",
        "inventory": "Production",
        "limit": job["limit"],
        "hosts": {"changed": 10},
        "extra_vars": {"release": "2026.11.2", "environment": "production", "batch": 2},
        "artifacts": {"release": "2026.11.3"},
        "web_url": page(double, url, f"jobs/playbook/{DEPLOY}/output"),
    }


async def test_survey_passwords_stay_encrypted_and_others_are_hidden(url: str) -> None:
    answers = {"release": "2026.11.3", "environment": "staging", "approval_code": "4711-secret"}
    async with asking(url, GROUP) as ask:
        job = await ask("launch_job_template", template_id="Deploy web shop", extra_vars=answers)
        shown = await ask("get_job", job_id=job["job_id"])

    assert shown["extra_vars"]["approval_code"] == "$encrypted$"
    assert "4711-secret" not in f"{job}{shown}"


async def test_a_pending_job_says_what_it_waits_for(url: str) -> None:
    async with asking(url, GROUP) as ask:
        first = await ask("launch_job_template", template_id="Patch servers", limit="web-01")
        second = await ask("launch_job_template", template_id="Patch servers", limit="web-02")
        job = await ask("get_job", job_id=second["job_id"])

    waits = f"it waits for job {first['job_id']} of the same template (pending), which does not run twice at once"
    assert job["explanation"] == waits


async def test_a_job_waits_for_the_update_of_its_project(url: str, double: Double) -> None:
    project = double.world.store.find("projects", name="Base system")
    assert project is not None
    async with asking(url, GROUP) as ask:
        job = await ask("launch_job_template", template_id="Gather facts")
        double.world.store.add("project_updates", project=project["id"], status="running", name="Base system")
        shown = await ask("get_job", job_id=job["job_id"])

    assert "it waits for the project update" in shown["explanation"]
    assert "of 'Base system' (running)" in shown["explanation"]


async def test_a_job_waits_for_the_update_of_its_inventory(url: str, double: Double) -> None:
    source = double.world.store.find("inventory_sources", name="Cloud servers")
    assert source is not None
    update = double.world.store.add("inventory_updates", inventory_source=source["id"], status="pending", name="Cloud")
    async with asking(url, GROUP) as ask:
        job = await ask("launch_job_template", template_id="Fleet report")
        shown = await ask("get_job", job_id=job["job_id"])

    assert shown["explanation"] == f"it waits for the inventory update {update['id']} of 'Staging' (pending)"


async def test_a_job_waits_for_capacity(url: str, double: Double) -> None:
    node = double.world.store.find("instances")
    assert node is not None
    node["capacity"] = 0
    async with asking(url, GROUP) as ask:
        job = await ask("launch_job_template", template_id="Hello")
        shown = await ask("get_job", job_id=job["job_id"])

    assert shown["explanation"] == "no instance group has free capacity: default (0 of 0)"


async def test_what_awx_itself_says_about_a_pending_job_counts(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        launched = await ask("launch_job_template", template_id="Hello")
        job = double.world.store.get("jobs", launched["job_id"])
        assert job is not None
        job["job_explanation"] = "This job is not ready to start because there is not enough available capacity."
        shown = await ask("get_job", job_id=launched["job_id"])

    assert shown["explanation"] == job["job_explanation"]


async def test_a_running_job_is_canceled_once_and_a_finished_one_stays(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        job = await ask("launch_job_template", template_id="Patch servers")
        double.clock.advance(5)
        canceled = await ask("cancel_job", job_id=job["job_id"])
        double.clock.advance(5)
        again = await ask("cancel_job", job_id=job["job_id"])

    assert canceled == {
        "job_id": job["job_id"],
        "type": "job",
        "cancel_requested": True,
        "status": "running",
        "next": f"awx_wait_for_job(job_id={job['job_id']})",
    }
    assert (again["cancel_requested"], again["status"]) == (False, "canceled")
    assert len(double.seen("POST", "/cancel/")) == 1


async def test_a_job_that_ends_while_it_is_canceled_is_no_error(url: str, double: Double) -> None:
    double.faults.add(Fault("status", "POST", "jobs/*/cancel/", status=405))
    async with asking(url, GROUP) as ask:
        job = await ask("launch_job_template", template_id="Patch servers")
        canceled = await ask("cancel_job", job_id=job["job_id"])

    assert not canceled["cancel_requested"]


async def test_the_user_is_asked_before_a_launch_where_the_operator_wants_it(url: str, double: Double) -> None:
    async with asking(url, GROUP, writes="confirm") as ask:
        text = await ask.refused("launch_job_template", template_id="Hello")

    assert "confirmation" in text
    assert not double.seen("POST", "/launch/")


async def test_tags_may_be_a_list_and_go_out_as_awx_wants_them(url: str, double: Double) -> None:
    template = double.world.store.find("job_templates", name="Hello")
    assert template is not None
    template["ask_tags_on_launch"] = template["ask_skip_tags_on_launch"] = True
    async with asking(url, GROUP) as ask:
        await ask("launch_job_template", template_id="Hello", job_tags=["a", "b"], skip_tags="c")

    assert double.seen("POST", "/launch/")[0].body == {"job_tags": "a,b", "skip_tags": "c"}


async def test_one_environment_does_not_launch_in_another(url: str, double: Double) -> None:
    other = Double(speed=0, start=NOW)
    async with serving(other) as elsewhere:
        environments = {"here": {}, "there": {"url": elsewhere}}
        async with asking(url, GROUP, environments=environments) as ask:
            await ask("launch_job_template", template_id="Hello", environment="there")

    assert (len(double.seen("POST")), len(other.seen("POST"))) == (0, 1)
