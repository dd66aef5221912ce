"""Deleting: for real, or as a dry run that shows what would go."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import TypedDict

from pegboard_awx.api import Api, Object
from pegboard_awx.names import COLLECTIONS
from pegboard_awx.paths import Segment

ACCEPTED = 202


class Deleted(TypedDict, total=False):
    """What was deleted, or would be; `related` is what belongs to it."""

    deleted: bool
    dry_run: bool
    id: int
    name: str
    deletion: str
    related: dict[str, Any]
    warnings: list[str]


async def delete(api: Api, collection: str, id: int, *, dry_run: bool, **related: tuple[Segment, ...]) -> Deleted:  # noqa: A002 # AWX's word
    """Delete one thing; a dry run only reads, and counts the lists named in `related`."""
    thing = await api.get(collection, id)
    if dry_run:
        return would_delete(collection, thing, await counts(api, related))
    status = await api.delete(collection, id)
    told: Deleted = {"deleted": True, "id": id, "name": thing[COLLECTIONS[collection].name]}
    return {**told, "deletion": "scheduled"} if status == ACCEPTED else told


def would_delete(collection: str, thing: Object, related: Mapping[str, Any]) -> Deleted:
    """The answer of a dry run."""
    told: Deleted = {"deleted": False, "dry_run": True, "id": thing["id"], "name": thing[COLLECTIONS[collection].name]}
    return {**told, "related": dict(related)} if related else told


async def counts(api: Api, lists: Mapping[str, tuple[Segment, ...]]) -> dict[str, int]:
    """How many things are in each of some lists; empty ones are left out."""
    totals = {name: (await api.page(*path, size=1)).total for name, path in lists.items()}
    return {name: total for name, total in totals.items() if total}
