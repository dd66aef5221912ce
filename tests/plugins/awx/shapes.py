"""Shapes: whether a value has the keys and the types that were recorded."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

RECORDED = Path(__file__).parent / "recorded"
OBJECTS: Mapping[str, Any] = json.loads((RECORDED / "objects.json").read_text())
"""The shapes of resources, in lists and alone, merged from all recordings of each."""

TYPES = {"str": str, "int": int, "float": (int, float), "bool": bool, "null": type(None)}


def problems(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """What is different, with the place where it is."""
    if isinstance(shape, str):
        yield from _simple(value, shape, path)
    elif isinstance(shape, list):
        yield from _list(value, cast(list[Any], shape), path)
    elif "null" in shape:
        yield from () if value is None else problems(value, shape["null"], path)
    else:
        yield from _object(value, cast(dict[str, Any], shape), path)


def _simple(value: Any, shape: str, path: str) -> Iterator[str]:
    if shape == "any":
        return
    if shape.startswith("@"):
        name = _object_name(value, shape[1:])
        yield from problems(value, OBJECTS.get(name, "any"), f"{path}<{name}>")
    elif shape == "[str]":
        yield from _list(value, ["str"], path)
    elif not any(_is(value, one) for one in shape.split("|")):
        yield f"{path} is {type(value).__name__}, not {shape}"


def _object_name(value: Any, recorded: str) -> str:
    """The shape of the object's own type: in a list of jobs there are other kinds of them than were recorded."""
    type_ = cast(dict[str, Any], value).get("type") if isinstance(value, dict) else None
    return f"{type_ or recorded.partition('.')[0]}.{recorded.partition('.')[2]}"


def _is(value: Any, type_: str) -> bool:
    return isinstance(value, TYPES[type_]) and (type_ == "bool" or not isinstance(value, bool))


def _list(value: Any, shape: list[Any], path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path} is no list"
        return
    for one in cast(list[Any], value)[:5] if shape else []:
        yield from problems(one, shape[0], f"{path}[]")


def _object(value: Any, shape: dict[str, Any], path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path} is no object"
        return
    given = cast(dict[str, Any], value)
    known = {key.removesuffix("?"): one for key, one in shape.items()}
    for key in shape:
        if not key.endswith("?") and key not in given:
            yield f"{path}.{key} is missing"
    for key, one in given.items():
        if key not in known:
            yield f"{path}.{key} is too much"
        else:
            yield from problems(one, known[key], f"{path}.{key}")
