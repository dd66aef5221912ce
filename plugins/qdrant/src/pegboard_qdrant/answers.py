"""What the tools answer: typed dictionaries, and how they are made of the driver's objects."""

from collections.abc import Sequence
from typing import Any, NotRequired, cast

from typing_extensions import TypedDict

from pegboard_qdrant import values
from pegboard_qdrant.catalogue import Sample
from pegboard_qdrant.shape import Shape

PayloadFields = list[str] | None
MAX_SHOWN_KEYS = 60


class Point(TypedDict):
    """A point; its score says how well it fits, the higher the better unless the distance is a length."""

    id: int | str
    score: NotRequired[float]
    payload: dict[str, Any]
    vector: NotRequired[Any]
    group: NotRequired[Any]


class Found(TypedDict):
    """The points found, the best first, and how they were searched: `mode`, and the vector or payload keys used."""

    mode: str
    using: list[str]
    points: list[Point]


class Vector(TypedDict):
    """A vector of a collection."""

    name: str
    size: NotRequired[int]
    distance: NotRequired[str]
    multi: NotRequired[bool]
    sparse: NotRequired[bool]
    modifier: NotRequired[str]


class Listed(TypedDict):
    """A collection in the list of them."""

    name: str
    points: int
    vectors: list[Vector]
    text_search: list[str]
    aliases: list[str]


class PayloadKey(TypedDict):
    """A payload key as the sampled points have it."""

    key: str
    types: list[str]
    examples: list[Any]
    share: float


class Collection(TypedDict):
    """A collection."""

    name: str
    points: int
    status: str
    vectors: list[Vector]
    text_search: list[str]
    indexes: dict[str, str]
    sampled_points: int
    payload_keys: list[PayloadKey]


class FacetValue(TypedDict):
    """A value, and how many points have it."""

    value: Any
    count: int


class Facets(TypedDict):
    """How many points there are, and the most frequent values of the key among them."""

    key: str | None
    count: int
    values: list[FacetValue]


class Upserted(TypedDict):
    """What was written."""

    written: int
    replaced: int


class Deleted(TypedDict):
    """What was deleted, and the ids that were not there."""

    deleted: int
    missing: list[int | str]


def point(found: Any, group: Any = None) -> Point:
    """A scored point or a record."""
    answer = Point(id=values.point_id(found.id), payload=values.plain(found.payload or {}))
    if getattr(found, "score", None) is not None:
        answer["score"] = values.plain(found.score)
    if found.vector is not None:
        answer["vector"] = _vector(found.vector)
    if group is not None:
        answer["group"] = values.plain(group)
    return answer


def points(found: Sequence[Any]) -> list[Point]:
    return [point(one) for one in found]


def grouped(groups: Sequence[Any]) -> list[Point]:
    """The points of all groups, each with its group's value."""
    return [point(hit, group.id) for group in groups for hit in group.hits]


def fields(wanted: PayloadFields) -> Any:
    """Which payload to ask for: all of it, some keys, or for an empty list none."""
    return True if wanted is None else (wanted or False)


def vectors(shape: Shape) -> list[Vector]:
    """The vectors of a collection, the default one first."""
    found: list[Vector] = []
    for name, dense in shape.vectors.items():
        one = Vector(name=name, size=dense.size, distance=dense.distance)
        found.append({**one, "multi": True} if dense.multi else one)
    for name, modifier in shape.sparse.items():
        one = Vector(name=name, sparse=True)
        found.append({**one, "modifier": modifier} if modifier else one)
    return found


def listed(shape: Shape, aliases: Sequence[Any]) -> Listed:
    return {
        "name": shape.name,
        "points": shape.points,
        "vectors": vectors(shape),
        "text_search": list(shape.texts),
        "aliases": sorted(each.alias_name for each in aliases if each.collection_name == shape.name),
    }


def collection(shape: Shape, sample: Sample) -> Collection:
    """All that is known of a collection."""
    frequent = sorted(sample.keys.items(), key=lambda item: (-item[1].points, item[0]))[:MAX_SHOWN_KEYS]
    return {
        "name": shape.name,
        "points": shape.points,
        "status": shape.status,
        "vectors": vectors(shape),
        "text_search": list(shape.texts),
        "indexes": dict(shape.indexes),
        "sampled_points": sample.points,
        "payload_keys": [
            {
                "key": path,
                "types": sorted(key.types),
                "examples": key.examples,
                "share": round(key.points / max(1, sample.points), 2),
            }
            for path, key in sorted(frequent)
        ],
    }


def _vector(vector: Any) -> Any:
    if isinstance(vector, dict):
        return {name: _vector(one) for name, one in cast(dict[str, Any], vector).items()}
    if isinstance(vector, list):
        return values.plain(vector)
    return {"indices": vector.indices, "values": values.plain(vector.values)}
