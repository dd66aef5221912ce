"""Updates of inventory sources: all those of an inventory, started once and waited for."""

from collections.abc import Mapping, Sequence

from typing_extensions import TypedDict

from pegboard import Call
from pegboard_awx.api import Api, Object
from pegboard_awx.failures import AwxError
from pegboard_awx.runs import Run
from pegboard_awx.settings import Settings
from pegboard_awx.waiting import wait as wait_for

MOST_SOURCES = 50
"""Sources of one inventory that are told by name."""


class Update(TypedDict):
    """The job that brings one source up to date."""

    source_id: int
    source: str
    update_id: int
    status: str


class Synchronized(TypedDict, total=False):
    """The jobs of an inventory's sources."""

    updates: list[Update]
    warnings: list[str]
    next: str


async def synchronize(call: Call[Settings], api: Api, inventory: int, *, wait: bool) -> Synchronized:
    """Update an inventory from all its sources, and wait for that as long as the call may.

    Raises `AwxError`: "not_allowed_now" where there is nothing to update it from, `unsure` when the answer was lost.
    """
    sources = await _updatable(api, inventory)
    started = await _start_all(api, inventory)
    updates = [_update(sources, one) for one in started if one.get("inventory_update")]
    refused = [_refused(sources, one) for one in started if not one.get("inventory_update")]
    return _told(await _waited(call, api, updates) if wait else updates, refused)


async def _updatable(api: Api, inventory: int) -> Mapping[int, str]:
    """The names of the inventory's sources by id; raises `AwxError` when none of them can be updated now."""
    able = await api.get("inventories", inventory, "update_inventory_sources")
    found = await api.page("inventories", inventory, "inventory_sources", size=MOST_SOURCES)
    if any(one["can_update"] for one in able):
        return {item["id"]: item["name"] for item in found.items}
    if able:
        names = ", ".join(repr(item["name"]) for item in found.items)
        raise AwxError("not_allowed_now", f"none of the sources of inventory {inventory} can be updated: {names}")
    raise AwxError(
        "not_allowed_now",
        f"inventory {inventory} has no sources, so there is nothing to update it from",
        hint="awx_create_inventory_source makes one; hosts made by hand need no update",
    )


async def _start_all(api: Api, inventory: int) -> Sequence[Object]:
    """Start the updates, once; a lost answer says where to look."""
    try:
        return await api.post("inventories", inventory, "update_inventory_sources")
    except AwxError as error:
        if not error.unsure:
            raise
        hint = (
            "the updates may run all the same: awx_list_inventory_sources shows their status; do not repeat it before"
        )
        raise AwxError(error.kind, error.message, hint=hint, status=error.status, unsure=True) from error


def _update(sources: Mapping[int, str], started: Object) -> Update:
    source = started["inventory_source"]
    return {
        "source_id": source,
        "source": sources.get(source, str(source)),
        "update_id": started["inventory_update"],
        "status": started["status"],
    }


def _refused(sources: Mapping[int, str], refused: Object) -> str:
    source = refused["inventory_source"]
    return f"source {sources.get(source, source)!r} ({source}) was not updated: {refused.get('status')}"


async def _waited(call: Call[Settings], api: Api, updates: Sequence[Update]) -> list[Update]:
    """The same updates with how they ended, or how they stand when the call has no more time."""
    return [
        {**one, "status": (await wait_for(call, api, Run("inventory_update", one["update_id"]))).job["status"]}
        for one in updates
    ]


def _told(updates: list[Update], warnings: list[str]) -> Synchronized:
    told: Synchronized = {"updates": updates}
    if warnings:
        told["warnings"] = warnings
    for one in updates:
        if one["status"] in ("failed", "error"):
            return {**told, "next": f"awx_get_inventory_update(update_id={one['update_id']}, include_output=true)"}
        if one["status"] not in ("successful", "canceled"):
            return {**told, "next": Run("inventory_update", one["update_id"]).next_wait}
    return told
