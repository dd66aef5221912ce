"""Usage: what else would break with a thing that is deleted."""

from collections.abc import Mapping

from pegboard_awx.api import Api
from pegboard_awx.deleting import Deleted, delete, would_delete
from pegboard_awx.names import resolve

Users = Mapping[str, tuple[str, str]]
"""Those that use a thing: what they are called, their list, and the field that leads to it."""


async def usage(api: Api, id: int, users: Users) -> dict[str, int]:  # noqa: A002 # what AWX calls it
    """How many of each use the thing with this id; those of which there are none are left out."""
    totals = {
        word: (await api.page(collection, params={field: id}, size=1)).total
        for word, (collection, field) in users.items()
    }
    return {word: total for word, total in totals.items() if total}


async def removed(api: Api, collection: str, ref: int | str, users: Users, *, dry_run: bool) -> Deleted:
    """Delete a thing, or count in a dry run what uses it."""
    id_ = await resolve(api, collection, ref)
    if not dry_run:
        return await delete(api, collection, id_, dry_run=False)
    return would_delete(collection, await api.get(collection, id_), await usage(api, id_, users))
