"""Group hosts: single hosts, their facts, and groups of hosts."""

from typing import Any

from typing_extensions import TypedDict

from pegboard import Call, Group, tool
from pegboard_awx.api import Api, Object, named
from pegboard_awx.associating import Associated, associate
from pegboard_awx.changing import Changed, Variables, change, written
from pegboard_awx.creating import create
from pegboard_awx.deleting import Deleted, delete, would_delete
from pegboard_awx.failures import AwxError
from pegboard_awx.hosts import chosen_facts, host_details, host_summary, usual_facts
from pegboard_awx.lineage import Doomed, doomed_with
from pegboard_awx.names import resolve
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import (
    Detail,
    Listing,
    PageNumber,
    PageSize,
    brief,
    by_detail,
    finding,
    listed,
    moment,
    variables,
)


class Facts(TypedDict, total=False):
    """What Ansible found out about a host; empty where nothing has been cached."""

    host: str
    facts_modified: str | None
    facts: dict[str, Any]
    warnings: list[str]
    next: str


class GroupMade(TypedDict, total=False):
    """A group that was made."""

    id: int
    name: str
    inventory: str
    parent: str
    warnings: list[str]


@tool(read_only=True, open_world=True)
async def get_host(call: Call[Settings], host_id: int | str, inventory_id: int | None = None) -> dict[str, Any]:
    """Show a host, by id, name or name++inventory, with its variables and all its groups."""
    api = await Api.of(call)
    number = await resolve(api, "hosts", host_id, within=_within(inventory_id))
    item = await api.get("hosts", number)
    groups = [group["name"] async for group in api.all("hosts", number, "all_groups", most=200)]
    recent = [
        brief(id=job["id"], name=job["name"], status=job["status"], finished=moment(job["finished"]))
        for job in item["summary_fields"].get("recent_jobs", ())
    ]
    return {
        **host_summary(item),
        **host_details(item),
        **brief(all_groups=groups, recent_jobs=recent, facts_modified=moment(item["ansible_facts_modified"])),
    }


@tool(destructive=False, idempotent=True, open_world=True)
async def update_host(
    call: Call[Settings],
    host_id: int | str,
    description: str | None = None,
    variables: dict[str, Any] | None = None,
    merge_variables: bool = True,
    enabled: bool | None = None,
) -> Changed:
    """Change a host. Variables are merged into those it has; merge_variables=false replaces them."""
    api = await Api.of(call)
    new = Variables.of(variables, merge=merge_variables)
    wanted = {"description": description, "variables": new, "enabled": enabled}
    return (await change(api, "hosts", await resolve(api, "hosts", host_id), wanted)).told


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_host(call: Call[Settings], host_id: int | str, dry_run: bool = False) -> Deleted:
    """Delete a host from its inventory."""
    api = await Api.of(call)
    number = await resolve(api, "hosts", host_id)
    groups, runs = ("hosts", number, "groups"), ("hosts", number, "job_host_summaries")
    return await delete(api, "hosts", number, dry_run=dry_run, groups=groups, job_results=runs)


@tool(read_only=True, open_world=True)
async def get_host_facts(call: Call[Settings], host_id: int | str, keys: list[str] | None = None) -> Facts:
    """Show cached facts of a host: system, addresses, memory, disks; or those that match keys, like mem* or env."""
    api = await Api.of(call)
    host = await api.get("hosts", await resolve(api, "hosts", host_id))
    facts = await api.get("hosts", host["id"], "ansible_facts")
    told: Facts = {"host": host["name"], "facts_modified": moment(host["ansible_facts_modified"])}
    if not facts:
        hint = "nothing is cached; a job of a template with use_fact_cache that gathers facts fills it"
        return {**told, "facts": {}, "next": hint}
    if keys is None:
        return {**told, "facts": usual_facts(facts)}
    chosen, warnings = chosen_facts(facts, keys)
    return {**told, "facts": chosen, "warnings": warnings} if warnings else {**told, "facts": chosen}


