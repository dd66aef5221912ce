"""The folders an operator opens are all there is: not by a link, not by a path, not by what a tool is given."""

import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.plugins.awx.local import working, workspace

from pegboard import ToolError
from pegboard_awx.local import roots as module
from pegboard_awx.local.roots import MOST_BYTES, Roots

PLAY = "- hosts: localhost\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return workspace(tmp_path)


@pytest.fixture
def outside(tmp_path: Path, root: Path) -> Path:
    """A folder beside the root, with what an attacker would like to have, and links to it in the root."""
    outside = tmp_path / "outside"
    (outside / "roles" / "web" / "tasks").mkdir(parents=True)
    (outside / "secret.yml").write_text(PLAY)
    (root / "link").symlink_to(outside)
    (root / "link.yml").symlink_to(outside / "secret.yml")
    (root / "loop").symlink_to(root / "loop")
    (root / "shop" / "roles" / "linked").symlink_to(outside / "roles" / "web")
    return outside


WAYS_OUT = ["../outside/secret.yml", "link/secret.yml", "link.yml", "shop/../../outside/secret.yml", "loop", "~/x.yml"]


@pytest.mark.parametrize(
    "path", [*WAYS_OUT, "/etc/passwd", "OUTSIDE/secret.yml", "a\0b", "/proc/self/environ", "/dev/stdin"]
)
@pytest.mark.parametrize(
    ("tool", "argument", "more"),
    [
        ("validate_playbook", "playbook", {}),
        ("validate_playbook", "inventory", {"playbook": "shop/site.yml"}),
        ("ansible_playbook", "playbook", {}),
        ("ansible_playbook", "inventory", {"playbook": "shop/site.yml"}),
        ("ansible_task", "inventory", {"module": "ping"}),
        ("ansible_inventory", "inventory", {}),
    ],
)
async def test_no_path_leads_out_of_the_roots(
    root: Path, outside: Path, tool: str, argument: str, more: dict[str, Any], path: str
) -> None:
    async with working(root) as ask:
        said = await ask.refused(tool, **more, **{argument: path.replace("OUTSIDE", str(outside))})

    assert said.startswith("there is no ") or "is not taken: a path has no '..'" in said


@pytest.mark.parametrize("folder", ["..", "link", "shop/../..", "/", "/tmp", "OUTSIDE", "loop"])
@pytest.mark.parametrize(
    ("tool", "more"),
    [
        ("list_playbooks", {}),
        ("list_roles", {}),
        ("create_playbook", {"name": "a", "content": PLAY}),
        ("create_role_structure", {"name": "a"}),
        ("ansible_role", {"role": "web"}),
        ("ansible_inventory", {}),
        ("project_playbooks", {}),
    ],
)
async def test_no_workspace_is_out_of_the_roots(
    root: Path, outside: Path, tool: str, more: dict[str, Any], folder: str
) -> None:
    argument = "project_path" if tool == "project_playbooks" else "workspace"
    before = sorted(outside.rglob("*"))
    async with working(root) as ask:
        said = await ask.refused(tool, **more, **{argument: folder.replace("OUTSIDE", str(outside))})

    assert said.startswith("there is no ") or "is not taken" in said
    assert sorted(outside.rglob("*")) == before


@pytest.mark.parametrize("name", ["../a", "a/b", "/tmp/a", "..", ".hidden", "-x", "a\nb", "", "a" * 200, "ä"])
async def test_a_file_or_a_role_is_one_name(root: Path, name: str) -> None:
    async with working(root) as ask:
        file = await ask.refused("create_playbook", name=name, content=PLAY)
        role = await ask.refused("create_role_structure", name=name)

    assert "is no name of a file" in file
    assert "is no name of a role" in role


async def test_a_role_that_is_a_link_out_of_the_roots_is_none(root: Path, outside: Path) -> None:
    async with working(root) as ask:
        listed = await ask("list_roles")
        said = await ask.refused("ansible_role", role="linked", workspace="shop")

    assert [role["name"] for role in listed["items"]] == ["web"]
    assert said == "there is no role 'linked' in shop; there are web"


async def test_links_are_not_listed_and_not_followed(root: Path, outside: Path) -> None:
    async with working(root) as ask:
        listed = await ask("list_playbooks")

    assert [item["path"] for item in listed["items"]] == ["shop/site.yml"]


async def test_a_link_inside_of_the_roots_may_be_followed(root: Path) -> None:
    (root / "current").symlink_to(root / "shop")
    async with working(root) as ask:
        listed = await ask("list_playbooks", workspace="current")

    assert [item["path"] for item in listed["items"]] == ["shop/site.yml"]


async def test_what_is_overwritten_is_never_what_a_link_leads_to(root: Path, outside: Path) -> None:
    async with working(root) as ask:
        said = await ask.refused("create_playbook", name="link.yml", content="- hosts: mine\n", overwrite=True)
        exists = await ask.refused("create_playbook", name="link.yml", content="- hosts: mine\n")

    assert said == "link.yml is no regular file and is left as it is"
    assert exists == "there is link.yml already"
    assert (outside / "secret.yml").read_text() == PLAY


