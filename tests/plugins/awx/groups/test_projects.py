"""Projects as a model makes them, syncs them and looks into them."""

import json
from typing import Any

import anyio
import pytest
from tests.plugins.awx.asking import asking, size
from tests.plugins.awx.conftest import NOW
from tests.plugins.awx.rows import is_there, number, page, row, writes

from pegboard_awx.double import Double, Fault, serving
from pegboard_awx.double.seed import OPERATOR_TOKEN, READ_TOKEN, TOKEN, VIEWER_TOKEN
from pegboard_awx.groups.projects import ALIASES, GROUP
from pegboard_awx.groups.projects.shaping import shown_url

GIT: dict[str, Any] = {"name": "New", "organization_id": "Lab", "scm_url": "https://git.alpenkraft.example/new.git"}
ANNOTATIONS = {
    "list_projects": (True, False, True),
    "get_project": (True, False, True),
    "create_project": (False, False, False),
    "update_project": (False, False, True),
    "delete_project": (False, True, True),
    "sync_project": (False, False, False),
    "list_project_playbooks": (True, False, True),
    "list_project_updates": (True, False, True),
}
"""Whether a tool only reads, destroys, and may be repeated."""


async def test_the_tools_fit_the_small_budget_and_say_what_they_do_to_awx(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tokens = await ask.tokens()
        tools = {tool.name.removeprefix("awx_"): tool.annotations for tool in (await ask.client.list_tools()).tools}

    assert len(tokens) == 8
    assert sum(tokens.values()) < 1000
    for name, (reads, destroys, repeats) in ANNOTATIONS.items():
        hints = tools[name]
        assert hints is not None
        assert (hints.read_only_hint is True, hints.destructive_hint is True) == (reads, destroys)
        assert reads or (hints.idempotent_hint is True) is repeats
        assert hints.open_world_hint is True
    assert {f"awx_{name}" for name in ALIASES.values()} <= tokens.keys()


async def test_projects_are_listed_small_with_how_many_there_are(url: str, double: Double) -> None:
    lab = number(double, "organizations", "Lab")
    for index in range(25):
        url_of = f"https://git.alpenkraft.example/teams/number-{index:02}/automation.git"
        double.world.make(
            "projects", None, name=f"Project {index:02}", organization=lab, scm_type="git", scm_url=url_of, status="ok"
        )
    async with asking(url, GROUP) as ask:
        first = await ask("list_projects")
        second = await ask("list_projects", page=2)
        beyond = await ask("list_projects", page=9)

    assert (len(first["items"]), first["total"], first["has_more"]) == (20, 29, True)
    assert (len(second["items"]), second["has_more"]) == (9, False)
    assert (beyond["items"], beyond["has_more"]) == ([], False)
    assert second["items"][-1] == {
        "id": number(double, "projects", "Web shop"),
        "name": "Web shop",
        "organization": "Alpenkraft",
        "scm_type": "git",
        "scm_url": "https://git.alpenkraft.example/ops/shop.git",
        "scm_branch": "main",
        "status": "successful",
        "revision": "4f1c0d9e8b",
    }
    assert size(first) < 1500


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"status": "failed"}, ["Warehouse robots"]),
        ({"name_contains": "WEB"}, ["Web shop"]),
        ({"search": "patches"}, ["Base system"]),
        ({"order_by": "-name", "organization_id": 1}, ["Web shop", "Warehouse robots", "Base system"]),
        ({"search": "nothing like it"}, []),
    ],
)
async def test_projects_are_narrowed_down_by_awx(url: str, arguments: dict[str, Any], names: list[str]) -> None:
    async with asking(url, GROUP) as ask:
        listed = await ask("list_projects", **arguments)

    assert [item["name"] for item in listed["items"]] == names
    assert listed["total"] == len(names)


