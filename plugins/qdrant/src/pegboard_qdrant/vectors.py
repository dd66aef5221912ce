"""Vectors as JSON has them: checked against the collection before anything is sent."""

import math
from collections.abc import Mapping
from typing import Any, cast

from pegboard import ToolError
from pegboard_qdrant import driver
from pegboard_qdrant.names import unknown
from pegboard_qdrant.shape import Dense, Shape
from pegboard_qdrant.values import given_id

Vector = list[float] | list[list[float]] | dict[str, list[Any]]
"""A dense one, a multi-vector, or a sparse one: `{"indices": [1, 7], "values": [0.5, 0.2]}`."""

MAX_ROWS = 4096
MAX_SPARSE = 100_000
MAX_INDEX = 2**32


def checked(shape: Shape, name: str, vector: Any) -> Vector:
    """The vector, if the collection can use it as `name`; raises `ToolError` that names both."""
    what = _called(shape, name)
    if name in shape.sparse:
        return _sparse(what, vector)
    if name not in shape.vectors:
        raise ToolError(unknown(f"collection {shape.name!r} has no vector", name, shape.vector_names))
    dense = shape.vectors[name]
    if not isinstance(vector, list) or not vector:
        raise ToolError(f"{what} wants {_wanted(dense)}")
    rows = cast(list[Any], vector)
    if isinstance(rows[0], list):
        return _rows(what, dense, rows)
    numbers = _dense(what, dense, rows)
    return [numbers] if dense.multi else numbers


def example(shape: Shape, name: str, given: Any) -> Any:
    """An example to be like or unlike: the id of a point, or a vector, as the driver takes them."""
    if isinstance(given, list | dict):
        return driver.vector_of(checked(shape, name, given))
    return given_id(given, "example")


def embedded(shape: Shape, name: str, vector: list[float], model: str) -> Vector:
    """A vector made of a text; raises `ToolError` when the model is not the one the collection was made with."""
    dense = shape.vectors.get(name)
    if dense is not None and dense.size != len(vector):
        raise ToolError(
            f"{_called(shape, name)} wants {_wanted(dense)} and the model {model!r} makes {len(vector)}; configure the "
            f"embedding_model the collection was made with, or choose another vector with using"
        )
    return checked(shape, name, vector)


def named(shape: Shape, given: Any) -> Vector | dict[str, Vector]:
    """The vector or vectors of a point: one for the default, or an object by name."""
    if given is None:
        given = {}
    if isinstance(given, dict) and not _looks_sparse(cast(dict[str, Any], given)):
        vectors = {name: checked(shape, name, vector) for name, vector in cast(dict[str, Any], given).items()}
        missing = [name for name in shape.vectors if name not in vectors]
        if missing and not vectors and "" in missing:
            raise ToolError(f"{_called(shape, '')} wants {_wanted(shape.vectors[''])}; the point has no vector")
        return vectors
    if "" not in shape.vectors:
        names = ", ".join(map(repr, shape.vector_names)) or "none"
        raise ToolError(f"collection {shape.name!r} has no default vector; give vectors by name ({names})")
    return checked(shape, "", given)


def _rows(what: str, dense: Dense, rows: list[Any]) -> list[list[float]]:
    if not dense.multi:
        raise ToolError(f"{what} wants {_wanted(dense)}, not a list of lists")
    if len(rows) > MAX_ROWS:
        raise ToolError(f"{what} got {len(rows)} rows; at most {MAX_ROWS} can be sent")
    return [_dense(what, dense, row) for row in rows]


def _dense(what: str, dense: Dense, vector: Any) -> list[float]:
    numbers = cast(list[Any], vector) if isinstance(vector, list) else []
    if len(numbers) != dense.size:
        raise ToolError(f"{what} wants {_wanted(dense)}, not {len(numbers)}")
    return _numbers(what, numbers)


def _sparse(what: str, vector: Any) -> dict[str, list[Any]]:
    if not isinstance(vector, dict) or set(cast(dict[str, Any], vector)) != {"indices", "values"}:
        raise ToolError(f'{what} is sparse; write {{"indices": [1, 7], "values": [0.5, 0.2]}}')
    indices, values = (cast(dict[str, Any], vector)[key] for key in ("indices", "values"))
    if not (isinstance(indices, list) and isinstance(values, list)):
        raise ToolError(f"{what}: indices and values are lists")
    places, numbers = cast(list[Any], indices), cast(list[Any], values)
    if len(places) != len(numbers) or len(places) > MAX_SPARSE:
        raise ToolError(f"{what}: indices and values are as many, at most {MAX_SPARSE}")
    if len(set(map(str, places))) < len(places) or not all(type(i) is int and 0 <= i < MAX_INDEX for i in places):
        raise ToolError(f"{what}: indices are different integers from 0 to 2^32-1")
    return {"indices": places, "values": _numbers(what, numbers)}


def _numbers(what: str, numbers: list[Any]) -> list[float]:
    for place, number in enumerate(numbers):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ToolError(f"{what}: the value at {place} is not a number")
        if not _is_float32(number):
            raise ToolError(f"{what}: the value at {place} is not a finite number of 32 bits")
    return [float(number) for number in numbers]


def _is_float32(number: float) -> bool:
    try:
        return math.isfinite(number) and abs(number) <= 3.4e38
    except OverflowError:
        return False


def _called(shape: Shape, name: str) -> str:
    return f"collection {shape.name!r}, {f'vector {name!r}' if name else 'its vector'}"


def _wanted(dense: Dense) -> str:
    return f"{'rows of ' if dense.multi else ''}{dense.size} numbers"


def _looks_sparse(given: Mapping[str, Any]) -> bool:
    return set(given) == {"indices", "values"} and not any(isinstance(value, dict) for value in given.values())
