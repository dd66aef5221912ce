"""What one INSERT, UPDATE, DELETE or MERGE changes, read from its parse tree, and how it is run so that it is seen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pegboard_postgres.driver import Type
from pegboard_postgres.parameters import with_casts
from pegboard_postgres.safety import Statement, check_change
from pegboard_postgres.safety.place import characters
from pegboard_postgres.safety.tokens import tokenize
from pegboard_postgres.safety.tree import Node, nodes, parse_tree

COMMANDS = {"InsertStmt": "INSERT", "UpdateStmt": "UPDATE", "DeleteStmt": "DELETE", "MergeStmt": "MERGE"}
"""What changes rows, by its node in the parse tree."""

FILTERED = ("UPDATE", "DELETE")
"""Commands that change every row of their table when they have no WHERE."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as a statement names it; `alias` is what its columns go by."""

    schema: str
    name: str
    alias: str

    @property
    def sql(self) -> str:
        """The name for `to_regclass`."""
        return ".".join(quote(part) for part in (self.schema, self.name) if part)


@dataclass(frozen=True, slots=True)
class Change:
    """One statement that changes rows."""

    statement: Statement
    command: str
    start: int
    """Where the command itself begins; before it is its WITH clause, if it has one."""
    target: Relation
    tables: tuple[Relation, ...]
    """Every table that the statement changes, also in its WITH clause."""
    unfiltered: tuple[str, ...]
    """The tables of which it changes every row, since there is no WHERE."""
    has_with: bool
    has_returning: bool

    def text(self, types: Sequence[Type]) -> str:
        """The statement with its parameters converted to their types."""
        return with_casts(self.statement, types)

    def wrapped(self, types: Sequence[Type], returning: str, name: str, columns: Sequence[str], then: str) -> str:
        """A query that runs the statement as its last CTE, called `name`, and goes on with `then`."""
        beginning = with_casts(_part(self.statement, 0, self.start), types)
        body = with_casts(_part(self.statement, self.start, len(self.statement.text)), types)
        listed = f"({', '.join(quote(column) for column in columns)})" if columns else ""
        lead = f"{beginning}\n," if self.has_with else "WITH"
        return f"{lead} {name}{listed} AS (\n{body}\n{returning}\n)\n{then}"


def quote(name: str) -> str:
    """A name as PostgreSQL takes it exactly."""
    return '"' + name.replace('"', '""') + '"'


def parse(sql: str) -> Change:
    """The change that `sql` is; raises `ToolError` for anything else."""
    statement = check_change(sql)
    tree: Node = parse_tree(statement.text)[0]["stmt"]
    ((kind, node),) = tree.items()
    changes = [(COMMANDS[kind], node) for kind, node in nodes(tree) if kind in COMMANDS]
    return Change(
        statement=statement,
        command=COMMANDS[kind],
        start=_start(statement.text, node["relation"].get("location", 0)),
        target=_relation(node),
        tables=tuple(dict.fromkeys(_relation(change) for _, change in changes)),
        unfiltered=tuple(dict.fromkeys(_all_rows_of(changes))),
        has_with="withClause" in node,
        has_returning="returningList" in node or "returningClause" in node,
    )


def _part(statement: Statement, start: int, end: int) -> Statement:
    inside = (found for found in statement.parameters if start <= found.start < end)
    moved = (found._replace(start=found.start - start, end=found.end - start) for found in inside)
    return replace(statement, text=statement.text[start:end], parameters=tuple(moved))


def _start(text: str, target: int) -> int:
    """Where the command begins: at the last such word before its table, whose place is given in bytes."""
    before, commands = characters(text, target), COMMANDS.values()
    return max(token.start for token in tokenize(text) if token.start < before and token.text.upper() in commands)


def _all_rows_of(changes: Sequence[tuple[str, Node]]) -> Iterator[str]:
    for command, node in changes:
        if command in FILTERED and "whereClause" not in node:
            relation = _relation(node)
            yield ".".join(part for part in (relation.schema, relation.name) if part)


def _relation(node: Node) -> Relation:
    relation = node["relation"]
    name: str = relation["relname"]
    return Relation(relation.get("schemaname", ""), name, relation.get("alias", {}).get("aliasname", name))
