"""Resources: list, make, show, change and delete, the same for every collection but for a few hooks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pegboard_awx.double.fields import check_unique, read
from pegboard_awx.double.kinds import Kind, Row, kinds
from pegboard_awx.double.refusals import Refusal, forbidden
from pegboard_awx.double.routes import Handler, Table
from pegboard_awx.double.visits import Reply, Visit

Values = dict[str, Any]
SHARED = frozenset({"organizations", "users", "teams"})
"""What an Automation Platform lets nobody change but itself."""
SHARED_FIELDS: Mapping[str, frozenset[str]] = {
    "organizations": frozenset({"name", "description"}),
    "teams": frozenset({"name", "description", "organization"}),
    "users": frozenset(
        {"username", "first_name", "last_name", "email", "is_superuser", "is_system_auditor", "password"}
    ),
}


@dataclass(frozen=True, slots=True)
class Resource:
    """A collection, what can be done with it, and what happens besides.

    `prepare` checks and completes what is about to be written, for a new object (`None`) or an old one. `made` and
    `changed` follow it. `removing` comes before a delete, and may refuse it or answer in its place.
    """

    collection: str
    methods: str = "GET POST PUT PATCH DELETE"
    order: str = "id"
    prepare: Callable[[Visit, Row | None, Values, Mapping[str, Any]], None] | None = None
    made: Callable[[Visit, Row, Mapping[str, Any]], None] | None = None
    changed: Callable[[Visit, Row, Mapping[str, Any]], None] | None = None
    removing: Callable[[Visit, Row], Reply | None] | None = None

    @property
    def kind(self) -> Kind:
        return kinds()[self.collection]

    def list(self, visit: Visit) -> Reply:
        """Answer GET of the collection."""
        return visit.listing(self.collection, visit.store.all(self.collection), order=self.order)

    def post(self, visit: Visit) -> Reply:
        """Answer POST to the collection."""
        return self.make(visit, visit.body)

    def make(self, visit: Visit, body: Mapping[str, Any]) -> Reply:
        """Make an object out of a body."""
        self._check_platform(visit, "Creation", "Create")
        values = read(visit.world, self.kind, body)
        if not visit.rights.may_make(self.collection, {**values, **body}):
            raise forbidden()
        if self.prepare is not None:
            self.prepare(visit, None, values, body)
        check_unique(visit.world, self.kind, values)
        hidden = {name for name, field in self.kind.fields.items() if field.hidden}
        row = visit.world.make(self.collection, visit.user, **{k: v for k, v in values.items() if k not in hidden})
        if self.made is not None:
            self.made(visit, row, body)
        told = visit.show(row, self.collection)
        return Reply(201, told, headers={"Location": str(told["url"])})

    def get(self, visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
        """Answer GET of one object."""
        return Reply(body=visit.show(visit.row(self.collection, id), self.collection))

    def patch(self, visit: Visit, id: int) -> Reply:  # noqa: A002
        """Answer PATCH: some fields."""
        return self._change(visit, id, partial=True)

    def put(self, visit: Visit, id: int) -> Reply:  # noqa: A002
        """Answer PUT: all fields."""
        return self._change(visit, id, partial=False)

    def delete(self, visit: Visit, id: int) -> Reply:  # noqa: A002
        """Answer DELETE."""
        self._check_platform(visit, "Deletion", "Delete")
        row = visit.row(self.collection, id, "delete")
        answer = None if self.removing is None else self.removing(visit, row)
        if answer is not None:
            return answer
        visit.world.remove(row, visit.user)
        return Reply(204)

    def routes(self) -> dict[tuple[str, str], Handler]:
        """The routes of the collection and of its objects."""
        many: dict[str, Handler] = {"GET": self.list, "POST": self.post}
        one: dict[str, Handler] = {"GET": self.get, "PUT": self.put, "PATCH": self.patch, "DELETE": self.delete}
        allowed = self.methods.split()
        return {
            **{(method, f"{self.collection}/"): handler for method, handler in many.items() if method in allowed},
            **{(method, f"{self.collection}/{{id}}/"): handler for method, handler in one.items() if method in allowed},
        }

    def _change(self, visit: Visit, id_: int, *, partial: bool) -> Reply:
        row = visit.row(self.collection, id_, "edit")
        values = read(visit.world, self.kind, visit.body, partial=partial, replacing=not partial)
        self._check_shared(visit, row, values)
        if self.prepare is not None:
            self.prepare(visit, row, values, visit.body)
        check_unique(visit.world, self.kind, values, row)
        visit.world.change(row, visit.user, values)
        if self.changed is not None:
            self.changed(visit, row, visit.body)
        return Reply(body=visit.show(row, self.collection))

    def _check_platform(self, visit: Visit, noun: str, verb: str) -> None:
        if visit.platform and self.collection in SHARED:
            raise forbidden(f"{noun} of this resource is not allowed. {verb} this resource via the platform ingress.")

    def _check_shared(self, visit: Visit, row: Row, values: Values) -> None:
        if not visit.platform or self.collection not in SHARED:
            return
        changed = [name for name in SHARED_FIELDS[self.collection] if name in values and values[name] != row.get(name)]
        if changed:
            text = "Cannot change shared field '{}'. Alter this field via the platform ingress."
            raise Refusal(403, {name: text.format(name) for name in sorted(changed)})


def tables(resources: Iterable[Resource]) -> Table:
    """The routes of some resources."""
    return {key: handler for resource in resources for key, handler in resource.routes().items()}
