"""A visit: one request as its handler sees it, and the reply it gives."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pegboard_awx.double.fields import model_of
from pegboard_awx.double.filtering import Pairs, filtered, ordered
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.life import Life
from pegboard_awx.double.paging import page
from pegboard_awx.double.refusals import forbidden, missing
from pegboard_awx.double.rendering import Renderer
from pegboard_awx.double.rights import Action, Rights
from pegboard_awx.double.store import Store
from pegboard_awx.double.world import World


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, body and headers of an answer. A body that is a text is sent as it is, anything else as JSON."""

    status: int = 200
    body: Any = None
    type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(eq=False, slots=True)
class Visit:
    """One request: who comes, to which path, with what; and the ways to the world that all handlers need."""

    world: World
    life: Life
    method: str
    path: str
    prefix: str
    pairs: Pairs
    body: Any
    accept: str
    user: Row
    rights: Rights
    platform: bool = False
    renderer: Renderer = field(init=False)

    def __post_init__(self) -> None:
        self.renderer = Renderer(self.world, self.rights, self.prefix)

    @property
    def store(self) -> Store:
        return self.world.store

    def asked(self, name: str, default: str = "") -> str:
        """A parameter of the query."""
        return dict(self.pairs).get(name, default)

    def row(self, collection: str, id: int, action: Action = "read") -> Row:  # noqa: A002 # what AWX calls it
        """An object the user may do this with; refuses otherwise."""
        row = self.store.get(collection, id)
        if row is None or row.get("pending_deletion"):
            raise missing(model_of(collection))
        self.require(action, row)
        return row

    def require(self, action: Action, row: Row) -> None:
        """Refuse what the user may not do with an object."""
        if not self.rights.may(action, row):
            raise forbidden()

    def show(self, row: Row, collection: str | None = None) -> dict[str, Any]:
        """An object as JSON."""
        return self.renderer.show(row, collection=collection)

    def listing(self, collection: str, rows: Iterable[Row], *, order: str = "id") -> Reply:
        """The page of a list that the query asks for."""
        found = filtered(self.store, collection, self.rights.readable(list(rows)), self.pairs)
        chosen = any(name in ("order_by", "order") for name, _ in self.pairs)
        found = ordered(self.store, collection, found, self.pairs if chosen else [("order_by", order)])
        shown = collection if collection == "constructed_inventories" else None
        told = page(self.path, found, self.pairs, lambda row: self.renderer.show(row, listed=True, collection=shown))
        return Reply(body=told)

    def created(self, row: Row, extra: Mapping[str, Any] | None = None, status: int = 201) -> Reply:
        """The answer to a request that made an object."""
        location = {"Location": self.renderer.url(row)}
        return Reply(status, {**(extra or {}), **self.show(row)}, headers=location)
