"""Job templates as a model looks at them, makes them and changes them."""

import json
from typing import Any

import pytest
from tests.plugins.awx.asking import asking, size
from tests.plugins.awx.rows import is_there, number, page, row, writes

from pegboard_awx.double import Double, Fault, serving
from pegboard_awx.double.seed import OPERATOR_TOKEN, READ_TOKEN
from pegboard_awx.groups.templates import ALIASES, GROUP

CREATED: dict[str, Any] = {"name": "New", "project_id": "Web shop", "playbook": "deploy.yml", "inventory_id": "Staging"}
READS = {"get_job_template", "get_launch_requirements", "search_templates"}
REPEATABLE = {"update_job_template", "delete_job_template", "set_survey"}


async def test_the_tools_fit_the_small_budget_and_say_what_they_do_to_awx(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tokens = await ask.tokens()
        tools = {tool.name.removeprefix("awx_"): tool.annotations for tool in (await ask.client.list_tools()).tools}

    assert len(tokens) == 8
    assert sum(tokens.values()) < 1200
    for name in (one.removeprefix("awx_") for one in tokens):
        hints = tools[name]
        assert hints is not None
        assert (hints.read_only_hint is True) is (name in READS)
        assert hints.destructive_hint is (name == "delete_job_template")
        assert hints.open_world_hint is True
        assert name in READS or (hints.idempotent_hint is True) is (name in REPEATABLE)
    assert {f"awx_{name}" for name in ALIASES.values()} <= tokens.keys()


async def test_tools_that_write_are_absent_where_writes_are_denied(url: str) -> None:
    async with asking(url, GROUP, writes="deny") as ask:
        assert {name.removeprefix("awx_") for name in await ask.tokens()} == READS


async def test_a_template_is_shown_with_its_prompts_survey_and_credentials_but_never_raw(
    url: str, double: Double
) -> None:
    async with asking(url, GROUP) as ask:
        deploy = await ask("get_job_template", template_id="Deploy web shop")
        by_number = await ask("get_job_template", template_id=deploy["id"])
        patch = await ask("get_job_template", template_id="Patch servers++Alpenkraft")

    assert deploy == by_number
    assert deploy["project"] == {"id": deploy["project"]["id"], "name": "Web shop", "status": "successful"}
    assert deploy["asks"] == ["limit"]
    assert [(one["name"], one["kind"]) for one in deploy["credentials"]] == [
        ("Alpenkraft servers", "ssh"),
        ("Shop vault", "vault"),
    ]
    assert deploy["labels"] == ["production"]
    assert deploy["recent_jobs"][0]["status"] == "successful"
    assert [question["variable"] for question in deploy["survey"]] == [
        "release",
        "environment",
        "batch",
        "approval_code",
    ]
    assert deploy["web_url"] == page(double, url, f"templates/job_template/{deploy['id']}/details")
    assert set(patch["asks"]) == {"extra_vars", "job_type", "limit"}
    assert not {"related", "summary_fields", "survey_enabled", "forks"} & deploy.keys()
    assert size(deploy) < 500


async def test_on_a_platform_the_page_of_a_template_is_the_platforms() -> None:
    async with serving(Double(speed=0, platform=True)) as url, asking(url, GROUP) as ask:
        hello = await ask("get_job_template", template_id="Hello")

    assert hello["web_url"] == f"{url}/execution/templates/job-template/{hello['id']}/details"


async def test_secrets_in_variables_and_surveys_are_not_shown(url: str, double: Double) -> None:
    deploy = row(double, "job_templates", "Deploy web shop")
    deploy["extra_vars"] = '{"api_token": "hunter2", "retries": 3}'
    deploy["_survey"]["spec"][-1]["default"] = "hunter2"
    async with asking(url, GROUP) as ask:
        shown = await ask("get_job_template", template_id="Deploy web shop")
        needed = await ask("get_launch_requirements", template_id="Deploy web shop")

    assert shown["extra_vars"] == needed["defaults"]["extra_vars"] == {"api_token": "$hidden$", "retries": 3}
    assert shown["survey"][-1]["default"] == "$encrypted$"
    assert "hunter2" not in json.dumps([shown, needed])


async def test_launch_requirements_tell_choices_bounds_defaults_and_all_that_is_missing(url: str) -> None:
    async with asking(url, GROUP) as ask:
        deploy = await ask("get_launch_requirements", template_id="Deploy web shop")

    assert deploy["can_launch_now"] is False
    assert deploy["promptable"] == ["limit"]
    assert deploy["survey"][:3] == [
        {"variable": "release", "question": "Which release?", "type": "text", "required": True, "min": 3, "max": 20},
        {
            "variable": "environment",
            "question": "Where to?",
            "type": "multiplechoice",
            "required": True,
            "choices": ["staging", "production"],
        },
        {
            "variable": "batch",
            "question": "How many hosts at once?",
            "type": "integer",
            "default": 2,
            "min": 1,
            "max": 8,
        },
    ]
    assert list(deploy["missing"]) == ["extra_vars.release", "extra_vars.environment"]
    assert deploy["defaults"]["inventory"] == "Production"
    assert deploy["defaults"]["credentials"] == ["Alpenkraft servers", "Shop vault"]


async def test_launch_requirements_call_arguments_as_the_launching_tools_do(url: str) -> None:
    async with asking(url, GROUP) as ask:
        hello = await ask("get_launch_requirements", template_id="Hello")
        homeless = await ask("get_launch_requirements", template_id="Ad hoc deploy")
        workflow = await ask("get_launch_requirements", template_id="Release the shop", kind="workflow_job_template")

    assert hello["can_launch_now"] is True
    assert not {"missing", "promptable", "survey"} & hello.keys()
    assert homeless["promptable"] == ["inventory_id", "limit"]
    assert list(homeless["missing"]) == ["inventory_id"]
    assert (workflow["can_launch_now"], workflow["promptable"]) == (True, ["extra_vars"])


async def test_a_template_is_made_by_a_body_with_variables_as_a_string(url: str, double: Double) -> None:
    """Others send required fields as query parameters and variables as an object; AWX refuses both."""
    machine = number(double, "credentials", "Alpenkraft servers")
    async with asking(url, GROUP) as ask:
        made = await ask(
            "create_job_template",
            **CREATED,
            extra_vars={"größe": 2},
            credentials=[machine],
            ask_limit_on_launch=True,
            verbosity=1,
        )
        shown = await ask("get_job_template", template_id=made["id"])

    at = page(double, url, f"templates/job_template/{made['id']}/details")
    assert made == {"id": made["id"], "name": "New", "web_url": at}
    path, body = writes(double)[0]
    assert path == "job_templates/"
    assert isinstance(body, dict)
    assert body["extra_vars"] == '{"größe": 2}'
    assert "description" not in body
    assert all(not seen.query for seen in double.seen("POST"))
    assert shown["extra_vars"] == {"größe": 2}
    assert [one["id"] for one in shown["credentials"]] == [machine]


async def test_a_credential_that_cannot_be_attached_is_a_warning_since_the_template_is_there(
    url: str, double: Double
) -> None:
    machine = number(double, "credentials", "Alpenkraft servers")
    async with asking(url, GROUP) as ask:
        made = await ask("create_job_template", **CREATED, credentials=[999, machine])

    assert [warning[:34] for warning in made["warnings"]] == ["credential 999 was not attached: A"]
    template = row(double, "job_templates", "New")
    assert [one["id"] for one in double.world.store.linked(template, "credentials")] == [machine]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"playbook": "deploi.yml"}, "Playbook not found for project; the project has deploy.yml"),
        ({"playbook": "deploi.yml"}, "awx_list_project_playbooks lists all 8"),
        ({"playbook": "x"}, "the project has backup.yml, certificates.yml"),
        ({"project_id": "Warehouse robots"}, "has it been synced (awx_sync_project)?"),
        ({"project_id": "Webshop"}, "there is no project 'Webshop'"),
        ({"project_id": "Web"}, "did you mean 'Web shop'?"),
        ({"inventory_id": None}, "set a default value or ask to prompt on launch"),
        ({"verbosity": 9}, "verbosity"),
        ({"name": "Hello", "project_id": "Lab manual", "playbook": "hello.yml"}, "'Hello'"),
    ],
)
async def test_a_template_that_cannot_be_made_is_refused_with_what_to_do(
    url: str, double: Double, arguments: dict[str, Any], reason: str
) -> None:
    before = len(double.world.store.all("job_templates"))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_job_template", **{**CREATED, **arguments})

    assert reason in text
    assert len(double.world.store.all("job_templates")) == before


