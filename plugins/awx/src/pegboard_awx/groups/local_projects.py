"""Group local_projects: Ansible projects in the folders of `local_roots`, by name. Opt-in, as local_playbooks is."""

from typing import Annotated, Any

import anyio.to_thread
from pydantic import Field
from typing_extensions import TypedDict

from pegboard import Call, Group, ToolError, tool
from pegboard_awx.groups.local_playbooks import RUN_TIMEOUT, roots_of
from pegboard_awx.local import ansible
from pegboard_awx.local.ansible import SECONDS, Options, Played
from pegboard_awx.local.git import CREDENTIALS, Pushed, Repository
from pegboard_awx.local.playbooks import Playbook, Role, playbooks_in, roles_in
from pegboard_awx.local.registry import Project, Registry, check_name
from pegboard_awx.local.roots import Roots
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import brief, mapping, sequence

INVENTORIES = ("inventory", "inventory.yml", "inventory.yaml", "inventory.ini", "hosts", "hosts.yml", "hosts.ini")
"""What an inventory is called mostly."""


class Registered(TypedDict):
    """A project and where it is."""

    name: str
    path: str


class Removed(TypedDict):
    """A project that is known no more; its files stay."""

    removed: str


class Projects(TypedDict):
    """The projects there are."""

    items: list[Project]
    total: int


class Contents(TypedDict):
    """What can be run in a project."""

    playbooks: list[Playbook]
    roles: list[Role]


class Hosts(TypedDict):
    """The hosts and groups of an inventory."""

    groups: dict[str, dict[str, list[str]]]
    hosts: list[str]


@tool(destructive=False, idempotent=True, open_world=True)
def register_project(
    call: Call[Settings],
    name: str,
    path: str,
    scm_url: str | None = None,
    scm_branch: str | None = None,
    inventory: str | None = None,
    default_playbook: str | None = None,
    description: str | None = None,
    set_default: bool = False,
) -> Registered:
    """Give a project folder a name."""
    roots = roots_of(call)
    folder = roots.folder(path)
    if scm_url and CREDENTIALS.search(scm_url):
        raise ToolError("scm_url has a user or a password in it, which is not kept; leave it out")
    project: Any = brief(
        path=str(folder),
        scm_url=scm_url,
        scm_branch=scm_branch,
        inventory=ansible.inventory_of(roots, inventory, folder) and inventory,
        default_playbook=default_playbook and str(roots.file(default_playbook, within=folder).relative_to(folder)),
        description=description,
    )
    Registry(roots).change(lambda book: book.with_project(check_name(name), project, default=set_default))
    return {"name": name, "path": roots.shown(folder)}


@tool(destructive=True, idempotent=True, open_world=True)
def unregister_project(call: Call[Settings], name: str) -> Removed:
    """Forget a project's name; its files stay."""
    Registry(roots_of(call)).change(lambda book: book.without(name))
    return {"removed": name}


@tool(read_only=True, open_world=True)
def list_registered_projects(call: Call[Settings]) -> Projects:
    """List the registered projects."""
    items = Registry(roots_of(call)).read().listed()
    return {"items": items, "total": len(items)}


@tool(read_only=True, open_world=True)
def project_playbooks(
    call: Call[Settings], project_name: str | None = None, project_path: str | None = None
) -> Contents:
    """List a project's playbooks and roles."""
    roots = roots_of(call)
    path = project_path or Registry(roots).read().named(project_name).get("path", "")
    folder = roots.folder(path)
    return {"playbooks": playbooks_in(roots, folder), "roles": roles_in(roots, folder)}


@tool(destructive=True, open_world=True, timeout=RUN_TIMEOUT)
async def project_run_playbook(
    call: Call[Settings],
    playbook: str,
    project_name: str | None = None,
    extra_vars: dict[str, Any] | None = None,
    limit: str | None = None,
    tags: list[str] | None = None,
    skip_tags: list[str] | None = None,
    check_mode: bool = True,
    verbose: Annotated[int, Field(ge=0, le=4)] = 0,
) -> Played:
    """Run a project's playbook with its inventory; a dry run unless check_mode is false."""
    roots = roots_of(call)
    project = await _project(roots, project_name)
    folder = roots.folder(project.get("path"))
    options = Options(
        inventory=project.get("inventory"),
        extra_vars=extra_vars,
        limit=limit,
        tags=tags or (),
        skip_tags=skip_tags or (),
        check=check_mode,
        verbose=verbose,
    )
    return await ansible.play(call, roots, folder, roots.file(playbook, within=folder), options, SECONDS)


@tool(destructive=True, open_world=True, timeout=RUN_TIMEOUT)
async def git_push_project(
    call: Call[Settings],
    project_name: str | None = None,
    commit_message: str | None = None,
    branch: str | None = None,
    add_all: bool = False,
) -> Pushed:
    """Commit what is staged in a project, or all with add_all, and push it to origin."""
    roots = roots_of(call)
    project = await _project(roots, project_name)
    repository = await Repository.of(call, roots, roots.folder(project.get("path")))
    message = commit_message or f"Update {project.get('name')}"
    return await repository.push(message, branch or project.get("scm_branch"), add_all)


@tool(read_only=True, open_world=True, timeout=RUN_TIMEOUT)
async def ansible_inventory(call: Call[Settings], inventory: str | None = None, workspace: str | None = None) -> Hosts:
    """Show an inventory's groups and hosts."""
    roots = roots_of(call)
    folder = roots.folder(workspace)
    chosen = inventory or next((name for name in INVENTORIES if (folder / name).exists()), None)
    if chosen is None:
        raise ToolError(f"{roots.shown(folder)} has none of {', '.join(INVENTORIES)}; name the inventory")
    found = await ansible.inventory_list(call, roots, folder, chosen)
    return _hosts(found)


async def _project(roots: Roots, name: str | None) -> Project:
    book = await anyio.to_thread.run_sync(Registry(roots).read)
    return book.named(name)


def _hosts(found: dict[str, Any]) -> Hosts:
    groups = {name: mapping(group) for name, group in found.items() if name != "_meta"}
    named = [str(host) for group in groups.values() for host in sequence(group.get("hosts"))]
    return {
        "groups": {
            name: brief(hosts=sequence(group.get("hosts")), children=sequence(group.get("children")))
            for name, group in groups.items()
        },
        "hosts": sorted(dict.fromkeys(named)),
    }


GROUP = Group(
    "local_projects",
    title="Ansible projects on this machine",
    tools=[
        register_project,
        unregister_project,
        list_registered_projects,
        project_playbooks,
        project_run_playbook,
        git_push_project,
        ansible_inventory,
    ],
    needs="local_roots",
)
