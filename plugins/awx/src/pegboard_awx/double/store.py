"""The store: every object of the double by collection, and the links between them."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import datetime
from typing import Any

from pegboard_awx.double.kinds import UNIONS, Kind, Row, kinds

_SEQUENCES = {member: union for union, members in UNIONS.items() for member in members}
TABLES = {"constructed_inventories": "inventories"}
"""Collections that show the rows of another one."""


class Store:
    """Rows by collection and id. Nothing here knows about requests, rights or time."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._rows: dict[str, dict[int, Row]] = defaultdict(dict)
        self._last: dict[str, int] = defaultdict(int)
        self._links: dict[tuple[str, int, str], list[int]] = defaultdict(list)
        self._roles: dict[tuple[str, int], list[Row]] = defaultdict(list)

    def add(self, collection: str, /, **values: Any) -> Row:
        """Make an object; fields that are not given have their defaults."""
        kind = kinds()[collection]
        table = TABLES.get(collection, collection)
        now = values.pop("created", None) or self._now()
        row: Row = {name: deepcopy(field.default) for name, field in kind.fields.items()}
        row.update(dict.fromkeys(kind.stamps, now), **values)
        row["id"], row["_collection"] = self._next(table), table
        self._rows[table][row["id"]] = row
        if table == "roles":
            self._roles[row["_of"]].append(row)
        return row

    def get(self, collection: str, id: int | None) -> Row | None:  # noqa: A002 # what AWX calls it
        """One object; a union looks into each of its collections."""
        if id is None:
            return None
        tables = UNIONS.get(collection, (TABLES.get(collection, collection),))
        return next((self._rows[table][id] for table in tables if id in self._rows[table]), None)

    def find(self, collection: str, **values: Any) -> Row | None:
        """The first object with these values."""
        return next(self.where(collection, **values), None)

    def where(self, collection: str, **values: Any) -> Iterator[Row]:
        """The objects with these values, in the order of their ids."""
        return (row for row in self.all(collection) if all(row.get(name) == value for name, value in values.items()))

    def all(self, collection: str) -> list[Row]:
        """The objects of a collection, or of a union, in the order of their ids."""
        tables = UNIONS.get(collection, (TABLES.get(collection, collection),))
        rows = [row for table in tables for row in self._rows[table].values()]
        if collection == "constructed_inventories":
            rows = [row for row in rows if row["kind"] == "constructed"]
        return rows if len(tables) == 1 else sorted(rows, key=lambda row: int(row["id"]))

    def remove(self, row: Row) -> None:
        """Take an object away, and every link to it."""
        del self._rows[row["_collection"]][row["id"]]
        if row["_collection"] == "roles":
            self._roles[row["_of"]].remove(row)
        for (collection, id_, name), ids in list(self._links.items()):
            if (collection, id_) == (row["_collection"], row["id"]):
                del self._links[collection, id_, name]
            elif LINKS.get((collection, name)) == row["_collection"] and row["id"] in ids:
                ids.remove(row["id"])

    def roles(self, row: Row) -> list[Row]:
        """The roles of an object."""
        return list(self._roles.get((row["_collection"], row["id"]), ()))

    def linked(self, row: Row, name: str) -> list[Row]:
        """The objects in a list of another one, in the order they were put there."""
        target = LINKS[row["_collection"], name]
        found = (self.get(target, id_) for id_ in self._links.get((row["_collection"], row["id"], name), ()))
        return [one for one in found if one is not None]

    def link(self, row: Row, name: str, target: Row) -> None:
        """Put an object into a list of another one; twice is once."""
        ids = self._links[row["_collection"], row["id"], name]
        if target["id"] not in ids:
            ids.append(target["id"])

    def unlink(self, row: Row, name: str, target: Row) -> None:
        """Take an object out of a list of another one."""
        ids = self._links[row["_collection"], row["id"], name]
        if target["id"] in ids:
            ids.remove(target["id"])

    def linking(self, collection: str, name: str, target: Row) -> list[Row]:
        """The objects that have `target` in their list `name`."""
        return [
            row for row in self.all(collection) if target["id"] in self._links.get((collection, row["id"], name), ())
        ]

    def _next(self, table: str) -> int:
        sequence = _SEQUENCES.get(table, table)
        self._last[sequence] += 1
        return self._last[sequence]


def kind_of(row: Row) -> Kind:
    """The kind of an object."""
    return kinds()[row["_collection"]]


def _links() -> dict[tuple[str, str], str]:
    """Lists that objects have of others, by collection and name: what they hold."""
    notified = ("organizations", "projects", "inventory_sources", "job_templates", "workflow_job_templates")
    prompts = ("job_templates", "schedules", "workflow_job_template_nodes", "workflow_job_nodes", "jobs")
    links = {
        (owner, "labels"): "labels" for owner in (*prompts, "inventories", "workflow_job_templates", "workflow_jobs")
    }
    links |= {(owner, "credentials"): "credentials" for owner in (*prompts, "inventory_sources")}
    links |= {(owner, "instance_groups"): "instance_groups" for owner in (*prompts, "organizations", "inventories")}
    for event in ("started", "success", "error", "approvals"):
        links |= {(owner, f"notification_templates_{event}"): "notification_templates" for owner in notified}
    for edge in ("success_nodes", "failure_nodes", "always_nodes"):
        links["workflow_job_template_nodes", edge] = "workflow_job_template_nodes"
        links["workflow_job_nodes", edge] = "workflow_job_nodes"
    return links | {
        ("groups", "hosts"): "hosts",
        ("groups", "children"): "groups",
        ("inventories", "input_inventories"): "inventories",
        ("instance_groups", "instances"): "instances",
        ("organizations", "galaxy_credentials"): "credentials",
        ("roles", "users"): "users",
        ("roles", "teams"): "teams",
    }


LINKS = _links()
