"""Filters: `name__icontains=web`, `or__`, `not__`, `search` and `order_by`, over any collection."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pegboard_awx.double.fields import FALSE, TRUE, model_of
from pegboard_awx.double.kinds import UNIONS, Field, Row, by_type, kinds
from pegboard_awx.double.refusals import detail, error, forbidden
from pegboard_awx.double.store import LINKS, Store

Pairs = Sequence[tuple[str, str]]

RESERVED = frozenset(
    {
        "page",
        "page_size",
        "format",
        "order",
        "order_by",
        "search",
        "host_filter",
        "count_disabled",
        "no_truncate",
        "limit",
        "role_level",
        "content_format",
        "content_encoding",
        "start_line",
        "end_line",
        "hostvars",
        "period",
    }
)
"""Parameters that are no filters."""

SEARCHED = (
    "name", "username", "hostname", "description", "first_name", "last_name", "email", "identifier", "changes",
)  # fmt: skip

VIRTUAL: dict[str, dict[str, str]] = {
    "_by": {"created_by": "users", "modified_by": "users"},
    "_actor": {"actor": "users"},
}
"""References that are kept in hidden fields, and how filters call them."""

TYPED = frozenset({"role_definitions", "role_team_assignments", "role_user_assignments"})
"""Collections that name a type of objects: "awx.jobtemplate"."""

REVERSE: dict[tuple[str, str], tuple[str, str]] = {
    ("inventories", "hosts"): ("hosts", "inventory"),
    ("inventories", "groups"): ("groups", "inventory"),
    ("inventories", "inventory_sources"): ("inventory_sources", "inventory"),
    ("organizations", "inventories"): ("inventories", "organization"),
    ("organizations", "projects"): ("projects", "organization"),
    ("organizations", "teams"): ("teams", "organization"),
    ("job_templates", "jobs"): ("jobs", "job_template"),
    ("job_templates", "schedules"): ("schedules", "unified_job_template"),
    ("projects", "job_templates"): ("job_templates", "project"),
    ("hosts", "job_host_summaries"): ("job_host_summaries", "host"),
}
"""Lists that filters go into against the direction of a field."""

LOOKUPS: dict[str, Callable[[Any, Any], bool]] = {
    "exact": lambda have, want: have == want,
    "iexact": lambda have, want: str(have).lower() == str(want).lower(),
    "contains": lambda have, want: have is not None and str(want) in str(have),
    "icontains": lambda have, want: have is not None and str(want).lower() in str(have).lower(),
    "startswith": lambda have, want: have is not None and str(have).startswith(str(want)),
    "istartswith": lambda have, want: have is not None and str(have).lower().startswith(str(want).lower()),
    "endswith": lambda have, want: have is not None and str(have).endswith(str(want)),
    "iendswith": lambda have, want: have is not None and str(have).lower().endswith(str(want).lower()),
    "regex": lambda have, want: have is not None and re.search(str(want), str(have)) is not None,
    "iregex": lambda have, want: have is not None and re.search(str(want), str(have), re.IGNORECASE) is not None,
    "gt": lambda have, want: have is not None and have > want,
    "gte": lambda have, want: have is not None and have >= want,
    "lt": lambda have, want: have is not None and have < want,
    "lte": lambda have, want: have is not None and have <= want,
    "in": lambda have, want: have in want,
    "isnull": lambda have, want: (have is None) is want,
}
TEXTUAL = frozenset(
    {"iexact", "contains", "icontains", "startswith", "istartswith", "endswith", "iendswith", "regex", "iregex"}
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter: where to look, how to compare, with what."""

    path: tuple[str, ...]
    lookup: str
    want: Any
    negated: bool = False
    either: bool = False

    def holds(self, store: Store, row: Row) -> bool:
        found = any(LOOKUPS[self.lookup](have, self.want) for have in values(store, row, self.path))
        return found is not self.negated


def filtered(store: Store, collection: str, rows: Iterable[Row], pairs: Pairs) -> list[Row]:
    """The rows that the parameters of a request ask for; refuses those that cannot be."""
    conditions = [condition(collection, name, text) for name, text in pairs if name not in RESERVED]
    every = [one for one in conditions if not one.either]
    some = [one for one in conditions if one.either]
    words = [text for name, text in pairs if name == "search"]
    return [
        row
        for row in rows
        if all(one.holds(store, row) for one in every)
        and (not some or any(one.holds(store, row) for one in some))
        and all(matches(row, text) for text in words)
    ]


def ordered(store: Store, collection: str, rows: list[Row], pairs: Pairs) -> list[Row]:
    """The rows in the order that is asked for; by id where none is."""
    names = [name for key, text in pairs if key in ("order_by", "order") for name in text.split(",") if name]
    for name in reversed(names):
        path = resolve(collection, name.lstrip("-").split("__"))[0]
        rows = sorted(rows, key=lambda row: _sortable(values(store, row, path)), reverse=name.startswith("-"))
    return rows


def matches(row: Row, text: str) -> bool:
    """Whether every word of a search is in one of the fields that are searched."""
    words = text.lower().replace(",", " ").split()
    return all(any(word in str(row.get(name, "")).lower() for name in SEARCHED) for word in words)


def condition(collection: str, name: str, text: str) -> Condition:
    """Read one parameter: prefixes, path, lookup, value."""
    parts = name.split("__")
    negated = either = False
    while parts[0] in ("not", "or", "chain") and len(parts) > 1:
        negated, either = negated or parts[0] == "not", either or parts[0] == "or"
        parts = parts[1:]
    lookup = parts.pop() if len(parts) > 1 and parts[-1] in LOOKUPS else "exact"
    if parts == ["type"] and collection in UNIONS:
        return _of_types(text, lookup, negated=negated, either=either)
    if parts == ["content_type", "model"] and collection in TYPED:
        return Condition(("content_type",), "endswith", f".{text}", negated, either)
    if len(parts) > 1 and parts[-1] == "search":
        parts, lookup = [*parts[:-1], "name"], "icontains"
    path, field = resolve(collection, parts)
    return Condition(path, lookup, _wanted(field, lookup, text), negated, either)


