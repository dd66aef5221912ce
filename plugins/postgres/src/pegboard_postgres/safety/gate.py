"""Decides by the parse tree what may be run: one statement that reads, or one that changes rows."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from pegboard import ToolError
from pegboard_postgres.safety.names import names
from pegboard_postgres.safety.place import placed_byte
from pegboard_postgres.safety.statement import CHANGES, Parameter, Statement
from pegboard_postgres.safety.tokens import tokenize
from pegboard_postgres.safety.tree import Node, nodes, parse_tree

Tree = Sequence[tuple[str, Node]]
"""The nodes of a parse tree, each with its kind."""

KEYWORDS = {
    "SelectStmt": "SELECT",
    "VariableShowStmt": "SHOW",
    "ExplainStmt": "EXPLAIN",
    "InsertStmt": "INSERT",
    "UpdateStmt": "UPDATE",
    "DeleteStmt": "DELETE",
    "MergeStmt": "MERGE",
}
"""The statements that can be run, by the kind of their node."""

READS = "SELECT, VALUES, TABLE, WITH, EXPLAIN or SHOW"
ONLY_READS = "only statements that read are run here"
OPTIONS = frozenset({"ANALYZE", "ANALYSE", "VERBOSE"})
OFF: tuple[Node, ...] = ({"String": {"sval": "false"}}, {"String": {"sval": "off"}}, {"Integer": {}})
"""What an option of EXPLAIN can be set to that means no."""
SECRETS = {
    **dict.fromkeys(("pg_authid", "pg_shadow"), "holds the passwords of roles; pg_roles has all the rest"),
    **dict.fromkeys(
        ("pg_user_mapping", "pg_user_mappings", "user_mapping_options"),
        "holds the passwords of foreign servers; information_schema.user_mappings has all the rest",
    ),
    **dict.fromkeys(
        ("pg_hba_file_rules", "pg_ident_file_mappings", "pg_file_settings"),
        "reads files of the database server; pg_settings has what is in force",
    ),
}
"""Tables and views that tell what nobody should be told, and where the harmless part of it is."""
PARAMETER = re.compile(r"\$[0-9]+")

CACHED = 256
MAX_CACHED = 10_000
"""Characters of a statement that is remembered."""


def check(sql: str) -> Statement:
    """The one statement in `sql`, if it only reads: SELECT, VALUES, TABLE, WITH, EXPLAIN or SHOW.

    Nothing in it changes rows, makes a table or locks rows. EXPLAIN without ANALYZE may be about an INSERT, UPDATE,
    DELETE or MERGE too, since it is only planned. Raises `ToolError`, with the place, for anything else.
    """
    return _check_cached(sql) if len(sql) <= MAX_CACHED else _check(sql)


def check_change(sql: str) -> Statement:
    """The one statement in `sql`, if it is an INSERT, UPDATE, DELETE or MERGE; raises `ToolError` otherwise."""
    text, kind, node = _only_statement(sql)
    if KEYWORDS.get(kind) not in CHANGES:
        raise ToolError(f"sql begins with {_first_word(sql)}; write one INSERT, UPDATE, DELETE or MERGE")
    return _statement(text, KEYWORDS[kind], list(nodes(node)))


def _check(sql: str) -> Statement:
    text, kind, node = _only_statement(sql)
    keyword = KEYWORDS.get(kind)
    if keyword == "SELECT":
        tree = list(nodes(node))
        _check_reads(text, tree)
        return _statement(text, "VALUES" if "valuesLists" in node else "SELECT", tree)
    if keyword == "SHOW":
        return Statement(text, "SHOW")
    if keyword == "EXPLAIN":
        return _explain(text, node)
    if keyword in CHANGES:
        raise ToolError(f"{keyword} changes rows, and {ONLY_READS}: {READS}")
    raise ToolError(f"sql begins with {_first_word(sql)}, and {ONLY_READS}: {READS}")


_check_cached = lru_cache(CACHED)(_check)


def _explain(text: str, node: Node) -> Statement:
    ((kind, inner),) = node["query"].items()
    keyword = KEYWORDS.get(kind)
    analyzes = _analyzes(node)
    if keyword in CHANGES and analyzes:
        raise ToolError(f"EXPLAIN ANALYZE runs the {keyword}, and {ONLY_READS}; leave ANALYZE out to see its plan")
    if keyword != "SELECT" and keyword not in CHANGES:
        raise ToolError("EXPLAIN shows plans of SELECT, VALUES, TABLE, WITH, INSERT, UPDATE, DELETE and MERGE here")
    explained_text = text[_end_of_options(text, "options" in node) :]
    explained = check_change(explained_text) if keyword in CHANGES else _check(explained_text)
    return replace(_statement(text, "EXPLAIN", list(nodes(inner))), explained=explained, analyzes=analyzes)


def _analyzes(node: Node) -> bool:
    """Whether EXPLAIN runs its statement; in doubt it does."""
    options = [option["DefElem"] for option in node.get("options", ())]
    return any(option["defname"] == "analyze" and option.get("arg") not in OFF for option in options)


def _end_of_options(text: str, has_options: bool) -> int:
    """Where the statement begins that an EXPLAIN is about."""
    tokens = list(tokenize(text))
    count = 1
    if has_options and tokens[count].text == "(":
        count = next(number for number, token in enumerate(tokens) if token.text == ")") + 1
    while has_options and tokens[count].text.upper() in OPTIONS:
        count += 1
    return tokens[count].start


def _check_reads(text: str, tree: Tree) -> None:
    for kind, node in tree:
        if "intoClause" in node:
            where = _place_of(text, node["intoClause"]["rel"])
            raise ToolError(f"SELECT INTO makes a table ({where}), and {ONLY_READS}; leave INTO out")
        if "lockingClause" in node:
            raise ToolError(f"FOR UPDATE and FOR SHARE lock rows, and {ONLY_READS}; leave the locking clause out")
        if kind.endswith("Stmt") and kind != "SelectStmt":
            where = _place_of(text, node["relation"])
            raise ToolError(f"{KEYWORDS[kind]} in a WITH clause changes rows ({where}), and {ONLY_READS}")


def _check_tables(text: str, tree: Tree) -> None:
    """Refuse what only a superuser may read, and nobody who looks for data wants."""
    for _, node in tree:
        secret = SECRETS.get(node.get("relname", "")) if "relpersistence" in node else None
        if secret and node.get("schemaname", "pg_catalog") in ("pg_catalog", "information_schema"):
            raise ToolError(f"{node['relname']} ({_place_of(text, node)}) {secret}")


def _place_of(text: str, table: Node) -> str:
    return placed_byte(text, table["location"]).removeprefix(", ")


def _only_statement(sql: str) -> tuple[str, str, Node]:
    """Text, kind and node of the statement; raises `ToolError` if there is not exactly one."""
    statements = parse_tree(sql)
    if not statements:
        raise ToolError(f"sql is empty; write one {READS} statement")
    if len(statements) > 1:
        raise ToolError("sql has more than one statement; send them one at a time, each in a call of its own")
    (statement,) = statements
    start = int(statement.get("stmt_location", 0))
    length = int(statement.get("stmt_len", 0))
    text = sql.encode()[start : start + length if length else None].decode()
    if start:
        return _only_statement(text)  # without the semicolons before it, so that places are places in the text
    ((kind, node),) = statement["stmt"].items()
    return text, kind, node


def _first_word(sql: str) -> str:
    text = next(token.text for token in tokenize(sql) if token.text not in ";(")
    return repr(text if len(text) <= 20 else f"{text[:20]}…")


def _statement(text: str, keyword: str, tree: Tree) -> Statement:
    _check_tables(text, tree)
    found = names(tree)
    return Statement(text, keyword, tuple(_parameters(text, tree)), tuple(found), tuple(found.values()))


def _parameters(text: str, tree: Tree) -> Iterator[Parameter]:
    """The parameters from left to right; the tree says at which bytes they are."""
    raw = text.encode()
    read = position = 0
    for place in sorted({node.get("location", 0) for kind, node in tree if kind == "ParamRef"}):
        position += len(raw[read:place].decode())
        read = place
        if match := PARAMETER.match(text, position):
            yield Parameter(match[0], match.start(), match.end())
