"""Group local_playbooks: write, check and run playbooks on this machine. Opt-in: `local_roots` opens the folders."""

import re
from typing import Annotated, Any, Literal

import anyio.to_thread
from pydantic import Field
from typing_extensions import TypedDict

from pegboard import Call, Group, ToolError, tool
from pegboard_awx.local import ansible
from pegboard_awx.local.ansible import LONGEST, SECONDS, HostResult, Options, Played, Problem
from pegboard_awx.local.playbooks import (
    ROLE,
    SUFFIXES,
    Content,
    Playbook,
    Role,
    check_inert,
    playbooks_in,
    role_folder,
    roles_in,
)
from pegboard_awx.local.roots import Roots
from pegboard_awx.settings import Settings

FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
RUN_TIMEOUT = SECONDS + 5
PARTS = ("tasks", "handlers", "defaults", "vars", "meta", "templates", "files")
WITH_MAIN = ("tasks", "handlers", "defaults", "vars", "meta")

Seconds = Annotated[int, Field(ge=1, le=LONGEST)]


class Written(TypedDict):
    """A playbook that was written."""

    path: str
    plays: list[str]
    tasks: int


class Checked(TypedDict, total=False):
    """Whether a playbook is valid, what is wrong with it, and what ansible-lint advises where it is installed."""

    valid: bool
    errors: list[Problem]
    lint: list[Problem]


class Ran(TypedDict, total=False):
    """What a module did on each host."""

    rc: int
    results: list[HostResult]
    messages: str


class Created(TypedDict):
    """A role that was started."""

    path: str
    created: list[str]


class Playbooks(TypedDict):
    """The playbooks there are."""

    items: list[Playbook]
    total: int


class Roles(TypedDict):
    """The roles there are."""

    items: list[Role]
    total: int


@tool(destructive=True, open_world=True)
def create_playbook(
    call: Call[Settings],
    name: str,
    content: str | dict[str, Any] | list[dict[str, Any]],
    workspace: str | None = None,
    overwrite: bool = False,
) -> Written:
    """Write a playbook, given as YAML, one play, or a list of plays, into a workspace folder."""
    roots = roots_of(call)
    path = roots.folder(workspace) / _file_name(name)
    text = _text(content)
    playbook = Content.of(text)
    roots.write(path, text, overwrite=overwrite)
    return {"path": roots.shown(path), "plays": playbook.names, "tasks": playbook.tasks}


@tool(read_only=True, open_world=True, timeout=RUN_TIMEOUT)
async def validate_playbook(
    call: Call[Settings], playbook: str, workspace: str | None = None, inventory: str | None = None
) -> Checked:
    """Check a playbook's syntax, and lint it where ansible-lint is installed."""
    roots = roots_of(call)
    folder = roots.folder(workspace)
    path = roots.file(playbook, within=folder)
    folder = path.parent if workspace is None else folder
    await anyio.to_thread.run_sync(check_inert, roots, path)
    errors = await ansible.problems_of(call, roots, path, folder, inventory)
    if errors:
        return {"valid": False, "errors": errors}
    advice = await ansible.lint(call, roots, path, folder)
    return {"valid": True, "errors": []} if advice is None else {"valid": True, "errors": [], "lint": advice}


@tool(destructive=True, open_world=True, timeout=LONGEST + 5)
async def ansible_playbook(
    call: Call[Settings],
    playbook: str,
    workspace: str | None = None,
    inventory: str | None = None,
    extra_vars: dict[str, Any] | None = None,
    limit: str | None = None,
    tags: list[str] | None = None,
    skip_tags: list[str] | None = None,
    check_mode: bool = True,
    verbose: Annotated[int, Field(ge=0, le=4)] = 0,
    timeout_s: Seconds = int(SECONDS),
) -> Played:
    """Run a playbook on this machine; a dry run unless check_mode is false."""
    roots = roots_of(call)
    folder = roots.folder(workspace)
    path = roots.file(playbook, within=folder)
    options = Options(
        inventory=inventory,
        extra_vars=extra_vars,
        limit=limit,
        tags=tags or (),
        skip_tags=skip_tags or (),
        check=check_mode,
        verbose=verbose,
    )
    return await ansible.play(call, roots, path.parent if workspace is None else folder, path, options, timeout_s)