@pytest.mark.parametrize(("tool", "arguments"), [("create_job_template", CREATED), ("copy_job_template", {})])
async def test_a_name_that_is_taken_comes_with_the_id_of_what_has_it(
    url: str, double: Double, tool: str, arguments: dict[str, Any]
) -> None:
    there = {"name": "Patch servers", **({} if arguments else {"template_id": "Patch servers"})}
    async with asking(url, GROUP) as ask:
        text = await ask.refused(tool, **{**arguments, **there})

    assert f"the id {number(double, 'job_templates', 'Patch servers')}" in text


@pytest.mark.parametrize("kind", ["drop_after", "truncate"])
async def test_a_template_whose_answer_is_lost_is_not_made_twice(url: str, double: Double, kind: Any) -> None:
    double.faults.add(Fault(kind, "POST", "job_templates/"))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_job_template", **CREATED)

    assert len(double.seen("POST", "job_templates/")) == 1
    assert is_there(double, "job_templates", "New")
    assert "awx_list_job_templates(name_contains='New')" in text


async def test_only_what_differs_is_changed_and_told(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        first = await ask("update_job_template", template_id="Hello", verbosity=2, job_type="run", extra_vars={"a": 1})
        again = await ask("update_job_template", template_id="Hello", verbosity=2, extra_vars={"a": 1})
        renamed = await ask("update_job_template", template_id="Hello", name="Hallo", extra_vars={"b": 1})

    assert first["changed"] == ["extra_vars.a", "verbosity"]
    assert again["changed"] == []
    assert renamed["changed"] == ["name", "extra_vars.a", "extra_vars.b"]
    assert [body for _, body in writes(double)] == [
        {"extra_vars": '{"a": 1}', "verbosity": 2},
        {"name": "Hallo", "extra_vars": '{"b": 1}'},
    ]


async def test_a_variable_that_was_shown_as_hidden_stays_what_it_is(url: str, double: Double) -> None:
    row(double, "job_templates", "Hello")["extra_vars"] = '{"api_token": "hunter2", "retries": 3}'
    async with asking(url, GROUP) as ask:
        shown = await ask("get_job_template", template_id="Hello")
        await ask("update_job_template", template_id="Hello", extra_vars={**shown["extra_vars"], "retries": 4})

    assert json.loads(row(double, "job_templates", "Hello")["extra_vars"]) == {"api_token": "hunter2", "retries": 4}


async def test_the_credentials_of_a_template_become_exactly_those_that_are_named(url: str, double: Double) -> None:
    machine, vault = (number(double, "credentials", name) for name in ("Alpenkraft servers", "Shop vault"))
    async with asking(url, GROUP) as ask:
        told = await ask("update_job_template", template_id="Patch servers", credentials=[vault])
        again = await ask("update_job_template", template_id="Patch servers", credentials=[vault])
        failing = await ask("update_job_template", template_id="Patch servers", credentials=[vault, 999])
        none = await ask("update_job_template", template_id="Patch servers", credentials=[])

    assert (told["changed"], again["changed"], none["changed"]) == (["credentials"], [], ["credentials"])
    assert "credential 999 was not attached" in failing["warnings"][0]
    assert [body for _, body in writes(double)][:2] == [{"id": machine, "disassociate": True}, {"id": vault}]
    assert double.world.store.linked(row(double, "job_templates", "Patch servers"), "credentials") == []


async def test_a_playbook_that_is_not_there_is_refused_with_those_that_are(url: str) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("update_job_template", template_id="Hello", playbook="helo.yml")

    assert "Playbook not found for project; the project has hello.yml" in text


async def test_a_dry_run_counts_what_would_break_and_deletes_nothing(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        patch = await ask("delete_job_template", template_id="Patch servers", dry_run=True)
        report = await ask("delete_job_template", template_id="Fleet report", dry_run=True)

    assert patch == {
        "deleted": False,
        "dry_run": True,
        "id": number(double, "job_templates", "Patch servers"),
        "name": "Patch servers",
        "related": {"schedules": 1, "workflow_nodes": 1},
    }
    assert "related" not in report
    assert writes(double) == []


async def test_a_deletion_tells_what_is_gone_and_a_second_one_that_it_is_not_there(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        gone = await ask("delete_job_template", template_id="Fleet report")
        text = await ask.refused("delete_job_template", template_id=gone["id"])

    assert gone == {"deleted": True, "id": gone["id"], "name": "Fleet report"}
    assert not is_there(double, "job_templates", "Fleet report")
    assert "404" in text


async def test_a_template_with_running_jobs_is_not_deleted_and_its_jobs_are_named(url: str, double: Double) -> None:
    """Others report a deletion as success whatever AWX answers."""
    hello = number(double, "job_templates", "Hello")
    async with asking(url, GROUP) as ask:
        await ask_awx_to_launch(double, hello)
        text = await ask.refused("delete_job_template", template_id="Hello")

    job = double.world.store.all("jobs")[-1]["id"]
    assert f"active jobs {job}" in text
    assert "wait for the jobs or cancel them" in text
    assert is_there(double, "job_templates", "Hello")


async def ask_awx_to_launch(double: Double, template: int) -> None:
    """Start a job behind the tools' back."""
    import httpx

    headers = {"Authorization": "Bearer alpenkraft-admin-token"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(double), base_url="http://awx", headers=headers) as awx:
        (await awx.post(f"{double.prefix}job_templates/{template}/launch/", json={})).raise_for_status()


async def test_a_copy_has_the_survey_and_the_credentials(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        made = await ask("copy_job_template", template_id="Deploy web shop", name="Deploy the shop's copy")
        shown = await ask("get_job_template", template_id=made["id"])

    assert made["name"] == shown["name"] == "Deploy the shop's copy"
    assert len(shown["survey"]) == 4
    assert len(shown["credentials"]) == 2
    assert len(writes(double)) == 1


async def test_a_survey_can_be_read_changed_and_written_back(url: str, double: Double) -> None:
    before = row(double, "job_templates", "Deploy web shop")["_survey"]["spec"]
    async with asking(url, GROUP) as ask:
        questions = (await ask("get_launch_requirements", template_id="Deploy web shop"))["survey"]
        told = await ask("set_survey", template_id="Deploy web shop", questions=[*questions, {"variable": "ticket"}])
        after = (await ask("get_launch_requirements", template_id="Deploy web shop"))["survey"]

    assert told == {
        "template_id": number(double, "job_templates", "Deploy web shop"),
        "questions": 5,
        "enabled": True,
    }
    assert after == [*questions, {"variable": "ticket", "type": "text"}]
    now = row(double, "job_templates", "Deploy web shop")["_survey"]["spec"]
    assert [one["question_name"] for one in now] == [*(one["question_name"] for one in before), "ticket"]
    assert [path for path, _ in writes(double)] == [f"job_templates/{told['template_id']}/survey_spec/"]


async def test_a_survey_is_turned_on_and_off_and_removed(url: str, double: Double) -> None:
    hello = row(double, "job_templates", "Hello")
    async with asking(url, GROUP) as ask:
        off = await ask("set_survey", template_id="Hello", questions=[{"variable": "name"}], enable=False)
        assert hello["survey_enabled"] is False
        on = await ask("set_survey", template_id="Hello", questions=[{"variable": "name", "required": True}])
        assert hello["survey_enabled"] is True
        none = await ask("set_survey", template_id="Hello", questions=[])

    assert [(one["questions"], one["enabled"]) for one in (off, on, none)] == [(1, False), (1, True), (0, False)]
    assert hello["survey_enabled"] is False
    assert "_survey" not in hello


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"variable": "a", "type": "colour"}, "colour"),
        ({"question": "What?"}, "variable"),
        ({"variable": "a", "pattern": "x"}, "pattern"),
        ({"variable": "twice"}, "duplicated in survey question 1"),
    ],
)
async def test_a_survey_that_is_none_is_refused(
    url: str, double: Double, question: dict[str, Any], reason: str
) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("set_survey", template_id="Hello", questions=[{"variable": "twice"}, question])

    assert reason in text
    assert "_survey" not in row(double, "job_templates", "Hello")


