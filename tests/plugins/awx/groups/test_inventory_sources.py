"""Inventory sources and their updates as a model handles them."""

from typing import Any

import pytest
from tests.plugins.awx.asking import asking, size
from tests.plugins.awx.rows import is_there, number, row, writes

from pegboard_awx.double import Double, Fault
from pegboard_awx.double.seed import READ_TOKEN, VIEWER_TOKEN
from pegboard_awx.groups.inventory_sources import GROUP


@pytest.fixture
def source(double: Double) -> int:
    return number(double, "inventory_sources", "Cloud servers")


async def test_sources_are_listed_small_of_all_or_of_one_inventory(url: str, double: Double, source: int) -> None:
    row(double, "inventory_sources", "Cloud servers")["source_vars"] = "region: eu\napi_token: hunter2\n"
    async with asking(url, GROUP) as ask:
        everything = await ask("list_inventory_sources")
        full = await ask("list_inventory_sources", inventory_id="Staging", detail="full")
        none = await ask("list_inventory_sources", inventory_id="Production")

    assert everything["items"] == [
        {
            "id": source,
            "name": "Cloud servers",
            "inventory": "Staging",
            "source": "scm",
            "source_path": "inventories/staging.ini",
            "status": everything["items"][0]["status"],
        }
    ]
    assert (everything["total"], everything["has_more"]) == (1, False)
    assert full["items"][0]["project"] == "Base system"
    assert full["items"][0]["source_vars"] == {"region": "eu", "api_token": "$hidden$"}
    assert none == {"items": [], "page": 1, "page_size": 20, "total": 0, "has_more": False}


async def test_a_page_of_sources_is_well_under_its_tokens(url: str, double: Double) -> None:
    staging = number(double, "inventories", "Staging")
    project = number(double, "projects", "Base system")
    for count in range(25):
        double.world.make(
            "inventory_sources",
            None,
            name=f"Servers of region {count}",
            inventory=staging,
            source="scm",
            source_project=project,
            source_path="inventories/region.ini",
        )
    async with asking(url, GROUP) as ask:
        listed = await ask("list_inventory_sources")

    assert len(listed["items"]) == 20
    assert (listed["total"], listed["has_more"]) == (26, True)
    assert size(listed) < 70 * 20


