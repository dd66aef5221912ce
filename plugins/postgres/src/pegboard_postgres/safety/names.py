"""What a parse tree names that can make PostgreSQL run a function: functions, operators, types and attributes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pegboard_postgres.safety.statement import Name
from pegboard_postgres.safety.tree import Node, nodes, parse_tree

BETWEEN = (">=", "<=", "<", ">")


def names(tree: Iterable[tuple[str, Node]]) -> dict[Name, int]:
    """The names in the nodes of a tree, each with the byte of the text where it is first, or 0."""
    found: dict[Name, int] = {}
    for kind, node in tree:
        for name in NAMING[kind](node) if kind in NAMING else ():
            place = max(0, node.get("location", 0))
            found[name] = min(place, found.get(name, place))
    return found


def _function(node: Node) -> Iterator[Name]:
    schema, name = _qualified(node["funcname"])
    count = len(node.get("args", ()))
    # Arguments of WITHIN GROUP come on top, and those of a VARIADIC array come in one.
    certain = not node.get("agg_within_group") and not node.get("func_variadic")
    yield Name("function", schema, name, count if certain else None)
    if count == 1:
        yield Name("type", schema, name, None)  # int4(x) is a cast
    if name.startswith("pg_input_") and count > 1:
        yield from _type_in_text(node["args"][1])


def _type_in_text(node: Node) -> Iterator[Name]:
    """The type that `pg_input_is_valid('x', 'int4range')` makes a value of; where nobody can tell, any may be meant."""
    text = node.get("A_Const", {}).get("sval", {}).get("sval")
    if text is None:
        yield Name("function", "pg_catalog", "array_in", None)
    else:
        for statement in parse_tree(f"SELECT NULL::{text}"):
            yield from names(nodes(statement))


def _expression(node: Node) -> Iterator[Name]:
    if "BETWEEN" in node["kind"]:
        yield from (Name("operator", None, name, None) for name in BETWEEN)
    else:
        yield _operator(node["name"])


def _operator(parts: Sequence[Any]) -> Name:
    schema, name = _qualified(parts)
    return Name("operator", schema, name, None)


def _sort(node: Node) -> Iterator[Name]:
    if "useOp" in node:
        yield _operator(node["useOp"])


def _sublink(node: Node) -> Iterator[Name]:
    if "operName" in node:
        yield _operator(node["operName"])
    elif "testexpr" in node:
        yield EQUALITY


def _case(node: Node) -> Iterator[Name]:
    if "arg" in node:
        yield EQUALITY


def _join(node: Node) -> Iterator[Name]:
    if "usingClause" in node or "isNatural" in node:
        yield EQUALITY


def _type(node: Node) -> Iterator[Name]:
    schema, name = _qualified(node["names"])
    yield Name("type", schema, name, None)


def _column(node: Node) -> Iterator[Name]:
    yield from _attributes(node["fields"][1:])


def _indirection(node: Node) -> Iterator[Name]:
    yield from _attributes(node["indirection"])


def _attributes(parts: Sequence[Any]) -> Iterator[Name]:
    for part in parts:
        if "String" in part:
            yield Name("attribute", None, part["String"]["sval"], 1)


def _qualified(parts: Sequence[Any]) -> tuple[str | None, str]:
    """Schema and name; a database before them can only be the one we are in."""
    strings = [part["String"]["sval"] for part in parts]
    return (strings[-2] if len(strings) > 1 else None), strings[-1]


EQUALITY = Name("operator", None, "=", None)

NAMING: Mapping[str, Callable[[Node], Iterator[Name]]] = {
    "FuncCall": _function,
    "A_Expr": _expression,
    "SortBy": _sort,
    "SubLink": _sublink,
    "CaseExpr": _case,
    "JoinExpr": _join,
    "typeName": _type,
    "ColumnRef": _column,
    "A_Indirection": _indirection,
}
"""How each kind of node names things."""
