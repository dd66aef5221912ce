"""Credentials as a model handles them: secrets go in, and none comes out."""

import json
from typing import Any

import pytest
from tests.plugins.awx.asking import asking, size
from tests.plugins.awx.rows import is_there, number, row, writes

from pegboard_awx.double import Double, Fault
from pegboard_awx.double.seed import OPERATOR_TOKEN, READ_TOKEN, VIEWER_TOKEN
from pegboard_awx.groups.advanced import GROUP

SERVERS, VAULT = "Alpenkraft servers", "Shop vault"
SECRET = "edelweiss'\"4711"
MACHINE = {"username": "root", "password": SECRET}


@pytest.fixture
def stored(double: Double) -> dict[str, Any]:
    """What AWX keeps of the machine credential: a user and two secrets."""
    kept = {"username": "deploy", "ssh_key_data": "-----BEGIN PRIVATE KEY-----", "password": "old-secret"}
    row(double, "credentials", SERVERS)["inputs"] = kept
    return kept


def inputs(double: Double, name: str) -> dict[str, Any]:
    return row(double, "credentials", name)["inputs"]


async def test_credentials_are_listed_small_without_their_inputs(url: str, double: Double) -> None:
    for index in range(25):
        made = {"organization": 1, "credential_type": 1, "inputs": dict(MACHINE), "_secret": {"password"}}
        double.world.make("credentials", None, name=f"Mountain hut {index:02}", description="A hut", **made)
    async with asking(url, GROUP) as ask:
        listed = await ask("list_credentials", name_contains="hut")
        last = await ask("list_credentials", name_contains="hut", page=2, detail="full")
        none = await ask("list_credentials", name_contains="nothing")

    item = {"id": number(double, "credentials", "Mountain hut 00"), "name": "Mountain hut 00", "type": "Machine"}
    assert listed["items"][0] == {**item, "organization": "Alpenkraft"}
    assert (listed["total"], listed["has_more"], last["has_more"]) == (25, True, False)
    assert last["items"][0]["description"] == "A hut"
    assert size(listed) < 900
    assert (none["items"], none["total"]) == ([], 0)
    for secret in ("edelweiss", "$encrypted$", "inputs"):
        assert secret not in json.dumps([listed, last])


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"kind": "ssh"}, [SERVERS]),
        ({"kind": "aws"}, []),
        ({"kind": "scm", "organization_id": 1}, ["Git deploy key"]),
        ({"kind": "scm", "organization_id": 2}, []),
        ({"order_by": "-name"}, [VAULT, "Git deploy key", SERVERS]),
    ],
)
async def test_the_list_is_narrowed_by_kind_which_awx_only_knows_of_the_type(
    url: str, double: Double, arguments: dict[str, Any], names: list[str]
) -> None:
    async with asking(url, GROUP) as ask:
        listed = await ask("list_credentials", **arguments)

    assert [item["name"] for item in listed["items"]] == names
    assert "&kind=" not in f"&{double.seen('GET', '/credentials/')[0].query}"


async def test_a_credential_shows_which_inputs_are_set_but_no_value(
    url: str, double: Double, stored: dict[str, Any]
) -> None:
    async with asking(url, GROUP) as ask:
        shown = await ask("get_credential", credential_id=SERVERS)
        by_id = await ask("get_credential", credential_id=shown["id"])

    assert shown == by_id
    assert shown["inputs"] == [
        {"id": "username"},
        {"id": "ssh_key_data", "secret": True},
        {"id": "password", "secret": True},
    ]
    assert "become_password" in shown["unset"]
    for value in (*stored.values(), "$encrypted$"):
        assert value not in json.dumps(shown)


