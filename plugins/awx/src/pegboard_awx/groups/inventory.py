"""Group inventory: inventories and the hosts in them."""

from collections.abc import Mapping
from typing import Any, Literal

from typing_extensions import TypedDict

from pegboard import Call, Group, tool
from pegboard_awx.allowed import permit_inventory
from pegboard_awx.api import Api, Object, named
from pegboard_awx.changing import Changed, Variables, change, written
from pegboard_awx.creating import create
from pegboard_awx.deleting import Deleted, delete
from pegboard_awx.failures import AwxError
from pegboard_awx.hosts import host_details, host_summary
from pegboard_awx.names import resolve
from pegboard_awx.pages import page as page_of
from pegboard_awx.paths import Segment
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
    mapping,
    moment,
    variables,
)
from pegboard_awx.updates import MOST_SOURCES, Synchronized, synchronize
from pegboard_awx.waiting import WAIT_TIMEOUT


class Created(TypedDict, total=False):
    """What was made, and where people see it."""

    id: int
    name: str
    kind: str
    inventory: str
    groups: list[str]
    web_url: str
    warnings: list[str]


@tool(read_only=True, open_world=True)
async def list_inventories(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
    organization_id: int | None = None,
    kind: Literal["", "smart", "constructed"] | None = None,
) -> Listing:
    """List inventories; kind is empty for ordinary ones."""
    params = {**finding(search, name_contains, order_by), "organization": organization_id, "kind": kind}

    api = await Api.of(call)
    return await listed(
        api,
        "inventories",
        params=params,
        page=page,
        page_size=page_size,
        summarize=by_detail(detail, _inventory, _inventory_details),
    )


@tool(read_only=True, open_world=True)
async def get_inventory(call: Call[Settings], inventory_id: int | str) -> dict[str, Any]:
    """Show an inventory, by id, name or name++organization, with its variables and sources."""
    api = await Api.of(call)
    item = await api.get("inventories", await resolve(api, "inventories", inventory_id))
    return {
        **_inventory(item),
        **_inventory_details(item),
        **brief(variables=variables(item["variables"]), sources=await _sources(api, item)),
        "web_url": await _web_url(api, item),
    }


@tool(destructive=False, open_world=True)
async def create_inventory(
    call: Call[Settings],
    name: str,
    organization_id: int | str,
    description: str | None = None,
    variables: dict[str, Any] | None = None,
    kind: Literal["", "smart"] = "",
    host_filter: str | None = None,
) -> Created:
    """Create an inventory; a smart one needs host_filter, like name__startswith=web."""
    api = await Api.of(call)
    organization = await resolve(api, "organizations", organization_id)
    body = {
        "name": name,
        "organization": organization,
        "description": description,
        "variables": written(variables),
        "kind": kind,
        "host_filter": host_filter,
    }
    made = await create(api, "inventories", body=body, within={"organization": organization})
    told: Created = {"id": made["id"], "name": made["name"], "web_url": await _web_url(api, made)}
    return {**told, "kind": kind} if kind else told


@tool(destructive=False, idempotent=True, open_world=True)
async def update_inventory(
    call: Call[Settings],
    inventory_id: int | str,
    name: str | None = None,
    description: str | None = None,
    variables: dict[str, Any] | None = None,
    merge_variables: bool = True,
) -> Changed:
    """Change an inventory. Variables are merged into those it has; merge_variables=false replaces them."""
    api = await Api.of(call)
    wanted = {"name": name, "description": description, "variables": Variables.of(variables, merge=merge_variables)}
    return (await change(api, "inventories", await resolve(api, "inventories", inventory_id), wanted)).told


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_inventory(call: Call[Settings], inventory_id: int | str, dry_run: bool = False) -> Deleted:
    """Delete an inventory with its hosts, groups and sources. Try dry_run first: it counts them."""
    api = await Api.of(call)
    number = await resolve(api, "inventories", inventory_id)
    below: dict[str, tuple[Segment, ...]] = {
        name: ("inventories", number, name) for name in ("hosts", "groups", "inventory_sources")
    }
    templates = ("inventories", number, "job_templates")
    return await delete(api, "inventories", number, dry_run=dry_run, **below, templates_without_inventory=templates)


@tool(destructive=False, open_world=True, timeout=WAIT_TIMEOUT)
async def sync_inventory(call: Call[Settings], inventory_id: int | str, wait: bool = False) -> Synchronized:
    """Update an inventory from all its sources. wait: until they are done, or in time with what to call."""
    api = await Api.of(call)
    number = await resolve(api, "inventories", inventory_id)
    await permit_inventory(call, api, number)
    return await synchronize(call, api, number, wait=wait)


