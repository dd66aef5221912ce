"""Single hosts, their facts, and groups of hosts as a model handles them."""

import json
from typing import Any

import pytest
from tests.plugins.awx.asking import asking, size
from tests.plugins.awx.rows import is_there, number, row, writes

from pegboard_awx.double import Double, Fault
from pegboard_awx.double.seed import READ_TOKEN, VIEWER_TOKEN
from pegboard_awx.groups.hosts import GROUP


@pytest.fixture
def production(double: Double) -> int:
    return number(double, "inventories", "Production")


async def test_a_host_is_shown_with_its_variables_its_groups_and_its_jobs(
    url: str, double: Double, production: int
) -> None:
    web, other = (row(double, "groups", name, inventory=production) for name in ("web", "other"))
    double.world.store.link(other, "children", web)
    async with asking(url, GROUP) as ask:
        host = await ask("get_host", host_id="web-01++Production")

    assert host["groups"] == ["web"]
    assert host["all_groups"] == ["web", "other"]
    assert host["variables"] == {"ansible_host": "web-01.alpenkraft.example", "rack": "R2"}
    assert {"id", "status"} == host["last_job"].keys()
    assert not {"related", "summary_fields"} & host.keys()
    assert size(host) < 500


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("get_host", {"host_id": "web-99"}, "there is no host 'web-99'"),
        ("get_host", {"host_id": "web"}, "did you mean 'stage-web-01'"),
        ("get_host", {"host_id": 9999}, "404"),
        ("get_host", {"host_id": "web-01", "inventory_id": 2}, "there is no host 'web-01'"),
        ("update_host", {"host_id": 9999, "enabled": False}, "404"),
        ("delete_host", {"host_id": "nobody"}, "there is no host 'nobody'"),
        ("get_host_facts", {"host_id": 9999}, "404"),
        ("list_groups", {"inventory_id": 9999}, "404"),
        ("create_group", {"inventory_id": 9999, "name": "x"}, "404"),
        ("delete_group", {"group_id": 9999}, "404"),
        ("set_group_hosts", {"group_id": 9999, "add": [1]}, "404"),
        ("create_group", {"inventory_id": "Production", "name": "web"}, "'web' is there already, with the id"),
        ("create_group", {"inventory_id": "Production", "name": "x", "parent_group_id": 9999}, "404"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_reason(
    url: str, double: Double, tool: str, arguments: dict[str, Any], reason: str
) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused(tool, **arguments)

    assert reason in text
    assert not is_there(double, "groups", "x")


async def test_hosts_of_the_same_name_are_told_apart_by_their_inventory(url: str, double: Double) -> None:
    row(double, "hosts", "stage-web-01")["name"] = "web-01"
    async with asking(url, GROUP) as ask:
        text = await ask.refused("get_host", host_id="web-01")
        staging = await ask("get_host", host_id="web-01++Staging")

    assert "2 hosts are called 'web-01'" in text
    assert "Production" in text
    assert staging["inventory"] == "Staging"


@pytest.mark.parametrize("token", [VIEWER_TOKEN, READ_TOKEN])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("update_host", {"host_id": "web-01", "enabled": False}),
        ("delete_host", {"host_id": "web-01"}),
        ("create_group", {"inventory_id": "Production", "name": "x"}),
        ("delete_group", {"group_id": 1}),
    ],
)
async def test_who_may_only_look_is_told_that_a_role_is_missing(
    url: str, double: Double, token: str, tool: str, arguments: dict[str, Any]
) -> None:
    if token == VIEWER_TOKEN:
        viewer = double.world.store.find("users", username="vera")
        assert viewer is not None
        double.world.store.link(
            double.world.role(row(double, "inventories", "Production"), "read_role"), "users", viewer
        )
    async with asking(url, GROUP, token=token) as ask:
        text = await ask.refused(tool, **arguments)

    assert "403" in text
    assert is_there(double, "hosts", "web-01")
    assert is_there(double, "groups", "web")
    assert not is_there(double, "groups", "x")