async def test_a_credential_is_made_by_the_name_of_its_type(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        made = await ask(
            "create_credential", name="Huts", credential_type="Machine", organization_id="Lab", inputs=MACHINE
        )
        tools = {tool.name: tool.input_schema for tool in (await ask.client.list_tools()).tools}

    assert made == {"id": number(double, "credentials", "Huts"), "name": "Huts", "type": "Machine"}
    assert inputs(double, "Huts") == MACHINE
    assert row(double, "credentials", "Huts")["organization"] == 2
    for name in ("awx_create_credential", "awx_update_credential"):
        assert tools[name]["properties"]["inputs"]["writeOnly"] is True


async def test_a_credential_of_a_user_names_its_owner(url: str) -> None:
    async with asking(url, GROUP) as ask:
        made = await ask("create_credential", name="Nora's", credential_type=1, user_id=2, inputs=MACHINE)
        shown = await ask("get_credential", credential_id=made["id"])

    assert shown["owners"] == ["user nora"]


@pytest.mark.parametrize(
    "owners", [{}, {"organization_id": 1, "user_id": 2}, {"organization_id": 1, "user_id": 2, "team_id": 1}]
)
async def test_a_credential_has_exactly_one_owner(url: str, double: Double, owners: dict[str, int]) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_credential", name="x", credential_type=1, inputs=MACHINE, **owners)

    assert "belongs to one organization, user or team" in text
    assert writes(double) == []


@pytest.mark.parametrize(
    ("type_", "given", "reasons"),
    [
        ("Machine", {"nosuch": SECRET}, ["it has no nosuch, only username, password"]),
        ("Machine", {"password": 4711, "username": ["x"]}, ["password must be a text", "username must be a text"]),
        ("Machine", {"password": "$encrypted$"}, ["password is $encrypted$, and it is not set yet"]),
        ("Container Registry", {"verify_ssl": SECRET}, ["verify_ssl must be true or false"]),
    ],
)
async def test_inputs_that_do_not_fit_are_all_told_at_once_and_without_values(
    url: str, double: Double, type_: str, given: dict[str, Any], reasons: list[str]
) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_credential", name="x", credential_type=type_, organization_id=1, inputs=given)

    assert all(reason in text for reason in reasons)
    assert f"this is no {type_} credential" in text
    assert "awx_get_credential_type(credential_type_id=" in text
    assert "edelweiss" not in text
    assert "4711" not in text
    assert writes(double) == []


@pytest.mark.parametrize("key", ["my-very-own-key", 'quote"and\\slash', "a\nb"])
async def test_awx_repeats_a_bad_key_but_the_answer_does_not(url: str, double: Double, key: str) -> None:
    """A trap: "Invalid certificate or key: my-very-own-key..."."""
    where = {"name": "x", "credential_type": "Machine", "organization_id": 1}
    async with asking(url, GROUP) as ask:
        made = await ask.refused("create_credential", **where, inputs={"ssh_key_data": key})
        given = {"ssh_key_data": key, "password": "", "become_password": None}
        changed = await ask.refused("update_credential", credential_id=SERVERS, inputs=given)

    for text in (made, changed):
        assert "inputs.ssh_key_data: Invalid certificate or key: $hidden$" in text
        assert key not in text


async def test_a_required_input_that_is_missing_is_a_warning(url: str, double: Double) -> None:
    fields = [{"id": "api_key", "type": "string", "label": "Key", "secret": True}]
    form = {"fields": fields, "required": ["api_key"]}
    double.world.store.add("credential_types", name="Weather", kind="cloud", managed=False, inputs=form, injectors={})
    async with asking(url, GROUP) as ask:
        made = await ask("create_credential", name="w", credential_type="Weather", organization_id=1, inputs={})
        shown = await ask("get_credential_type", credential_type_id="Weather")

    assert made["warnings"] == ["api_key must be set before a job can use it"]
    assert shown["fields"] == [
        {"id": "api_key", "label": "Key", "type": "string", "secret": True, "required": True},
    ]


async def test_a_credential_that_is_there_already_is_named(url: str, double: Double) -> None:
    where = {"name": SERVERS, "credential_type": "Machine", "organization_id": 1}
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_credential", **where, inputs=MACHINE)

    assert f"'{SERVERS}' is there already, with the id {number(double, 'credentials', SERVERS)}" in text
    assert "edelweiss" not in text


async def test_a_credential_whose_making_got_no_answer_is_not_made_twice(url: str, double: Double) -> None:
    double.faults.add(Fault("drop_after", "POST", "credentials/"))
    where = {"name": "Huts", "credential_type": "Machine", "organization_id": 1}
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_credential", **where, inputs=MACHINE)

    assert "awx_list_credentials(name_contains='Huts') tells" in text
    assert "edelweiss" not in text
    assert len(double.seen("POST", "/credentials/")) == 1


async def test_a_secret_that_is_left_out_of_a_change_is_not_erased(
    url: str, double: Double, stored: dict[str, Any]
) -> None:
    """A trap: PATCH of `inputs` replaces the whole object, so AWX forgets what is not sent."""
    async with asking(url, GROUP) as ask:
        changed = await ask("update_credential", credential_id=SERVERS, inputs={"username": "root"})

    assert changed["changed"] == ["inputs.username"]
    assert inputs(double, SERVERS) == {**stored, "username": "root"}
    body = writes(double)[0][1]["inputs"]
    assert body == {"username": "root", "ssh_key_data": "$encrypted$", "password": "$encrypted$"}


@pytest.mark.parametrize(
    ("given", "changed", "after"),
    [
        ({"password": SECRET}, ["inputs.password"], {"password": SECRET}),
        ({"password": "$encrypted$", "username": "root"}, ["inputs.username"], {"username": "root"}),
        ({"password": "$hidden$"}, [], {}),
        ({"username": "deploy"}, [], {}),
        ({}, [], {}),
    ],
)
async def test_only_inputs_that_differ_are_sent_and_told(
    url: str, double: Double, stored: dict[str, Any], given: dict[str, Any], changed: list[str], after: dict[str, Any]
) -> None:
    async with asking(url, GROUP) as ask:
        told = await ask("update_credential", credential_id=SERVERS, inputs=given)

    assert told == {"id": number(double, "credentials", SERVERS), "name": SERVERS, "changed": changed}
    assert inputs(double, SERVERS) == {**stored, **after}
    assert len(writes(double)) == len(changed)


async def test_an_input_is_taken_away_with_null(url: str, double: Double, stored: dict[str, Any]) -> None:
    async with asking(url, GROUP) as ask:
        told = await ask("update_credential", credential_id=SERVERS, inputs={"password": None}, description="Key only")

    assert told["changed"] == ["description", "inputs.password"]
    assert set(inputs(double, SERVERS)) == {"username", "ssh_key_data"}


async def test_a_change_that_does_not_fit_is_refused_before_anything_is_sent(
    url: str, double: Double, stored: dict[str, Any]
) -> None:
    async with asking(url, GROUP) as ask:
        unknown = await ask.refused("update_credential", credential_id=SERVERS, inputs={"token": SECRET})
        unset = await ask.refused("update_credential", credential_id=SERVERS, inputs={"become_password": "$encrypted$"})
        missing = await ask.refused("update_credential", credential_id="Shop", name="x")

    assert "it has no token" in unknown
    assert "become_password is $encrypted$, and it is not set yet" in unset
    assert "there is no credential 'Shop'; did you mean 'Shop vault'?" in missing
    assert writes(double) == []


async def test_before_a_credential_goes_it_is_told_what_uses_it(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        dry = await ask("delete_credential", credential_id=SERVERS, dry_run=True)
        there = is_there(double, "credentials", SERVERS)
        gone = await ask("delete_credential", credential_id=SERVERS)
        project = await ask("delete_credential", credential_id="Git deploy key", dry_run=True)
        again = await ask.refused("delete_credential", credential_id=SERVERS)

    assert (dry["deleted"], dry["related"]) == (False, {"job_templates": 3})
    assert there
    assert (gone["deleted"], gone["related"]) == (True, {"job_templates": 3})
    assert project["related"] == {"projects": 1}
    assert "there is no credential" in again


async def test_credential_types_are_listed_and_show_what_they_ask_for(url: str) -> None:
    async with asking(url, GROUP) as ask:
        first = await ask("list_credential_types", page_size=5)
        cloud = await ask("list_credential_types", kind="cloud", detail="full")
        machine = await ask("get_credential_type", credential_type_id="Machine")
        none = await ask("list_credential_types", kind="nothing")

    assert (first["total"], first["has_more"]) == (7, True)
    assert cloud["items"][0] == {
        "id": 2,
        "name": "Amazon Web Services",
        "kind": "cloud",
        "managed": True,
        "namespace": "aws",
    }
    assert machine["fields"][1] == {
        "id": "password",
        "label": "Password",
        "type": "string",
        "secret": True,
        "may_be_ASK": True,
    }
    assert size(machine) < 700
    assert (none["items"], none["total"]) == ([], 0)


async def test_a_template_gets_credentials_and_loses_others_first(url: str, double: Double) -> None:
    double.world.make(
        "credentials", None, name="New key", organization=1, credential_type=1, inputs={}, _secret=set(), kind="ssh"
    )
    old, new = (number(double, "credentials", name) for name in (SERVERS, "New key"))
    async with asking(url, GROUP) as ask:
        second = await ask.refused("set_template_credentials", template_id="Patch servers", add=[new])
        swapped = await ask("set_template_credentials", template_id="Patch servers", add=[new], remove=[old])
        some = await ask("set_template_credentials", template_id="Patch servers", add=[new, 99])

    assert "Cannot assign multiple Machine credentials" in second
    assert swapped == {"added": [new], "removed": [old], "failed": []}
    assert (some["added"], some["failed"][0]["id"]) == ([new], 99)
    held = double.world.store.linked(row(double, "job_templates", "Patch servers"), "credentials")
    assert [one["name"] for one in held] == ["New key"]


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("get_credential", {"credential_id": 99}, "No Credential matches the given query"),
        ("get_credential_type", {"credential_type_id": "Machin"}, "did you mean 'Machine'?"),
        ("delete_credential", {"credential_id": "Alpen"}, f"did you mean '{SERVERS}'?"),
        ("set_template_credentials", {"template_id": "Patch", "add": [1]}, "did you mean 'Patch servers'?"),
        ("set_template_credentials", {"template_id": "Patch servers"}, "no credential is named"),
        (
            "create_credential",
            {"name": "x", "credential_type": "Toaster", "organization_id": 1, "inputs": {}},
            "awx_list_credential_types lists them",
        ),
    ],
)
async def test_what_is_not_there_is_told_with_what_is(
    url: str, double: Double, tool: str, arguments: dict[str, Any], reason: str
) -> None:
    async with asking(url, GROUP) as ask:
        assert reason in await ask.refused(tool, **arguments)

    assert writes(double) == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("create_credential", {"name": "x", "credential_type": 1, "organization_id": 1, "inputs": MACHINE}),
        ("update_credential", {"credential_id": 1, "description": "x"}),
        ("delete_credential", {"credential_id": 1}),
        ("set_template_credentials", {"template_id": "Back up databases", "add": [2]}),
    ],
)
@pytest.mark.parametrize("token", [VIEWER_TOKEN, OPERATOR_TOKEN, READ_TOKEN])
async def test_who_may_not_write_is_told_so(
    url: str, double: Double, tool: str, arguments: dict[str, Any], token: str
) -> None:
    async with asking(url, GROUP, token=token) as ask:
        text = await ask.refused(tool, **arguments)

    assert "(403)" in text
    assert "ask for a role on it" in text
    assert "edelweiss" not in text
    assert is_there(double, "credentials", SERVERS)


async def test_the_group_fits_a_small_budget(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tokens = await ask.tokens()

    assert len(tokens) == 8
    assert sum(tokens.values()) <= 1500
