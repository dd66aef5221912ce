"""Rendering: an object as AWX shows it, with `related`, `summary_fields` and all its fields."""

from typing import Any

from pegboard_awx.double.finishing import FINISHING
from pegboard_awx.double.kinds import Kind, Row, kinds
from pegboard_awx.double.naming import name_of
from pegboard_awx.double.rights import Action, Rights
from pegboard_awx.double.store import TABLES, Store
from pegboard_awx.double.summaries import summary
from pegboard_awx.double.summing import SUMMING
from pegboard_awx.double.values import shown
from pegboard_awx.double.world import World

UNLINKED = frozenset(
    {"instance_group", "job_host_summary", "signature_validation_credential", "modified_by", "created_by"}
)
"""References without a link in `related`."""
UNSUMMED = frozenset({"modified_by", "created_by", "ad_hoc_command", "system_job_template"})

CAPABILITIES: dict[str, Action] = {
    "schedule": "start",
    "copy": "edit",
    "start": "start",
    "adhoc": "adhoc",
    "use": "use",
}
RECENT = 10


class Renderer:
    """Shows the objects of a world to one user, with links below one prefix."""

    def __init__(self, world: World, rights: Rights, prefix: str) -> None:
        self.world = world
        self.rights = rights
        self.prefix = prefix

    @property
    def store(self) -> Store:
        return self.world.store

    def url(self, row: Row, collection: str | None = None) -> str:
        """The path of an object."""
        return f"{self.prefix}{collection or row['_collection']}/{row['id']}/"

    def show(self, row: Row, *, listed: bool = False, collection: str | None = None) -> dict[str, Any]:
        """The object; in lists without what is only told about one."""
        kind = kinds()[collection or row["_collection"]]
        told: dict[str, Any] = {"id": row["id"], "type": kind.type, "url": self.url(row, kind.collection)}
        told["related"] = self._related(kind, row, listed)
        told["summary_fields"] = self._summaries(kind, row, listed)
        told |= {name: shown(row.get(name)) for name in kind.stamps}
        told |= {
            name: shown(row.get(name))
            for name, field in kind.fields.items()
            if not field.hidden and not (listed and field.detail)
        }
        finish = FINISHING.get(kind.collection)
        if finish is not None:
            finish(self, row, told, listed)
        return told

    def summary(self, field: str, row: Row) -> dict[str, Any]:
        """The object as it is shown through a field of another one."""
        return summary(self.store, field, row)

    def few(self, rows: list[Row]) -> dict[str, Any]:
        """A short list with its count: labels, groups."""
        return {"count": len(rows), "results": [{"id": row["id"], "name": row["name"]} for row in rows[:RECENT]]}

    def references(self, kind: Kind, row: Row) -> dict[str, Row]:
        """The objects that the fields of a row lead to."""
        targets = {
            name: self.store.get(field.to, row.get(name))
            for name, field in kind.fields.items()
            if field.to is not None and not field.hidden
        }
        return {name: target for name, target in targets.items() if target is not None}

    def _related(self, kind: Kind, row: Row, listed: bool) -> dict[str, Any]:
        home = self.url(row, TABLES.get(kind.collection, kind.collection))
        related: dict[str, Any] = {}
        named = None if listed else name_of(self.store, kind.collection, row)
        if named is not None:
            related["named_url"] = f"{self.prefix}{kind.collection}/{named}/"
        if kind.by and row.get("_by") is not None:
            related |= dict.fromkeys(("created_by", "modified_by"), f"{self.prefix}users/{row['_by']}/")
        related |= {name: f"{home}{name}/" for name in kind.related}
        references = self.references(kind, row)
        return related | {name: self.url(target) for name, target in references.items() if name not in UNLINKED}

    def _summaries(self, kind: Kind, row: Row, listed: bool) -> dict[str, Any]:
        references = self.references(kind, row)
        told: dict[str, Any] = {
            name: self.summary(name, target) for name, target in references.items() if name not in UNSUMMED
        }
        maker = self.store.get("users", row.get("_by"))
        if kind.by and maker is not None:
            told |= {name: self.summary(name, maker) for name in ("created_by", "modified_by")}
        if kind.roles:
            told["object_roles"] = self._roles(row)
        if kind.can:
            told["user_capabilities"] = self.capabilities(kind, row)
        more = SUMMING.get(kind.collection)
        return told if more is None else told | more(self, row, listed)

    def capabilities(self, kind: Kind, row: Row) -> dict[str, bool]:
        """What the user may do with an object."""
        return {name: self.rights.may(CAPABILITIES.get(name, "edit"), row) for name in kind.can}

    def _roles(self, row: Row) -> dict[str, Any]:
        roles = self.store.roles(row)
        only = {"admin_role", "member_role"} if row["_collection"] == "organizations" else set[str]()
        return {
            role["_name"]: {"description": role["description"], "name": role["name"], "id": role["id"]}
            | ({"user_only": True} if role["_name"] in only else {})
            for role in roles
        }