async def test_a_host_is_changed_by_what_differs_with_its_variables_as_a_string(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        answer = await ask("update_host", host_id="web-01", variables={"rack": "R9", "weight": 2}, enabled=False)
        again = await ask("update_host", host_id="web-01", variables={"rack": "R9"}, enabled=False)

    assert answer["changed"] == ["variables.rack", "variables.weight", "enabled"]
    assert again["changed"] == []
    ((_, body),) = writes(double)
    assert body["enabled"] is False
    assert json.loads(body["variables"]) == {"ansible_host": "web-01.alpenkraft.example", "rack": "R9", "weight": 2}


async def test_a_secret_deep_in_variables_survives_being_sent_back_hidden(url: str, double: Double) -> None:
    web = row(double, "hosts", "web-01")
    web["variables"] = json.dumps({"users": [{"name": "shop", "password": "hunter2"}], "rack": "R1"})
    async with asking(url, GROUP) as ask:
        shown = (await ask("get_host", host_id=web["id"]))["variables"]
        shown["users"][0]["name"] = "shop2"
        await ask("update_host", host_id=web["id"], variables={"users": shown["users"]})
        more = [*shown["users"], {"name": "new", "password": "$hidden$"}]
        text = await ask.refused("update_host", host_id=web["id"], variables={"users": more})

    assert shown["users"][0]["password"] == "$hidden$"
    assert json.loads(web["variables"])["users"] == [{"name": "shop2", "password": "hunter2"}]
    assert "users.1.password is $hidden$" in text


async def test_a_change_that_awx_ignores_is_not_called_one(url: str, double: Double) -> None:
    """AWX ignores fields it does not know or does not let change, without a word."""
    double.world.change = lambda *_: None  # type: ignore[method-assign] # an AWX that keeps everything as it is
    async with asking(url, GROUP) as ask:
        answer = await ask("update_host", host_id="web-01", description="edge", variables={"rack": "R9"})

    assert answer["changed"] == []
    assert answer["warnings"] == ["AWX did not change description", "AWX did not change variables"]


async def test_a_host_is_deleted_and_a_dry_run_only_shows_what_goes(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        dry = await ask("delete_host", host_id="legacy-01", dry_run=True)
        assert is_there(double, "hosts", "legacy-01")
        answer = await ask("delete_host", host_id="legacy-01")

    assert dry["related"]["groups"] == 1
    assert dry["related"]["job_results"] > 0
    assert answer == {"deleted": True, "id": dry["id"], "name": "legacy-01"}
    assert not is_there(double, "hosts", "legacy-01")


async def test_a_delete_that_awx_refuses_is_not_called_a_success(url: str, double: Double) -> None:
    """Another server says "deleted" whatever AWX answers."""
    double.faults.add(Fault("status", "DELETE", "hosts/*", status=403))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("delete_host", host_id="web-01")

    assert "403" in text
    assert is_there(double, "hosts", "web-01")


async def test_the_facts_people_ask_for_come_first(url: str) -> None:
    async with asking(url, GROUP) as ask:
        answer = await ask("get_host_facts", host_id="web-01")

    facts = answer["facts"]
    assert (facts["os"], facts["kernel"], facts["cpus"]) == ("Debian 12.8", "6.1.0-27-amd64", 4)
    assert facts["ip"].startswith("10.20.0.")
    assert facts["mounts"] == [{"mount": "/", "device": "/dev/sda1", "fstype": "ext4", "size_gib": 58.4}]
    assert size(answer) < 300


async def test_facts_are_chosen_by_name_or_pattern_and_secrets_in_them_are_hidden(url: str, double: Double) -> None:
    row(double, "hosts", "web-01")["_facts"]["ansible_env"]["DEPLOY_TOKEN"] = "hunter2"
    async with asking(url, GROUP) as ask:
        answer = await ask("get_host_facts", host_id="web-01", keys=["mem*", "ansible_env", "kernl"])

    assert answer["facts"].keys() == {"ansible_memtotal_mb", "ansible_memfree_mb", "ansible_env"}
    assert answer["facts"]["ansible_env"]["DEPLOY_TOKEN"] == "$hidden$"
    assert answer["warnings"] == ["there is no fact 'kernl'; did you mean kernel?"]


async def test_a_host_without_cached_facts_says_how_to_get_some(url: str) -> None:
    async with asking(url, GROUP) as ask:
        answer = await ask("get_host_facts", host_id="legacy-01")

    assert answer["facts"] == {}
    assert "use_fact_cache" in answer["next"]


async def test_groups_are_listed_with_how_many_there_are(url: str) -> None:
    async with asking(url, GROUP) as ask:
        listed = await ask("list_groups", inventory_id="Production", page_size=3)
        rest = await ask("list_groups", inventory_id="Production", page_size=3, page=2, detail="full")
        none = await ask("list_groups", inventory_id="All web servers")

    assert [group["name"] for group in listed["items"]] == ["balancers", "databases", "other"]
    assert (listed["total"], listed["has_more"]) == (4, True)
    assert listed["items"][0].keys() == {"id", "name"}
    assert rest["items"][0]["variables"] == {"tier": "web"}
    assert (none["items"], none["total"]) == ([], 0)


async def test_a_group_is_made_below_another_one(url: str, double: Double, production: int) -> None:
    web = row(double, "groups", "web", inventory=production)
    async with asking(url, GROUP) as ask:
        made = await ask(
            "create_group",
            inventory_id="Production",
            name="edge",
            variables={"tier": "edge"},
            parent_group_id=web["id"],
        )

    assert made == {"id": made["id"], "name": "edge", "inventory": "Production", "parent": "web"}
    assert [one["name"] for one in double.world.store.linked(web, "children")] == ["edge"]
    assert row(double, "groups", "edge")["variables"] == '{"tier": "edge"}'


async def test_a_parent_in_another_inventory_is_found_before_the_group_is_made(url: str, double: Double) -> None:
    lab = number(double, "groups", "lab")
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_group", inventory_id="Production", name="edge", parent_group_id=lab)

    assert "is in another inventory, Lab servers" in text
    assert writes(double) == []


async def test_a_group_that_could_not_be_put_below_is_there_and_says_so(
    url: str, double: Double, production: int
) -> None:
    web = number(double, "groups", "web", inventory=production)
    double.faults.add(Fault("status", "POST", "groups/*/children/", status=403))
    async with asking(url, GROUP) as ask:
        made = await ask("create_group", inventory_id="Production", name="edge", parent_group_id=web)

    assert "parent" not in made
    assert made["warnings"][0].startswith("the group was created, but is not below 'web'")


async def test_a_group_takes_the_hosts_with_it_that_are_in_no_other_and_a_dry_run_names_them(
    url: str, double: Double, production: int
) -> None:
    store = double.world.store
    databases, other, web = (
        row(double, "groups", name, inventory=production) for name in ("databases", "other", "web")
    )
    store.link(databases, "children", other)
    store.link(web, "hosts", row(double, "hosts", "db-01"))
    async with asking(url, GROUP) as ask:
        dry = await ask("delete_group", group_id=databases["id"], dry_run=True)
        assert writes(double) == []
        hosts_before = {host["name"] for host in store.all("hosts")}
        answer = await ask("delete_group", group_id=databases["id"])

    gone = hosts_before - {host["name"] for host in store.all("hosts")}
    assert dry["related"] == answer["related"]
    assert dry["related"]["groups_deleted"] == ["other"]
    assert dry["related"]["hosts_kept"] == 1
    assert gone == set(dry["related"]["hosts_deleted"]) >= {"db-02", "db-03", "legacy-01"}
    assert (dry["deleted"], answer["deleted"]) == (False, True)


async def test_hosts_are_put_into_a_group_and_taken_out_and_each_that_cannot_be_is_named(
    url: str, double: Double, production: int
) -> None:
    web = row(double, "groups", "web", inventory=production)
    db = number(double, "hosts", "db-01")
    async with asking(url, GROUP) as ask:
        answer = await ask("set_group_hosts", group_id=web["id"], add=[db, "db-02", "stage-web-01"], remove=["web-01"])
        again = await ask("set_group_hosts", group_id=web["id"], add=[db], remove=["web-01"])
        nothing = await ask.refused("set_group_hosts", group_id=web["id"])

    assert (answer["added"], answer["removed"]) == ([db, "db-02"], ["web-01"])
    assert [failure["id"] for failure in answer["failed"]] == ["stage-web-01"]
    assert "there is no host 'stage-web-01'" in answer["failed"][0]["reason"]
    assert again == {"added": [db], "removed": ["web-01"], "failed": []}
    names = {host["name"] for host in double.world.store.linked(web, "hosts")}
    assert {"db-01", "db-02"} <= names
    assert "web-01" not in names
    assert is_there(double, "hosts", "web-01")
    assert "no host is named" in nothing


async def test_when_awx_is_gone_the_other_hosts_are_not_tried(url: str, double: Double, production: int) -> None:
    web = number(double, "groups", "web", inventory=production)
    double.faults.add(Fault("drop_after", "POST", "groups/*"))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("set_group_hosts", group_id=web, add=["db-01", "db-02", "db-03"])

    assert "look before you repeat it" in text
    assert len(writes(double)) == 1
