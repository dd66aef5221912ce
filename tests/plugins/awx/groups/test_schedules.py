"""Schedules as a model handles them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.plugins.awx.asking import asking, size
from tests.plugins.awx.conftest import NOW
from tests.plugins.awx.rows import is_there, number, row, writes

from pegboard_awx.double import Double, Fault, serving
from pegboard_awx.double.seed import OPERATOR_TOKEN, READ_TOKEN, VIEWER_TOKEN
from pegboard_awx.groups.schedules import GROUP

DAILY = "DTSTART;TZID=Europe/Zurich:20270101T030000 RRULE:FREQ=DAILY;INTERVAL=1"


async def test_schedules_are_listed_with_their_rules_in_words(url: str) -> None:
    async with asking(url, GROUP) as ask:
        listed = await ask("list_schedules", template_id="Back up databases")
        off = await ask("list_schedules", enabled=False)
        page = await ask("list_schedules", page_size=2)
        none = await ask("list_schedules", search="nothing like it")

    assert listed["items"] == [
        {
            "id": listed["items"][0]["id"],
            "name": "Nightly backup",
            "template": "Back up databases",
            "enabled": True,
            "next_run": "2026-11-21T01:30:00Z",
            "timezone": "Europe/Zurich",
            "rule_text": "every day at 02:30",
        }
    ]
    assert [(item["name"], item["enabled"]) for item in off["items"]] == [("Hourly facts", False)]
    assert page["has_more"] is True
    assert page["total"] > 3
    assert none["items"] == []


async def test_a_page_of_schedules_is_well_under_its_tokens(url: str, double: Double) -> None:
    template = number(double, "job_templates", "Patch servers")
    for count in range(25):
        values = {"name": f"Patch rack {count}", "rrule": DAILY, "timezone": "Europe/Zurich", "next_run": NOW}
        double.world.make("schedules", None, unified_job_template=template, enabled=True, **values)
    async with asking(url, GROUP) as ask:
        listed = await ask("list_schedules", template_id=template)

    assert len(listed["items"]) == 20
    assert size(listed) < 1500


async def test_a_schedule_is_shown_with_its_rule_its_variables_and_its_next_runs(url: str, double: Double) -> None:
    nightly = row(double, "schedules", "Nightly backup")
    nightly["extra_data"] = {"db": "shop", "db_password": "hunter2"}
    async with asking(url, GROUP) as ask:
        shown = await ask("get_schedule", schedule_id=nightly["id"])
        off = await ask("get_schedule", schedule_id=number(double, "schedules", "Hourly facts"))

    assert shown["rrule"] == nightly["rrule"]
    assert shown["template_type"] == "job"
    assert shown["extra_data"] == {"db": "shop", "db_password": "$hidden$"}
    assert shown["next_runs"][:2] == ["2026-11-21T02:30:00+01:00", "2026-11-22T02:30:00+01:00"]
    assert "next_runs" not in off
    assert not {"related", "summary_fields"} & shown.keys()


async def test_a_token_that_only_reads_sees_a_schedule_without_the_list_of_its_runs(url: str, double: Double) -> None:
    """AWX tells the runs of a rule by POST, which such a token may not send."""
    async with asking(url, GROUP, token=READ_TOKEN) as ask:
        shown = await ask("get_schedule", schedule_id=number(double, "schedules", "Nightly backup"))
        text = await ask.refused("preview_schedule", rrule=DAILY)

    assert shown["next_run"] == "2026-11-21T01:30:00Z"
    assert "next_runs" not in shown
    assert "403" in text


async def test_a_schedule_is_made_from_plain_fields(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        made = await ask(
            "create_schedule",
            template_id="Patch servers",
            name="Weekdays",
            start="2026-12-01T22:30:00",
            frequency="weekly",
            weekdays=["MO", "WE"],
            timezone="Europe/Zurich",
            limit="web",
            extra_data={"reboot": True},
        )

    assert made == {
        "id": made["id"],
        "name": "Weekdays",
        "enabled": True,
        "next_run": "2026-12-02T21:30:00Z",
        "timezone": "Europe/Zurich",
        "rule_text": "every Monday and Wednesday at 22:30",
    }
    ((path, body),) = writes(double)
    assert path == "schedules/"
    assert body["rrule"] == "DTSTART;TZID=Europe/Zurich:20261201T223000 RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,WE"
    assert (body["limit"], body["extra_data"]) == ("web", {"reboot": True})


async def test_a_schedule_is_made_from_a_rule_on_two_lines_and_of_a_workflow(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        made = await ask(
            "create_schedule", template_id="Release the shop", name="x", rrule=DAILY.replace(" ", "\n"), enabled=False
        )

    assert (made["enabled"], made["next_run"]) == (False, None)
    assert row(double, "schedules", "x")["rrule"] == DAILY


async def test_a_schedule_whose_runs_are_all_past_says_so(url: str) -> None:
    async with asking(url, GROUP) as ask:
        made = await ask(
            "create_schedule", template_id="Hello", name="Past", start="2020-01-01T08:00:00Z", frequency="once"
        )

    assert made["next_run"] is None
    assert made["rule_text"] == "once, on 2020-01-01 at 08:00"
    assert made["warnings"] == ["it is enabled, but all its runs are in the past"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"rrule": "FREQ=DAILY"}, "Valid DTSTART required in rrule"),
        ({"rrule": "DTSTART:20270101T030000Z RRULE:FREQ=DAILY"}, "INTERVAL required in rrule"),
        ({"rrule": "DTSTART:20270101T030000Z RRULE:FREQ=SECONDLY;INTERVAL=1"}, "SECONDLY is not supported"),
        ({"rrule": "0 3 * * *"}, "One or more rule required"),
        ({"rrule": DAILY, "frequency": "daily"}, "rrule was given, and start or frequency too"),
        ({}, "start and frequency must be given"),
        ({"frequency": "daily"}, "start must be given"),
        (
            {"start": "2027-01-01T03:00:00", "frequency": "daily", "timezone": "Europe/Zurik"},
            "did you mean Europe/Zurich",
        ),
        ({"rrule": DAILY, "extra_data": {"a": 1}}, "Variables a are not allowed on launch"),
        ({"rrule": DAILY, "limit": "web-01"}, "limit"),
        ({"rrule": DAILY, "template_id": "Backup"}, "there is no template 'Backup'"),
        ({"rrule": DAILY, "template_id": 9999}, "there is no template 9999"),
        ({"rrule": DAILY, "template_id": "Base system"}, "there is no template 'Base system'"),
    ],
)
async def test_what_cannot_be_scheduled_is_refused_with_its_reason(
    url: str, double: Double, arguments: dict[str, Any], reason: str
) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_schedule", **{"template_id": "Back up databases", "name": "x", **arguments})

    assert reason in text
    assert not is_there(double, "schedules", "x")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("get_schedule", {}),
        ("update_schedule", {"name": "x"}),
        ("toggle_schedule", {"enabled": True}),
        ("toggle_schedule", {"enabled": False}),
        ("delete_schedule", {}),
        ("delete_schedule", {"dry_run": True}),
    ],
)
async def test_a_schedule_that_is_not_there_is_said_to_be_so(url: str, tool: str, arguments: dict[str, Any]) -> None:
    async with asking(url, GROUP) as ask:
        assert "404" in await ask.refused(tool, schedule_id=9999, **arguments)


async def test_a_name_that_is_taken_comes_with_the_id_of_what_has_it(url: str, double: Double) -> None:
    nightly = number(double, "schedules", "Nightly backup")
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_schedule", template_id="Back up databases", name="Nightly backup", rrule=DAILY)

    assert f"is there already, with the id {nightly}" in text


@pytest.mark.parametrize("token", [VIEWER_TOKEN, READ_TOKEN])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("create_schedule", {"template_id": "Back up databases", "name": "x", "rrule": DAILY}),
        ("update_schedule", {"name": "x"}),
        ("toggle_schedule", {"enabled": False}),
        ("delete_schedule", {}),
    ],
)
async def test_who_may_only_look_is_told_that_a_role_is_missing(
    url: str, double: Double, token: str, tool: str, arguments: dict[str, Any]
) -> None:
    nightly = row(double, "schedules", "Nightly backup")
    given = arguments if tool == "create_schedule" else {"schedule_id": nightly["id"], **arguments}
    async with asking(url, GROUP, token=token) as ask:
        text = await ask.refused(tool, **given)

    assert "403" in text
    assert (nightly["name"], nightly["enabled"]) == ("Nightly backup", True)
    assert not is_there(double, "schedules", "x")


async def test_a_schedule_is_changed_by_what_differs(url: str, double: Double) -> None:
    patch_day = number(double, "schedules", "Patch day")
    async with asking(url, GROUP) as ask:
        answer = await ask("update_schedule", schedule_id=patch_day, name="Patch night", rrule=DAILY)
        again = await ask("update_schedule", schedule_id=patch_day, name="Patch night", rrule=DAILY, enabled=True)
        bad = await ask.refused("update_schedule", schedule_id=patch_day, rrule="every day")

    assert answer["changed"] == ["name", "rrule"]
    assert (answer["next_run"], answer["rule_text"]) == ("2027-01-01T02:00:00Z", "every day at 03:00")
    assert again["changed"] == []
    assert "Valid DTSTART required" in bad


async def test_a_secret_that_was_shown_hidden_survives_being_sent_back(url: str, double: Double) -> None:
    patch_day = row(double, "schedules", "Patch day")
    patch_day["extra_data"] = {"become_password": "hunter2", "reboot": True}
    async with asking(url, GROUP) as ask:
        shown = await ask("get_schedule", schedule_id=patch_day["id"])
        await ask("update_schedule", schedule_id=patch_day["id"], extra_data={**shown["extra_data"], "reboot": False})

    assert patch_day["extra_data"] == {"become_password": "hunter2", "reboot": False}


async def test_a_schedule_is_switched_off_and_on_and_twice_is_once(url: str, double: Double) -> None:
    nightly = number(double, "schedules", "Nightly backup")
    async with asking(url, GROUP) as ask:
        off = await ask("toggle_schedule", schedule_id=nightly, enabled=False)
        still_off = await ask("toggle_schedule", schedule_id=nightly, enabled=False)
        on = await ask("toggle_schedule", schedule_id=nightly, enabled=True)

    assert (off["enabled"], off["next_run"]) == (False, None)
    assert off == still_off
    assert (on["enabled"], on["next_run"]) == (True, "2026-11-21T01:30:00Z")
    assert len(writes(double)) == 2


async def test_a_schedule_is_deleted_and_a_dry_run_only_shows_it(url: str, double: Double) -> None:
    nightly = number(double, "schedules", "Nightly backup")
    async with asking(url, GROUP) as ask:
        dry = await ask("delete_schedule", schedule_id=nightly, dry_run=True)
        assert is_there(double, "schedules", "Nightly backup")
        answer = await ask("delete_schedule", schedule_id=nightly)

    assert dry == {"deleted": False, "dry_run": True, "id": nightly, "name": "Nightly backup"}
    assert answer == {"deleted": True, "id": nightly, "name": "Nightly backup"}
    assert not is_there(double, "schedules", "Nightly backup")


async def test_a_schedule_whose_answer_was_lost_is_not_made_twice(url: str, double: Double) -> None:
    double.faults.add(Fault("drop_after", "POST", "schedules/"))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_schedule", template_id="Hello", name="Morning", rrule=DAILY)

    assert "the schedule may be there all the same: awx_list_schedules(name_contains='Morning') tells" in text
    assert len(writes(double)) == 1


@pytest.mark.parametrize(
    "allowed", [{"allow_templates": ["Hello", "Gather*"]}, {"allow_inventories": ["Lab*"]}], ids=["templates", "places"]
)
async def test_what_may_not_be_launched_may_not_be_scheduled_either(
    url: str, double: Double, allowed: dict[str, Any]
) -> None:
    nightly = number(double, "schedules", "Nightly backup")
    async with asking(url, GROUP, **allowed) as ask:
        new = await ask.refused("create_schedule", template_id="Back up databases", name="x", rrule=DAILY)
        changed = await ask.refused("update_schedule", schedule_id=nightly, rrule=DAILY)
        on = await ask.refused("toggle_schedule", schedule_id=nightly, enabled=True)
        allowed_one = await ask("create_schedule", template_id="Hello", name="Morning", rrule=DAILY)
        off = await ask("toggle_schedule", schedule_id=nightly, enabled=False)
        renamed = await ask("update_schedule", schedule_id=nightly, name="Nightly backup, not from here")

    assert renamed["changed"] == ["name"]
    assert all("the operator allows" in text for text in (new, changed, on))
    assert allowed_one["name"] == "Morning"
    assert off["enabled"] is False


async def test_a_rule_is_previewed_and_its_mistakes_are_those_awx_finds(url: str) -> None:
    async with asking(url, GROUP) as ask:
        shown = await ask("preview_schedule", rrule=DAILY, count=2)
        text = await ask.refused("preview_schedule", rrule="DTSTART:20270101T030000 RRULE:FREQ=DAILY;INTERVAL=1")

    assert shown == {
        "rule_text": "every day at 03:00",
        "local": ["2027-01-01T03:00:00+01:00", "2027-01-02T03:00:00+01:00"],
        "utc": ["2027-01-01T02:00:00Z", "2027-01-02T02:00:00Z"],
    }
    assert "DTSTART cannot be a naive datetime" in text
    assert "A valid TZID must be provided" in text


async def test_what_runs_soon_is_listed_soonest_first_without_what_is_off() -> None:
    now = datetime.now(UTC)
    double = Double(speed=0, start=now)
    soon = {"Patch day": timedelta(hours=1), "Nightly backup": timedelta(hours=5), "Hourly facts": timedelta(hours=2)}
    for schedule in double.world.store.all("schedules"):
        schedule["next_run"] = now + soon.get(schedule["name"], timedelta(days=30))
    async with serving(double) as url, asking(url, GROUP) as ask:
        upcoming = await ask("list_upcoming_runs", within_hours=12)
        none = await ask("list_upcoming_runs", within_hours=0.5)

    assert [item["schedule"] for item in upcoming["items"]] == ["Patch day", "Nightly backup"]
    assert upcoming["items"][0]["template"] == "Patch servers"
    assert upcoming["items"][0]["repeats"] == "every Tuesday at 22:00"
    assert (upcoming["total"], upcoming["has_more"]) == (2, False)
    assert (none["items"], none["total"]) == ([], 0)


async def test_an_operator_sees_the_schedules_of_their_templates(url: str) -> None:
    async with asking(url, GROUP, token=OPERATOR_TOKEN) as ask:
        listed = await ask("list_schedules")

    assert {item["name"] for item in listed["items"]} == {"Nightly backup", "Patch day", "Hourly facts"}
