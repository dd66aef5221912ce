"""Group access: teams, and who may do what with which object."""

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from pegboard import Call, Group, tool
from pegboard_awx.api import Api, Object
from pegboard_awx.associating import Associated, associate
from pegboard_awx.creating import create
from pegboard_awx.deleting import Deleted, delete
from pegboard_awx.failures import AwxError
from pegboard_awx.names import resolve
from pegboard_awx.people import foretold, team
from pegboard_awx.roles import Holder, Thing, access, entries, find_role, model_of, type_of
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import Detail, Listing, PageNumber, PageSize, brief, finding, listed, moment

SHOWN_PERMISSIONS = 6

ObjectType = Annotated[str, Field(description="Like job_template or inventory.")]
RoleName = Annotated[str, Field(description="Like Execute, Use, Admin.")]


class TeamMade(TypedDict):
    """A team that was made."""

    id: int
    name: str


class Access(TypedDict):
    """Who may do what with an object, and the roles it has to give."""

    object: str
    roles: list[str]
    access: list[dict[str, Any]]


class Granted(TypedDict):
    """A role that was given."""

    granted: bool
    role: str
    object: str
    to: str


RevokedFrom = TypedDict("RevokedFrom", {"from": str})


class Revoked(RevokedFrom, total=False):
    """A role that was taken away, and what is left."""

    revoked: bool
    role: str
    object: str
    warnings: list[str]


@tool(read_only=True, open_world=True)
async def list_teams(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
    organization_id: int | str | None = None,
) -> Listing:
    """List teams."""
    api = await Api.of(call)
    home = None if organization_id is None else await resolve(api, "organizations", organization_id)
    params = {**finding(search, name_contains, order_by), "organization": home}

    def summarize(item: Object) -> dict[str, Any]:
        more = brief(description=item["description"], created=moment(item["created"])) if detail == "full" else {}
        return {**team(item), **more}

    return await listed(api, "teams", params=params, page=page, page_size=page_size, summarize=summarize)


@tool(destructive=False, open_world=True)
async def create_team(
    call: Call[Settings], name: str, organization_id: int | str, description: str | None = None
) -> TeamMade:
    """Create a team."""
    api = await Api.of(call)
    home = await resolve(api, "organizations", organization_id)
    body = {"name": name, "organization": home, "description": description}
    made = await create(api, "teams", body=body, within={"organization": home})
    return {"id": made["id"], "name": made["name"]}


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_team(call: Call[Settings], team_id: int | str, dry_run: bool = False) -> Deleted:
    """Delete a team; its members lose the roles they have through it."""
    api = await Api.of(call)
    number = await resolve(api, "teams", team_id)
    users, roles = ("teams", number, "users"), ("teams", number, "roles")
    return await foretold(api, await delete(api, "teams", number, dry_run=dry_run, users=users, roles=roles))


@tool(destructive=False, idempotent=True, open_world=True)
async def set_team_members(
    call: Call[Settings],
    team_id: int | str,
    add: list[int | str] | None = None,
    remove: list[int | str] | None = None,
) -> Associated:
    """Put users into a team and take others out, by id or username."""
    api = await Api.of(call)
    path = ("teams", await resolve(api, "teams", team_id), "users")
    return await associate(api, *path, collection="users", add=add, remove=remove)


@tool(read_only=True, open_world=True)
async def list_object_access(call: Call[Settings], object_type: ObjectType, object_id: int) -> Access:
    """List who has which role on an object, and through what."""
    api = await Api.of(call)
    thing = await Thing.of(api, object_type, object_id)
    found = [entry async for entry in access(api, thing)]
    return {"object": str(thing), "roles": [role["name"] for role in thing.roles.values()], "access": found}


@tool(destructive=False, idempotent=True, open_world=True)
async def grant_role(
    call: Call[Settings],
    object_type: ObjectType,
    object_id: int,
    role: RoleName,
    user_id: int | None = None,
    team_id: int | None = None,
) -> Granted:
    """Give a user or a team a role on an object."""
    api = await Api.of(call)
    thing = await Thing.of(api, object_type, object_id)
    given, holder = await find_role(api, thing, role), await Holder.of(api, user_id, team_id)
    await given.grant(api, thing, holder)
    return {"granted": True, "role": given.name, "object": str(thing), "to": str(holder)}


@tool(destructive=True, idempotent=True, open_world=True)
async def revoke_role(
    call: Call[Settings],
    object_type: ObjectType,
    object_id: int,
    role: RoleName,
    user_id: int | None = None,
    team_id: int | None = None,
) -> Revoked:
    """Take a role on an object from a user or a team; tells what access is left."""
    api = await Api.of(call)
    thing = await Thing.of(api, object_type, object_id)
    taken, holder = await find_role(api, thing, role), await Holder.of(api, user_id, team_id)
    is_gone = await taken.revoke(api, thing, holder)
    told: Revoked = {"revoked": is_gone, "role": taken.name, "object": str(thing), "from": str(holder)}
    warnings = await _left(api, thing, holder) if is_gone else [f"{holder} did not have it"]
    return {**told, "warnings": warnings} if warnings else told


@tool(read_only=True, open_world=True)
async def list_role_definitions(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
    content_type: Annotated[str, Field(description="Like job_template.")] | None = None,
) -> Listing:
    """List roles that are defined for types of objects."""
    model = None if content_type is None else model_of(type_of(content_type))
    params = {**finding(search, name_contains, order_by), "content_type__model": model}

    def summarize(item: Object) -> dict[str, Any]:
        return _definition(item) if detail == "summary" else {**_definition(item), **_definition_details(item)}

    api = await Api.of(call)
    return await listed(api, "role_definitions", params=params, page=page, page_size=page_size, summarize=summarize)


async def _left(api: Api, thing: Thing, holder: Holder) -> list[str]:
    """What a user may still do with an object, through a team or an organization; a look that fails is no failure."""
    if holder.type == "team":
        return []
    try:
        user = await api.first(*thing.path, "access_list", params={"id": holder.id})
    except AwxError:
        return ["what access is left could not be read; awx_list_object_access shows it"]
    left = [] if user is None else entries(thing, user)
    return [f"{holder} still has " + " via ".join([one["role"], *_through(one)]) for one in left]


def _through(entry: dict[str, str]) -> list[str]:
    return [entry["via"]] if "via" in entry else []


def _definition(item: Object) -> dict[str, Any]:
    permissions = [name.rpartition(".")[2] for name in item["permissions"]]
    more = len(permissions) - SHOWN_PERMISSIONS
    shown = [*permissions[:SHOWN_PERMISSIONS], f"and {more} more"] if more > 0 else permissions
    return brief(id=item["id"], name=item["name"], content_type=item["content_type"], permissions=shown)


def _definition_details(item: Object) -> dict[str, Any]:
    return brief(
        permissions=item["permissions"],
        description=item["description"],
        managed=item["managed"],
        created=moment(item["created"]),
    )


GROUP = Group(
    "access",
    title="Teams and roles",
    tools=[
        list_teams,
        create_team,
        delete_team,
        set_team_members,
        list_object_access,
        grant_role,
        revoke_role,
        list_role_definitions,
    ],
)

ALIASES: dict[str, str] = {}
"""Old names, without the prefix `awx_`."""
