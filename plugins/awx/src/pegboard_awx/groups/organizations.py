"""Group organizations: who owns what."""

from collections.abc import Mapping
from typing import Any, Literal

from typing_extensions import TypedDict

from pegboard import Call, Group, tool
from pegboard_awx.api import Api, Object, named
from pegboard_awx.changing import Changed, change
from pegboard_awx.creating import create
from pegboard_awx.deleting import Deleted, would_delete
from pegboard_awx.failures import AwxError
from pegboard_awx.names import resolve
from pegboard_awx.people import foretold, member, some, team
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import Detail, Listing, PageNumber, PageSize, brief, by_detail, finding, listed, moment
from pegboard_awx.usage import usage

GOES = ("inventories", "hosts", "teams", "credentials", "execution_environments")
"""What AWX deletes with an organization, at once and without a word."""
STAYS = ("projects", "job_templates")
"""What is left without an organization."""
UNCOUNTED = {name: (name, "organization") for name in ("credentials", "execution_environments")}
"""What AWX does not count for an organization."""

MEMBERS: Mapping[str, tuple[str, str]] = {
    "admin": ("admins", "admins"),
    "member": ("members", "users"),
    "team": ("teams", "teams"),
}
"""By role: what is told, and the list of AWX."""


class OrganizationMade(TypedDict):
    """An organization that was made."""

    id: int
    name: str


@tool(read_only=True, open_world=True)
async def list_organizations(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
) -> Listing:
    """List organizations with counts of what they own."""

    api, params = await Api.of(call), finding(search, name_contains, order_by)
    return await listed(
        api,
        "organizations",
        params=params,
        page=page,
        page_size=page_size,
        summarize=by_detail(detail, _organization, _details),
    )


@tool(read_only=True, open_world=True)
async def get_organization(call: Call[Settings], organization_id: int | str) -> dict[str, Any]:
    """Show an organization."""
    api = await Api.of(call)
    item = await api.get("organizations", await resolve(api, "organizations", organization_id))
    galaxy = [one["name"] async for one in api.all("organizations", item["id"], "galaxy_credentials", most=20)]
    environment = named(item, "default_environment")
    return {
        **_organization(item),
        **_details(item),
        **brief(default_execution_environment=environment, galaxy_credentials=galaxy),
    }


@tool(destructive=False, open_world=True)
async def create_organization(
    call: Call[Settings], name: str, description: str | None = None, max_hosts: int | None = None
) -> OrganizationMade:
    """Create an organization."""
    body = {"name": name, "description": description, "max_hosts": max_hosts}
    made = await create(await Api.of(call), "organizations", body=body)
    return {"id": made["id"], "name": made["name"]}


@tool(destructive=False, idempotent=True, open_world=True)
async def update_organization(
    call: Call[Settings],
    organization_id: int | str,
    name: str | None = None,
    description: str | None = None,
    max_hosts: int | None = None,
) -> Changed:
    """Change an organization; max_hosts 0 is no limit."""
    api = await Api.of(call)
    wanted = {"name": name, "description": description, "max_hosts": max_hosts}
    return (await change(api, "organizations", await resolve(api, "organizations", organization_id), wanted)).told


@tool(destructive=True, idempotent=True, open_world=True, confirms=True)
async def delete_organization(
    call: Call[Settings], organization_id: int | str, dry_run: bool = False, with_contents: bool = False
) -> Deleted:
    """Delete an organization. Its inventories, teams and credentials go with it, at once.

    See them by dry_run; one that owns anything is only deleted with_contents.
    """
    api = await Api.of(call)
    item = await api.get("organizations", await resolve(api, "organizations", organization_id))
    goes, stays = await _contents(api, item)
    related = brief(deleted_with_it=goes, left_without_organization=stays)
    if dry_run:
        return await foretold(api, would_delete("organizations", item, related))
    if related and not with_contents:
        raise _not_empty(item, goes, stays)
    if call.writes == "confirm":
        await call.confirm(_question(call, item, goes, stays))
    await api.delete("organizations", item["id"])
    told: Deleted = {"deleted": True, "id": item["id"], "name": item["name"]}
    return {**told, "related": related} if related else told


@tool(read_only=True, open_world=True)
async def list_organization_members(
    call: Call[Settings], organization_id: int | str, role: Literal["member", "admin", "team"] | None = None
) -> dict[str, Any]:
    """List the admins, members and teams of an organization."""
    api = await Api.of(call)
    number = await resolve(api, "organizations", organization_id)
    told: dict[str, Any] = {"organization_id": number}
    warnings: list[str] = []
    for name, (word, path) in MEMBERS.items():
        if role in (None, name):
            found = await some(api, "organizations", number, path, summarize=team if name == "team" else member)
            told[word] = found.items
            warnings += found.warnings
    return {**told, **brief(warnings=warnings)}


def _organization(item: Object) -> dict[str, Any]:
    counts = {name: count for name, count in _counted(item).items() if count}
    return brief(id=item["id"], name=item["name"], counts=counts)


def _details(item: Object) -> dict[str, Any]:
    return brief(description=item["description"], max_hosts=item["max_hosts"] or None, created=moment(item["created"]))


def _counted(item: Object) -> dict[str, int]:
    return item["summary_fields"].get("related_field_counts", {})


async def _contents(api: Api, item: Object) -> tuple[dict[str, int], dict[str, int]]:
    """How much would be deleted with an organization, and how much would be left without one."""
    counts = {**_counted(item), **await usage(api, item["id"], UNCOUNTED)}
    goes, stays = ({name: counts[name] for name in names if counts.get(name)} for names in (GOES, STAYS))
    return goes, stays


def _not_empty(item: Object, goes: Mapping[str, int], stays: Mapping[str, int]) -> AwxError:
    message = f"organization {item['name']!r} ({item['id']}) is not empty, and AWX would {_effects(goes, stays)}"
    hint = "move or delete that first, or say with_contents=true if it shall go too"
    return AwxError("policy", message, hint=hint, fields={"deleted_with_it": goes, "left_without_organization": stays})


def _question(call: Call[Settings], item: Object, goes: Mapping[str, int], stays: Mapping[str, int]) -> str:
    effects = _effects(goes, stays)
    told = f" AWX will {effects}." if effects else ""
    return f"Delete the organization {item['name']!r} ({item['id']}) in {call.environment}?{told}"


def _effects(goes: Mapping[str, int], stays: Mapping[str, int]) -> str:
    parts = [f"delete its {_listed(goes)}"] if goes else []
    parts += [f"leave {_listed(stays)} without an organization"] if stays else []
    return " and ".join(parts)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} ({count})" for name, count in counts.items())


GROUP = Group(
    "organizations",
    title="Organizations",
    tools=[
        list_organizations,
        get_organization,
        create_organization,
        update_organization,
        delete_organization,
        list_organization_members,
    ],
)

ALIASES = {
    "organizations_list": "list_organizations",
    "organization_get": "get_organization",
}
"""Old names, without the prefix `awx_`."""
