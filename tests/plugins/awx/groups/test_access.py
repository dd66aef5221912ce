"""Teams and roles as a model handles them."""

from typing import Any

import pytest
from tests.plugins.awx.asking import asking, size
from tests.plugins.awx.conftest import NOW
from tests.plugins.awx.marks import shared
from tests.plugins.awx.rows import is_there, number, row, writes

from pegboard_awx.double import Double, Fault, serving
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.seed import READ_TOKEN, VIEWER_TOKEN
from pegboard_awx.groups.access import GROUP

NORA, VERA, LUCA = 2, 3, 5
OPERATIONS, DEVELOPERS = 1, 2


def members(double: Double, team: str) -> list[str]:
    role = double.world.role(row(double, "teams", team), "member_role")
    return [user["username"] for user in double.world.store.linked(role, "users")]


def holders(double: Double, template: str, role: str, kind: str = "users") -> list[Row]:
    found = double.world.role(row(double, "job_templates", template), role)
    return double.world.store.linked(found, kind)


async def test_teams_are_listed_small_with_how_many_there_are(url: str, double: Double) -> None:
    for index in range(20):
        double.world.make("teams", None, name=f"Hut {index:02}", organization=2, description="A hut in the mountains")
    async with asking(url, GROUP) as ask:
        listed = await ask("list_teams", page_size=20)
        last = await ask("list_teams", page=2, page_size=20)
        own = await ask("list_teams", organization_id="Alpenkraft", detail="full")
        none = await ask("list_teams", name_contains="nothing")

    assert (listed["total"], listed["has_more"], last["has_more"]) == (22, True, False)
    assert listed["items"][0] == {"id": DEVELOPERS, "name": "Developers", "organization": "Alpenkraft"}
    assert size(listed) < 700
    assert [item["description"] for item in own["items"]] == ["The shop", "On call"]
    assert (none["items"], none["total"]) == ([], 0)


@shared
async def test_a_team_is_made_once_in_an_organization(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        made = await ask("create_team", name="Night watch", organization_id="Alpenkraft")
        text = await ask.refused("create_team", name="Night watch", organization_id="Alpenkraft")
        elsewhere = await ask("create_team", name="Night watch", organization_id="Lab")
        blank = await ask.refused("create_team", name="", organization_id=1)
        nowhere = await ask.refused("create_team", name="x", organization_id="Alpin")

    assert made == {"id": number(double, "teams", "Night watch", organization=1), "name": "Night watch"}
    assert f"'Night watch' is there already, with the id {made['id']}" in text
    assert elsewhere["id"] != made["id"]
    assert "This field may not be blank" in blank
    assert "there is no organization 'Alpin'" in nowhere


async def test_a_team_whose_making_got_no_answer_is_not_made_twice(url: str, double: Double) -> None:
    double.faults.add(Fault("drop_after", "POST", "teams/"))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_team", name="Night watch", organization_id=1)

    assert "awx_list_teams(name_contains='Night watch') tells" in text
    assert len(double.seen("POST", "/teams/")) == 1


@shared
async def test_a_dry_run_shows_who_is_in_a_team_and_deletes_nothing(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        dry = await ask("delete_team", team_id="Operations++Alpenkraft", dry_run=True)
        there = is_there(double, "teams", "Operations")
        gone = await ask("delete_team", team_id="Operations")
        again = await ask.refused("delete_team", team_id="Operations")

    assert (dry["deleted"], dry["related"]["users"]) == (False, 1)
    assert dry["related"]["roles"] > 3
    assert there
    assert gone == {"deleted": True, "id": OPERATIONS, "name": "Operations"}
    assert "there is no team 'Operations'" in again


async def test_members_come_and_go_by_id_or_name_and_each_is_accounted_for(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        told = await ask("set_team_members", team_id="Developers", add=["vera", NORA, "zorro"], remove=["luca"])
        again = await ask("set_team_members", team_id=DEVELOPERS, add=["vera"], remove=["luca"])

    assert (told["added"], told["removed"]) == (["vera", NORA], ["luca"])
    assert told["failed"][0]["id"] == "zorro"
    assert "there is no user 'zorro'" in told["failed"][0]["reason"]
    assert again == {"added": ["vera"], "removed": ["luca"], "failed": []}
    assert sorted(members(double, "Developers")) == ["nora", "vera"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"add": ["zorro"]}, "there is no user 'zorro'"),
        ({"add": [99]}, "User matching query does not exist"),
        ({}, "no user is named"),
        ({"add": ["vera"], "remove": ["vera"]}, "vera cannot be added and removed at once"),
    ],
)
async def test_what_changes_nothing_is_an_error(
    url: str, double: Double, arguments: dict[str, Any], reason: str
) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("set_team_members", team_id="Developers", **arguments)

    assert reason in text
    assert members(double, "Developers") == ["luca"]


