"""Rows of the double, as tests look for them, where people see them, and requests it has got."""

from typing import Any

from pegboard_awx.double import Double
from pegboard_awx.double.kinds import Row


def row(double: Double, collection: str, name: str, **values: Any) -> Row:
    """The object with this name."""
    found = double.world.store.find(collection, name=name, **values)
    assert found is not None, f"there is no {name!r} in {collection}"
    return found


def number(double: Double, collection: str, name: str, **values: Any) -> int:
    """The id of the object with this name."""
    return int(row(double, collection, name, **values)["id"])


def is_there(double: Double, collection: str, name: str) -> bool:
    """Whether there is an object with this name."""
    return double.world.store.find(collection, name=name) is not None


def page(double: Double, url: str, path: str) -> str:
    """Where people see an object in the web: AWX's own pages, or the platform's, which have dashes."""
    return f"{url}/execution/{path.replace('_', '-')}" if double.platform else f"{url}/#/{path}"


def writes(double: Double) -> list[tuple[str, Any]]:
    """The requests that write, in the order they came: path and body."""
    return [
        (seen.path.partition("/v2/")[2], seen.body)
        for seen in double.requests
        if seen.method in ("POST", "PATCH", "DELETE")
    ]
