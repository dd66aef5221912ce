"""Credentials: what their types ask for, and secrets that are kept but never shown."""

from collections.abc import Iterable, Mapping
from typing import Any

from pegboard_awx.double.kinds import Row
from pegboard_awx.double.refusals import bad, bad_field, forbidden
from pegboard_awx.double.resources import Resource, Values, tables
from pegboard_awx.double.routes import Table
from pegboard_awx.double.sublists import Related, activity_of
from pegboard_awx.double.sublists import tables as sublists
from pegboard_awx.double.visits import Reply, Visit

KEPT = "$encrypted$"
OWNERS = ("organization", "user", "team")


def _prepare(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:
    if row is None and not any(body.get(owner) for owner in OWNERS):
        raise bad({"detail": ["Missing 'user', 'team', or 'organization'."]})
    if row is not None and row["managed"]:
        raise forbidden()
    kind = visit.store.get("credential_types", values.get("credential_type", (row or {}).get("credential_type")))
    assert kind is not None
    fields = {one["id"]: one for one in kind["inputs"].get("fields", [])}
    if "inputs" in values:
        values["inputs"] = _inputs(values["inputs"], fields, {} if row is None else row["inputs"])
    values["_secret"] = {name for name, one in fields.items() if one.get("secret")}
    values["kind"], values["cloud"] = (
        kind["kind"] if kind["kind"] != "cloud" else kind["namespace"],
        kind["kind"] == "cloud",
    )
    if row is None and body.get("user"):
        values["_user"] = body["user"]


def _inputs(given: Mapping[str, Any], fields: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as they are kept: the given ones and no others, but for secrets that are sent as they are shown."""
    for name in given:
        if name not in fields:
            raise bad_field("inputs", f"Additional properties are not allowed ('{name}' was unexpected)")
    for name, value in given.items():
        if fields[name].get("format") == "ssh_private_key" and value and value != KEPT and "PRIVATE KEY" not in value:
            raise bad({"inputs": {name: [f"Invalid certificate or key: {value}..."]}})
        choices = fields[name].get("choices")
        if choices and value not in choices:
            raise bad({"inputs": {name: [f"'{value}' is not one of {choices}"]}})
    return {name: old.get(name, "") if value == KEPT else value for name, value in given.items()}


def _managed_type(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    if not visit.rights.all or (row is not None and row["managed"]):
        raise forbidden("Modifications not allowed for managed credential types")
    if row is None and values.get("kind") not in ("cloud", "net"):
        raise bad_field("kind", f"Must be 'cloud' or 'net', not {values.get('kind')}")
    values["namespace"] = None


def _remove_type(visit: Visit, row: Row) -> None:
    if row["managed"]:
        raise forbidden("Deletion not allowed for managed credential types")
    if visit.store.find("credentials", credential_type=row["id"]):
        raise forbidden("Credential types that are in use cannot be deleted")


def _copy(visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
    row = visit.row("credentials", id, "edit")
    same = {name: row[name] for name in ("description", "organization", "credential_type", "inputs")}
    return CREDENTIALS.make(visit, {**same, **visit.body})


def _of_type(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.where("credentials", credential_type=row["id"])


def _owner_users(visit: Visit, row: Row) -> Iterable[Row]:
    return [user for user in visit.store.all("users") if user["id"] == row.get("_user")]


CREDENTIALS = Resource("credentials", prepare=_prepare)

ROUTES: Table = {
    **tables([CREDENTIALS, Resource("credential_types", prepare=_managed_type, removing=_remove_type)]),
    ("POST", "credentials/{id}/copy/"): _copy,
    **sublists(
        [
            Related("credential_types", "credentials", "credentials", _of_type),
            Related("credentials", "owner_users", "users", _owner_users),
            activity_of("credentials"),
        ]
    ),
}