async def test_a_pipe_is_no_playbook_and_nobody_waits_for_it(root: Path) -> None:
    os.mkfifo(root / "pipe.yml")
    with anyio.fail_after(10):
        async with working(root) as ask:
            said = await ask.refused("validate_playbook", playbook="pipe.yml")
            listed = await ask("list_playbooks")

    assert said == "'pipe.yml' is no regular file"
    assert listed["total"] == 1


async def test_a_large_file_is_neither_read_nor_written(root: Path) -> None:
    (root / "large.yml").write_text(f"{PLAY}# {'x' * MOST_BYTES}\n")
    async with working(root) as ask:
        listed = await ask("list_playbooks")
        said = await ask.refused("create_playbook", name="larger", content=f"{PLAY}# {'x' * MOST_BYTES}\n")

    assert [item["path"] for item in listed["items"]] == ["shop/site.yml"]
    assert said == f"larger.yml would have {MOST_BYTES + len(PLAY) + 3} bytes; at most {MOST_BYTES} are written"


async def test_a_folder_of_very_many_files_is_not_searched_to_its_end(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 20)
    for number in range(30):
        (root / f"{number}.txt").touch()
    async with working(root) as ask:
        said = await ask.refused("list_playbooks")
        listed = await ask("list_playbooks", workspace="shop")

    assert said.endswith("has more than 20 files; name a workspace inside of it")
    assert listed["total"] == 1


@pytest.mark.parametrize("limit", ["@/etc/passwd", "web,@/etc/passwd", "web:@hosts", "-x", " ", "a\nb"])
async def test_hosts_are_not_read_from_a_file(root: Path, limit: str) -> None:
    async with working(root) as ask:
        played = await ask.refused("ansible_playbook", playbook="shop/site.yml", limit=limit)
        ran = await ask.refused("ansible_task", module="ping", hosts=limit)

    assert played == ran
    assert "names no hosts" in played


@pytest.mark.parametrize(
    ("argument", "value"),
    [("module", "--version"), ("module", "a;id"), ("connection", "-x"), ("connection", "ssh -o ProxyCommand=id")],
)
async def test_a_name_is_not_an_option(root: Path, argument: str, value: str) -> None:
    async with working(root) as ask:
        said = await ask.refused("ansible_task", **{"module": "ping", argument: value})

    assert said == f"{value!r} is no name of a {argument}"


async def test_no_shell_reads_what_a_tool_was_given(root: Path) -> None:
    ran = root / "ran"
    async with working(root) as ask:
        await ask("ansible_playbook", playbook="shop/site.yml", tags=[f"$(touch {ran})", f"; touch {ran}"])

    assert not ran.exists()


def test_a_folder_that_became_a_link_after_it_was_checked_is_not_entered(root: Path, outside: Path) -> None:
    roots = Roots.of([root])
    file = roots.file("shop/site.yml")
    (root / "shop").rename(root / "was")
    (root / "shop").symlink_to(outside)
    (outside / "site.yml").write_text("secret")

    with pytest.raises(ToolError, match=r"site\.yml could not be read"):
        roots.read(file)
    with pytest.raises(ToolError, match=r"new\.yml could not be written"):
        roots.write(file.with_name("new.yml"), b"x")
    with pytest.raises(ToolError, match="could not be made"):
        roots.make(root / "shop" / "roles" / "evil")
    assert sorted(path.name for path in outside.iterdir()) == ["roles", "secret.yml", "site.yml"]


def test_a_file_that_became_a_link_after_it_was_checked_is_not_read(root: Path, outside: Path) -> None:
    roots = Roots.of([root])
    file = roots.file("shop/site.yml")
    file.unlink()
    file.symlink_to(outside / "secret.yml")

    with pytest.raises(ToolError, match=r"site\.yml could not be read"):
        roots.read(file)


async def test_several_roots_are_searched_in_order_and_shown_in_full(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "more.yml").write_text(PLAY)
    (other / "hosts.ini").write_text("[web]\na\n")
    async with working(root, other) as ask:
        listed = await ask("list_playbooks")
        found = await ask("ansible_inventory", inventory="hosts.ini")
        again = await ask("ansible_inventory", inventory=str(other / "hosts.ini"))

    assert [item["path"] for item in listed["items"]] == [str(root / "shop" / "site.yml"), str(other / "more.yml")]
    assert found == again
    assert found["hosts"] == ["a"]


async def test_a_root_that_is_a_link_is_the_folder_it_leads_to(root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    async with working(tmp_path / "alias") as ask:
        assert (await ask("list_playbooks"))["total"] == 1


async def test_a_folder_is_not_overwritten(root: Path) -> None:
    (root / "a.yml").mkdir()
    async with working(root) as ask:
        said = await ask.refused("create_playbook", name="a", content=PLAY, overwrite=True)

    assert said == "a.yml is no regular file and is left as it is"