@tool(read_only=True, open_world=True)
async def list_groups(
    call: Call[Settings],
    inventory_id: int | str,
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
) -> Listing:
    """List the groups of an inventory; detail=full adds variables."""

    api = await Api.of(call)
    path = ("inventories", await resolve(api, "inventories", inventory_id), "groups")
    params = finding(search, name_contains, order_by)
    return await listed(
        api, *path, params=params, page=page, page_size=page_size, summarize=by_detail(detail, _group, _group_details)
    )


@tool(destructive=False, open_world=True)
async def create_group(
    call: Call[Settings],
    inventory_id: int | str,
    name: str,
    description: str | None = None,
    variables: dict[str, Any] | None = None,
    parent_group_id: int | None = None,
) -> GroupMade:
    """Create a group of hosts, below another one if you like."""
    api = await Api.of(call)
    inventory = await resolve(api, "inventories", inventory_id)
    parent = await _parent(api, inventory, parent_group_id)
    body = {"name": name, "description": description, "variables": written(variables)}
    made = await create(api, "inventories", inventory, "groups", body=body, within={"inventory": inventory})
    told: GroupMade = {"id": made["id"], "name": made["name"], "inventory": named(made, "inventory")}
    if parent is None:
        return told
    try:
        await api.associate("groups", parent["id"], "children", id=made["id"])
    except AwxError as error:  # it is there already, so this is no failure of the whole
        return {**told, "warnings": [f"the group was created, but is not below {parent['name']!r}: {error}"]}
    return {**told, "parent": parent["name"]}


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_group(call: Call[Settings], group_id: int, dry_run: bool = False) -> Deleted:
    """Delete a group. Its hosts and child groups that are in no other group go with it: try dry_run first."""
    api = await Api.of(call)
    group = await api.get("groups", group_id)
    doomed = await doomed_with(api, group)
    if dry_run:
        return would_delete("groups", group, _related(doomed))
    told = await delete(api, "groups", group_id, dry_run=False)
    return {**told, "related": _related(doomed)} if _related(doomed) else told


@tool(destructive=False, idempotent=True, open_world=True)
async def set_group_hosts(
    call: Call[Settings],
    group_id: int,
    add: list[int | str] | None = None,
    remove: list[int | str] | None = None,
) -> Associated:
    """Put hosts (ids or names) into a group and take others out; they stay in the inventory."""
    api = await Api.of(call)
    inventory = (await api.get("groups", group_id))["inventory"]
    path, within = ("groups", group_id, "hosts"), {"inventory": inventory}
    return await associate(api, *path, collection="hosts", add=add, remove=remove, within=within)


def _within(inventory_id: int | None) -> dict[str, int] | None:
    return None if inventory_id is None else {"inventory": inventory_id}


def _group(item: Object) -> dict[str, Any]:
    return brief(id=item["id"], name=item["name"])


def _group_details(item: Object) -> dict[str, Any]:
    told = {"description": item["description"], "variables": variables(item["variables"])}
    return brief(**told, modified=moment(item["modified"]))


def _related(doomed: Doomed) -> dict[str, Any]:
    return brief(groups_deleted=doomed.groups, hosts_deleted=doomed.hosts, hosts_kept=doomed.kept or None)


async def _parent(api: Api, inventory: int, group_id: int | None) -> Object | None:
    """The group a new one is put below, found before anything is written."""
    if group_id is None:
        return None
    parent = await api.get("groups", group_id)
    if parent["inventory"] == inventory:
        return parent
    where = named(parent, "inventory") or parent["inventory"]
    message = f"the parent group {parent['name']!r} ({group_id}) is in another inventory, {where}"
    raise AwxError("validation", message, hint="a group and its parent must be in the same one")


GROUP = Group(
    "hosts",
    title="Hosts and groups",
    tools=[
        get_host,
        update_host,
        delete_host,
        get_host_facts,
        list_groups,
        create_group,
        delete_group,
        set_group_hosts,
    ],
)

ALIASES = {
    "inventory_host_delete": "delete_host",
    "inventory_groups_list": "list_groups",
    "inventory_group_create": "create_group",
    "inventory_group_delete": "delete_group",
}
"""Old names, without the prefix `awx_`."""
