"""Creating: sent once; a refusal names what is already there, and a lost answer says where to look."""

from collections.abc import Mapping
from typing import Any

from pegboard_awx.api import Api, Object
from pegboard_awx.failures import AwxError
from pegboard_awx.names import COLLECTIONS, Collection
from pegboard_awx.paths import Segment


async def create(
    api: Api,
    *segments: Segment,
    body: Mapping[str, Any],
    within: Mapping[str, Any] | None = None,
    into: str | None = None,
) -> Object:
    """Make one thing in the list at this path, and return it as AWX shows it.

    `None` in the body counts as not given. `within` are the filters under which its name is the only one, `into` is its
    list where the path ends with another word. Raises `AwxError`: "conflict" names the id of what has that name
    already; one that is `unsure` names the tool to look with.
    """
    collection = into or str(segments[-1])
    given = {name: value for name, value in body.items() if value is not None}
    try:
        return await api.post(*segments, json=given)
    except AwxError as error:
        kind = COLLECTIONS[collection]
        if error.unsure:
            raise _perhaps(error, kind, str(given[kind.name])) from error
        if error.kind != "conflict":
            raise
        params = {kind.name: given[kind.name], **(within or {})}
        raise await _taken(api, error, collection, params) from error


def _perhaps(error: AwxError, kind: Collection, name: str) -> AwxError:
    look = f"{kind.lists}(name_contains={name!r})" if kind.lists else "look in AWX"
    hint = f"the {kind.noun} may be there all the same: {look} tells; do not repeat it before"
    return AwxError(error.kind, error.message, hint=hint, status=error.status, unsure=True)


async def _taken(api: Api, error: AwxError, collection: str, params: Mapping[str, Any]) -> AwxError:
    """The same error with the id of what is in the way, where the user may see it."""
    kind = COLLECTIONS[collection]
    there = await api.first(collection, params=params)
    if there is None:
        return error
    message = f"the {kind.noun} {there[kind.name]!r} is there already, with the id {there['id']}"
    fields = {**error.fields, "existing": there["id"]}
    return AwxError("conflict", message, hint="use it, or choose another name", status=error.status, fields=fields)
