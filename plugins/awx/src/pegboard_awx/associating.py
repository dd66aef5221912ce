"""Associating: several things put into a list of another one, or taken out, each for itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import TypedDict

from pegboard_awx.api import Api
from pegboard_awx.failures import AwxError
from pegboard_awx.names import COLLECTIONS, resolve
from pegboard_awx.paths import Segment

STOPS = frozenset({"auth", "timeout", "unreachable"})
"""Kinds of errors after which trying the next one is of no use."""

Ref = int | str


class Refused(TypedDict):
    """One that could not be put in or taken out, and why."""

    id: Ref
    reason: str


class Associated(TypedDict):
    """What became of each; all of them are as they were named."""

    added: list[Ref]
    removed: list[Ref]
    failed: list[Refused]


async def associate(
    api: Api,
    *path: Segment,
    collection: str,
    add: Sequence[Ref] | None,
    remove: Sequence[Ref] | None,
    within: Mapping[str, Any] | None = None,
) -> Associated:
    """Take things of a collection out of the list at this path, then put others in; both may be repeated.

    One that fails does not keep the others from it. Raises `AwxError` when nothing was named, or all failed.
    """
    _check(COLLECTIONS[collection].noun, add or (), remove or ())
    told: Associated = {"added": [], "removed": [], "failed": []}
    first: AwxError | None = None
    work = [*((one, True) for one in remove or ()), *((one, False) for one in add or ())]
    for ref, leaving in work:
        if first is not None and first.kind in STOPS:
            told["failed"].append({"id": ref, "reason": "not tried"})
            continue
        try:
            id_ = await resolve(api, collection, ref, within=within)
            await api.associate(*path, id=id_, remove=leaving)
        except AwxError as error:
            first = first if first is not None and error.kind not in STOPS else error
            told["failed"].append({"id": ref, "reason": str(error)})
        else:
            told["removed" if leaving else "added"].append(ref)
    if first is not None and len(told["failed"]) == len(work):
        raise first
    return told


def _check(noun: str, add: Sequence[Ref], remove: Sequence[Ref]) -> None:
    if not add and not remove:
        raise AwxError("validation", f"no {noun} is named", hint="give add, remove or both")
    both = {str(one) for one in add} & {str(one) for one in remove}
    if both:
        raise AwxError("validation", f"{', '.join(sorted(both))} cannot be added and removed at once")
