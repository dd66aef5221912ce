"""SQL as PostgreSQL's own parser reads it: text in, a tree of plain values out."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from itertools import islice
from typing import Any, cast

from pegboard import ToolError
from pegboard_postgres.safety.place import placed
from pegboard_postgres.safety.tokens import tokenize

MAX_WORDS = 10_000
"""Words and operators in one statement. Each can be one more level of the tree, and a parser in C that goes too deep
takes the process with it: 100 000 characters of `1+1+1...` need 4 MB of stack, 16 times what this leaves them."""

MAX_ITEMS = 15_000
"""Commas and brackets in one statement. While it is parsed and looked at nobody else is served: 0.1 s for so many."""

MAX_COMMENTS = 1_000
"""PostgreSQL's scanner reads a run of `/*/*/*` once for each of them: 100 000 characters take it 20 seconds."""

WORD = re.compile(r"""[^\W\d]\w*|[^\w\s(),.;'"$]""")
ITEM = re.compile(r"[,(]")

MAX_SHOWN = 200
"""Characters of what the parser says, which can be the rest of the text."""

CONSTANT = "A_Const"

TOO_DEEP = "sql is nested too deeply; write it with fewer levels of brackets, operators or subqueries"

Node = dict[str, Any]
Parse = Callable[[str], list[Node]]


class _SyntaxError(Exception):
    """What the parser says, and at which character (from 1; 0 if unknown)."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message, self.position = message, position


def parse_tree(sql: str) -> list[Node]:
    """The statements in `sql`, each `{"stmt": {kind: node}, "stmt_len": ...}`, in the words of libpg_query.

    Raises `ToolError` for what is no SQL, with the place, and for what is nested too deeply.
    """
    _check_characters(sql)
    _check_size(sql)
    try:
        return _parser()(sql)
    except RecursionError as error:
        raise ToolError(TOO_DEEP) from error
    except _SyntaxError as error:
        if error.message.startswith("memory exhausted"):
            raise ToolError(TOO_DEEP) from error
        said = error.message if len(error.message) <= MAX_SHOWN else f"{error.message[:MAX_SHOWN]}…"
        raise ToolError(f"PostgreSQL says: {said} (42601{placed(sql, error.position - 1)})") from error


def nodes(tree: Node) -> Iterator[tuple[str, Node]]:
    """Every node of a tree but the constants, with the name of its kind or of its place in the node above."""
    left = [("", tree)]
    while left:
        name, node = left.pop()
        yield name, node
        for key, value in node.items():
            children = cast("list[Any]", value) if isinstance(value, list) else [value]
            left += [
                (key, cast(Node, child)) for child in children if isinstance(child, dict) and CONSTANT not in child
            ]


def _check_characters(sql: str) -> None:
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise ToolError("sql has half a surrogate pair, a character PostgreSQL cannot read; leave it out") from error
    if "\0" in sql:
        raise ToolError("sql has a NUL, a character PostgreSQL cannot read; leave it out")


def _check_size(sql: str) -> None:
    if sql.count("/*") > MAX_COMMENTS:
        raise ToolError(f"sql has more than {MAX_COMMENTS} comments; leave them out")
    for pattern, most, what in ((WORD, MAX_WORDS, "words and operators"), (ITEM, MAX_ITEMS, "commas and brackets")):
        if len(sql) > most and _has_too_many(sql, pattern, most):
            raise ToolError(
                f"sql has more than {most} {what}; pass long lists as one array in params, as in id = ANY($1), or ask "
                f"in several steps"
            )


def _has_too_many(sql: str, pattern: re.Pattern[str], most: int) -> bool:
    # Those inside of strings and comments do not count, but mostly there are not even too many with them.
    if len(pattern.findall(sql)) <= most:
        return False
    found = (token for token in tokenize(sql) if pattern.match(token.text) and token.kind in ("word", "other"))
    return next(islice(found, most, None), None) is not None


@cache
def _parser() -> Parse:
    """The parser that is installed: pgparse, or postgast where there is no wheel of pgparse (Windows)."""
    try:
        return _with_pgparse(import_module("pgparse"))
    except ImportError:
        return _with_postgast(import_module("postgast"))


def _with_pgparse(pgparse: Any) -> Parse:
    def parse(sql: str) -> list[Node]:
        try:
            return pgparse.parse(sql)
        except pgparse.PGQueryError as error:
            raise _SyntaxError(error.message, error.position) from error

    return parse


def _with_postgast(postgast: Any) -> Parse:
    """The same tree by way of protobuf, which ends at about 48 levels."""
    to_dict = import_module("google.protobuf.json_format").MessageToDict
    too_deep = import_module("google.protobuf.message").DecodeError

    def parse(sql: str) -> list[Node]:
        try:
            return to_dict(postgast.parse(sql)).get("stmts", [])
        except postgast.PgQueryError as error:
            raise _SyntaxError(error.message, error.cursorpos) from error
        except too_deep as error:
            raise RecursionError from error

    return parse
