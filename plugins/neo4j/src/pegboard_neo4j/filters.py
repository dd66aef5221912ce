"""Conditions on properties as a mapping: `{"city": "Rome", "age": {"gte": 18}}`."""

from collections.abc import Mapping
from typing import Any, cast

from pegboard import ToolError
from pegboard_neo4j.parameters import value
from pegboard_neo4j.quoting import quoted

OPERATORS = {
    "eq": "{property} = {value}",
    "ne": "{property} <> {value}",
    "lt": "{property} < {value}",
    "lte": "{property} <= {value}",
    "gt": "{property} > {value}",
    "gte": "{property} >= {value}",
    "in": "{property} IN {value}",
    "contains": "toLower({property}) CONTAINS toLower({value})",
    "starts_with": "{property} STARTS WITH {value}",
    "ends_with": "{property} ENDS WITH {value}",
    "exists": "({property} IS NOT NULL) = {value}",
}


def conditions(variable: str, where: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Conditions in Cypher, all of which must hold, and their parameters."""
    found: list[str] = []
    params: dict[str, Any] = {}
    for key, wanted in where.items():
        for operator, operand in _operations(key, wanted):
            name = f"filter{len(params)}"
            form = OPERATORS[operator]
            found.append(form.format(property=f"{variable}.{quoted(key)}", value=f"${name}"))
            params[name] = value(operand, f"filter.{key}")
    return found, params


def _operations(key: str, wanted: Any) -> list[tuple[str, Any]]:
    if wanted is None:
        return [("exists", False)]
    if not isinstance(wanted, dict) or "_type" in wanted:
        return [("eq", wanted)]
    operations = cast("dict[str, Any]", wanted)
    for operator in operations:
        if operator not in OPERATORS:
            raise ToolError(f"the filter on {key!r} has the operator {operator!r}; there are {', '.join(OPERATORS)}")
    return list(operations.items())
