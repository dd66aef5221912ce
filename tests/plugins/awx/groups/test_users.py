"""Users as a model handles them."""

import json
from typing import Any

import pytest
from tests.plugins.awx.asking import asking, size
from tests.plugins.awx.conftest import NOW
from tests.plugins.awx.marks import shared
from tests.plugins.awx.rows import writes

from pegboard_awx.double import Double, Fault, serving
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.seed import OPERATOR_TOKEN, READ_TOKEN, VIEWER_TOKEN
from pegboard_awx.groups.users import GROUP

ADMIN, NORA, VERA = 1, 2, 3
SECRET = "mountain-goat-7"


def user(double: Double, username: str) -> Row:
    found = double.world.store.find("users", username=username)
    assert found is not None, f"there is no user {username!r}"
    return found


def crowd(double: Double, count: int = 40) -> None:
    """More people than fit on the first page of AWX."""
    for index in range(count):
        values = {"username": f"guide-{index:02}", "first_name": "Guide", "last_name": f"Number {index}"}
        double.world.make("users", None, email=f"guide-{index:02}@alpenkraft.example", **values)


async def test_users_are_listed_small_with_how_many_there_are(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        first = await ask("list_users", page_size=2)
        last = await ask("list_users", page_size=2, page=3)
        beyond = await ask("list_users", page=9)

    assert first["items"] == [
        {
            "id": ADMIN,
            "username": "admin",
            "name": "Ada Minder",
            "email": "admin@alpenkraft.example",
            "superuser": True,
        },
        {"id": 4, "username": "audit", "name": "Urs Hofer", "email": "audit@alpenkraft.example", "auditor": True},
    ]
    assert (first["total"], first["has_more"]) == (5, True)
    assert [item["username"] for item in last["items"]] == ["vera"]
    assert last["has_more"] is False
    assert (beyond["items"], beyond["has_more"]) == ([], False)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"username": "NORA"}, ["nora"]),
        ({"name_contains": "R"}, ["nora", "vera"]),
        ({"search": "brunner"}, ["vera"]),
        ({"is_superuser": True}, ["admin"]),
        ({"organization_id": 1, "order_by": "-username"}, ["vera", "nora", "luca"]),
        ({"username": "nobody"}, []),
    ],
)
async def test_the_list_is_narrowed_by_awx(url: str, arguments: dict[str, Any], names: list[str]) -> None:
    async with asking(url, GROUP) as ask:
        listed = await ask("list_users", **arguments)

    assert [item["username"] for item in listed["items"]] == names
    assert listed["total"] == len(names)


async def test_a_page_of_twenty_costs_little_and_more_detail_is_asked_for(url: str, double: Double) -> None:
    crowd(double)
    async with asking(url, GROUP) as ask:
        summary = await ask("list_users", name_contains="guide")
        full = await ask("list_users", name_contains="guide", detail="full")

    assert len(summary["items"]) == 20
    assert size(summary) < 1200
    assert full["items"][0]["created"] == "2026-11-20T08:00:00Z"
    assert not {"related", "summary_fields", "password"} & set(full["items"][0])


async def test_a_user_is_shown_with_teams_and_organizations(url: str) -> None:
    async with asking(url, GROUP) as ask:
        shown = await ask("get_user", user_id=NORA)

    assert shown["username"] == "nora"
    assert shown["teams"] == [{"id": 1, "name": "Operations", "organization": "Alpenkraft"}]
    assert shown["organizations"] == [{"id": 1, "name": "Alpenkraft"}]


async def test_a_user_beyond_the_first_page_is_found_by_name(url: str, double: Double) -> None:
    """A mistake of older servers: they looked for a name on page 1 only."""
    crowd(double)
    double.world.make("users", None, username="zoe")
    async with asking(url, GROUP) as ask:
        shown = await ask("get_user_by_name", username=" ZOE ")

    assert shown["username"] == "zoe"
    assert double.seen("GET", "/users/")[0].query.startswith("username__iexact=ZOE")


