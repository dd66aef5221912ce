"""Access: roles and who has them."""

from collections.abc import Iterable, Mapping
from typing import Any

from pegboard_awx.double.kinds import Row, kinds
from pegboard_awx.double.refusals import bad_field, forbidden
from pegboard_awx.double.resources import Resource, Values, tables
from pegboard_awx.double.rights import OF_ORGANIZATION
from pegboard_awx.double.routes import Table
from pegboard_awx.double.store import kind_of
from pegboard_awx.double.sublists import Related, note_link, wanted
from pegboard_awx.double.sublists import tables as sublists
from pegboard_awx.double.visits import Reply, Visit
from pegboard_awx.double.world import World

CONTENT_TYPES = {
    "shared.organization": "organizations",
    "shared.team": "teams",
    "awx.credential": "credentials",
    "awx.instancegroup": "instance_groups",
    "awx.inventory": "inventories",
    "awx.jobtemplate": "job_templates",
    "awx.project": "projects",
    "awx.workflowjobtemplate": "workflow_job_templates",
}
VERBS = {
    "admin_role": ("change", "delete", "view"),
    "execute_role": ("execute", "view"),
    "use_role": ("use", "view"),
    "update_role": ("update", "view"),
    "adhoc_role": ("adhoc", "use", "view"),
    "approval_role": ("approve", "view"),
    "member_role": ("member", "view"),
}


def add_role_definitions(world: World) -> None:
    """Define the roles that come with AWX, as the newer API calls them."""
    for content_type, collection in CONTENT_TYPES.items():
        kind, app = kinds()[collection], content_type.partition(".")
        for role, verbs in VERBS.items():
            if role in kind.roles:
                world.store.add(
                    "role_definitions",
                    name=f"{kind.model} {kind.roles[role][0]}"
                    if collection != "teams"
                    else f"Team {kind.roles[role][0]}",
                    description=f"Has {role.removesuffix('_role')} permissions to a single {kind.words}",
                    content_type=content_type,
                    permissions=[f"{app[0]}.{verb}_{app[2]}" for verb in verbs],
                    managed=True,
                    _role=role,
                )