def _of_types(text: str, lookup: str, *, negated: bool, either: bool) -> Condition:
    """Filter a union by type: `type=job,workflow_job` means either; AWX finds nothing by `type__in`."""
    types = [] if lookup == "in" else text.split(",")
    return Condition(("type",), "in", types, negated, either)


def resolve(collection: str, parts: Sequence[str]) -> tuple[tuple[str, ...], Field]:
    """Follow a path through the kinds; refuses a field that is not there."""
    path: list[str] = []
    field = Field("id", "integer")
    for index, part in enumerate(parts):
        if part == "password":
            raise forbidden("Filtering on password is not allowed.")
        if index and field.to is None:
            raise error(f"No related model for field {part}.")
        collection = field.to or collection
        field = _field(collection, part)
        path.append(part)
    return tuple(path), field


def values(store: Store, row: Row, path: Sequence[str]) -> list[Any]:
    """What is at the end of a path; several where it goes through a list."""
    name, *rest = path
    if name in ("id", "pk") and not rest:
        return [row["id"]]
    if name == "type":
        return [kinds()[row["_collection"]].type]
    targets = _targets(store, row, name)
    if targets is None:
        return [row.get(name)]
    if not rest:
        return [target["id"] for target in targets] or [None]
    return [value for target in targets for value in values(store, target, rest)] or [None]


def _targets(store: Store, row: Row, name: str) -> list[Row] | None:
    """The objects a field leads to; `None` for a plain value."""
    collection = row["_collection"]
    if collection == "activity_stream" and name in by_type():
        noted = [store.get(*one) for one in row["_about"] if kinds()[one[0]].type == name]
        return [one for one in noted if one is not None]
    for hidden, names in VIRTUAL.items():
        if name in names:
            return _there(store.get(names[name], row.get(hidden)))
    if (collection, name) in LINKS:
        return store.linked(row, name)
    if (collection, name) in REVERSE:
        child, back = REVERSE[collection, name]
        return list(store.where(child, **{back: row["id"]}))
    owner = next((one for one in LINKS if one[0] == name and LINKS[one] == collection), None)
    if owner is not None:  # the groups of a host
        return store.linking(owner[0], owner[1], row)
    field = kinds()[collection].fields.get(name)
    if field is None or field.to is None:
        return None
    return _there(store.get(field.to, row.get(name)))


def _there(row: Row | None) -> list[Row]:
    return [] if row is None else [row]


def _field(collection: str, name: str) -> Field:
    stamps = {"created", "modified", "timestamp", "started", "finished"}
    if name in ("id", "pk"):
        return Field(name, "integer")
    if name == "type" and collection in UNIONS:
        return Field(name, "type")
    target = _collection_at(collection, name)
    if target is not None:
        return Field(name, "id", to=target)
    for member in UNIONS.get(collection, (collection,)):
        if name in kinds()[member].fields:
            return kinds()[member].fields[name]
        if name in kinds()[member].stamps and name in stamps:
            return Field(name, "datetime")
    raise error(f"{model_of(collection)} has no field named '{name}'")


def _collection_at(collection: str, name: str) -> str | None:
    """What a filter leads to by a list or a hidden reference; `None` where it is an ordinary field."""
    if collection == "activity_stream" and name in by_type():
        return by_type()[name].collection
    for names in VIRTUAL.values():
        if name in names and (name == "actor") == (collection == "activity_stream"):
            return names[name]
    if (collection, name) in REVERSE:
        return REVERSE[collection, name][0]
    for member in UNIONS.get(collection, (collection,)):
        if (member, name) in LINKS:
            return LINKS[member, name]
    return name if any(one[0] == name and LINKS[one] == collection for one in LINKS) else None


def _wanted(field: Field, lookup: str, text: str) -> Any:
    if lookup == "isnull":
        return text.lower() in TRUE
    if lookup == "in":
        return [_value(field, one) for one in text.split(",")]
    if lookup in ("regex", "iregex"):
        _check_pattern(text)
    if lookup in TEXTUAL:
        return text
    wanted = _value(field, text)
    if wanted is None and lookup != "exact":  # nothing is neither more nor less than anything
        raise error(f'["“{text}” value must be an integer."]')
    return wanted


def _check_pattern(text: str) -> None:
    try:
        re.compile(text)
    except re.error as failure:
        raise error(str(failure)) from failure


def _value(field: Field, text: str) -> Any:
    if text.lower() in ("null", "none") and field.type == "id":
        return None
    if field.type in ("integer", "id"):
        if not text.lstrip("-").isdecimal():
            raise error(f'["“{text}” value must be an integer."]')
        return int(text)
    if field.type == "boolean":
        if text.lower() not in TRUE | FALSE:
            raise error(f'["“{text}” value must be either True or False."]')
        return text.lower() in TRUE
    if field.type == "datetime":
        return _moment(text)
    if field.type == "type" and text not in by_type():
        raise error(f'["“{text}” is not a type."]')
    return text


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError as failure:
        raise detail(
            400,
            f'["“{text}” value has an invalid format. It must be in YYYY-MM-DD HH:MM[:ss[.uuuuuu]][TZ] format."]',
        ) from failure
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _sortable(found: list[Any]) -> tuple[bool, Any]:
    """Nothing comes last, as in PostgreSQL."""
    have = found[0] if found else None
    return (True, "") if have is None else (False, have)