@pytest.mark.parametrize(
    ("query", "types", "names"),
    [
        ("deploy", None, ["Deploy web shop", "Ad hoc deploy", "Release the shop", "Web shop"]),
        ("web shop", None, ["Web shop", "Deploy web shop"]),
        ("database backup", None, ["Back up databases", "Base system"]),
        ("shop", ["project"], ["Web shop"]),
        ("SHOP", ["workflow_job_template"], ["Release the shop"]),
        ("zeppelin", None, []),
        ("zeppelin hangar", None, []),
    ],
)
async def test_templates_of_all_kinds_are_found_the_best_first(
    url: str, query: str, types: list[str] | None, names: list[str]
) -> None:
    async with asking(url, GROUP) as ask:
        found = await ask("search_templates", query=query, types=types)

    assert [item["name"] for item in found["items"]] == names
    assert found["total"] == len(names)


async def test_types_are_not_asked_for_by_a_filter_that_never_matches(url: str, double: Double) -> None:
    """AWX reads the list of `type__in` as one name."""
    async with asking(url, GROUP) as ask:
        await ask("search_templates", query="shop")

    assert double.requests[-1].query.startswith("type=job_template%2Cworkflow_job_template%2Cproject&search=shop")


async def test_many_matches_are_cut_to_the_best_and_counted(url: str, double: Double) -> None:
    project = number(double, "projects", "Web shop")
    for index in range(60):
        double.world.make("job_templates", None, name=f"Task {index:02}", description="x" * 200, project=project)
    async with asking(url, GROUP) as ask:
        found = await ask("search_templates", query="task")
        text = await ask.refused("search_templates", query="  ")

    assert (len(found["items"]), found["total"]) == (20, 60)
    assert size(found) < 2500
    assert "no words given" in text


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("get_job_template", {}),
        ("get_launch_requirements", {}),
        ("update_job_template", {"name": "x"}),
        ("delete_job_template", {"dry_run": True}),
        ("delete_job_template", {}),
        ("copy_job_template", {"name": "x"}),
        ("set_survey", {"questions": []}),
    ],
)
async def test_a_template_that_is_not_there_is_named_with_those_that_are_near(
    url: str, tool: str, arguments: dict[str, Any]
) -> None:
    async with asking(url, GROUP) as ask:
        name = await ask.refused(tool, template_id="Deploy", **arguments)
        by_number = await ask.refused(tool, template_id=999, **arguments)

    assert name == "there is no job template 'Deploy'; did you mean 'Ad hoc deploy', 'Deploy web shop'?"
    assert "404" in by_number