def _holders(name: str, collection: str) -> dict[tuple[str, str], Any]:
    def get(visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
        return visit.listing(collection, visit.store.linked(visit.row("roles", id), name))

    def post(visit: Visit, id: int) -> Reply:  # noqa: A002
        role = visit.row("roles", id)
        grant(visit, role, name, wanted(visit, collection))
        return Reply(204)

    return {("GET", f"roles/{{id}}/{name}/"): get, ("POST", f"roles/{{id}}/{name}/"): post}


def _roles_of(collection: str, name: str) -> dict[tuple[str, str], Any]:
    """The roles of a user or a team."""

    def get(visit: Visit, id: int) -> Reply:  # noqa: A002
        return visit.listing("roles", visit.store.linking("roles", name, visit.row(collection, id)))

    def post(visit: Visit, id: int) -> Reply:  # noqa: A002
        grant(visit, wanted(visit, "roles"), name, visit.row(collection, id))
        return Reply(204)

    return {("GET", f"{collection}/{{id}}/roles/"): get, ("POST", f"{collection}/{{id}}/roles/"): post}


def grant(visit: Visit, role: Row, name: str, holder: Row) -> None:
    """Give a role to a user or a team, or take it away; only who administers the object may."""
    target = visit.store.get(*role["_of"])
    if target is None or not visit.rights.may("edit", target):
        raise forbidden()
    leaving = bool(visit.body.get("disassociate"))
    (visit.store.unlink if leaving else visit.store.link)(role, name, holder)
    note_link(visit, target, holder, f"{kind_of(target).type}.{role['_name']}", leaving=leaving)


def _object_roles(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.roles(row)


def _access_list(owner: str) -> Any:
    def get(visit: Visit, id: int) -> Reply:  # noqa: A002
        row = visit.row(owner, id)
        people = [
            user
            for user in visit.store.all("users")
            if user["is_superuser"] or _entries(visit, row, user) or _inherited(visit, row, user)
        ]
        reply = visit.listing("users", people, order="username")
        for told in reply.body["results"]:
            user = visit.store.get("users", told["id"])
            assert user is not None
            told["summary_fields"] |= _access(visit, row, user)
        return reply

    return get


def _access(visit: Visit, row: Row, user: Row) -> dict[str, Any]:
    direct = [_entry(visit, role, row, team) for role, team in _entries(visit, row, user)]
    indirect = [_entry(visit, role, owner, None) for role, owner in _inherited(visit, row, user)]
    if user["is_superuser"]:
        everything = {
            "id": None,
            "name": "System Administrator",
            "description": "Can manage all aspects of the system",
            "user_capabilities": {"unattach": False},
        }
        indirect.append({"role": everything, "descendant_roles": list(kind_of(row).roles)})
    return {"direct_access": direct, "indirect_access": indirect}


def _entry(visit: Visit, role: Row, of: Row, team: Row | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": role["id"],
        "name": role["name"],
        "description": role["description"],
        "resource_name": of.get("name"),
        "resource_type": kind_of(of).type,
        "related": {kind_of(of).type: visit.renderer.url(of)},
        "user_capabilities": {"unattach": visit.rights.may("edit", of)},
    }
    if team is not None:
        told |= {"team_id": team["id"], "team_name": team["name"]}
    return {"role": told, "descendant_roles": [role["_name"], "read_role"]}


def _inherited(visit: Visit, row: Row, user: Row) -> list[tuple[Row, Row]]:
    """The roles of its organization by which a user administers an object."""
    store = visit.store
    owner = store.get("organizations", row.get("organization"))
    if owner is None:
        return []
    names = {"admin_role", OF_ORGANIZATION.get(row["_collection"], "admin_role")}
    roles = [role for role in store.roles(owner) if role["_name"] in names]
    return [(role, owner) for role in roles if user in store.linked(role, "users")]


def _entries(visit: Visit, row: Row, user: Row) -> list[tuple[Row, Row | None]]:
    """The roles of an object that a user has, each with the team it comes through."""
    store = visit.store
    teams = [store.get(*role["_of"]) for role in store.linking("roles", "users", user) if role["_of"][0] == "teams"]
    found: list[tuple[Row, Row | None]] = []
    for role in _object_roles(visit, row):
        if user in store.linked(role, "users"):
            found.append((role, None))
        found += [(role, team) for team in teams if team is not None and team in store.linked(role, "teams")]
    return found


def _assign(holder: str) -> Any:
    """The way to give a role by its definition, the newer one, to a "user" or a "team"."""

    def post(visit: Visit) -> Reply:
        definition = visit.store.get("role_definitions", visit.body.get("role_definition"))
        given = visit.store.get(f"{holder}s", visit.body.get(holder))
        if definition is None:
            raise bad_field("role_definition", "This field is required.")
        if given is None:
            raise bad_field(holder, "This field is required.")
        target = visit.store.get(CONTENT_TYPES[definition["content_type"]], int(str(visit.body.get("object_id", 0))))
        if target is None:
            raise bad_field("object_id", "Object not found.")
        visit.require("edit", target)
        row = visit.store.add(
            f"role_{holder}_assignments",
            role_definition=definition["id"],
            object_id=str(target["id"]),
            content_type=definition["content_type"],
            created_by=visit.user["id"],
            _of=(target["_collection"], target["id"]),
            **{holder: given["id"]},
        )
        role = _assigned(visit, row)
        if role is not None:
            visit.store.link(role, f"{holder}s", given)
        return visit.created(row)

    return post


def _unassign(holder: str) -> Any:
    def remove(visit: Visit, row: Row) -> None:
        role, given = _assigned(visit, row), visit.store.get(f"{holder}s", row[holder])
        if role is not None and given is not None:
            visit.store.unlink(role, f"{holder}s", given)

    return remove


def _assigned(visit: Visit, row: Row) -> Row | None:
    """The object's own role that an assignment stands for; the double does nothing for roles that people define."""
    target = visit.store.get(*row["_of"])
    definition = visit.store.get("role_definitions", row["role_definition"])
    if target is None or definition is None or "_role" not in definition:
        return None
    return visit.world.role(target, definition["_role"])


def _prepare_definition(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    if not visit.rights.all or (row is not None and row["managed"]):
        raise forbidden()


HOLDERS = ("user", "team")
OWNERS = (
    "organizations",
    "teams",
    "projects",
    "inventories",
    "job_templates",
    "workflow_job_templates",
    "credentials",
    "instance_groups",
)

ROUTES: Table = {
    **tables(
        [
            Resource("roles", "GET"),
            Resource("role_definitions", prepare=_prepare_definition),
            *(Resource(f"role_{one}_assignments", "GET DELETE", removing=_unassign(one)) for one in HOLDERS),
        ]
    ),
    **{("POST", f"role_{one}_assignments/"): _assign(one) for one in HOLDERS},
    **_holders("users", "users"),
    **_holders("teams", "teams"),
    **_roles_of("users", "users"),
    **_roles_of("teams", "teams"),
    **sublists([Related(owner, "object_roles", "roles", _object_roles) for owner in OWNERS]),
    **{("GET", f"{owner}/{{id}}/access_list/"): _access_list(owner) for owner in OWNERS},
}
