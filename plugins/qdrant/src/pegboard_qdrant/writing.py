"""Changes: points put in or taken out by id, checked whole before anything is sent, and shown before it is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, cast

from typing_extensions import TypedDict

from pegboard import ToolError
from pegboard_qdrant import driver, vectors
from pegboard_qdrant.driver import Client
from pegboard_qdrant.shape import Shape
from pegboard_qdrant.values import PointId, given_id, point_id

MAX_POINTS = 100
MAX_IDS = 1000
MAX_DEPTH = 50
SHOWN = 5


class NewPoint(TypedDict):
    """A point to put in; what it had before is replaced."""

    id: int | str
    vector: NotRequired[list[Any] | dict[str, Any] | None]
    payload: NotRequired[dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Upsert:
    """Points that can be put in as they are, and the ids among them that are there already."""

    collection: str
    points: list[Any]
    replaced: list[PointId]

    @property
    def question(self) -> str:
        """What the user is asked."""
        new = len(self.points) - len(self.replaced)
        return f"Put {new} new points into collection {self.collection!r} and replace {_some(self.replaced)}?"


def checked_points(shape: Shape, given: Sequence[NewPoint]) -> list[Any]:
    """The points as the driver takes them; raises `ToolError` for the first that cannot be put in."""
    if not 1 <= len(given) <= MAX_POINTS:
        raise ToolError(f"give 1 to {MAX_POINTS} points at once, not {len(given)}; nothing was written")
    points = [_point(shape, place, point) for place, point in enumerate(given)]
    ids = [point.id for point in points]
    for one in ids:
        if ids.count(one) > 1:
            raise ToolError(f"id {one!r} stands twice among the points; nothing was written")
    return points


def checked_ids(given: Sequence[Any]) -> list[PointId]:
    """Different ids; raises `ToolError` for none, for too many, and for what is no id."""
    if not 1 <= len(given) <= MAX_IDS:
        raise ToolError(f"give 1 to {MAX_IDS} ids, not {len(given)}; nothing was deleted")
    return list(dict.fromkeys(given_id(one) for one in given))


async def existing(client: Client, collection: str, ids: Sequence[PointId]) -> list[PointId]:
    """Those of the ids that are there."""
    found = await client.retrieve(collection, ids, with_payload=False, with_vectors=False)
    return [record.id for record in found]


def _point(shape: Shape, place: int, given: NewPoint) -> Any:
    models = driver.models()
    where = f"points[{place}]"
    try:
        vector = vectors.named(shape, given.get("vector"))
        one = given_id(given["id"])
    except ToolError as error:
        raise ToolError(f"{where}: {error}; nothing was written") from error
    payload = given.get("payload") or {}
    if _is_deep(payload):
        raise ToolError(f"{where}: the payload is nested more than {MAX_DEPTH} deep; nothing was written")
    return models.PointStruct(id=one, vector=_sent(vector), payload=payload)


def _sent(vector: Any) -> Any:
    if isinstance(vector, dict) and set(cast(dict[str, Any], vector)) != {"indices", "values"}:
        return {name: driver.vector_of(one) for name, one in cast(dict[str, Any], vector).items()}
    return driver.vector_of(vector)


def _is_deep(value: Any) -> bool:
    """Whether something is nested too deeply; goes down level by level, so depth costs no stack."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [item for one in level for item in _inside(one)]
        if not level:
            return False
    return True


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast(dict[str, Any], value).values())
    return cast(list[Any], value) if isinstance(value, list) else []


def _some(ids: Sequence[PointId]) -> str:
    if not ids:
        return "none"
    more = ", …" if len(ids) > SHOWN else ""
    return f"{len(ids)} (id {', '.join(str(point_id(one)) for one in ids[:SHOWN])}{more})"


def deletion(collection: str, there: Sequence[PointId], total: int) -> str:
    """What the user is asked before points are deleted."""
    return f"Delete {_some(there)} of the {total} points of collection {collection!r}? This cannot be undone."
