"""Inventories and hosts as a model handles them."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.plugins.awx.asking import asking, size
from tests.plugins.awx.rows import is_there, number, row, writes

from pegboard_awx.double import Double, Fault, serving
from pegboard_awx.double.seed import OPERATOR_TOKEN, READ_TOKEN, TOKEN, VIEWER_TOKEN
from pegboard_awx.groups.inventory import GROUP


async def test_inventories_are_listed_small_with_how_many_there_are(url: str) -> None:
    async with asking(url, GROUP) as ask:
        listed = await ask("list_inventories", page_size=2)
        last = await ask("list_inventories", page_size=2, page=2)
        beyond = await ask("list_inventories", page=9)

    assert [item["name"] for item in listed["items"]] == ["All web servers", "Lab servers"]
    assert (listed["total"], listed["has_more"]) == (4, True)
    assert listed["items"][1] == {
        "id": listed["items"][1]["id"],
        "name": "Lab servers",
        "organization": "Lab",
        "total_hosts": 2,
        "total_groups": 1,
    }
    assert [item["name"] for item in last["items"]] == ["Production", "Staging"]
    assert last["has_more"] is False
    assert (beyond["items"], beyond["has_more"]) == ([], False)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"kind": "smart"}, ["All web servers"]),
        ({"kind": ""}, ["Lab servers", "Production", "Staging"]),
        ({"name_contains": "STAG"}, ["Staging"]),
        ({"search": "customers"}, ["Production"]),
        ({"order_by": "-name", "kind": ""}, ["Staging", "Production", "Lab servers"]),
        ({"search": "nothing like it"}, []),
    ],
)
async def test_inventories_are_narrowed_down_by_awx(url: str, arguments: dict[str, Any], names: list[str]) -> None:
    async with asking(url, GROUP) as ask:
        listed = await ask("list_inventories", **arguments)

    assert [item["name"] for item in listed["items"]] == names
    assert listed["total"] == len(names)


async def test_an_inventory_is_shown_with_its_variables_as_an_object_and_its_sources(url: str) -> None:
    async with asking(url, GROUP) as ask:
        production = await ask("get_inventory", inventory_id="Production++Alpenkraft")
        staging = await ask("get_inventory", inventory_id="Staging")
        full = await ask("list_inventories", detail="full", kind="smart")

    assert production["variables"] == {"site": "zurich", "ntp_server": "ntp.alpenkraft.example"}
    assert production["web_url"].startswith(url)
    assert production["web_url"].endswith(f"/inventories/inventory/{production['id']}/details")
    assert staging["variables"] == {"site": "zurich", "stage": True}
    assert [source["name"] for source in staging["sources"]] == ["Cloud servers"]
    assert full["items"][0]["host_filter"] == "name__startswith=web-"
    assert not {"related", "summary_fields"} & {*production, *full["items"][0]}


async def test_on_a_platform_the_page_of_an_inventory_is_the_platforms() -> None:
    async with serving(Double(speed=0, platform=True)) as url, asking(url, GROUP) as ask:
        production = await ask("get_inventory", inventory_id="Production")

    assert production["web_url"].endswith(f"/execution/infrastructure/inventories/inventory/{production['id']}/details")


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("get_inventory", {"inventory_id": "Produktion"}, "there is no inventory 'Produktion'"),
        ("get_inventory", {"inventory_id": 999}, "404"),
        ("delete_inventory", {"inventory_id": 999}, "404"),
        ("update_inventory", {"inventory_id": 999, "name": "x"}, "404"),
        ("sync_inventory", {"inventory_id": 999}, "404"),
        ("list_hosts", {"inventory_id": 999}, "404"),
        ("list_hosts", {"group_id": 999}, "404"),
        ("create_host", {"name": "x", "inventory_id": 999}, "Inventory matching query does not exist"),
        ("create_inventory", {"name": "x", "organization_id": "Alpen"}, "did you mean 'Alpenkraft'?"),
        ("list_inventories", {"order_by": "colour"}, "colour"),
        ("create_inventory", {"name": "x", "organization_id": "Lab", "kind": "smart"}, "must specify host_filter"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_reason(
    url: str, double: Double, tool: str, arguments: dict[str, Any], reason: str
) -> None:
    before = len(double.world.store.all("inventories"))
    async with asking(url, GROUP) as ask:
        text = await ask.refused(tool, **arguments)

    assert reason in text
    assert len(double.world.store.all("inventories")) == before


@pytest.mark.parametrize("token", [VIEWER_TOKEN, READ_TOKEN])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("create_inventory", {"name": "x", "organization_id": 1}),
        ("update_inventory", {"inventory_id": "Production", "name": "x"}),
        ("delete_inventory", {"inventory_id": "Production"}),
        ("create_host", {"name": "x", "inventory_id": "Production"}),
    ],
)
async def test_who_may_only_look_is_told_that_a_role_is_missing(
    url: str, double: Double, token: str, tool: str, arguments: dict[str, Any]
) -> None:
    if token == VIEWER_TOKEN:
        inventory, viewer = row(double, "inventories", "Production"), double.world.store.find("users", username="vera")
        assert viewer is not None
        double.world.store.link(double.world.role(inventory, "read_role"), "users", viewer)
    async with asking(url, GROUP, token=token) as ask:
        text = await ask.refused(tool, **arguments)

    assert "403" in text
    assert "ask for a role" in text
    assert is_there(double, "inventories", "Production")
    assert not is_there(double, "hosts", "x")


async def test_variables_are_sent_as_a_string_since_awx_refuses_objects(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        made = await ask(
            "create_inventory", name="Zürich", organization_id="Lab", variables={"site": "Zürich", "racks": [1, 2]}
        )
        smart = await ask(
            "create_inventory", name="Web", organization_id="Lab", kind="smart", host_filter="name__startswith=web"
        )

    assert made.keys() == {"id", "name", "web_url"}
    sent = writes(double)[0][1]
    assert isinstance(sent, dict)
    assert sent["variables"] == '{"site": "Zürich", "racks": [1, 2]}'
    assert smart["kind"] == "smart"
    assert smart["web_url"].replace("-", "_").endswith(f"/smart_inventory/{smart['id']}/details")


async def test_a_name_that_is_taken_comes_with_the_id_of_what_has_it(url: str, double: Double) -> None:
    staging = number(double, "inventories", "Staging")
    async with asking(url, GROUP) as ask:
        inventory = await ask.refused("create_inventory", name="Production", organization_id="Alpenkraft")
        host = await ask.refused("create_host", name="stage-web-01", inventory_id="Staging")

    assert (
        f"the inventory 'Production' is there already, with the id {number(double, 'inventories', 'Production')}"
        in inventory
    )
    existing = number(double, "hosts", "stage-web-01", inventory=staging)
    assert f"the host 'stage-web-01' is there already, with the id {existing}" in host


async def test_variables_are_merged_and_only_what_differs_is_sent(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        merged = await ask(
            "update_inventory", inventory_id="Production", variables={"site": "bern", "dns": "10.0.0.1"}, description=""
        )
        again = await ask("update_inventory", inventory_id="Production", variables={"site": "bern"})
        replaced = await ask(
            "update_inventory", inventory_id="Production", variables={"site": "bern"}, merge_variables=False
        )

    assert merged["changed"] == ["description", "variables.site", "variables.dns"]
    assert again["changed"] == []
    assert replaced["changed"] == ["variables.ntp_server", "variables.dns"]
    bodies = [body for _, body in writes(double)]
    assert [json.loads(body["variables"]) for body in bodies] == [
        {"site": "bern", "ntp_server": "ntp.alpenkraft.example", "dns": "10.0.0.1"},
        {"site": "bern"},
    ]
    assert len(bodies) == 2


async def test_variables_that_are_yaml_stay_yaml_and_lost_comments_are_told(url: str, double: Double) -> None:
    staging = row(double, "inventories", "Staging")
    staging["variables"] = "# who to call\nsite: zurich\nsince: 2026-01-31\n"
    async with asking(url, GROUP) as ask:
        answer = await ask("update_inventory", inventory_id="Staging", variables={"stage": True})

    assert answer["changed"] == ["variables.stage"]
    assert "the comments in variables are gone" in answer["warnings"][0]
    assert staging["variables"].strip() == "site: zurich\nsince: 2026-01-31\nstage: true"


async def test_variables_that_cannot_be_read_are_not_overwritten_by_a_merge(url: str, double: Double) -> None:
    staging = row(double, "inventories", "Staging")
    staging["variables"] = "password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n"
    async with asking(url, GROUP) as ask:
        text = await ask.refused("update_inventory", inventory_id="Staging", variables={"stage": True})

    assert "merge_variables=false replaces them all" in text
    assert writes(double) == []


async def test_secrets_in_variables_are_hidden_and_survive_being_sent_back_hidden(url: str, double: Double) -> None:
    staging = row(double, "inventories", "Staging")
    staging["variables"] = json.dumps({"db": {"user": "shop", "password": "hunter2"}, "site": "zurich"})
    async with asking(url, GROUP) as ask:
        shown = await ask("get_inventory", inventory_id="Staging")
        shown["variables"]["db"]["user"] = "shop2"
        answer = await ask(
            "update_inventory", inventory_id="Staging", variables=shown["variables"], merge_variables=False
        )
        text = await ask.refused("update_inventory", inventory_id="Staging", variables={"token": "$hidden$"})

    assert "hunter2" not in str(shown)
    assert answer["changed"] == ["variables.db"]
    assert json.loads(staging["variables"])["db"] == {"user": "shop2", "password": "hunter2"}
    assert "token is $hidden$ and there is no such value yet" in text


async def test_a_dry_run_counts_what_would_go_and_deletes_nothing(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        answer = await ask("delete_inventory", inventory_id="Staging", dry_run=True)

    assert answer == {
        "deleted": False,
        "dry_run": True,
        "id": number(double, "inventories", "Staging"),
        "name": "Staging",
        "related": answer["related"],
    }
    assert answer["related"] == {
        "hosts": answer["related"]["hosts"],
        "groups": 2,
        "inventory_sources": 1,
        "templates_without_inventory": 1,
    }
    assert writes(double) == []


async def test_an_inventory_is_deleted_later_and_that_is_said(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        answer = await ask("delete_inventory", inventory_id="Lab servers")
        text = await ask.refused("get_inventory", inventory_id=answer["id"])

    assert (answer["deleted"], answer["deletion"]) == (True, "scheduled")
    assert "404" in text


async def test_an_inventory_that_jobs_use_is_not_deleted_and_the_jobs_are_named(url: str, double: Double) -> None:
    from pegboard_awx.double.spawning import run

    template, user = row(double, "job_templates", "Gather facts"), double.world.store.find("users", username="admin")
    assert user is not None
    job = double.life.start(run(double.world, template, user, {}))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("delete_inventory", inventory_id="Production")

    assert f"active jobs {job['id']}" in text
    assert "wait for the jobs or cancel them" in text


async def test_an_inventory_is_updated_where_awx_has_a_path_for_it(url: str, double: Double) -> None:
    """Another server posts to a path that does not exist."""
    staging = number(double, "inventories", "Staging")
    async with asking(url, GROUP) as ask:
        answer = await ask("sync_inventory", inventory_id="Staging")

    assert [path for path, _ in writes(double)] == [f"inventories/{staging}/update_inventory_sources/"]
    (update,) = answer["updates"]
    assert update["source"] == "Cloud servers"
    assert answer["next"] == f"awx_wait_for_job(job_id={update['update_id']})"


async def test_an_update_can_be_waited_for(url: str, double: Double) -> None:
    async def later(progress: float, total: float | None, message: str | None) -> None:
        double.clock.advance(60)

    async with asking(url, GROUP) as ask:
        arguments = {"inventory_id": "Staging", "wait": True}
        result = await ask.client.call_tool("awx_sync_inventory", arguments, progress_callback=later)

    assert result.structured_content is not None
    assert [update["status"] for update in result.structured_content["updates"]] == ["successful"]
    assert "next" not in result.structured_content
    assert is_there(double, "hosts", "cloud-01")


async def test_an_inventory_without_sources_is_not_even_asked_to_update(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("sync_inventory", inventory_id="Production")

    assert "has no sources" in text
    assert "awx_create_inventory_source" in text
    assert writes(double) == []


async def test_an_inventory_the_operator_does_not_allow_is_not_updated(url: str, double: Double) -> None:
    async with asking(url, GROUP, allow_inventories=["Lab*"]) as ask:
        text = await ask.refused("sync_inventory", inventory_id="Staging")

    assert "the operator allows 'Lab*'" in text
    assert writes(double) == []


async def test_an_update_whose_answer_was_lost_is_not_repeated(url: str, double: Double) -> None:
    double.faults.add(Fault("drop_after", "POST", "inventories/*/update_inventory_sources/"))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("sync_inventory", inventory_id="Staging")

    assert "awx_list_inventory_sources shows their status; do not repeat it before" in text
    assert len(writes(double)) == 1


async def test_hosts_are_listed_small_a_page_of_twenty_well_under_its_tokens(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        listed = await ask("list_hosts", inventory_id="Production")
        full = await ask("list_hosts", inventory_id="Production", detail="full", page_size=1)
        everywhere = await ask("list_hosts", page_size=200)

    assert listed["total"] == len(listed["items"]) == 18
    assert size(listed) < 70 * 20
    host = next(item for item in listed["items"] if item["name"] == "web-01")
    assert {"inventory", "groups", "last_job"} <= host.keys()
    assert host["groups"] == ["web"]
    assert "variables" not in host
    assert full["items"][0]["variables"]["ansible_host"].endswith(".alpenkraft.example")
    assert everywhere["total"] == len(double.world.store.all("hosts"))


async def test_the_hosts_of_a_smart_inventory_are_found_too(url: str) -> None:
    async with asking(url, GROUP) as ask:
        listed = await ask("list_hosts", inventory_id="All web servers", page_size=3)

    assert [item["name"] for item in listed["items"]] == ["web-01", "web-02", "web-03"]
    assert listed["has_more"] is True


async def test_the_hosts_of_a_group_are_those_of_its_child_groups_too(url: str, double: Double) -> None:
    production = number(double, "inventories", "Production")
    web, other = (row(double, "groups", name, inventory=production) for name in ("web", "other"))
    double.world.store.link(other, "children", web)
    async with asking(url, GROUP) as ask:
        listed = await ask("list_hosts", group_id=other["id"], name_contains="web")
        elsewhere = await ask("list_hosts", group_id=other["id"], inventory_id="Staging")

    assert listed["total"] == 8
    assert elsewhere["total"] == 0


async def test_hosts_that_failed_or_are_off_can_be_asked_for(url: str, double: Double) -> None:
    row(double, "hosts", "web-02")["enabled"] = False
    async with asking(url, GROUP) as ask:
        failed = await ask("list_hosts", failed_only=True)
        off = await ask("list_hosts", enabled=False)

    assert failed["total"] > 0
    assert all(item["has_active_failures"] for item in failed["items"])
    assert [(item["name"], item["enabled"]) for item in off["items"]] == [("web-02", False)]


async def test_a_host_is_made_in_an_inventory_and_put_into_groups(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        made = await ask(
            "create_host", name="web-09", inventory_id="Production", variables={"rack": "R1"}, groups=["web", "other"]
        )

    assert made == {"id": made["id"], "name": "web-09", "inventory": "Production", "groups": ["web", "other"]}
    assert row(double, "hosts", "web-09")["variables"] == '{"rack": "R1"}'
    assert [path.split("/")[0] for path, _ in writes(double)] == ["hosts", "groups", "groups"]


async def test_a_group_that_is_not_there_is_found_before_the_host_is_made(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_host", name="web-09", inventory_id="Staging", groups=["balancers"])

    assert "there is no group 'balancers'" in text
    assert writes(double) == []


async def test_a_group_that_refuses_a_new_host_is_a_warning_since_the_host_is_there(url: str, double: Double) -> None:
    double.faults.add(Fault("status", "POST", "groups/*", status=403))
    async with asking(url, GROUP) as ask:
        made = await ask("create_host", name="web-09", inventory_id="Production", groups=["web", "other"])

    assert made["groups"] == ["other"]
    assert made["warnings"][0].startswith("the host was created, but is not in group 'web'")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("drop_after", "POST", "hosts/"), "awx_list_hosts(name_contains='web-09') tells"),
        (Fault("truncate", "POST", "hosts/"), "web-09"),
        (Fault("drop", "POST", "hosts/"), "do not repeat it before"),
        (Fault("status", "POST", "hosts/", status=503, retry_after=0), "AWX is busy"),
        (Fault("status", "POST", "hosts/", status=429, retry_after=0), "AWX is busy"),
        (Fault("html", "POST", "hosts/", status=502), "502"),
    ],
    ids=lambda value: f"{value.kind} {value.status}" if isinstance(value, Fault) else "",
)
async def test_a_host_whose_answer_was_lost_is_not_made_twice(
    url: str, double: Double, fault: Fault, reason: str
) -> None:
    """Another server sends every request that failed three times, also those that write."""
    double.faults.add(replace(fault))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_host", name="web-09", inventory_id="Production")

    assert reason in text
    assert len(writes(double)) == 1


async def test_an_operator_sees_only_what_is_theirs(url: str) -> None:
    async with asking(url, GROUP, token=OPERATOR_TOKEN) as ask:
        listed = await ask("list_inventories")
    async with asking(url, GROUP, token=TOKEN) as ask:
        everything = await ask("list_inventories")

    assert [item["name"] for item in listed["items"]] == ["Production"]
    assert everything["total"] > listed["total"]
