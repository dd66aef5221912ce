"""Reads the conditions of a plan: which columns are compared with what, and what stands in the way of an index."""

from collections.abc import Iterator
from dataclasses import dataclass

from pegboard import ToolError
from pegboard_postgres.safety.tree import Node, nodes, parse_tree

ORDERED = frozenset({"<", "<=", ">", ">="})
LIKE = frozenset({"~~", "~~*"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column that is compared with something that is no column of the same table."""

    column: str
    operator: str
    function: str | None = None
    """The function that stands between the column and the comparison."""
    cast: str | None = None
    """The type the column is converted to before it is compared."""
    pattern: str | None = None
    """What LIKE looks for, if that is written out."""

    @property
    def is_equality(self) -> bool:
        return self.operator == "="

    @property
    def is_bare(self) -> bool:
        """Whether a plain index on the column could serve the comparison."""
        return self.function is None and (self.is_equality or self.operator in ORDERED)


def comparisons(condition: str, alias: str) -> list[Comparison]:
    """The comparisons that all have to hold, of columns that `alias` qualifies; none if it cannot be told."""
    try:
        tree = parse_tree(f"SELECT {condition}")
    except ToolError:  # names such as SubPlan 1 are no SQL
        return []
    value = tree[0]["stmt"]["SelectStmt"]["targetList"][0]["ResTarget"]["val"]
    return [found for node in _conjuncts(value) if (found := _comparison(node, alias))]


def _conjuncts(node: Node) -> Iterator[Node]:
    both = node.get("BoolExpr")
    if both and both["boolop"] == "AND_EXPR":
        for argument in both["args"]:
            yield from _conjuncts(argument)
    else:
        yield node


def _comparison(node: Node, alias: str) -> Comparison | None:
    expression = node.get("A_Expr", {})
    if expression.get("kind") not in ("AEXPR_OP", "AEXPR_OP_ANY") or "lexpr" not in expression:
        return None
    operator: str = expression["name"][-1]["String"]["sval"]
    left, right = expression["lexpr"], expression["rexpr"]
    # What mentions the table on both sides compares its columns with each other.
    if _mentions(left, alias) == _mentions(right, alias):
        return None
    if _mentions(left, alias):
        return _of_column(left, operator, right, alias)
    flipped = operator.translate(str.maketrans("<>", "><"))
    return _of_column(right, flipped, left, alias) if expression["kind"] == "AEXPR_OP" else None


def _of_column(side: Node, operator: str, other: Node, alias: str) -> Comparison | None:
    function = type_ = None
    if "TypeCast" in side:
        type_ = str(side["TypeCast"]["typeName"]["names"][-1]["String"]["sval"])
        side = side["TypeCast"]["arg"]
    if "FuncCall" in side:
        call = side["FuncCall"]
        columns = [argument for argument in call.get("args", []) if _mentions(argument, alias)]
        if len(columns) != 1:
            return None
        function, side = str(call["funcname"][-1]["String"]["sval"]), columns[0]
        side = side.get("TypeCast", {}).get("arg", side)
    if "ColumnRef" not in side:
        return None
    column = str(side["ColumnRef"]["fields"][-1]["String"]["sval"])
    return Comparison(column, operator, function, type_, _text(other) if operator in LIKE else None)


def _text(node: Node) -> str | None:
    value = node.get("TypeCast", {}).get("arg", node)
    return value.get("A_Const", {}).get("sval", {}).get("sval")


def _mentions(tree: Node, alias: str) -> bool:
    """Whether a column of the table occurs; without a qualifier there is only this table."""
    columns = (node["fields"] for kind, node in nodes(tree) if kind == "ColumnRef")
    return any(len(fields) == 1 or fields[0].get("String", {}).get("sval") == alias for fields in columns)