async def test_a_project_is_shown_with_its_options_and_updates_but_never_raw(url: str, double: Double) -> None:
    row(double, "projects", "Web shop")["scm_update_on_launch"] = True
    async with asking(url, GROUP) as ask:
        await ask("sync_project", project_id="Web shop")
        shown = await ask("get_project", project_id="Web shop++Alpenkraft")
        full = await ask("list_projects", detail="full", name_contains="Web shop")
        manual = await ask("get_project", project_id="Lab manual")

    assert shown["web_url"] == page(double, url, f"projects/{shown['id']}/details")
    assert full["items"] == [{name: value for name, value in shown.items() if name != "web_url"}]
    assert (shown["credential"], shown["options"]) == ("Git deploy key", ["scm_update_on_launch"])
    assert shown["current_update"]["status"] == "pending"
    assert len(shown["revision"]) == 40
    assert (manual["scm_type"], manual["local_path"]) == ("manual", "lab")
    assert not {"related", "summary_fields", "scm_refspec"} & shown.keys()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://me:hunter2@git.example/x.git", "https://me:$hidden$@git.example/x.git"),
        ("https://me:hunt@er2@git.example/x.git", "https://me:$hidden$@git.example/x.git"),
        ("https://hunter2@git.example/x.git", "https://$hidden$@git.example/x.git"),
        ("https://:hunter2@git.example/x.git", "https://$hidden$@git.example/x.git"),
        ("ssh://git@git.example/x.git", "ssh://git@git.example/x.git"),
        ("git@git.example:x.git", "git@git.example:x.git"),
        ("https://git.example/@me/x.git", "https://git.example/@me/x.git"),
        ("", ""),
    ],
)
def test_a_password_in_a_url_is_not_shown(given: str, shown: str) -> None:
    assert shown_url(given) == shown


async def test_a_url_that_was_shown_without_its_password_is_not_written_back(url: str, double: Double) -> None:
    row(double, "projects", "Web shop")["scm_url"] = "https://me:hunter2@git.example/x.git"
    async with asking(url, GROUP) as ask:
        shown = await ask("get_project", project_id="Web shop")
        text = await ask.refused("update_project", project_id="Web shop", scm_url=shown["scm_url"])

    assert "hunter2" not in json.dumps(shown)
    assert "leave scm_url out to keep it, or give all of it" in text
    assert writes(double) == []


async def test_a_new_project_comes_with_the_update_awx_has_started(url: str, double: Double) -> None:
    """Others send required fields as query parameters, which AWX refuses."""
    async with asking(url, GROUP) as ask:
        made = await ask("create_project", **GIT, scm_branch="main", scm_clean=True)
        manual = await ask("create_project", name="By hand", organization_id="Lab", scm_type="", local_path="hand")

    update = double.world.store.all("project_updates")[-1]["id"]
    assert made == {
        "id": made["id"],
        "name": "New",
        "status": "pending",
        "update_job_id": update,
        "next": f"awx_wait_for_job(job_id={update}, job_type='project_update')",
    }
    assert manual == {"id": manual["id"], "name": "By hand", "status": "ok"}
    assert writes(double)[0][1] == {
        "name": "New",
        "organization": number(double, "organizations", "Lab"),
        "scm_type": "git",
        "scm_url": GIT["scm_url"],
        "scm_branch": "main",
        "scm_clean": True,
    }
    assert all(not seen.query for seen in double.seen("POST"))


@pytest.mark.parametrize(("source", "status"), [("new.git", "successful"), ("nosuch.git", "failed")])
async def test_waiting_for_a_new_project_tells_how_its_first_update_went(source: str, status: str) -> None:
    double = Double(speed=10_000, start=NOW)
    async with serving(double) as url, asking(url, GROUP) as ask:
        with anyio.fail_after(20):
            made = await ask(
                "create_project",
                name="New",
                organization_id="Lab",
                scm_url=f"https://git.alpenkraft.example/{source}",
                wait=True,
            )

    assert made["status"] == made["update"]["status"] == status
    assert made["update"]["job_id"] == made["update_job_id"]
    assert "output_tail" in made["update"]
    assert "next" not in made


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"scm_url": None}, "SCM URL is required"),
        ({"scm_type": "hg"}, "scm_type"),
        ({"scm_type": "", "scm_url": None, "local_path": "lab"}, "already being used by another manual project"),
        ({"organization_id": "Alpen"}, "did you mean 'Alpenkraft'?"),
        ({"organization_id": 999}, "Organization matching query does not exist"),
        ({"name": "Lab manual"}, "'Lab manual'"),
    ],
)
async def test_a_project_that_cannot_be_is_refused_with_its_reason(
    url: str, double: Double, arguments: dict[str, Any], reason: str
) -> None:
    before = len(double.world.store.all("projects"))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_project", **{**GIT, **arguments})

    assert reason in text
    assert len(double.world.store.all("projects")) == before


