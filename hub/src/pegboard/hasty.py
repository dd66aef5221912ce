"""Hasty validation: a list is given up at its first value that does not fit, since a body has room for a million.

pydantic looks at every value and keeps what is wrong with each, for each branch of a union: seconds in which nobody
else is served, for 4 MiB.
"""

from collections.abc import Mapping
from typing import Any, cast

from pydantic_core import CoreSchema, SchemaValidator

FEW = 1000
"""Values that may be looked at one by one."""

CONTAINERS = frozenset(("dict", "frozenset", "list", "set", "tuple"))
NO_SCHEMAS = frozenset(("default", "expected", "metadata", "serialization"))
"""Members of a schema that hold values, which may look like schemas."""


def hasty(schema: CoreSchema) -> SchemaValidator:
    """A validator that takes the same values as others do, and says less of those it does not take."""
    # Without the last, which is no promise of pydantic's, models would be validated as thoroughly as ever.
    return SchemaValidator(_hasty(schema), _use_prebuilt=False)


def are_few(value: Any) -> bool:
    """Whether a value that came as JSON holds few values, and all of them can be looked at."""
    left, waiting = FEW, [value]
    while waiting:
        container = waiting.pop()
        if isinstance(container, Mapping):
            container = list(cast(Mapping[Any, Any], container).values())
        if isinstance(container, list):
            inner = cast(list[Any], container)
            left -= len(inner)
            if left < 0:
                return False
            waiting += inner
    return True


def _hasty(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_hasty(one) for one in cast(list[Any], schema)]
    if isinstance(schema, tuple):  # a branch of a union, with its name
        return tuple(_hasty(one) for one in cast(tuple[Any, ...], schema))
    if not isinstance(schema, dict):
        return schema
    given = cast(dict[str, Any], schema)
    kind = given.get("type")
    if not isinstance(kind, str):  # schemas by the names of fields, one of which may be `type`
        return {name: _hasty(one) for name, one in given.items()}
    made = {key: value if key in NO_SCHEMAS else _hasty(value) for key, value in given.items()}
    return {**made, "fail_fast": True} if kind in CONTAINERS else made
