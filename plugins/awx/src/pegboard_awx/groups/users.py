"""Group users: people who may log in."""

from typing import Any

from pydantic import SecretStr
from typing_extensions import TypedDict

from pegboard import Call, Group, tool
from pegboard_awx.api import Api, Object
from pegboard_awx.changing import Changed, Unseen, change
from pegboard_awx.creating import create
from pegboard_awx.deleting import Deleted, delete
from pegboard_awx.failures import AwxError
from pegboard_awx.names import find
from pegboard_awx.people import foretold, managed_by, organization, person, person_details, some, team
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import Detail, Listing, PageNumber, PageSize, brief, by_detail, listed

CANDIDATES = 10


class UserMade(TypedDict, total=False):
    """A user that was made."""

    id: int
    username: str
    organization: str
    warnings: list[str]


class Myself(TypedDict, total=False):
    """Who the tools work as, and what that allows."""

    id: int
    username: str
    name: str
    superuser: bool
    auditor: bool
    organizations: list[str]
    admin_of: list[str]
    can: dict[str, bool]
    warnings: list[str]


@tool(read_only=True, open_world=True)
async def list_users(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "username",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
    username: str | None = None,
    organization_id: int | None = None,
    is_superuser: bool | None = None,
) -> Listing:
    """List users, or the members of an organization."""
    params = {
        "search": search,
        "username__icontains": name_contains,
        "order_by": order_by,
        "username__iexact": username,
        "is_superuser": is_superuser,
    }

    path = ("users",) if organization_id is None else ("organizations", organization_id, "users")
    api = await Api.of(call)
    return await listed(
        api, *path, params=params, page=page, page_size=page_size, summarize=by_detail(detail, person, person_details)
    )


@tool(read_only=True, open_world=True)
async def get_user(call: Call[Settings], user_id: int) -> dict[str, Any]:
    """Show a user with teams and organizations."""
    api = await Api.of(call)
    return await _profile(api, await api.get("users", user_id))


@tool(read_only=True, open_world=True)
async def get_user_by_name(call: Call[Settings], username: str) -> dict[str, Any]:
    """Show the user with this username; case does not matter."""
    api = await Api.of(call)
    return await _profile(api, await _called(api, username.strip()))


@tool(destructive=False, open_world=True)
async def create_user(
    call: Call[Settings],
    username: str,
    password: SecretStr,
    first_name: str | None = None,
    last_name: str | None = None,
    email: str | None = None,
    is_superuser: bool = False,
    is_system_auditor: bool = False,
    organization_id: int | None = None,
) -> UserMade:
    """Create a user, as a member of an organization if you like."""
    api = await Api.of(call)
    home = None if organization_id is None else await api.get("organizations", organization_id)
    body = {
        "username": username,
        "password": password.get_secret_value(),
        "first_name": first_name,
        "last_name": last_name,
        "email": email,
        "is_superuser": is_superuser or None,
        "is_system_auditor": is_system_auditor or None,
    }
    made = await create(api, "users", body=body)
    told: UserMade = {"id": made["id"], "username": made["username"]}
    return told if home is None else {**told, **await _join(api, made["id"], home)}


@tool(destructive=False, idempotent=True, open_world=True)
async def update_user(
    call: Call[Settings],
    user_id: int,
    username: str | None = None,
    first_name: str | None = None,
    last_name: str | None = None,
    email: str | None = None,
    password: SecretStr | None = None,
    is_superuser: bool | None = None,
) -> Changed:
    """Change a user."""
    wanted = {
        "username": username,
        "first_name": first_name,
        "last_name": last_name,
        "email": email,
        "password": None if password is None else Unseen(password.get_secret_value()),
        "is_superuser": is_superuser,
    }
    made = await change(await Api.of(call), "users", user_id, wanted)
    told: Changed = {**made.told, "name": made.after["username"]}
    owner = managed_by(made.after)
    if owner is None or not told.get("changed"):
        return told
    warning = f"this user comes from {owner}, which decides about the password and may write the fields again"
    return {**told, "warnings": [*told.get("warnings", []), warning]}


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_user(call: Call[Settings], user_id: int, dry_run: bool = False) -> Deleted:
    """Delete a user; dry_run counts what they belong to."""
    api = await Api.of(call)
    me = await _me(api)
    if me["id"] == user_id:
        message = f"{me['username']!r} is the user these tools work as, and AWX lets nobody delete themselves"
        raise AwxError("permission", message, hint="another administrator can do it")
    teams, homes, roles = ("users", user_id, "teams"), ("users", user_id, "organizations"), ("users", user_id, "roles")
    told = await delete(api, "users", user_id, dry_run=dry_run, teams=teams, organizations=homes, roles=roles)
    return await foretold(api, told)


@tool(read_only=True, open_world=True)
async def get_current_user(call: Call[Settings]) -> Myself:
    """Show the user these tools work as, and what they may do."""
    api = await Api.of(call)
    me = await _me(api)
    homes = await some(api, "users", me["id"], "organizations", summarize=organization)
    ruled = await some(api, "users", me["id"], "admin_of_organizations", summarize=organization)
    told: Myself = {"id": me["id"], "username": me["username"]}
    told |= {"superuser": me["is_superuser"], "auditor": me["is_system_auditor"]}
    told |= {"organizations": _names(homes.items), "admin_of": _names(ruled.items)}
    told["can"] = _can(me, is_awx=(await api.place()).platform == "awx")
    warnings = [*homes.warnings, *ruled.warnings]
    return {**told, "warnings": warnings} if warnings else told


async def _me(api: Api) -> Object:
    """The user of the token; AWX answers with a list of one."""
    return (await api.get("me"))["results"][0]


async def _profile(api: Api, user: Object) -> dict[str, Any]:
    teams = await some(api, "users", user["id"], "teams", summarize=team)
    homes = await some(api, "users", user["id"], "organizations", summarize=organization)
    return {
        **person(user),
        **person_details(user),
        "teams": teams.items,
        "organizations": homes.items,
        **brief(warnings=[*teams.warnings, *homes.warnings]),
    }


async def _called(api: Api, username: str) -> Object:
    """The one user with this name; of several that differ in case only, the one that is written so."""
    found = (await api.page("users", params={"username__iexact": username}, size=CANDIDATES)).items
    exact = [user for user in found if user["username"] == username]
    if exact or len(found) == 1:
        return (exact or found)[0]
    if not found:
        return await find(api, "users", username)
    names = ", ".join(repr(user["username"]) for user in found)
    raise AwxError(
        "validation", f"several users are called {username!r}: {names}", hint="write it in one of these ways"
    )


async def _join(api: Api, user: int, home: Object) -> UserMade:
    """Make a new user a member. The user is there already, so a refusal is only a warning."""
    try:
        await api.associate("organizations", home["id"], "users", id=user)
    except AwxError as error:
        return {"warnings": [f"the user was created, but is not a member of {home['name']!r}: {error}"]}
    return {"organization": home["name"]}


def _names(items: list[dict[str, Any]]) -> list[str]:
    return [item["name"] for item in items]


def _can(user: Object, *, is_awx: bool) -> dict[str, bool]:
    """What a user may do everywhere; the rest depends on roles of single things."""
    return {
        "read_everything": user["is_superuser"] or user["is_system_auditor"],
        "change_everything": user["is_superuser"],
        "create_organizations": user["is_superuser"] and is_awx,
    }


GROUP = Group(
    "users",
    title="Users",
    tools=[list_users, get_user, get_user_by_name, create_user, update_user, delete_user, get_current_user],
)

ALIASES: dict[str, str] = {}
"""Old names, without the prefix `awx_`."""