async def test_when_awx_goes_away_the_rest_is_not_tried(url: str, double: Double) -> None:
    double.faults.add(Fault("html", "POST", "teams/*", status=502, times=9))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("set_team_members", team_id=DEVELOPERS, add=[NORA, VERA], remove=[LUCA])

    assert "502" in text
    assert len(double.seen("POST", "/users/")) == 1


@pytest.mark.parametrize("object_type", ["job_template", "job_templates", "Job Template"])
async def test_it_is_told_who_may_do_what_and_through_what(url: str, double: Double, object_type: str) -> None:
    backup = number(double, "job_templates", "Back up databases")
    async with asking(url, GROUP) as ask:
        told = await ask("list_object_access", object_type=object_type, object_id=backup)

    assert told["object"] == f"job template 'Back up databases' ({backup})"
    assert told["roles"] == ["Admin", "Execute", "Read"]
    assert told["access"] == [
        {"team": "Operations", "team_id": OPERATIONS, "role": "Execute"},
        {"user": "admin", "user_id": 1, "role": "System Administrator", "via": "system"},
        {"user": "nora", "user_id": NORA, "role": "Execute", "via": "team Operations"},
        {"user": "vera", "user_id": VERA, "role": "Read"},
    ]


async def test_access_through_an_organization_names_it(url: str, double: Double) -> None:
    manual = number(double, "projects", "Lab manual")
    async with asking(url, GROUP) as ask:
        told = await ask("list_object_access", object_type="project", object_id=manual)

    assert {"user": "luca", "user_id": LUCA, "role": "Admin", "via": "organization Lab"} in told["access"]


async def test_a_long_list_of_people_is_cut_and_goes_on_with_fetch_more(url: str, double: Double) -> None:
    role = double.world.role(row(double, "job_templates", "Hello"), "read_role")
    for index in range(60):
        double.world.store.link(role, "users", double.world.make("users", None, username=f"guest-{index:02}"))
    hello = number(double, "job_templates", "Hello")
    async with asking(url, GROUP, hub={"results": {"tokens": 1000}}) as ask:
        told = await ask("list_object_access", object_type="job_template", object_id=hello)
        more = await ask.client.call_tool("fetch_more", {"cursor": told["cursor"]})

    assert size(told) <= 1200
    assert more.structured_content is not None
    assert more.structured_content["items"][0]["user"].startswith("guest-")


@pytest.mark.parametrize("role", ["execute", "Execute", "execute_role", " EXECUTE "])
async def test_a_role_is_granted_by_any_of_its_names_and_twice_is_once(url: str, double: Double, role: str) -> None:
    hello = number(double, "job_templates", "Hello")
    async with asking(url, GROUP) as ask:
        granted = await ask("grant_role", object_type="job_template", object_id=hello, role=role, user_id=VERA)
        again = await ask("grant_role", object_type="job_template", object_id=hello, role=role, user_id=VERA)

    assert granted == again
    assert granted == {
        "granted": True,
        "role": "Execute",
        "object": f"job template 'Hello' ({hello})",
        "to": "user 'vera' (3)",
    }
    assert [user["username"] for user in holders(double, "Hello", "execute_role")] == ["vera"]


