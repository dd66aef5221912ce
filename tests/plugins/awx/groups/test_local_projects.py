"""Group local_projects: projects by name, with the real Ansible and the real git."""

import fcntl
import json
import os
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.plugins.awx.asking import asking
from tests.plugins.awx.local import NOWHERE, working, workspace

from pegboard_awx.groups.local_projects import GROUP
from pegboard_awx.local import registry
from pegboard_awx.local.registry import FILE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return workspace(tmp_path)


def git(folder: Path, *arguments: str) -> str:
    """Run git as nobody in particular; returns what it says."""
    who = ["-c", "user.name=Nora", "-c", "user.email=nora@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, check=True, timeout=30)
    return done.stdout.decode().strip()


@pytest.fixture
def remote(root: Path, tmp_path: Path) -> Path:
    """A bare repository that the project pushes to."""
    remote = tmp_path / "remote.git"
    git(tmp_path, "init", "--quiet", "--bare", str(remote))
    git(root / "shop", "init", "--quiet")
    for key, value in {"user.name": "Nora", "user.email": "nora@example.com"}.items():
        git(root / "shop", "config", key, value)
    git(root / "shop", "remote", "add", "origin", str(remote))
    git(root / "shop", "add", "site.yml")
    return remote


async def test_the_group_is_not_there_unless_folders_are_opened(root: Path) -> None:
    async with asking(NOWHERE, GROUP) as ask:
        assert await ask.tokens() == {}
    async with asking(NOWHERE, GROUP, local_roots=[str(root)]) as ask:
        tokens = await ask.tokens()

    assert len(tokens) == 7
    assert sum(tokens.values()) <= 1500, tokens


async def test_where_writing_is_denied_only_what_reads_is_there(root: Path) -> None:
    async with asking(NOWHERE, GROUP, local_roots=[str(root)], writes="deny") as ask:
        names = {name.removeprefix("awx_") for name in await ask.tokens()}

    assert names == {"list_registered_projects", "project_playbooks", "ansible_inventory"}


# The registry


async def test_a_project_is_registered_listed_and_forgotten(root: Path) -> None:
    shop = {"name": "shop", "path": "shop", "default_playbook": "site.yml", "inventory": "inventory.ini"}
    async with working(root) as ask:
        assert await ask("list_registered_projects") == {"items": [], "total": 0}
        assert await ask("register_project", **shop, set_default=True) == {"name": "shop", "path": "shop"}
        assert await ask("register_project", **shop, set_default=True) == {"name": "shop", "path": "shop"}
        listed = await ask("list_registered_projects")
        assert await ask("unregister_project", name="shop") == {"removed": "shop"}
        assert (await ask("list_registered_projects"))["total"] == 0
        said = await ask.refused("unregister_project", name="shop")

    assert listed == {"items": [{**shop, "path": str(root / "shop"), "default": True}], "total": 1}
    assert said == "there is no project 'shop'; there are none: awx_register_project adds one"
    assert (root / "shop" / "site.yml").exists()


async def test_projects_outlive_the_hub(root: Path) -> None:
    async with working(root) as ask:
        await ask("register_project", name="shop", path="shop")
    async with working(root) as ask:
        assert (await ask("list_registered_projects"))["total"] == 1


async def test_many_can_register_at_once(root: Path) -> None:
    async with working(root) as ask:
        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(partial(ask, "register_project", name=f"p{number}", path="shop"))
        listed = await ask("list_registered_projects")

    assert listed["total"] == 12


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"name": "a/b"}, "'a/b' is no name of a project"),
        ({"path": "elsewhere"}, "there is no 'elsewhere' in"),
        ({"path": "/etc"}, "there is no '/etc' in"),
        ({"path": "shop/site.yml"}, "'shop/site.yml' is no folder"),
        ({"default_playbook": "other.yml"}, "there is no 'other.yml' in"),
        ({"inventory": "/etc/hosts"}, "there is no '/etc/hosts' in"),
        ({"scm_url": "https://nora:geheim@example.com/shop.git"}, "scm_url has a user or a password in it"),
    ],
)
async def test_a_project_that_cannot_be_is_not_registered(root: Path, given: dict[str, Any], reason: str) -> None:
    async with working(root) as ask:
        said = await ask.refused("register_project", **{"name": "shop", "path": "shop", **given})
        listed = await ask("list_registered_projects")

    assert said.startswith(reason)
    assert listed["total"] == 0


