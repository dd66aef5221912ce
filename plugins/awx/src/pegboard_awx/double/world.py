"""The world of the double: its objects, its time and its settings, and how objects come, change and go."""

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from pegboard_awx.double.clock import Clock
from pegboard_awx.double.kinds import Row, data
from pegboard_awx.double.store import Store, kind_of

VERSION = "24.6.1"
NODE = "awx-1"
HIDDEN_VALUES = frozenset({"password", "inputs", "token", "notification_configuration"})
"""Fields whose values the activity stream does not tell."""


class World:
    """Everything one double knows. Handlers of requests and the life of jobs change it, one at a time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.store = Store(clock.now)
        self.settings: dict[str, dict[str, Any]] = deepcopy(data("settings")["values"])
        self.basic_auth = True

    def now(self) -> datetime:
        """The moment it is in this world."""
        return self.clock.now()

    def setting(self, slug: str, name: str) -> Any:
        """One setting."""
        return self.settings[slug][name]

    def unique(self, *parts: Any) -> str:
        """A UUID that is the same each time for the same thing."""
        return str(uuid5(NAMESPACE_DNS, "/".join(str(part) for part in parts)))

    def make(self, collection: str, by: Row | None, /, **values: Any) -> Row:
        """Make an object with its roles, and note it in the activity stream."""
        row = self.store.add(collection, **values)
        row["_by"] = None if by is None else by["id"]
        kind = kind_of(row)
        for name, (title, about) in kind.roles.items():
            self.store.add("roles", name=title, description=about, _name=name, _of=(row["_collection"], row["id"]))
        self.note("create", by, row, _told(row, kind.fields))
        return row

    def change(self, row: Row, by: Row | None, values: Mapping[str, Any]) -> None:
        """Change fields of an object; what stays as it is leaves no trace."""
        changed = {name: [row.get(name), value] for name, value in values.items() if row.get(name) != value}
        row.update(values)
        if not changed:
            return
        if "modified" in row:
            row["modified"] = self.now()
        hidden = {name: ["hidden", "hidden"] for name in changed if name in HIDDEN_VALUES}
        told = {name: value for name, value in changed.items() if not name.startswith("_")}
        if told:
            self.note("update", by, row, {**told, **hidden})

    def remove(self, row: Row, by: Row | None) -> None:
        """Take an object away with its roles."""
        self.note("delete", by, row, _told(row, kind_of(row).fields) | {"id": row["id"]})
        for role in self.store.roles(row):
            self.store.remove(role)
        self.store.remove(row)

    def note(
        self, operation: str, by: Row | None, row: Row, changes: Mapping[str, Any], other: Row | None = None
    ) -> None:
        """Write a line of the activity stream."""
        if row["_collection"] in UNNOTED:
            return
        self.store.add(
            "activity_stream",
            timestamp=self.now(),
            operation=operation,
            changes=dict(changes),
            object1=kind_of(row).type,
            object2="" if other is None else kind_of(other).type,
            action_node=NODE,
            _actor=None if by is None else by["id"],
            _about=[(one["_collection"], one["id"]) for one in (row, other) if one is not None],
        )

    def role(self, row: Row, name: str) -> Row:
        """A role of an object by its field name: `admin_role`."""
        return next(role for role in self.store.roles(row) if role["_name"] == name)


UNNOTED = frozenset(
    {
        "activity_stream",
        "roles",
        "notifications",
        "job_host_summaries",
        "role_definitions",
        "workflow_job_nodes",
        "instances",
    }
)


def _told(row: Row, fields: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in fields if name in row and fields[name].write}
    return {name: "hidden" if name in HIDDEN_VALUES else value for name, value in shown.items()}