async def test_a_team_is_granted_a_role_and_loses_it(url: str, double: Double) -> None:
    where = {"object_type": "job_template", "object_id": number(double, "job_templates", "Hello"), "role": "Admin"}
    async with asking(url, GROUP) as ask:
        await ask("grant_role", **where, team_id=DEVELOPERS)
        held = [team["name"] for team in holders(double, "Hello", "admin_role", "teams")]
        revoked = await ask("revoke_role", **where, team_id=DEVELOPERS)

    assert held == ["Developers"]
    assert (revoked["revoked"], revoked["from"]) == (True, "team 'Developers' (2)")
    assert holders(double, "Hello", "admin_role", "teams") == []


async def test_after_a_role_is_revoked_the_access_that_is_left_is_told(url: str, double: Double) -> None:
    backup = number(double, "job_templates", "Back up databases")
    where = {"object_type": "job_template", "object_id": backup, "user_id": NORA}
    async with asking(url, GROUP) as ask:
        await ask("grant_role", **where, role="Read")
        revoked = await ask("revoke_role", **where, role="Read")
        clean = await ask("revoke_role", object_type="job_template", object_id=backup, role="Read", user_id=VERA)
        double.faults.add(Fault("status", "GET", "job_templates/*/access_list/", status=403))
        unread = await ask("revoke_role", **where, role="Read")

    assert revoked["warnings"] == ["user 'nora' (2) still has Execute via team Operations"]
    assert "warnings" not in clean
    assert unread["warnings"] == ["what access is left could not be read; awx_list_object_access shows it"]


@pytest.mark.parametrize(("holder", "kind"), [({"user_id": VERA}, "user"), ({"team_id": DEVELOPERS}, "team")])
async def test_a_role_that_people_defined_is_assigned_once_and_taken_away(
    url: str, double: Double, holder: dict[str, int], kind: str
) -> None:
    made = {"name": "Night shift", "content_type": "awx.jobtemplate", "permissions": ["awx.execute_jobtemplate"]}
    double.world.store.add("role_definitions", **made)
    hello = number(double, "job_templates", "Hello")
    where = {"object_type": "job_template", "object_id": hello, "role": "night shift", **holder}
    async with asking(url, GROUP) as ask:
        granted = await ask("grant_role", **where)
        await ask("grant_role", **where)
        assigned = double.world.store.all(f"role_{kind}_assignments")
        revoked = await ask("revoke_role", **where)
        again = await ask("revoke_role", **where)

    assert granted["role"] == "Night shift"
    assert len(assigned) == 1
    assert (revoked["revoked"], again["revoked"]) == (True, False)
    assert "did not have it" in again["warnings"][0]
    assert double.world.store.all(f"role_{kind}_assignments") == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"role": "fly", "user_id": VERA}, "has no role 'fly'; it has Admin, Execute, Read"),
        ({"role": "Inventory Adhoc", "user_id": VERA}, "has no role 'Inventory Adhoc'"),
        ({"role": "Read"}, "give user_id or team_id"),
        ({"role": "Read", "user_id": VERA, "team_id": DEVELOPERS}, "one user or one team"),
        ({"role": "Read", "user_id": 99}, "No User matches the given query"),
        ({"role": "Read", "team_id": 99}, "No Team matches the given query"),
        ({"role": "Read", "user_id": VERA, "object_id": 9999}, "No JobTemplate matches the given query"),
        ({"role": "Read", "user_id": VERA, "object_type": "toaster"}, "object_type is one of organization, team"),
    ],
)
@pytest.mark.parametrize("tool", ["grant_role", "revoke_role"])
async def test_a_role_that_cannot_be_meant_is_refused_before_anything_is_written(
    url: str, double: Double, tool: str, arguments: dict[str, Any], reason: str
) -> None:
    where = {"object_type": "job_template", "object_id": number(double, "job_templates", "Hello")}
    async with asking(url, GROUP) as ask:
        text = await ask.refused(tool, **{**where, **arguments})

    assert reason in text
    assert writes(double) == []


