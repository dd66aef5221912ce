"""People: organizations, teams and users, and the tokens they come with."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from pegboard_awx.double.kinds import Row
from pegboard_awx.double.refusals import bad_field, forbidden
from pegboard_awx.double.resources import Resource, Values, tables
from pegboard_awx.double.routes import Table
from pegboard_awx.double.sublists import Linked, Related, activity_of, note_link, wanted
from pegboard_awx.double.sublists import tables as sublists
from pegboard_awx.double.visits import Reply, Visit

SCOPES = frozenset({"read", "write"})
LIFETIME = timedelta(days=365_000)


def _prepare_user(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    password = values.pop("password", None)
    if row is None and not password:
        raise bad_field("password", "Password required for new User.")
    if not visit.rights.all and (values.get("is_superuser") or values.get("is_system_auditor")):
        raise forbidden()
    if password and password != "$encrypted$":  # noqa: S105 # what AWX shows for one
        values["_password"] = password


def _remove_user(visit: Visit, row: Row) -> None:
    if row["id"] == visit.user["id"]:
        raise forbidden("Cannot delete user.")


def _remove_organization(visit: Visit, row: Row) -> None:
    """With an organization goes what belongs to it; its templates and projects stay, orphaned."""
    store = visit.store
    for inventory in list(store.where("inventories", organization=row["id"])):
        for collection in ("hosts", "groups", "inventory_sources"):
            for one in list(store.where(collection, inventory=inventory["id"])):
                store.remove(one)
        visit.world.remove(inventory, visit.user)
    for collection in ("teams", "credentials", "execution_environments"):
        for one in list(store.where(collection, organization=row["id"])):
            visit.world.remove(one, visit.user)
    for collection in ("projects", "job_templates", "workflow_job_templates"):
        for one in store.where(collection, organization=row["id"]):
            one["organization"] = None


ORGANIZATIONS = Resource("organizations", order="name", removing=_remove_organization)
USERS = Resource("users", order="username", prepare=_prepare_user, removing=_remove_user)
TEAMS = Resource("teams", order="name")


def _members(role: str, owner: str) -> dict[tuple[str, str], Any]:
    """The list of people who have a role of an organization or a team."""
    name = {"member_role": "users", "admin_role": "admins"}[role]

    def get(visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
        row = visit.row(owner, id)
        return visit.listing("users", visit.store.linked(visit.world.role(row, role), "users"), order="username")

    def post(visit: Visit, id: int) -> Reply:  # noqa: A002
        row = visit.row(owner, id, "edit")
        user = wanted(visit, "users")
        leaving = bool(visit.body.get("disassociate"))
        (visit.store.unlink if leaving else visit.store.link)(visit.world.role(row, role), "users", user)
        note_link(visit, row, user, name, leaving=leaving)
        return Reply(204)

    path = f"{owner}/{{id}}/{name}/"
    return {("GET", path): get, ("POST", path): post}


def _with_role(collection: str, *roles: str) -> Any:
    """The organizations or teams in which a user has one of these roles."""

    def found(visit: Visit, row: Row) -> Iterable[Row]:
        held = visit.store.linking("roles", "users", row)
        ids = {role["_of"][1] for role in held if role["_of"][0] == collection and role["_name"] in roles}
        return [one for one in visit.store.all(collection) if one["id"] in ids]

    return found


def _teams_of(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.where("teams", organization=row["id"])


def me(visit: Visit) -> Reply:
    """Answer `me/`: a list of one."""
    return visit.listing("users", [visit.user])


def make_token(visit: Visit, user: Row | None = None) -> Reply:
    """Make a token; this answer is the only one that shows it."""
    scope = str(visit.body.get("scope", "write"))
    if not scope or not set(scope.split()) <= SCOPES:
        raise bad_field("scope", "Must be a simple space-separated string with allowed scopes ['read', 'write'].")
    owner = visit.user if user is None else user
    text = visit.world.unique("token", owner["id"], visit.world.now()).replace("-", "")
    row = visit.world.make(
        "tokens",
        visit.user,
        description=str(visit.body.get("description", "")),
        user=owner["id"],
        scope=scope,
        expires=visit.world.now() + LIFETIME,
        _token=text,
    )
    return Reply(201, {**visit.show(row), "token": text}, headers={"Location": visit.renderer.url(row)})


def _personal_token(visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
    user = visit.row("users", id)
    if user["id"] != visit.user["id"] and not visit.rights.all:
        raise forbidden()
    return make_token(visit, user)


def _tokens_of(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.where("tokens", user=row["id"])


TOKENS = Resource("tokens", "GET PUT PATCH DELETE")

ROUTES: Table = {
    ("GET", "me/"): me,
    **tables([ORGANIZATIONS, USERS, TEAMS]),
    **_members("member_role", "organizations"),
    **_members("admin_role", "organizations"),
    **_members("member_role", "teams"),
    **sublists(
        [
            Related("organizations", "teams", "teams", _teams_of, "name"),
            Linked("organizations", "galaxy_credentials"),
            Related("users", "organizations", "organizations", _with_role("organizations", "member_role"), "name"),
            Related(
                "users", "admin_of_organizations", "organizations", _with_role("organizations", "admin_role"), "name"
            ),
            Related("users", "teams", "teams", _with_role("teams", "member_role", "admin_role"), "name"),
            *(activity_of(owner) for owner in ("organizations", "users", "teams")),
        ]
    ),
}

TOKEN_ROUTES: Table = {
    ("POST", "tokens/"): make_token,
    **tables([TOKENS]),
    ("POST", "users/{id}/personal_tokens/"): _personal_token,
    **sublists(
        [Related("users", "personal_tokens", "tokens", _tokens_of), Related("users", "tokens", "tokens", _tokens_of)]
    ),
}
"""What AWX has and an Automation Platform has not."""