async def test_of_names_that_differ_in_case_the_one_that_is_written_so_is_meant(url: str, double: Double) -> None:
    double.world.make("users", None, username="Nora")
    async with asking(url, GROUP) as ask:
        exact = await ask("get_user_by_name", username="nora")
        text = await ask.refused("get_user_by_name", username="NORA")

    assert exact["id"] == NORA
    assert "several users are called 'NORA': 'Nora', 'nora'" in text


async def test_a_user_who_is_not_there_is_told_with_names_that_are_near(url: str) -> None:
    async with asking(url, GROUP) as ask:
        by_name = await ask.refused("get_user_by_name", username="ver")
        by_id = await ask.refused("get_user", user_id=99)

    assert "there is no user 'ver'; did you mean 'vera'?" in by_name
    assert "No User matches the given query" in by_id


@shared
async def test_a_user_is_made_in_an_organization_and_the_password_is_never_told(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        made = await ask(
            "create_user", username="rosa", password=SECRET, first_name="Rosa", email="rosa@x.ch", organization_id=1
        )
        tools = {tool.name: tool.input_schema for tool in (await ask.client.list_tools()).tools}
        shown = await ask("get_user", user_id=made["id"])

    assert made == {"id": user(double, "rosa")["id"], "username": "rosa", "organization": "Alpenkraft"}
    assert user(double, "rosa")["_password"] == SECRET
    assert shown["organizations"] == [{"id": 1, "name": "Alpenkraft"}]
    for name in ("awx_create_user", "awx_update_user"):
        assert tools[name]["properties"]["password"]["writeOnly"] is True
    assert SECRET not in json.dumps([made, shown])
    assert "$encrypted$" not in json.dumps(shown)
    assert [path for path, _ in writes(double)] == ["users/", "organizations/1/users/"]


@shared
async def test_a_user_who_cannot_join_is_made_all_the_same_and_the_answer_says_so(url: str, double: Double) -> None:
    double.faults.add(Fault("status", "POST", "organizations/*", status=403))
    async with asking(url, GROUP) as ask:
        made = await ask("create_user", username="rosa", password=SECRET, organization_id=1)
        text = await ask.refused("create_user", username="ines", password=SECRET, organization_id=99)

    assert made["id"] == user(double, "rosa")["id"]
    assert "the user was created, but is not a member of 'Alpenkraft'" in made["warnings"][0]
    assert "No Organization matches the given query" in text
    assert double.world.store.find("users", username="ines") is None


@shared
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"username": "nora", "password": SECRET}, "'nora' is there already, with the id 2"),
        ({"username": "rosa", "password": ""}, "Password required for new User"),
        ({"username": "", "password": SECRET}, "username: This field may not be blank"),
        ({"username": "x" * 151, "password": SECRET}, "no more than 150 characters"),
    ],
)
async def test_what_awx_refuses_is_told_without_the_password(
    url: str, double: Double, arguments: dict[str, Any], reason: str
) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_user", **arguments)

    assert reason in text
    assert SECRET not in text
    assert len(writes(double)) == 1


@shared
async def test_a_user_whose_making_got_no_answer_is_not_made_twice(url: str, double: Double) -> None:
    double.faults.add(Fault("drop_after", "POST", "users/"))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_user", username="rosa", password=SECRET)
        listed = await ask("list_users", name_contains="rosa")

    assert "may be there all the same: awx_list_users(name_contains='rosa') tells" in text
    assert listed["total"] == 1
    assert len(double.seen("POST", "/users/")) == 1