async def test_a_role_that_only_users_can_have_is_not_offered_to_teams(url: str, double: Double) -> None:
    where = {"object_type": "organization", "object_id": 1}
    async with asking(url, GROUP) as ask:
        text = await ask.refused("grant_role", **where, role="member", team_id=DEVELOPERS)
        granted = await ask("grant_role", **where, role="project admin", team_id=DEVELOPERS)

    assert "only users can have the role Member of organization 'Alpenkraft' (1)" in text
    assert granted["role"] == "Project Admin"


async def test_role_definitions_are_listed_by_type_with_few_of_their_permissions(url: str, double: Double) -> None:
    many = [f"awx.{verb}_jobtemplate" for verb in ("add", "change", "copy", "delete", "execute", "use", "view", "x")]
    double.world.store.add("role_definitions", name="Everything", content_type="awx.jobtemplate", permissions=many)
    async with asking(url, GROUP) as ask:
        own = await ask("list_role_definitions", content_type="job_template", name_contains="every")
        full = await ask("list_role_definitions", content_type="job_templates", search="every", detail="full")
        page = await ask("list_role_definitions")
        wrong = await ask.refused("list_role_definitions", content_type="toaster")

    assert own["items"][0]["permissions"][-2:] == ["use_jobtemplate", "and 2 more"]
    assert full["items"][0]["permissions"] == many
    assert (page["total"], page["has_more"], len(page["items"])) == (23, True, 20)
    assert size(page) < 1500
    assert "there are no roles on 'toaster'" in wrong


async def test_an_awx_without_role_definitions_still_says_which_roles_there_are(url: str, double: Double) -> None:
    double.faults.add(Fault("html", "GET", "role_definitions/", status=404))
    hello = number(double, "job_templates", "Hello")
    async with asking(url, GROUP) as ask:
        text = await ask.refused("grant_role", object_type="job_template", object_id=hello, role="fly", user_id=VERA)

        double.faults.add(Fault("status", "GET", "role_definitions/", status=403))
        denied = await ask.refused("grant_role", object_type="job_template", object_id=hello, role="fly", user_id=VERA)

    assert "it has Admin, Execute, Read" in text
    assert "(403)" in denied


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        pytest.param("create_team", {"name": "Night watch", "organization_id": 1}, marks=shared),
        pytest.param("delete_team", {"team_id": OPERATIONS}, marks=shared),
        ("set_team_members", {"team_id": OPERATIONS, "add": [VERA]}),
        ("grant_role", {"object_type": "organization", "object_id": 1, "role": "Admin", "user_id": VERA}),
        ("revoke_role", {"object_type": "organization", "object_id": 1, "role": "Member", "user_id": NORA}),
    ],
)
@pytest.mark.parametrize("token", [VIEWER_TOKEN, READ_TOKEN])
async def test_who_may_not_write_is_told_so(
    url: str, double: Double, tool: str, arguments: dict[str, Any], token: str
) -> None:
    async with asking(url, GROUP, token=token) as ask:
        text = await ask.refused(tool, **arguments)

    assert "(403)" in text
    assert "ask for a role on it" in text
    assert members(double, "Operations") == ["nora"]


async def test_a_platform_keeps_teams_to_itself_but_roles_on_objects_are_awx_s() -> None:
    double = Double(speed=0, start=NOW, platform=True)
    hello = number(double, "job_templates", "Hello")
    async with serving(double) as url, asking(url, GROUP) as ask:
        texts = [
            await ask.refused("create_team", name="Night watch", organization_id=1),
            await ask.refused("delete_team", team_id="Operations"),
        ]
        dry = await ask("delete_team", team_id="Operations", dry_run=True)
        granted = await ask(
            "grant_role", object_type="job_template", object_id=hello, role="Execute", team_id=OPERATIONS
        )

    assert all("users, teams and organizations of this AWX are changed" in text for text in texts)
    assert dry["warnings"] == ["users, teams and organizations of this AWX are deleted in its platform, not here"]
    assert granted["granted"] is True


async def test_the_group_fits_a_small_budget(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tokens = await ask.tokens()

    assert len(tokens) == 8
    assert sum(tokens.values()) <= 1500