async def test_a_name_that_is_taken_comes_with_the_id_of_what_has_it(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_project", **{**GIT, "name": "Web shop", "organization_id": "Alpenkraft"})

    assert f"the id {number(double, 'projects', 'Web shop')}" in text


async def test_a_project_whose_answer_is_lost_is_not_made_twice(url: str, double: Double) -> None:
    double.faults.add(Fault("drop_after", "POST", "projects/"))
    async with asking(url, GROUP) as ask:
        text = await ask.refused("create_project", **GIT)

    assert "awx_list_projects(name_contains='New')" in text
    assert is_there(double, "projects", "New")
    assert len(double.seen("POST")) == 1


async def test_a_changed_source_is_told_with_the_update_it_starts(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        about = await ask("update_project", project_id="Web shop", description="The shop")
        branch = await ask("update_project", project_id="Web shop", scm_branch="next", name="Shop")
        same = await ask("update_project", project_id="Shop", scm_branch="next")

    update = double.world.store.all("project_updates")[-1]["id"]
    assert (about["changed"], about["resync_started"]) == (["description"], False)
    assert (branch["changed"], branch["resync_started"]) == (["name", "scm_branch"], True)
    assert branch["update_job_id"] == update
    assert (same["changed"], same["resync_started"]) == ([], False)
    assert [body for _, body in writes(double)] == [{"description": "The shop"}, {"name": "Shop", "scm_branch": "next"}]


async def test_a_dry_run_counts_what_would_break_and_a_deletion_tells_what_is_gone(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        dry = await ask("delete_project", project_id="Base system", dry_run=True)
        assert writes(double) == []
        gone = await ask("delete_project", project_id="Warehouse robots")

    assert (dry["deleted"], dry["name"]) == (False, "Base system")
    assert dry["related"] == {"job_templates": 5, "inventory_sources": 1}
    assert (gone["deleted"], gone["name"]) == (True, "Warehouse robots")
    assert not is_there(double, "projects", "Warehouse robots")


async def test_a_project_that_is_being_updated_is_not_deleted(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        update = (await ask("sync_project", project_id="Web shop"))["update_id"]
        text = await ask.refused("delete_project", project_id="Web shop")

    assert f"active jobs {update}" in text
    assert is_there(double, "projects", "Web shop")


async def test_a_sync_starts_one_update_and_says_how_to_follow_it(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        told = await ask("sync_project", project_id="Base system")

    assert (told["update_id"], told["status"], told["type"]) == (told["job_id"], "pending", "project_update")
    assert told["next"] == f"awx_wait_for_job(job_id={told['update_id']})"
    assert "revision" not in told
    assert len(double.seen("POST", "/update/")) == 1


async def test_a_sync_joins_one_that_goes_on_and_fetches_again_after_one_that_has_ended(
    url: str, double: Double
) -> None:
    async with asking(url, GROUP) as ask:
        first = await ask("sync_project", project_id="Base system")
        same = await ask("sync_project", project_id="Base system")
        double.clock.advance(10)
        next_one = await ask("sync_project", project_id="Base system")

    assert same["update_id"] == first["update_id"]
    assert "nothing was started now" in same["warnings"][0]
    assert next_one["update_id"] > first["update_id"]
    assert len(double.seen("POST", "/update/")) == 2


@pytest.mark.parametrize(("project", "status"), [("Base system", "successful"), ("Warehouse robots", "failed")])
async def test_waiting_for_a_sync_tells_how_it_went(project: str, status: str) -> None:
    async with serving(Double(speed=10_000, start=NOW)) as url, asking(url, GROUP) as ask:
        with anyio.fail_after(20):
            told = await ask("sync_project", project_id=project, wait=True)

    assert (told["status"], told["is_finished"]) == (status, True)
    assert ("revision" in told) is (status == "successful")
    assert ("next" in told) is (status == "failed")
    assert told["output_tail"]


async def test_a_manual_project_cannot_be_synced_and_the_message_says_why(url: str, double: Double) -> None:
    """AWX answers 405 with `Method "POST" not allowed.`, which tells nobody anything."""
    async with asking(url, GROUP) as ask:
        text = await ask.refused("sync_project", project_id="Lab manual")

    assert "the project 'Lab manual' is manual" in text
    assert "give it a scm_type and a scm_url" in text
    assert writes(double) == []


async def test_a_sync_whose_answer_is_lost_is_found_and_not_sent_again(url: str, double: Double) -> None:
    double.faults.add(Fault("drop_after", "POST", "projects/*/update/"))
    async with asking(url, GROUP) as ask:
        told = await ask("sync_project", project_id="Base system")

    assert told["update_id"] == double.world.store.all("project_updates")[-1]["id"]
    assert "AWX's answer was lost" in told["warnings"][0]
    assert len(double.seen("POST")) == 1


async def test_playbooks_and_inventory_files_are_listed(url: str) -> None:
    async with asking(url, GROUP) as ask:
        shop = await ask("list_project_playbooks", project_id="Web shop")
        empty = await ask("list_project_playbooks", project_id="Warehouse robots")

    assert "deploy.yml" in shop["playbooks"]
    assert shop["inventory_files"] == ["inventories/production.ini", "inventories/staging.ini"]
    assert empty["playbooks"] == []


async def test_updates_are_listed_newest_first_with_the_output_of_one(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        none = await ask("list_project_updates", project_id="Warehouse robots")
        for branch in ("a", "b", "c"):
            await ask("update_project", project_id="Warehouse robots", scm_branch=branch)
            double.clock.advance(10)
        first = await ask("list_project_updates", project_id="Warehouse robots", page_size=2)
        second = await ask("list_project_updates", project_id="Warehouse robots", page_size=2, page=2)
        failed = first["items"][0]["id"]
        one = await ask("list_project_updates", project_id="Warehouse robots", include_output_of=failed)

    assert (none["items"], none["total"]) == ([], 0)
    assert [item["status"] for item in first["items"]] == ["failed", "failed"]
    assert first["items"][0]["id"] > first["items"][1]["id"] > second["items"][0]["id"]
    assert (first["total"], first["has_more"], second["has_more"]) == (3, True, False)
    assert "fatal: [localhost]: FAILED!" in one["output_tail"]
    assert "output_tail" not in first


async def test_the_output_of_another_projects_update_is_not_shown(url: str, double: Double) -> None:
    async with asking(url, GROUP) as ask:
        other = (await ask("sync_project", project_id="Base system"))["update_id"]
        text = await ask.refused("list_project_updates", project_id="Web shop", include_output_of=other)
        none = await ask.refused("list_project_updates", project_id="Web shop", include_output_of=9999)

    project = number(double, "projects", "Web shop")
    assert text == (f"the update {other} is not one of project {project}; awx_get_job_output(job_id={other}) shows any")
    assert "404" in none


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("get_project", {}),
        ("update_project", {"name": "x"}),
        ("delete_project", {"dry_run": True}),
        ("delete_project", {}),
        ("sync_project", {}),
        ("list_project_playbooks", {}),
        ("list_project_updates", {}),
    ],
)
async def test_a_project_that_is_not_there_is_named_with_those_that_are_near(
    url: str, tool: str, arguments: dict[str, Any]
) -> None:
    async with asking(url, GROUP) as ask:
        name = await ask.refused(tool, project_id="shop", **arguments)
        by_number = await ask.refused(tool, project_id=999, **arguments)

    assert name == "there is no project 'shop'; did you mean 'Web shop'?"
    assert "404" in by_number


@pytest.mark.parametrize(
    ("token", "tool", "arguments"),
    [
        (VIEWER_TOKEN, "get_project", {}),
        (VIEWER_TOKEN, "list_project_playbooks", {}),
        (VIEWER_TOKEN, "list_project_updates", {}),
        (OPERATOR_TOKEN, "update_project", {"name": "x"}),
        (OPERATOR_TOKEN, "delete_project", {}),
        (READ_TOKEN, "sync_project", {}),
        (READ_TOKEN, "create_project", GIT),
    ],
)
async def test_who_lacks_a_role_is_told_so(
    url: str, double: Double, token: str, tool: str, arguments: dict[str, Any]
) -> None:
    given = arguments if arguments is GIT else {"project_id": number(double, "projects", "Web shop"), **arguments}
    async with asking(url, GROUP, token=token) as ask:
        text = await ask.refused(tool, **given)

    assert "403" in text
    assert "ask for a role on it" in text


async def test_all_of_it_works_on_a_platform_and_below_a_path() -> None:
    async with serving(Double(speed=0, platform=True, root="/hub")) as url, asking(url, GROUP, token=TOKEN) as ask:
        made = await ask("create_project", **GIT)
        shown = await ask("get_project", project_id=made["id"])

    assert shown["web_url"] == f"{url}/execution/projects/{made['id']}/details"
