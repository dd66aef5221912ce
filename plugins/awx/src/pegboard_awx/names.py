"""Names for numbers: a thing is called by its id, its exact name, or `name++organization`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pegboard_awx.api import Api, Object, named
from pegboard_awx.failures import AwxError

SEPARATOR = "++"
CANDIDATES = 10
NEAR = 5


@dataclass(frozen=True, slots=True)
class Collection:
    """A list of things that have names: what one is called, the tool that lists them, and what a name may be told
    apart by, `name++organization` or `name++inventory++organization`."""

    noun: str
    lists: str | None = None
    parents: tuple[str, ...] = ("organization__name",)
    name: str = "name"


IN_INVENTORY = ("inventory__name", "inventory__organization__name")

COLLECTIONS: Mapping[str, Collection] = MappingProxyType(
    {
        "credential_types": Collection("credential type", "awx_list_credential_types", parents=()),
        "credentials": Collection("credential", "awx_list_credentials"),
        "execution_environments": Collection("execution environment", "awx_list_execution_environments", parents=()),
        "groups": Collection("group", "awx_list_groups", IN_INVENTORY),
        "hosts": Collection("host", "awx_list_hosts", IN_INVENTORY),
        "instance_groups": Collection("instance group", "awx_list_instance_groups", parents=()),
        "instances": Collection("instance", "awx_list_instances", (), "hostname"),
        "inventories": Collection("inventory", "awx_list_inventories"),
        "inventory_sources": Collection("inventory source", "awx_list_inventory_sources", IN_INVENTORY),
        "job_templates": Collection("job template", "awx_list_job_templates"),
        "labels": Collection("label"),
        "notification_templates": Collection("notification template", "awx_list_notification_templates"),
        "organizations": Collection("organization", "awx_list_organizations", parents=()),
        "projects": Collection("project", "awx_list_projects"),
        "role_definitions": Collection("role definition", "awx_list_role_definitions", parents=()),
        "schedules": Collection("schedule", "awx_list_schedules", ("unified_job_template__name",)),
        "system_job_templates": Collection("system job template", parents=()),
        "teams": Collection("team", "awx_list_teams"),
        "unified_job_templates": Collection("template", "awx_search_templates"),
        "users": Collection("user", "awx_list_users", (), "username"),
        "workflow_job_templates": Collection("workflow template", "awx_list_workflow_job_templates"),
    }
)
"""By the segment of the path."""


async def resolve(api: Api, collection: str, ref: int | str, *, within: Mapping[str, Any] | None = None) -> int:
    """The id of what `ref` means: a number, an exact name, or a name with what tells it apart.

    `within` are filters that hold too (`{"inventory": 3}`). A number is believed. Raises `AwxError`: "not_found" with
    names that are near, "validation" with the candidates when several have the name.
    """
    text = str(ref).strip()
    if text.isascii() and text.isdecimal():
        return int(text)
    return int((await find(api, collection, text, within=within))["id"])


async def find(api: Api, collection: str, name: str, *, within: Mapping[str, Any] | None = None) -> Object:
    """The one object with this exact name; raises `AwxError` like `resolve`."""
    kind = COLLECTIONS[collection]
    for filters in _readings(kind, name):
        found = await api.page(collection, params={**filters, **(within or {}), "order_by": "id"}, size=CANDIDATES)
        if len(found.items) == 1:
            return found.items[0]
        if found.items:
            raise _ambiguous(kind, name, found.items, found.total)
    raise await _missing(api, collection, kind, name)


def _readings(kind: Collection, name: str) -> list[dict[str, str]]:
    """What a name can mean: with `++`, a name and its parents, or a name that just has a `++` in it."""
    first, *rest = name.split(SEPARATOR)
    whole = {kind.name: name}
    if not rest or len(rest) > len(kind.parents) or not first:
        return [whole]
    return [{kind.name: first, **dict(zip(kind.parents, rest, strict=False))}, whole]


def _ambiguous(kind: Collection, name: str, items: Sequence[Object], total: int | None) -> AwxError:
    candidates = [{"id": item["id"], "name": item[kind.name], "in": _place(item)} for item in items]
    shown = ", ".join(f"{one['id']} ({one['in']})" if one["in"] else str(one["id"]) for one in candidates)
    return AwxError(
        "validation",
        f"{total or len(items)} {kind.noun}s are called {name!r}: {shown}",
        hint=f"use the number, or {'name++' + '++'.join(_words(kind)) if kind.parents else 'another name'}",
        fields={"candidates": candidates},
    )


async def _missing(api: Api, collection: str, kind: Collection, name: str) -> AwxError:
    first = name.split(SEPARATOR)[0]
    near = await api.page(collection, params={f"{kind.name}__icontains": first, "order_by": kind.name}, size=NEAR)
    names = [str(item[kind.name]) for item in near.items]
    listed = f"{kind.lists} lists them" if kind.lists else "use the number"
    hint = f"did you mean {', '.join(repr(one) for one in names)}?" if names else listed
    return AwxError("not_found", f"there is no {kind.noun} {name!r}", hint=hint, fields={"near": names})


def _place(item: Object) -> str | None:
    for parent in ("inventory", "organization", "unified_job_template"):
        if found := named(item, parent):
            return str(found)
    return None


def _words(kind: Collection) -> list[str]:
    return [parent.removesuffix("__name").rpartition("__")[2] for parent in kind.parents]