@shared
async def test_only_what_differs_is_changed_and_told(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        changed = await ask("update_user", user_id=NORA, first_name="Nora", last_name="Meier")
        same = await ask("update_user", user_id=NORA, last_name="Meier")
        secret = await ask("update_user", user_id=NORA, password=SECRET)

    assert changed == {"id": NORA, "name": "nora", "changed": ["last_name"]}
    assert same["changed"] == []
    assert secret == {"id": NORA, "name": "nora", "changed": ["password"]}
    assert user(double, "nora")["_password"] == SECRET
    assert [body for _, body in writes(double)] == [{"last_name": "Meier"}, {"password": SECRET}]


@shared
async def test_a_user_of_a_directory_is_changed_with_a_warning(url: str, double: Double) -> None:
    user(double, "nora")["ldap_dn"] = "uid=nora,dc=alpenkraft"
    async with asking(url, GROUP) as ask:
        changed = await ask("update_user", user_id=NORA, last_name="Meier")
        shown = await ask("get_user", user_id=NORA)

    assert changed["warnings"] == [
        "this user comes from ldap, which decides about the password and may write the fields again"
    ]
    assert shown["managed_by"] == "ldap"


@shared
async def test_a_dry_run_shows_what_a_user_belongs_to_and_deletes_nothing(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        dry = await ask("delete_user", user_id=NORA, dry_run=True)
        there = double.world.store.get("users", NORA)
        gone = await ask("delete_user", user_id=NORA)
        again = await ask.refused("delete_user", user_id=NORA)

    assert dry == {
        "deleted": False,
        "dry_run": True,
        "id": NORA,
        "name": "nora",
        "related": {"teams": 1, "organizations": 1, "roles": 2},
    }
    assert there is not None
    assert gone == {"deleted": True, "id": NORA, "name": "nora"}
    assert "No User matches the given query" in again


async def test_nobody_deletes_themselves(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("delete_user", user_id=ADMIN)

    assert "'admin' is the user these tools work as" in text
    assert writes(double) == []


@pytest.mark.parametrize(
    ("token", "username", "admin_of", "can"),
    [
        (READ_TOKEN, "admin", [], (True, True, True)),
        (OPERATOR_TOKEN, "nora", [], (False, False, False)),
    ],
)
async def test_it_is_told_who_the_tools_work_as_and_what_they_may_do(
    url: str, double: Double, token: str, username: str, admin_of: list[str], can: tuple[bool, ...]
) -> None:
    async with asking(url, GROUP, token=token) as ask:
        me = await ask("get_current_user")

    assert (me["username"], me["admin_of"]) == (username, admin_of)
    assert tuple(me["can"].values()) == (*can[:2], can[2] and not double.platform)
    assert me["organizations"] == ([] if username == "admin" else ["Alpenkraft"])


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        pytest.param("create_user", {"username": "rosa", "password": SECRET}, marks=shared),
        ("update_user", {"user_id": NORA, "last_name": "Meier"}),
        pytest.param("delete_user", {"user_id": NORA}, marks=shared),
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
    assert SECRET not in text
    assert user(double, "nora")["last_name"] == "Keller"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("create_user", {"username": "rosa", "password": SECRET}),
        ("update_user", {"user_id": NORA, "username": "nora2"}),
        ("delete_user", {"user_id": NORA}),
    ],
)
async def test_a_platform_keeps_users_to_itself_and_the_error_says_where(tool: str, arguments: dict[str, Any]) -> None:
    async with serving(Double(speed=0, start=NOW, platform=True)) as url, asking(url, GROUP) as ask:
        text = await ask.refused(tool, **arguments)
        dry = await ask("delete_user", user_id=NORA, dry_run=True)
        me = await ask("get_current_user")
        listed = await ask("list_users")

    assert "platform ingress" in text
    assert "users, teams and organizations of this AWX are changed" in text
    assert dry["warnings"] == ["users, teams and organizations of this AWX are deleted in its platform, not here"]
    assert me["can"]["create_organizations"] is False
    assert listed["total"] == 5


async def test_the_group_fits_a_small_budget(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tokens = await ask.tokens()

    assert len(tokens) == 7
    assert sum(tokens.values()) <= 1500
