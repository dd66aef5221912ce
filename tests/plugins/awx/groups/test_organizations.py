"""Organizations as a model handles them."""

from typing import Any

import pytest
from mcp.client.session import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult
from tests.plugins.awx.asking import Asking, asking, size
from tests.plugins.awx.conftest import NOW
from tests.plugins.awx.marks import shared
from tests.plugins.awx.rows import is_there, number, row, writes

from pegboard import Plugin
from pegboard.testing import connect
from pegboard_awx import Settings
from pegboard_awx.double import Double, Fault, serving
from pegboard_awx.double.seed import READ_TOKEN, TOKEN, VIEWER_TOKEN
from pegboard_awx.groups.organizations import GROUP

LAB_GOES = {"inventories": 1, "hosts": 2}
LAB_STAYS = {"projects": 1, "job_templates": 1}


async def test_organizations_are_listed_small_with_what_they_own(url: str) -> None:
    async with asking(url, GROUP) as ask:
        first = await ask("list_organizations", page_size=1)
        last = await ask("list_organizations", page_size=1, page=2, detail="full")
        none = await ask("list_organizations", name_contains="nothing")

    counts = {"users": 3, "inventories": 3, "teams": 2, "projects": 3, "job_templates": 7}
    assert first["items"] == [{"id": 1, "name": "Alpenkraft", "counts": counts}]
    assert (first["total"], first["has_more"]) == (2, True)
    assert last["items"][0]["description"] == "Where things may break"
    assert last["has_more"] is False
    assert (none["items"], none["total"]) == ([], 0)


async def test_a_page_of_twenty_costs_little(url: str, double: Double) -> None:
    for index in range(25):
        made = double.world.make("organizations", None, name=f"Region {index}")
        for kind in ("inventories", "teams", "projects"):
            double.world.make(kind, None, name=f"{kind} {index}", organization=made["id"], **_needed(kind))
    async with asking(url, GROUP) as ask:
        listed = await ask("list_organizations", name_contains="region")

    assert len(listed["items"]) == 20
    assert size(listed) < 1200


def _needed(kind: str) -> dict[str, Any]:
    return {"kind": "", "variables": ""} if kind == "inventories" else {}


@pytest.mark.parametrize("ref", ["Alpenkraft", 1, "1"])
async def test_an_organization_is_shown_by_number_or_name(url: str, double: Double, ref: int | str) -> None:
    organization = row(double, "organizations", "Alpenkraft")
    organization["max_hosts"] = 500
    organization["default_environment"] = 1
    double.world.store.link(organization, "galaxy_credentials", row(double, "credentials", "Git deploy key"))
    async with asking(url, GROUP) as ask:
        shown = await ask("get_organization", organization_id=ref)

    assert shown["counts"]["hosts"] == 21
    assert shown["max_hosts"] == 500
    assert shown["default_execution_environment"] == "AWX EE (latest)"
    assert shown["galaxy_credentials"] == ["Git deploy key"]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("get_organization", {}),
        ("update_organization", {"description": "x"}),
        ("delete_organization", {}),
        ("list_organization_members", {}),
    ],
)
async def test_an_organization_that_is_not_there_is_told_with_names_that_are_near(
    url: str, double: Double, tool: str, arguments: dict[str, Any]
) -> None:
    async with asking(url, GROUP) as ask:
        near = await ask.refused(tool, organization_id="Alpen", **arguments)
        missing = await ask.refused(tool, organization_id=99, **arguments)

    assert "there is no organization 'Alpen'; did you mean 'Alpenkraft'?" in near
    assert "No Organization matches the given query" in missing
    assert writes(double) == []


