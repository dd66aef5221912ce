"""The group notifications: who did what, and messages about jobs."""

from typing import Any

import pytest
from mcp.client.session import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult
from tests.plugins.awx.asking import asking, size

from pegboard import Plugin
from pegboard.testing import connect
from pegboard_awx import Settings
from pegboard_awx.activity import changes, line
from pegboard_awx.api import Api
from pegboard_awx.double import Double, Fault
from pegboard_awx.double.seed import OPERATOR_TOKEN, READ_TOKEN, TOKEN, VIEWER_TOKEN
from pegboard_awx.groups.notifications import ALIASES, GROUP
from pegboard_awx.names import resolve
from pegboard_awx.notices import plain, shown

HOOK = "On-call channel"
SLACK: dict[str, Any] = {"token": "xoxb-very-secret", "channels": ["#ops"]}


def stored(double: Double, name: str) -> dict[str, Any]:
    """What AWX holds, secrets and all."""
    found = double.world.store.find("notification_templates", name=name)
    assert found is not None
    return found["notification_configuration"]


async def test_the_group_fits_the_small_budget_in_full(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tokens = await ask.tokens()

    assert len(tokens) == 8
    assert sum(tokens.values()) <= 1500, tokens
    assert {f"awx_{name}" for name in ALIASES.values()} <= set(tokens)


async def test_the_tools_say_what_they_do_to_awx(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tools = {tool.name: tool.annotations for tool in (await ask.client.list_tools()).tools}

    hints = {name.removeprefix("awx_"): h for name, h in tools.items() if h and not h.read_only_hint}
    assert {name: (h.destructive_hint, h.idempotent_hint) for name, h in hints.items()} == {
        "create_notification_template": (False, None),
        "update_notification_template": (False, True),
        "delete_notification_template": (True, True),
        "test_notification_template": (False, None),
    }
    assert all(h.open_world_hint for h in tools.values() if h)


# The activity stream


async def test_activity_comes_newest_first_in_short_lines(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        await ask("create_notification_template", name="Ops", organization_id="Lab", notification_type="slack",
                  notification_configuration=SLACK)  # fmt: skip
        listing = await ask("list_activity_stream")

    newest = listing["items"][0]
    assert newest == {
        "id": newest["id"],
        "when": "2026-11-20T08:00:00Z",
        "actor": "admin",
        "operation": "create",
        "object": {"type": "notification_template", "id": newest["object"]["id"], "name": "Ops"},
    }
    assert listing["has_more"]
    assert listing["total"] == len(double.world.store.all("activity_stream")) > 20
    assert size(listing) <= 1500


async def test_an_update_shows_what_changed_and_the_event_everything(url: str) -> None:
    async with asking(url, GROUP) as ask:
        await ask("update_notification_template", notification_template_id=HOOK, name="Night shift")
        (item,) = (await ask("list_activity_stream", operation="update", page_size=1))["items"]
        event = await ask("get_activity_event", event_id=item["id"])

    assert item["changes"] == {"name": [HOOK, "Night shift"]}
    assert event == {**item, "node": "awx-1"}


async def test_the_event_of_a_link_names_what_was_linked_with_what(url: str, api: Api) -> None:
    hello = await resolve(api, "job_templates", "Hello")
    hook = await resolve(api, "notification_templates", HOOK)
    await api.associate("job_templates", hello, "notification_templates_error", id=hook)
    async with asking(url, GROUP) as ask:
        found = await ask("list_activity_stream", object_type="job_template", object_id=hello, operation="associate")
        event = await ask("get_activity_event", event_id=found["items"][0]["id"])

    assert event["object"] == {"type": "job_template", "id": hello, "name": "Hello"}
    assert event["with"] == {"type": "notification_template", "id": hook, "name": HOOK}


@pytest.mark.parametrize("word", ["notification_template", "notification_templates"])
async def test_activity_is_found_by_object_by_actor_and_by_time(url: str, word: str) -> None:
    async with asking(url, GROUP) as ask:
        hook = (await ask("get_notification_template", notification_template_id=HOOK))["id"]
        of_one = await ask("list_activity_stream", object_type=word, object_id=hook)
        of_type = await ask("list_activity_stream", object_type=word, actor="nora")
        later = await ask("list_activity_stream", since="2026-11-21T00:00:00Z")
        by_word = await ask("list_activity_stream", name_contains="on-call", search="webhook")

    assert {item["object"]["name"] for item in of_one["items"]} == {HOOK}
    assert (of_type["total"], later["total"]) == (0, 0)
    assert [item["object"]["name"] for item in by_word["items"]] == [HOOK]


async def test_the_events_of_what_was_deleted_are_looked_for_by_name(url: str) -> None:
    async with asking(url, GROUP) as ask:
        hook = (await ask("get_notification_template", notification_template_id=HOOK))["id"]
        await ask("delete_notification_template", notification_template_id=hook)
        nothing = await ask("list_activity_stream", object_type="notification_template", object_id=hook)
        (item,) = (await ask("list_activity_stream", search=HOOK, operation="delete"))["items"]

    assert nothing["items"] == []
    assert "search for the name" in nothing["next"]
    assert item["object"] == {"type": "notification_template", "id": hook, "name": HOOK}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"object_id": 5}, "object_id needs object_type"),
        ({"object_type": "job_templat"}, "did you mean 'job_template'?"),
        ({"object_type": "xyz"}, "one of ad_hoc_command, credential"),
        ({"operation": "launch"}, "operation"),
        ({"since": "yesterday"}, "since"),
        ({"order_by": "weight"}, "weight"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(url: str, arguments: dict[str, Any], reason: str) -> None:
    async with asking(url, GROUP) as ask:
        assert reason in await ask.refused("list_activity_stream", **arguments)


async def test_an_event_that_is_not_there_is_not_found(url: str) -> None:
    async with asking(url, GROUP) as ask:
        assert "404" in await ask.refused("get_activity_event", event_id=99999)


def test_no_event_tells_a_secret() -> None:
    item = {
        "changes": {
            "extra_vars": ['{"db_password": "a1"}', "db_password: b2"],
            "variables": "- no object, so who knows",
            "webhook_key": "c3",
            "limit": ["", "web"],
        }
    }

    told = changes(item)

    assert not {"a1", "b2", "c3", "who knows"} & set(str(told).replace("'", " ").split())
    assert told["limit"] == ["", "web"]


def test_an_association_names_both_sides_also_when_they_are_of_one_type() -> None:
    groups = [{"id": 4, "name": "web"}, {"id": 5, "name": "shop"}]
    item = {
        "id": 9,
        "timestamp": "2026-11-21T11:49:11.171983Z",
        "operation": "associate",
        "object1": "group",
        "object2": "group",
        "changes": {"object1": "group", "object1_pk": 5, "object2": "group", "object2_pk": 4},
        "summary_fields": {"group": groups, "actor": {"id": 1, "username": "admin"}},
    }

    told = line(item)

    assert (told["object"]["name"], told["with"]["name"]) == ("shop", "web")


def test_a_line_shows_the_first_changes_cut_and_counts_the_rest() -> None:
    names = ("description", "limit", "forks", "verbosity", "timeout")
    item = {
        "id": 9,
        "timestamp": "2026-11-21T11:49:11Z",
        "operation": "update",
        "object1": "job_template",
        "object2": "",
        "changes": {name: ["x" * 500, 3] for name in names},
        "summary_fields": {"job_template": [{"id": 7, "name": "Hello"}]},
    }

    told = line(item)["changes"]

    assert list(told) == ["description", "limit", "forks", "more"]
    assert (told["more"], told["limit"]) == (2, ["x" * 30 + "…", 3])


# Notification templates


async def test_templates_are_listed_small(url: str, double: Double) -> None:
    for number in range(25):
        double.world.make(
            "notification_templates",
            None,
            name=f"Channel {number:02}",
            organization=1,
            notification_type="slack",
            notification_configuration={"token": "t", "channels": ["#ops"]},
        )
    async with asking(url, GROUP) as ask:
        first = await ask("list_notification_templates")
        rest = await ask("list_notification_templates", page=2, detail="full")
        none = await ask("list_notification_templates", name_contains="nobody has this")

    assert (first["total"], first["has_more"], len(first["items"])) == (26, True, 20)
    assert (rest["has_more"], len(rest["items"])) == (False, 6)
    assert size(first) <= 1500
    assert (none["items"], none["total"], none["has_more"]) == ([], 0, False)
    assert "#ops" in str(rest)
    assert "'t'" not in str(rest)


async def test_a_template_is_shown_with_its_last_messages_and_without_its_address(url: str) -> None:
    async with asking(url, GROUP) as ask:
        await ask("test_notification_template", notification_template_id=HOOK)
        told = await ask("get_notification_template", notification_template_id=f"{HOOK}++Alpenkraft")

    assert told["notification_configuration"]["url"] == "https://chat.alpenkraft.example/…"
    assert (told["type"], told["organization"], told["last_status"]) == ("webhook", "Alpenkraft", "successful")
    assert [one["status"] for one in told["recent_notifications"]] == ["successful"]


async def test_a_template_is_created_and_its_secret_never_comes_back(url: str, double: Double) -> None:
    arguments = {"name": "Ops", "organization_id": "Lab", "notification_type": "slack"}
    async with asking(url, GROUP) as ask:
        made = await ask("create_notification_template", **arguments, notification_configuration=SLACK)
        told = await ask("get_notification_template", notification_template_id="Ops")
        taken = await ask.refused("create_notification_template", **arguments, notification_configuration=SLACK)

    assert made["next"].startswith("awx_test_notification_template(")
    assert stored(double, "Ops")["token"] == SLACK["token"]
    assert SLACK["token"] not in str(told)
    assert f"with the id {made['id']}" in taken


async def test_no_question_shows_a_secret_of_a_configuration(url: str, double: Double) -> None:
    asked: list[str] = []

    async def elicit(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="decline")

    plugin = Plugin(name="awx", groups=[GROUP], settings=Settings)
    settings = {"plugins": {"awx": {"url": url, "token": TOKEN, "writes": "confirm"}}}
    async with connect(plugin, settings=settings, elicitation_callback=elicit) as client:
        given = {"name": "Ops", "organization_id": "Lab", "notification_type": "slack"}
        configuration = {"notification_configuration": SLACK}
        await client.call_tool("awx_create_notification_template", {**given, **configuration})
        await client.call_tool("awx_update_notification_template", {"notification_template_id": HOOK, **configuration})

    assert len(asked) == 2
    assert SLACK["token"] not in str(asked)
    assert double.seen("POST", "/") == double.seen("PATCH", "/") == []


async def test_what_a_configuration_misses_is_all_named_at_once(url: str) -> None:
    async with asking(url, GROUP) as ask:
        reason = await ask.refused(
            "create_notification_template",
            name="Ops",
            organization_id="Lab",
            notification_type="slack",
            notification_configuration={},
        )

    assert "'token', 'channels'" in reason


async def test_an_update_keeps_the_keys_and_secrets_it_does_not_name(url: str, double: Double) -> None:
    """AWX replaces the whole configuration: what is left out would be gone."""
    async with asking(url, GROUP) as ask:
        await ask("create_notification_template", name="Ops", organization_id="Lab", notification_type="slack",
                  notification_configuration=SLACK)  # fmt: skip
        shown = await ask("get_notification_template", notification_template_id="Ops")
        given = {**shown["notification_configuration"], "channels": ["#night"]}
        told = await ask("update_notification_template", notification_template_id="Ops",
                         notification_configuration=given)  # fmt: skip
        again = await ask("update_notification_template", notification_template_id="Ops",
                          notification_configuration={"channels": ["#night"]})  # fmt: skip

    assert told["changed"] == ["notification_configuration.channels"]
    assert again["changed"] == []
    assert stored(double, "Ops") == {"hex_color": "", "token": SLACK["token"], "channels": ["#night"]}
    assert len(double.seen("PATCH", "/notification_templates/")) == 1


async def test_an_address_that_comes_back_as_it_was_shown_stays_as_it_is(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        headers = {"headers": {"Authorization": "Bearer abc"}}
        await ask("update_notification_template", notification_template_id=HOOK, notification_configuration=headers)
        shown = (await ask("get_notification_template", notification_template_id=HOOK))["notification_configuration"]
        given = {**shown, "headers": {**shown["headers"], "X-Team": "night"}}
        told = await ask("update_notification_template", notification_template_id=HOOK,
                         notification_configuration=given)  # fmt: skip

    assert "abc" not in str(shown)
    assert told["changed"] == ["notification_configuration.headers"]
    now = stored(double, HOOK)
    assert now["url"] == "https://chat.alpenkraft.example/hook"
    assert now["headers"] == {"Authorization": "Bearer abc", "X-Team": "night"}


async def test_a_dry_run_counts_what_sends_through_a_template(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        would = await ask("delete_notification_template", notification_template_id=HOOK, dry_run=True)
        assert double.seen("DELETE", "/") == []
        did = await ask("delete_notification_template", notification_template_id=HOOK)

    assert would == {
        "deleted": False, "dry_run": True, "id": did["id"], "name": HOOK, "related": {"templates_on_error": 1}
    }  # fmt: skip
    assert did["deleted"]


async def test_a_test_message_tells_whether_it_arrived(url: str) -> None:
    broken: dict[str, Any] = {"url": "http://127.0.0.1:9/hook/secret", "headers": {}}
    async with asking(url, GROUP) as ask:
        good = await ask("test_notification_template", notification_template_id=HOOK)
        await ask("update_notification_template", notification_template_id=HOOK, notification_configuration=broken)
        bad = await ask("test_notification_template", notification_template_id=HOOK)
        sent = await ask("test_notification_template", notification_template_id=HOOK, wait=False)

    assert good == {"status": "successful", "notification_id": good["notification_id"]}
    assert (bad["status"], "secret" in bad["error"]) == ("failed", False)
    assert (sent["status"], sent["next"].startswith("awx_get_notification_template(")) == ("pending", True)


async def test_a_test_message_that_takes_long_is_left_to_be_looked_at(url: str, double: Double) -> None:
    slow: dict[str, Any] = {"url": "http://never.example/hook", "headers": {}}
    async with asking(url, GROUP) as ask:
        await ask("update_notification_template", notification_template_id=HOOK, notification_configuration=slow)
        meta = {"pegboard/deadline": 2.7}
        told = await ask("test_notification_template", notification_template_id=HOOK, meta=meta)

    assert (told["status"], told["next"].startswith("awx_get_notification_template(")) == ("pending", True)
    assert len(double.seen("GET", f"/notifications/{told['notification_id']}/")) >= 2
    assert len(double.seen("POST", "/test/")) == 1


async def test_a_test_message_whose_answer_is_lost_is_not_sent_twice(url: str, double: Double) -> None:
    double.faults.add(Fault("drop_after", "POST", "notification_templates/*", times=1))
    async with asking(url, GROUP) as ask:
        reason = await ask.refused("test_notification_template", notification_template_id=HOOK)

    assert "may have been done all the same" in reason
    assert len(double.seen("POST", "/test/")) == 1


def test_keys_that_are_secrets_and_do_not_sound_so_are_hidden() -> None:
    told = shown(
        {"service_key": "a1", "grafana_key": "b2", "token": "$encrypted$", "subdomain": "shop", "use_tls": True}
    )

    assert told == {
        "service_key": "$hidden$",
        "grafana_key": "$hidden$",
        "token": "$encrypted$",
        "subdomain": "shop",
        "use_tls": True,
    }


def test_the_error_of_a_message_is_told_without_the_address() -> None:
    said = "HTTPConnectionPool(host='h', port=9): Max retries exceeded with url: /services/T0/SECRET (Caused by x)"

    assert plain(said) == "HTTPConnectionPool(host='h', port=9): Max retries exceeded with url: … (Caused by x)"
    assert plain("404 for https://user:pw@chat.example/hooks/SECRET now") == "404 for https://chat.example/… now"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("get_notification_template", {}),
        ("update_notification_template", {"name": "x"}),
        ("delete_notification_template", {}),
        ("delete_notification_template", {"dry_run": True}),
        ("test_notification_template", {}),
    ],
)
async def test_a_template_that_is_not_there_is_named_with_those_that_are_near(
    url: str, tool: str, arguments: dict[str, Any]
) -> None:
    async with asking(url, GROUP) as ask:
        assert f"did you mean '{HOOK}'?" in await ask.refused(tool, notification_template_id="on-call", **arguments)
        assert "404" in await ask.refused(tool, notification_template_id=999, **arguments)


@pytest.mark.parametrize("token", [READ_TOKEN, OPERATOR_TOKEN, VIEWER_TOKEN])
async def test_who_may_not_change_them_is_told_so(url: str, double: Double, token: str) -> None:
    found = double.world.store.find("notification_templates", name=HOOK)
    assert found is not None
    async with asking(url, GROUP, token=token) as ask:
        for tool, arguments in {
            "update_notification_template": {"name": "x"},
            "delete_notification_template": {},
            "test_notification_template": {},
        }.items():
            assert "403" in await ask.refused(tool, notification_template_id=found["id"], **arguments)
