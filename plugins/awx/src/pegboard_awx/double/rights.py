"""Rights: who may see and do what, by the roles of AWX."""

from collections.abc import Callable, Iterator
from typing import Literal

from pegboard_awx.double.kinds import Row
from pegboard_awx.double.store import kind_of
from pegboard_awx.double.world import World

Action = Literal["read", "use", "start", "update", "adhoc", "approve", "edit", "delete"]

IMPLIED: dict[str, tuple[str, ...]] = {
    "read": (
        "read_role",
        "use_role",
        "execute_role",
        "update_role",
        "adhoc_role",
        "approval_role",
        "member_role",
        "admin_role",
    ),
    "use": ("use_role", "adhoc_role", "admin_role"),
    "start": ("execute_role", "admin_role"),
    "update": ("update_role", "admin_role"),
    "adhoc": ("adhoc_role", "admin_role"),
    "approve": ("approval_role", "admin_role"),
    "edit": ("admin_role",),
    "delete": ("admin_role",),
}
"""The roles of an object that allow an action."""

OF_ORGANIZATION: dict[str, str] = {
    "projects": "project_admin_role",
    "inventories": "inventory_admin_role",
    "credentials": "credential_admin_role",
    "workflow_job_templates": "workflow_admin_role",
    "notification_templates": "notification_admin_role",
    "job_templates": "job_template_admin_role",
    "execution_environments": "execution_environment_admin_role",
}
"""The roles of an organization that allow everything on its objects of one collection."""

OPEN = frozenset({"labels", "credential_types", "execution_environments", "system_job_templates", "instances"})
"""What everybody may read."""

PARENTS: dict[str, tuple[str, ...]] = {
    "hosts": ("inventory",),
    "groups": ("inventory",),
    "inventory_sources": ("inventory",),
    "schedules": ("unified_job_template",),
    "workflow_job_template_nodes": ("workflow_job_template",),
    "jobs": ("job_template", "inventory", "project"),
    "workflow_jobs": ("workflow_job_template",),
    "workflow_job_nodes": ("workflow_job",),
    "workflow_approvals": ("_workflow_job_template",),
    "workflow_approval_templates": ("_workflow_job_template",),
    "project_updates": ("project",),
    "inventory_updates": ("inventory",),
    "ad_hoc_commands": ("inventory",),
    "notifications": ("notification_template",),
    "job_host_summaries": ("job",),
}
"""Fields that lead to the object whose roles count for one without roles of its own."""

PARENT_COLLECTIONS = {
    "inventory": "inventories",
    "unified_job_template": "unified_job_templates",
    "workflow_job_template": "workflow_job_templates",
    "_workflow_job_template": "workflow_job_templates",
    "job_template": "job_templates",
    "project": "projects",
    "workflow_job": "workflow_jobs",
    "notification_template": "notification_templates",
    "job": "unified_jobs",
}


class Rights:
    """What one user may do in a world."""

    def __init__(self, world: World, user: Row) -> None:
        self.world = world
        self.user = user
        self._held: set[int] | None = None

    @property
    def all(self) -> bool:
        """Whether nothing is denied."""
        return bool(self.user["is_superuser"])

    @property
    def sees_all(self) -> bool:
        """Whether everything may be read."""
        return self.all or bool(self.user["is_system_auditor"])

    def may(self, action: Action, row: Row) -> bool:
        """Whether the user may do this to an object."""
        if self.all or (action == "read" and self.sees_all):
            return True
        special = SPECIAL.get(row["_collection"])
        if special is not None:
            return special(self, action, row)
        if action == "read" and row["_collection"] in OPEN:
            return True
        return any(self._by_roles(action, one) for one in self._carriers(row))

    def readable(self, rows: list[Row]) -> list[Row]:
        """Those of the rows that the user may see."""
        return rows if self.sees_all else [row for row in rows if self.may("read", row)]

    def holds(self, row: Row, *names: str) -> bool:
        """Whether one of these roles of an object is held, directly or through a team."""
        roles = self.world.store.roles(row)
        return any(role["id"] in self.held for role in roles if role["_name"] in names)

    def may_make(self, collection: str, values: Row) -> bool:
        """Whether the user may make such an object."""
        if self.all:
            return True
        owner = MAKING.get(collection)
        return owner is not None and owner(self, values)

    def parent(self, name: str, values: Row) -> Row | None:
        """The object that a field leads to."""
        collection = PARENT_COLLECTIONS.get(name, f"{name.lstrip('_')}s")
        return self.world.store.get(collection, values.get(name))

    def admins(self, organization: int | None, collection: str) -> bool:
        """Whether the user administers an organization, or its objects of one collection."""
        row = self.world.store.get("organizations", organization)
        return row is not None and self.holds(row, "admin_role", OF_ORGANIZATION.get(collection, "admin_role"))

    @property
    def held(self) -> set[int]:
        """The ids of the roles the user has."""
        if self._held is None:
            self._held = set(self._collected())
        return self._held

    def _collected(self) -> Iterator[int]:
        store = self.world.store
        own = store.linking("roles", "users", self.user)
        teams = [store.get(*role["_of"]) for role in own if role["_of"][0] == "teams"]
        yield from (role["id"] for role in own)
        for team in teams:
            if team is not None:
                yield from (role["id"] for role in store.linking("roles", "teams", team))

    def _by_roles(self, action: Action, row: Row) -> bool:
        if kind_of(row).roles and self.holds(row, *IMPLIED[action]):
            return True
        collection, organization = row["_collection"], self.world.store.get("organizations", row.get("organization"))
        if organization is None:
            return False
        admins = {"admin_role", OF_ORGANIZATION.get(collection, "admin_role")}
        runs = {"execute_role"} if action in ("read", "start") and collection.endswith("job_templates") else set[str]()
        reads = {"auditor_role"} if action == "read" else set[str]()
        approves = {"approval_role"} if action == "approve" else set[str]()
        return self.holds(organization, *admins, *runs, *reads, *approves)

    def _carriers(self, row: Row) -> list[Row]:
        """The objects whose roles count for this one."""
        parents = (self.parent(name, row) for name in PARENTS.get(row["_collection"], ()))
        found = [parent for parent in parents if parent is not None]
        inner = [carrier for parent in found for carrier in self._carriers(parent)]
        return [row, *found, *inner]