@tool(destructive=True, open_world=True, timeout=RUN_TIMEOUT)
async def ansible_task(
    call: Call[Settings],
    module: str,
    args: str | None = None,
    hosts: str = "localhost",
    inventory: str | None = None,
    extra_vars: dict[str, Any] | None = None,
    connection: str | None = None,
    become: bool = False,
) -> Ran:
    """Run one Ansible module."""
    options = Options(inventory=inventory, extra_vars=extra_vars, connection=connection, become=become)
    status, results, messages = await ansible.task(call, roots_of(call), module, args, hosts, options)
    if results or not messages:
        return {"rc": status, "results": results}
    return {"rc": status, "results": results, "messages": messages}


@tool(destructive=True, open_world=True, timeout=RUN_TIMEOUT)
async def ansible_role(
    call: Call[Settings],
    role: str,
    hosts: str = "localhost",
    workspace: str | None = None,
    inventory: str | None = None,
    extra_vars: dict[str, Any] | None = None,
    connection: str | None = None,
) -> Played:
    """Run one role of a workspace. This changes the hosts."""
    roots = roots_of(call)
    folder = roots.folder(workspace)
    path = await anyio.to_thread.run_sync(role_folder, roots, role, folder)
    options = Options(inventory=inventory, extra_vars=extra_vars, connection=connection)
    return await ansible.play_role(call, roots, folder, path, hosts, options)


@tool(destructive=False, open_world=True)
def create_role_structure(
    call: Call[Settings],
    name: str,
    workspace: str | None = None,
    include_dirs: list[Literal["tasks", "handlers", "defaults", "vars", "meta", "templates", "files"]] | None = None,
) -> Created:
    """Start a role: its folders, each with an empty main.yml where it has one."""
    roots = roots_of(call)
    if not ROLE.fullmatch(name):
        raise ToolError(f"{name!r} is no name of a role: use letters, digits, '_', '-' and '.'")
    role = roots.folder(workspace) / "roles" / name
    if role.exists():
        raise ToolError(f"there is {roots.shown(role)} already")
    created = [role / part for part in dict.fromkeys(include_dirs or PARTS)]
    for folder in created:
        roots.make(folder)
        if folder.name in WITH_MAIN:
            roots.write(folder / "main.yml", b"---\n")
    return {"path": roots.shown(role), "created": [folder.name for folder in created]}


@tool(read_only=True, open_world=True)
def list_playbooks(call: Call[Settings], workspace: str | None = None) -> Playbooks:
    """List playbooks and their plays."""
    roots = roots_of(call)
    folders = roots.folders if workspace is None else (roots.folder(workspace),)
    items = [item for folder in folders for item in playbooks_in(roots, folder)]
    return {"items": items, "total": len(items)}


@tool(read_only=True, open_world=True)
def list_roles(call: Call[Settings], workspace: str | None = None) -> Roles:
    """List roles."""
    roots = roots_of(call)
    folders = roots.folders if workspace is None else (roots.folder(workspace),)
    items = [item for folder in folders for item in roles_in(roots, folder)]
    return {"items": items, "total": len(items)}


def roots_of(call: Call[Settings]) -> Roots:
    """The folders that are open in the environment of this call."""
    return Roots.of(call.settings.local_roots)


def _file_name(name: str) -> str:
    if not FILE.fullmatch(name):
        raise ToolError(
            f"{name!r} is no name of a file: use letters, digits, '_', '-' and '.'; folders are `workspace`"
        )
    return name if name.endswith(SUFFIXES) else f"{name}.yml"


def _text(content: str | dict[str, Any] | list[dict[str, Any]]) -> bytes:
    if isinstance(content, str):
        return content.encode()
    from pegboard_awx.local.documents import dump

    return dump([content] if isinstance(content, dict) else content).encode()


GROUP = Group(
    "local_playbooks",
    title="Ansible on this machine",
    tools=[
        create_playbook,
        validate_playbook,
        ansible_playbook,
        ansible_task,
        ansible_role,
        create_role_structure,
        list_playbooks,
        list_roles,
    ],
    needs="local_roots",
)
