"""Named URLs: `job_templates/Hello++Lab/` for the object with these names."""

from pegboard_awx.double.kinds import Row
from pegboard_awx.double.store import Store

PATTERNS: dict[str, tuple[str, ...]] = {
    "organizations": ("name",),
    "users": ("username",),
    "instance_groups": ("name",),
    "instances": ("hostname",),
    "execution_environments": ("name",),
    "credential_types": ("name+kind",),
    "teams": ("name", "organization"),
    "labels": ("name", "organization"),
    "projects": ("name", "organization"),
    "inventories": ("name", "organization"),
    "constructed_inventories": ("name", "organization"),
    "job_templates": ("name", "organization"),
    "workflow_job_templates": ("name", "organization"),
    "notification_templates": ("name", "organization"),
    "credentials": ("name", "credential_type", "organization"),
    "hosts": ("name", "inventory", "organization"),
    "groups": ("name", "inventory", "organization"),
    "inventory_sources": ("name", "inventory", "organization"),
    "workflow_job_template_nodes": ("identifier", "workflow_job_template", "organization"),
}
PARENTS = {"inventory": "inventories", "workflow_job_template": "workflow_job_templates"}


def name_of(store: Store, collection: str, row: Row) -> str | None:
    """The part of an object's named URL, if its kind has one."""
    pattern = PATTERNS.get(collection)
    if pattern is None:
        return None
    return "++".join(_part(store, row, part) for part in pattern)


def named(store: Store, collection: str, text: str) -> Row | bool | None:
    """The object with this named URL, `None` when there is none, `False` when the text cannot be such a name."""
    pattern = PATTERNS.get(collection)
    if pattern is None or text.count("++") != len(pattern) - 1:
        return False
    return next((row for row in store.all(collection) if name_of(store, collection, row) == text), None)


def _part(store: Store, row: Row, part: str) -> str:
    if part == "organization":
        organization = store.get("organizations", row.get("organization") or _parent(store, row).get("organization"))
        return "" if organization is None else str(organization["name"])
    if part in PARENTS:
        return str(_parent(store, row)["name"])
    if part == "credential_type":
        kind = store.get("credential_types", row["credential_type"])
        return "" if kind is None else f"{kind['name']}+{kind['kind']}"
    return "+".join(str(row[name]) for name in part.split("+"))


def _parent(store: Store, row: Row) -> Row:
    found = (store.get(collection, row.get(name)) for name, collection in PARENTS.items())
    return next((one for one in found if one is not None), Row())