@tool(read_only=True, open_world=True)
async def list_hosts(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
    inventory_id: int | str | None = None,
    group_id: int | None = None,
    enabled: bool | None = None,
    failed_only: bool = False,
) -> Listing:
    """List hosts: all, of an inventory, or of a group with its child groups. failed_only: where the last job failed."""
    api = await Api.of(call)
    inventory = None if inventory_id is None else await resolve(api, "inventories", inventory_id)
    params = {
        **finding(search, name_contains, order_by),
        "inventory": inventory if group_id is not None else None,
        "enabled": enabled,
        "last_job_host_summary__failed": True if failed_only else None,
    }

    path = _hosts_path(inventory, group_id)
    return await listed(
        api,
        *path,
        params=params,
        page=page,
        page_size=page_size,
        summarize=by_detail(detail, host_summary, host_details),
    )


@tool(destructive=False, open_world=True)
async def create_host(
    call: Call[Settings],
    name: str,
    inventory_id: int | str,
    description: str | None = None,
    variables: dict[str, Any] | None = None,
    enabled: bool = True,
    groups: list[int | str] | None = None,
) -> Created:
    """Create a host in an inventory, and put it into groups (ids or names) that are there."""
    api = await Api.of(call)
    inventory = await resolve(api, "inventories", inventory_id)
    wanted = {one: await resolve(api, "groups", one, within={"inventory": inventory}) for one in groups or ()}
    body = {
        "name": name,
        "inventory": inventory,
        "description": description,
        "variables": written(variables),
        "enabled": enabled,
    }
    made = await create(api, "hosts", body=body, within={"inventory": inventory})
    joined, warnings = await _join(api, made["id"], wanted)
    told: Created = {"id": made["id"], "name": made["name"], "inventory": named(made, "inventory"), "groups": joined}
    return {**told, "warnings": warnings} if warnings else told


def _inventory(item: Object) -> dict[str, Any]:
    return brief(
        id=item["id"],
        name=item["name"],
        kind=item["kind"],
        organization=named(item, "organization"),
        total_hosts=item["total_hosts"],
        hosts_with_active_failures=item["hosts_with_active_failures"] or None,
        total_groups=item["total_groups"] or None,
        has_inventory_sources=item["has_inventory_sources"],
        sources_with_failures=item["inventory_sources_with_failures"] or None,
    )


def _inventory_details(item: Object) -> dict[str, Any]:
    return brief(
        description=item["description"],
        host_filter=item["host_filter"],
        labels=[one["name"] for one in mapping(item["summary_fields"].get("labels")).get("results", ())],
        pending_deletion=item["pending_deletion"],
        modified=moment(item["modified"]),
    )


def _hosts_path(inventory: int | None, group: int | None) -> tuple[Segment, ...]:
    """Where the hosts are listed. The hosts of a smart inventory are only found below it, not by a filter."""
    if group is not None:
        return "groups", group, "all_hosts"
    return ("hosts",) if inventory is None else ("inventories", inventory, "hosts")


async def _sources(api: Api, inventory: Object) -> list[dict[str, Any]]:
    if not inventory["has_inventory_sources"]:
        return []
    found = await api.page("inventories", inventory["id"], "inventory_sources", size=MOST_SOURCES)
    names = ("id", "name", "source", "status")
    return [{name: item[name] for name in names} for item in found.items]


async def _join(api: Api, host: int, groups: Mapping[int | str, int]) -> tuple[list[str], list[str]]:
    """Put a host into groups; the host is there already, so a group that refuses it is only a warning."""
    joined: list[str] = []
    warnings: list[str] = []
    for name, group in groups.items():
        try:
            await api.associate("groups", group, "hosts", id=host)
        except AwxError as error:
            warnings.append(f"the host was created, but is not in group {name!r}: {error}")
        else:
            joined.append(str(name))
    return joined, warnings


async def _web_url(api: Api, inventory: Object) -> str:
    """The page of an inventory for people."""
    is_platform = (await api.place()).platform == "aap"
    folder = ("infrastructure", "inventories") if is_platform else ("inventories",)
    kind = f"{inventory['kind']}_inventory" if inventory["kind"] else "inventory"
    return await page_of(api, *folder, kind, inventory["id"])


GROUP = Group(
    "inventory",
    title="Inventories and hosts",
    tools=[
        list_inventories,
        get_inventory,
        create_inventory,
        update_inventory,
        delete_inventory,
        sync_inventory,
        list_hosts,
        create_host,
    ],
)

ALIASES = {
    "inventories_list": "list_inventories",
    "inventory_create": "create_inventory",
    "inventory_delete": "delete_inventory",
    "inventory_hosts_list": "list_hosts",
    "inventory_host_create": "create_host",
}
"""Old names, without the prefix `awx_`."""