@shared
async def test_an_organization_is_made_once(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        made = await ask("create_organization", name="Warehouse", description="Boxes", max_hosts=10)
        text = await ask.refused("create_organization", name="Warehouse")
        blank = await ask.refused("create_organization", name="")

    assert made == {"id": number(double, "organizations", "Warehouse"), "name": "Warehouse"}
    assert row(double, "organizations", "Warehouse")["max_hosts"] == 10
    assert f"'Warehouse' is there already, with the id {made['id']}" in text
    assert "This field may not be blank" in blank


async def test_an_organization_whose_making_got_no_answer_is_not_made_twice(url: str, double: Double) -> None:
    double.faults.add(Fault("drop_after", "POST", "organizations/"))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_organization", name="Warehouse")

    assert "awx_list_organizations(name_contains='Warehouse') tells" in text
    assert len(double.seen("POST", "/organizations/")) == 1


@shared
async def test_only_what_differs_is_changed(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        changed = await ask("update_organization", organization_id="Lab", name="Lab", max_hosts=5)
        same = await ask("update_organization", organization_id="Lab", max_hosts=5)
        taken = await ask.refused("update_organization", organization_id="Lab", name="Alpenkraft")

    assert changed["changed"] == ["max_hosts"]
    assert same["changed"] == []
    assert "already exists" in taken
    assert [body for _, body in writes(double)] == [{"max_hosts": 5}, {"name": "Alpenkraft"}]


async def test_a_dry_run_shows_all_that_awx_would_delete_with_an_organization(url: str, double: Double) -> None:
    double.world.make("credentials", None, name="Lab key", organization=2, credential_type=1, inputs={}, _secret=set())
    async with asking(url, GROUP) as ask:
        dry = await ask("delete_organization", organization_id="Lab", dry_run=True)

    assert dry["deleted"] is False
    assert dry["related"] == {
        "deleted_with_it": {**LAB_GOES, "credentials": 1},
        "left_without_organization": LAB_STAYS,
    }
    assert writes(double) == []


@shared
async def test_an_organization_that_is_not_empty_is_not_deleted_unawares(url: str, double: Double) -> None:
    """The trap: AWX answers 204 at once and takes inventories and teams along."""
    async with asking(url, GROUP) as ask:
        text = await ask.refused("delete_organization", organization_id="Lab")
        before = writes(double)
        gone = await ask("delete_organization", organization_id="Lab", with_contents=True)

    assert "is not empty, and AWX would delete its inventories (1), hosts (2)" in text
    assert "leave projects (1), job templates (1) without an organization" in text
    assert "with_contents=true" in text
    assert before == []
    assert gone["related"] == {"deleted_with_it": LAB_GOES, "left_without_organization": LAB_STAYS}
    assert not is_there(double, "inventories", "Lab servers")
    assert is_there(double, "projects", "Lab manual")


@shared
async def test_an_empty_organization_is_just_deleted(url: str, double: Double) -> None:
    double.world.make("organizations", None, name="Empty")
    async with asking(url, GROUP) as ask:
        gone = await ask("delete_organization", organization_id="Empty")

    assert gone == {"deleted": True, "id": 3, "name": "Empty"}
    assert not is_there(double, "organizations", "Empty")


@shared
@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_the_user_is_asked_with_all_that_goes(url: str, double: Double, action: Any) -> None:
    asked: list[str] = []

    async def elicit(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action=action)

    plugin = Plugin(name="awx", groups=[GROUP], settings=Settings)
    settings = {"plugins": {"awx": {"url": url, "token": TOKEN, "writes": "confirm"}}}
    async with connect(plugin, settings=settings, elicitation_callback=elicit) as client:
        ask = Asking(client)
        await ask("delete_organization", organization_id="Lab", dry_run=True)
        arguments = {"organization_id": "Lab", "with_contents": True}
        result = await client.call_tool("awx_delete_organization", arguments)

    assert asked == [
        "Delete the organization 'Lab' (2) in default? AWX will delete its inventories (1), hosts (2) "
        "and leave projects (1), job templates (1) without an organization."
    ]
    assert bool(result.is_error) is (action == "decline")
    assert is_there(double, "organizations", "Lab") is (action == "decline")


async def test_members_are_listed_by_what_they_are(url: str) -> None:
    async with asking(url, GROUP) as ask:
        everybody = await ask("list_organization_members", organization_id="Alpenkraft")
        admins = await ask("list_organization_members", organization_id="Lab", role="admin")
        none = await ask("list_organization_members", organization_id="Lab", role="team")

    assert everybody["admins"] == []
    assert [one["username"] for one in everybody["members"]] == ["luca", "nora", "vera"]
    assert [one["name"] for one in everybody["teams"]] == ["Developers", "Operations"]
    assert admins == {"organization_id": 2, "admins": [{"id": 5, "username": "luca"}]}
    assert none == {"organization_id": 2, "teams": []}


async def test_of_very_many_members_the_first_are_shown_and_the_rest_is_told(url: str, double: Double) -> None:
    role = double.world.role(row(double, "organizations", "Lab"), "member_role")
    for index in range(205):
        double.world.store.link(role, "users", double.world.make("users", None, username=f"guest-{index:03}"))
    async with asking(url, GROUP, hub={"results": {"tokens": 20000}}) as ask:
        listed = await ask("list_organization_members", organization_id="Lab", role="member")

    assert len(listed["members"]) == 200
    assert listed["warnings"] == ["only 200 of 205 users are shown"]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        pytest.param("create_organization", {"name": "Warehouse"}, marks=shared),
        ("update_organization", {"organization_id": 1, "description": "x"}),
        pytest.param("delete_organization", {"organization_id": 1, "with_contents": True}, marks=shared),
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
    assert is_there(double, "organizations", "Alpenkraft")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("create_organization", {"name": "Warehouse"}),
        ("update_organization", {"organization_id": 2, "name": "Lab2"}),
        ("delete_organization", {"organization_id": 2, "with_contents": True}),
    ],
)
async def test_a_platform_keeps_organizations_to_itself_and_the_error_says_where(
    tool: str, arguments: dict[str, Any]
) -> None:
    double = Double(speed=0, start=NOW, platform=True)
    async with serving(double) as url, asking(url, GROUP) as ask:
        text = await ask.refused(tool, **arguments)
        dry = await ask("delete_organization", organization_id=2, dry_run=True)
        own = await ask("update_organization", organization_id=2, max_hosts=7)
        listed = await ask("list_organizations")

    assert "platform ingress" in text
    assert "users, teams and organizations of this AWX are changed" in text
    assert dry["warnings"] == ["users, teams and organizations of this AWX are deleted in its platform, not here"]
    assert own["changed"] == ["max_hosts"]
    assert listed["total"] == 2


async def test_the_group_fits_a_small_budget(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tokens = await ask.tokens()

    assert len(tokens) == 6
    assert sum(tokens.values()) <= 1500