@pytest.mark.parametrize("content", ["", "[]", '{"projects": 1, "default": null}', "{}"])
async def test_a_registry_that_is_broken_is_named_and_left_as_it_is(root: Path, content: str) -> None:
    (root / FILE).write_text(content)
    async with working(root) as ask:
        said = await ask.refused("list_registered_projects")
        await ask.refused("register_project", name="shop", path="shop")

    assert said == f"{root / FILE} cannot be understood; repair or remove it"
    assert (root / FILE).read_text() == content


async def test_a_registered_path_that_leads_out_of_the_roots_by_now_is_refused(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "site.yml").write_text("- hosts: all\n")
    async with working(root) as ask:
        await ask("register_project", name="shop", path="shop")
        (root / "shop").rename(root / "old")
        (root / "shop").symlink_to(outside)
        listed = await ask.refused("project_playbooks", project_name="shop")
        ran = await ask.refused("project_run_playbook", project_name="shop", playbook="site.yml")

    assert listed == ran == f"there is no '{root / 'shop'}' in {root}"


async def test_a_change_waits_for_another_one_and_not_forever(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "TRIES", 2)
    held = os.open(root, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    async with working(root) as ask:
        said = await ask.refused("register_project", name="shop", path="shop")
        os.close(held)
        await ask("register_project", name="shop", path="shop")

    assert said == "somebody else is changing the projects; try again"


async def test_there_are_not_endlessly_many_projects(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MOST_PROJECTS", 1)
    async with working(root) as ask:
        await ask("register_project", name="shop", path="shop")
        said = await ask.refused("register_project", name="more", path="shop")

    assert said == "there are 1 projects already; awx_unregister_project removes one"


# What is in a project


async def test_a_projects_playbooks_and_roles_are_listed_by_its_name_or_path(root: Path) -> None:
    async with working(root) as ask:
        by_path = await ask("project_playbooks", project_path="shop")
        unnamed = await ask.refused("project_playbooks")
        await ask("register_project", name="shop", path="shop")
        only = await ask("project_playbooks")
        wrong = await ask.refused("project_playbooks", project_name="shpo")

    assert by_path == only
    assert only == {
        "playbooks": [{"path": "shop/site.yml", "plays": ["Site"]}],
        "roles": [{"name": "web", "path": "shop/roles/web"}],
    }
    assert unnamed == "name a project; there are none: awx_register_project adds one"
    assert wrong == "there is no project 'shpo'; there are shop"


async def test_a_projects_playbook_runs_with_its_inventory(root: Path) -> None:
    async with working(root) as ask:
        await ask("register_project", name="shop", path="shop", inventory="inventory.ini")
        dry = await ask("project_run_playbook", playbook="site.yml")
        wet = await ask("project_run_playbook", playbook="site.yml", check_mode=False, extra_vars={"word": "hi"})

    assert (dry["rc"], dry["check_mode"]) == (0, True)
    assert wet["recap"] == {"localhost": {"ok": 1, "changed": 1}}
    assert (root / "shop" / "written.txt").read_text() == "hi"


async def test_an_inventory_is_its_groups_and_hosts_without_their_variables(root: Path) -> None:
    async with working(root) as ask:
        found = await ask("ansible_inventory", workspace="shop")
        named = await ask("ansible_inventory", inventory="shop/inventory.ini")
        listed = await ask("ansible_inventory", inventory="a,b")

    assert found == named
    assert found["hosts"] == ["localhost"]
    assert found["groups"]["shop"] == {"children": ["web"]}
    assert listed["hosts"] == ["a", "b"]
    assert "geheim" not in json.dumps(found)


async def test_a_folder_without_an_inventory_says_what_was_looked_for(root: Path) -> None:
    async with working(root) as ask:
        said = await ask.refused("ansible_inventory", workspace="shop/roles")

    assert said.startswith("shop/roles has none of inventory, inventory.yml,")


async def test_an_inventory_that_is_a_program_is_not_run(root: Path) -> None:
    script, ran = root / "inventory.sh", root / "ran"
    script.write_text(f"#!/bin/sh\ntouch {ran}\necho '{{}}'\n")
    script.chmod(0o755)
    async with working(root) as ask:
        said = await ask.refused("ansible_inventory", inventory="inventory.sh")

    assert said.startswith("the inventory 'inventory.sh' cannot be read: ")
    assert said.endswith("programs are not run for this")
    assert not ran.exists()


async def test_an_inventory_needs_ansible(root: Path, tmp_path: Path) -> None:
    async with working(root, local_bin=str(tmp_path)) as ask:
        said = await ask.refused("ansible_inventory", inventory="shop/inventory.ini")

    assert said.startswith(f"ansible-inventory is not installed in {tmp_path} (local_bin)")


# Git


async def test_what_is_staged_is_committed_and_pushed(root: Path, remote: Path) -> None:
    async with working(root) as ask:
        await ask("register_project", name="shop", path="shop")
        pushed = await ask("git_push_project", commit_message="The site")
        again = await ask("git_push_project", branch="review/site")
        everything = await ask("git_push_project", add_all=True)

    assert (pushed["branch"], pushed["committed"], pushed["message"]) == ("main", True, "The site")
    assert (again["branch"], again["committed"], again["commit"]) == ("review/site", False, pushed["commit"])
    assert everything["message"] == "Update shop"
    assert git(remote, "rev-parse", "main") == everything["commit"]
    assert git(remote, "rev-parse", "review/site") == pushed["commit"]
    assert git(remote, "show", "--format=", "--name-only", "review/site") == "site.yml"


async def test_the_hooks_of_a_repository_do_not_run(root: Path, remote: Path) -> None:
    ran = root / "ran"
    for name in ("pre-commit", "pre-push"):
        hook = root / "shop" / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
        hook.chmod(0o755)
    async with working(root) as ask:
        await ask("register_project", name="shop", path="shop")
        await ask("git_push_project")

    assert not ran.exists()


async def test_a_refused_push_tells_why_without_the_password_in_its_url(root: Path, remote: Path) -> None:
    git(root / "shop", "remote", "set-url", "origin", "https://nora:geheim@127.0.0.1:9/shop.git")
    async with working(root) as ask:
        await ask("register_project", name="shop", path="shop")
        said = await ask.refused("git_push_project")

    assert said.startswith("git push: ")
    assert "127.0.0.1:9" in said
    assert "geheim" not in said


@pytest.mark.parametrize("branch", ["--force", "a..b", "+main", "main:other", ""])
async def test_a_branch_is_a_name_and_no_option(root: Path, remote: Path, branch: str) -> None:
    async with working(root) as ask:
        await ask("register_project", name="shop", path="shop")
        if branch:
            said = await ask.refused("git_push_project", branch=branch)
            assert said == f"{branch!r} is no name of a branch"
        else:
            assert (await ask("git_push_project", branch=branch))["branch"] == "main"


async def test_a_repository_around_the_root_is_not_touched(root: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    async with working(root) as ask:
        await ask("register_project", name="shop", path="shop")
        said = await ask.refused("git_push_project", add_all=True)

    assert "not a git repository" in said


async def test_a_repository_whose_history_is_elsewhere_is_not_touched(root: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", f"--separate-git-dir={tmp_path / 'history'}", str(root / "shop"))
    async with working(root) as ask:
        await ask("register_project", name="shop", path="shop")
        said = await ask.refused("git_push_project", add_all=True)

    assert said == "the git repository of shop is not in the folders of local_roots"