async def test_a_source_is_made_with_its_variables_as_a_string(url: str, double: Double) -> None:
    project = number(double, "projects", "Base system")
    async with asking(url, GROUP) as ask:
        made = await ask(
            "create_inventory_source",
            inventory_id="Production",
            name="From git",
            source="scm",
            source_project_id=project,
            source_path="hosts.ini",
            source_vars={"region": "eu"},
            update_on_launch=True,
        )

    assert made == {
        "id": made["id"],
        "name": "From git",
        "source": "scm",
        "inventory": "Production",
        "next": f"awx_sync_inventory_source(source_id={made['id']}) brings its hosts",
    }
    ((_, body),) = writes(double)
    assert body["source_vars"] == '{"region": "eu"}'
    assert body["update_on_launch"] is True
    assert "credential" not in body


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("list_inventory_sources", {"inventory_id": 999}, "404"),
        ("list_inventory_sources", {"inventory_id": "Nowhere"}, "there is no inventory 'Nowhere'"),
        ("create_inventory_source", {"inventory_id": "Lab servers", "name": "x", "source": "scm"}, "Project required"),
        ("create_inventory_source", {"inventory_id": "Lab servers", "name": "x", "source": "ec2"}, "Credential is req"),
        ("sync_inventory_source", {"source_id": 999}, "404"),
        ("get_inventory_update", {"update_id": 999}, "404"),
        ("delete_inventory_source", {"source_id": 999}, "404"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_reason(
    url: str, double: Double, tool: str, arguments: dict[str, Any], reason: str
) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused(tool, **arguments)

    assert reason in text
    assert len(double.world.store.all("inventory_sources")) == 1


async def test_a_name_that_is_taken_comes_with_the_id_of_what_has_it(url: str, double: Double, source: int) -> None:
    project = number(double, "projects", "Base system")
    arguments = {"inventory_id": "Staging", "name": "Cloud servers", "source": "scm", "source_project_id": project}
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_inventory_source", **arguments)

    assert f"is there already, with the id {source}" in text


@pytest.mark.parametrize("token", [VIEWER_TOKEN, READ_TOKEN])
@pytest.mark.parametrize("tool", ["sync_inventory_source", "delete_inventory_source"])
async def test_who_may_only_look_is_told_that_a_role_is_missing(
    url: str, double: Double, source: int, token: str, tool: str
) -> None:
    if token == VIEWER_TOKEN:
        viewer = double.world.store.find("users", username="vera")
        assert viewer is not None
        role = double.world.role(row(double, "inventories", "Staging"), "read_role")
        double.world.store.link(role, "users", viewer)
    async with asking(url, GROUP, token=token) as ask:
        text = await ask.refused(tool, source_id=source)

    assert "403" in text
    assert is_there(double, "inventory_sources", "Cloud servers")
    assert double.world.store.all("inventory_updates") == []


async def test_a_source_is_updated_and_the_answer_says_how_to_follow_it(url: str, double: Double, source: int) -> None:
    async with asking(url, GROUP) as ask:
        started = await ask("sync_inventory_source", source_id=source)
        running = await ask("get_inventory_update", update_id=started["job_id"])
        double.clock.advance(120)
        done = await ask("get_inventory_update", update_id=started["job_id"], include_output=True)

    assert started["type"] == "inventory_update"
    assert started["next"] == f"awx_wait_for_job(job_id={started['job_id']})"
    assert running["is_finished"] is False
    assert "output_tail" not in running
    assert (done["status"], done["source"]) == ("successful", "Cloud servers")
    assert done["elapsed_s"] > 0
    assert done["output_tail"]
    assert len(double.seen("POST", "/update/")) == 1


async def test_an_update_can_be_waited_for(url: str, double: Double, source: int) -> None:
    async def later(progress: float, total: float | None, message: str | None) -> None:
        double.clock.advance(60)

    async with asking(url, GROUP) as ask:
        arguments = {"source_id": source, "wait": True}
        result = await ask.client.call_tool("awx_sync_inventory_source", arguments, progress_callback=later)

    assert result.structured_content is not None
    assert result.structured_content["status"] == "successful"
    assert is_there(double, "hosts", "cloud-01")


async def test_a_second_update_is_the_first_while_that_runs_and_another_one_after_it(
    url: str, double: Double, source: int
) -> None:
    async with asking(url, GROUP) as ask:
        first = await ask("sync_inventory_source", source_id=source)
        same = await ask("sync_inventory_source", source_id=source)
        double.clock.advance(120)
        after = await ask("sync_inventory_source", source_id=source)

    assert same["job_id"] == first["job_id"]
    assert "nothing was started now" in same["warnings"][0]
    assert after["job_id"] != first["job_id"]
    assert len(writes(double)) == 2


async def test_a_source_that_cannot_be_updated_is_not_even_asked_to(url: str, double: Double, source: int) -> None:
    row(double, "inventory_sources", "Cloud servers")["source"] = ""
    async with asking(url, GROUP) as ask:
        text = await ask.refused("sync_inventory_source", source_id=source)

    assert "'Cloud servers'" in text
    assert "cannot be updated" in text
    assert writes(double) == []


async def test_a_source_of_an_inventory_the_operator_does_not_allow_is_not_updated(
    url: str, double: Double, source: int
) -> None:
    async with asking(url, GROUP, allow_inventories=["Production"]) as ask:
        text = await ask.refused("sync_inventory_source", source_id=source)

    assert "the operator allows 'Production'" in text
    assert writes(double) == []


async def test_an_update_whose_answer_was_lost_is_found_and_not_repeated(url: str, double: Double, source: int) -> None:
    double.faults.add(Fault("drop_after", "POST", "inventory_sources/*/update/"))
    async with asking(url, GROUP) as ask:
        started = await ask("sync_inventory_source", source_id=source)

    assert len(writes(double)) == 1
    assert [update["id"] for update in double.world.store.all("inventory_updates")] == [started["job_id"]]


async def test_a_source_is_deleted_its_hosts_stay_and_a_dry_run_counts_them(
    url: str, double: Double, source: int
) -> None:
    async with asking(url, GROUP) as ask:
        await ask("sync_inventory_source", source_id=source)
        double.clock.advance(120)
        dry = await ask("delete_inventory_source", source_id=source, dry_run=True)
        assert is_there(double, "inventory_sources", "Cloud servers")
        answer = await ask("delete_inventory_source", source_id=source)

    assert dry == {
        "deleted": False,
        "dry_run": True,
        "id": source,
        "name": "Cloud servers",
        "related": {"inventory_updates": 1, "hosts_kept": 3},
    }
    assert answer == {"deleted": True, "id": source, "name": "Cloud servers"}
    assert is_there(double, "hosts", "cloud-01")
