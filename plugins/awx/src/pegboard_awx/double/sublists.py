"""Sub-lists: the objects below another one, `inventories/{id}/hosts/`: made there, or put in and taken out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pegboard_awx.double.fields import model_of
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.refusals import bad, detail
from pegboard_awx.double.resources import Resource
from pegboard_awx.double.rights import Action
from pegboard_awx.double.routes import Handler, Table
from pegboard_awx.double.store import LINKS
from pegboard_awx.double.visits import Reply, Visit


@dataclass(frozen=True, slots=True)
class Children:
    """The objects whose `field` leads to their owner; `resource` makes new ones there."""

    owner: str
    name: str
    collection: str
    field: str
    resource: Resource | None = None

    def get(self, visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
        visit.row(self.owner, id)
        return visit.listing(self.collection, visit.store.where(self.collection, **{self.field: id}))

    def post(self, visit: Visit, id: int) -> Reply:  # noqa: A002
        assert self.resource is not None
        visit.row(self.owner, id)
        return self.resource.make(visit, {**visit.body, self.field: id})

    def routes(self) -> dict[tuple[str, str], Handler]:
        path = f"{self.owner}/{{id}}/{self.name}/"
        making: dict[tuple[str, str], Handler] = {} if self.resource is None else {("POST", path): self.post}
        return {("GET", path): self.get, **making}


@dataclass(frozen=True, slots=True)
class Linked:
    """The objects in a list of another one; `resource` makes new ones and puts them in."""

    owner: str
    name: str
    action: Action = "edit"
    resource: Resource | None = None
    check: Callable[[Visit, Row, Row], None] | None = None

    @property
    def collection(self) -> str:
        return LINKS[self.owner, self.name]

    def get(self, visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
        row = visit.row(self.owner, id)
        return visit.listing(self.collection, visit.store.linked(row, self.name))

    def post(self, visit: Visit, id: int) -> Reply:  # noqa: A002
        row = visit.row(self.owner, id, self.action)
        if self.resource is not None and "id" not in visit.body:
            return self._make(visit, row)
        target = wanted(visit, self.collection)
        if not visit.body.get("disassociate") and self.check is not None:
            self.check(visit, row, target)
        put(visit, row, self.name, target)
        return Reply(204)

    def routes(self) -> dict[tuple[str, str], Handler]:
        path = f"{self.owner}/{{id}}/{self.name}/"
        return {("GET", path): self.get, ("POST", path): self.post}

    def _make(self, visit: Visit, row: Row) -> Reply:
        assert self.resource is not None
        inherited = {"inventory": row["inventory"]} if "inventory" in row else {}
        reply = self.resource.make(visit, {**inherited, **visit.body})
        made = visit.store.get(self.collection, reply.body["id"])
        assert made is not None
        visit.store.link(row, self.name, made)
        return reply


@dataclass(frozen=True, slots=True)
class Related:
    """A list that only can be read: what `find` finds for an object."""

    owner: str
    name: str
    collection: str
    find: Callable[[Visit, Row], Iterable[Row]]
    order: str = "id"

    def get(self, visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
        return visit.listing(self.collection, self.find(visit, visit.row(self.owner, id)), order=self.order)

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {("GET", f"{self.owner}/{{id}}/{self.name}/"): self.get}


def wanted(visit: Visit, collection: str) -> Row:
    """The object that a body names with `id`; refuses one that is not there."""
    given: Any = visit.body.get("id")
    if given is None:
        raise bad(
            {"msg": '"id" field must be an integer.' if "id" in visit.body else "'id' is required to disassociate"}
        )
    if not str(given).isdecimal():
        raise bad({"msg": '"id" field must be an integer.'})
    row = visit.store.get(collection, int(given))
    if row is None:
        raise detail(400, f"{model_of(collection)} matching query does not exist.")
    return row


def put(visit: Visit, row: Row, name: str, target: Row) -> None:
    """Put an object into a list, or take it out where the body says so; a second time changes nothing."""
    leaving = bool(visit.body.get("disassociate"))
    present = target in visit.store.linked(row, name)
    if present is not leaving:
        return
    (visit.store.unlink if leaving else visit.store.link)(row, name, target)
    note_link(visit, row, target, name, leaving=leaving)


def note_link(visit: Visit, row: Row, target: Row, name: str, *, leaving: bool) -> None:
    """Write into the activity stream that two objects belong together, or no longer do."""
    changes: Mapping[str, Any] = {
        "object1": row["_collection"],
        "object1_pk": row["id"],
        "object2": target["_collection"],
        "object2_pk": target["id"],
        "action": "disassociate" if leaving else "associate",
        "relationship": name,
    }
    visit.world.note(str(changes["action"]), visit.user, row, changes, target)


def tables(lists: Iterable[Children | Linked | Related]) -> Table:
    """The routes of some sub-lists."""
    return {key: handler for one in lists for key, handler in one.routes().items()}


def activity_of(owner: str) -> Related:
    """What the activity stream has about one object."""
    return Related(owner, "activity_stream", "activity_stream", partial(_about, owner))


def _about(owner: str, visit: Visit, row: Row) -> Iterable[Row]:
    return [one for one in visit.store.all("activity_stream") if (owner, row["id"]) in one["_about"]]