def _organization(rights: Rights, action: Action, row: Row) -> bool:
    readers = ("member_role", "auditor_role", "read_role", "execute_role", "approval_role", *OF_ORGANIZATION.values())
    return rights.holds(row, "admin_role") or (action == "read" and rights.holds(row, *readers))


def _user(rights: Rights, action: Action, row: Row) -> bool:
    if row["id"] == rights.user["id"]:
        return action in ("read", "edit")
    return action == "read" and bool(shared_organizations(rights, row))


def _team(rights: Rights, action: Action, row: Row) -> bool:
    if rights.holds(row, "admin_role") or rights.admins(row["organization"], "teams"):
        return True
    organization = rights.parent("organization", row)
    in_it = organization is not None and rights.holds(organization, "member_role")
    return action == "read" and (in_it or rights.holds(row, "member_role", "read_role"))


def _token(rights: Rights, action: Action, row: Row) -> bool:  # noqa: ARG001 # the shape of all
    return row["user"] == rights.user["id"]


def _activity(rights: Rights, action: Action, row: Row) -> bool:
    return action == "read" and row["_actor"] == rights.user["id"]


def _role(rights: Rights, action: Action, row: Row) -> bool:
    target = rights.world.store.get(*row["_of"])  # of the same module
    return target is not None and rights.may(action, target)


def _read_only(rights: Rights, action: Action, row: Row) -> bool:  # noqa: ARG001 # the shape of all
    return action == "read"


SPECIAL: dict[str, Callable[[Rights, Action, Row], bool]] = {
    "organizations": _organization,
    "users": _user,
    "teams": _team,
    "tokens": _token,
    "activity_stream": _activity,
    "roles": _role,
    "role_definitions": _read_only,
}


def shared_organizations(rights: Rights, row: Row) -> list[int]:
    """The organizations that the user and another one belong to."""
    store = rights.world.store  # of the same module
    theirs = {role["_of"][1] for role in store.linking("roles", "users", row) if role["_of"][0] == "organizations"}
    mine = {
        role["_of"][1] for role in store.linking("roles", "users", rights.user) if role["_of"][0] == "organizations"
    }
    return sorted(theirs & mine)


def _in_organization(collection: str) -> Callable[[Rights, Row], bool]:
    return lambda rights, values: rights.admins(values.get("organization"), collection)


def _below(name: str, action: Action) -> Callable[[Rights, Row], bool]:
    def allowed(rights: Rights, values: Row) -> bool:
        parent = rights.parent(name, values)
        return parent is not None and rights.may(action, parent)

    return allowed


def _job_template(rights: Rights, values: Row) -> bool:
    given = [rights.parent(name, values) for name in ("project", "inventory")]
    return given[0] is not None and all(row is None or rights.may("use", row) for row in given)


def _credential(rights: Rights, values: Row) -> bool:
    if values.get("organization"):
        return rights.admins(values["organization"], "credentials")
    return values.get("user") == rights.user["id"]


MAKING: dict[str, Callable[[Rights, Row], bool]] = {
    **{
        name: _in_organization(name)
        for name in (*OF_ORGANIZATION, "teams", "labels")
        if name not in ("job_templates", "credentials")
    },
    "job_templates": _job_template,
    "credentials": _credential,
    "hosts": _below("inventory", "edit"),
    "groups": _below("inventory", "edit"),
    "inventory_sources": _below("inventory", "edit"),
    "ad_hoc_commands": _below("inventory", "adhoc"),
    "schedules": _below("unified_job_template", "start"),
    "workflow_job_template_nodes": _below("workflow_job_template", "edit"),
    "tokens": lambda rights, values: True,  # noqa: ARG005 # everybody
}
