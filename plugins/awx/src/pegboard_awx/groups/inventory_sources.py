"""Group inventory_sources: where inventories get their hosts from."""

from typing import Any

from typing_extensions import TypedDict

from pegboard import Call, Group, tool
from pegboard_awx.allowed import permit_inventory
from pegboard_awx.api import Api, Object, named
from pegboard_awx.changing import written
from pegboard_awx.creating import create
from pegboard_awx.deleting import Deleted, delete
from pegboard_awx.failures import AwxError
from pegboard_awx.launching import start
from pegboard_awx.names import resolve
from pegboard_awx.output import tail
from pegboard_awx.runs import Run, Shown, shown
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
from pegboard_awx.waiting import WAIT_TIMEOUT, Result, handle, outcome

TAIL = 40
"""Lines of an update's output that are shown."""


class SourceMade(TypedDict):
    """A source that was made; its hosts come with its first update."""

    id: int
    name: str
    source: str
    inventory: str
    next: str


class InventoryUpdate(Shown, total=False):
    """An update of a source."""

    source: str
    output_tail: str


@tool(read_only=True, open_world=True)
async def list_inventory_sources(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
    inventory_id: int | str | None = None,
) -> Listing:
    """List inventory sources and how their last update went."""

    api = await Api.of(call)
    path = ("inventory_sources",)
    if inventory_id is not None:
        path = ("inventories", await resolve(api, "inventories", inventory_id), "inventory_sources")
    params = finding(search, name_contains, order_by)
    return await listed(
        api, *path, params=params, page=page, page_size=page_size, summarize=by_detail(detail, _source, _details)
    )


@tool(destructive=False, open_world=True)
async def create_inventory_source(
    call: Call[Settings],
    inventory_id: int | str,
    name: str,
    source: str,
    source_project_id: int | None = None,
    source_path: str | None = None,
    credential_id: int | None = None,
    source_vars: dict[str, Any] | None = None,
    overwrite: bool = False,
    update_on_launch: bool = False,
) -> SourceMade:
    """Create a source: scm needs a project and a path in it, clouds like ec2 need a credential.

    overwrite lets an update delete hosts that the source no longer has.
    """
    api = await Api.of(call)
    inventory = await resolve(api, "inventories", inventory_id)
    body = {
        "inventory": inventory,
        "name": name,
        "source": source,
        "source_project": source_project_id,
        "source_path": source_path,
        "credential": credential_id,
        "source_vars": written(source_vars),
        "overwrite": overwrite,
        "update_on_launch": update_on_launch,
    }
    made = await create(api, "inventory_sources", body=body, within={"inventory": inventory})
    then = f"awx_sync_inventory_source(source_id={made['id']}) brings its hosts"
    return {
        "id": made["id"],
        "name": made["name"],
        "source": made["source"],
        "inventory": named(made, "inventory"),
        "next": then,
    }


@tool(destructive=False, open_world=True, timeout=WAIT_TIMEOUT)
async def sync_inventory_source(call: Call[Settings], source_id: int, wait: bool = False) -> Result:
    """Update an inventory from one source. wait: until it is done, or in time with what to call."""
    api = await Api.of(call)
    source = await api.get("inventory_sources", source_id)
    await permit_inventory(call, api, source["inventory"], named(source, "inventory"))
    if not (await api.get("inventory_sources", source_id, "update"))["can_update"]:
        raise AwxError("not_allowed_now", f"the source {source['name']!r} ({source_id}) cannot be updated")
    path = ("inventory_sources", source_id, "update")
    started = await start(call, api, path, {}, "inventory_update", within={"inventory_source": source_id})
    if wait:
        return await outcome(call, api, started.run, warnings=started.warnings)
    return await handle(api, started.run, started.job, started.warnings)


@tool(read_only=True, open_world=True)
async def get_inventory_update(call: Call[Settings], update_id: int, include_output: bool = False) -> InventoryUpdate:
    """Show an update of an inventory source, with the end of its output if you like."""
    api = await Api.of(call)
    run = Run("inventory_update", update_id)
    job = await api.get(*run.path)
    told: InventoryUpdate = {**await shown(api, job), "source": named(job, "inventory_source") or ""}
    return {**told, "output_tail": (await tail(api, run, TAIL)).text} if include_output else told


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_inventory_source(call: Call[Settings], source_id: int, dry_run: bool = False) -> Deleted:
    """Delete an inventory source; the hosts it brought stay."""
    below = {name: ("inventory_sources", source_id, name) for name in ("schedules", "inventory_updates")}
    kept = ("inventory_sources", source_id, "hosts")
    return await delete(await Api.of(call), "inventory_sources", source_id, dry_run=dry_run, **below, hosts_kept=kept)


def _source(item: Object) -> dict[str, Any]:
    return brief(
        id=item["id"],
        name=item["name"],
        inventory=named(item, "inventory"),
        source=item["source"],
        source_path=item["source_path"],
        status=item["status"],
        last_updated=moment(item["last_updated"]),
        last_update_failed=item["last_update_failed"],
        update_on_launch=item["update_on_launch"],
    )


def _details(item: Object) -> dict[str, Any]:
    return brief(
        description=item["description"],
        project=named(item, "source_project"),
        overwrite=item["overwrite"],
        overwrite_vars=item["overwrite_vars"],
        source_vars=variables(item["source_vars"]),
        limit=item["limit"],
        next_update=moment(item["next_job_run"]),
    )


GROUP = Group(
    "inventory_sources",
    title="Inventory sources",
    tools=[
        list_inventory_sources,
        create_inventory_source,
        sync_inventory_source,
        get_inventory_update,
        delete_inventory_source,
    ],
)

ALIASES: dict[str, str] = {}
"""Old names, without the prefix `awx_`; there are none."""