async def test_a_name_in_two_organizations_is_refused_with_the_candidates(url: str, double: Double) -> None:
    lab = number(double, "organizations", "Lab")
    twin = double.world.make("job_templates", None, name="Patch servers", organization=lab)
    async with asking(url, GROUP) as ask:
        text = await ask.refused("get_job_template", template_id="Patch servers")

    assert "2 job templates are called 'Patch servers'" in text
    assert f"{twin['id']} (Lab)" in text


@pytest.mark.parametrize(
    ("token", "tool", "arguments"),
    [
        (OPERATOR_TOKEN, "get_job_template", {"template_id": "{renew}"}),
        (OPERATOR_TOKEN, "get_launch_requirements", {"template_id": "{renew}"}),
        (OPERATOR_TOKEN, "update_job_template", {"template_id": "Patch servers", "verbosity": 3}),
        (OPERATOR_TOKEN, "delete_job_template", {"template_id": "Patch servers"}),
        (OPERATOR_TOKEN, "copy_job_template", {"template_id": "Patch servers", "name": "x"}),
        (OPERATOR_TOKEN, "set_survey", {"template_id": "Patch servers", "questions": []}),
        (READ_TOKEN, "create_job_template", CREATED),
    ],
)
async def test_who_lacks_a_role_is_told_so(
    url: str, double: Double, token: str, tool: str, arguments: dict[str, Any]
) -> None:
    renew = str(number(double, "job_templates", "Renew certificates"))
    given = {name: renew if value == "{renew}" else value for name, value in arguments.items()}
    async with asking(url, GROUP, token=token) as ask:
        text = await ask.refused(tool, **given)

    assert "403" in text
    assert "ask for a role on it" in text
