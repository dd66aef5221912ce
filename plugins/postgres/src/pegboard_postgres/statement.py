"""Reads just enough of SQL to know where a statement ends, what it begins with, and where its parameters are.

What a statement may do is decided by the engine: one statement of the extended protocol in a READ ONLY transaction.
The list of first words here keeps out what a read-only transaction does not stop (COPY, LOCK, SET, CALL, ...).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pegboard import ToolError

QUERIES = frozenset({"SELECT", "VALUES", "TABLE", "WITH"})
"""Statements that can stand in a FROM clause."""
ALLOWED = QUERIES | {"EXPLAIN", "SHOW"}

# An unterminated string runs to the end, and PostgreSQL complains about it.
TOKEN = re.compile(
    r"""
      (?P<space>[ \t\n\r\f\v]+ | --[^\n\r]*)
    | (?P<comment>/\*)
    | (?P<string>[eE]'(?:[^'\\]|''|\\.)*+(?:'|\Z) | '[^']*+(?:''[^']*+)*+(?:'|\Z))
    | (?P<name>"[^"]*+(?:""[^"]*+)*+(?:"|\Z))
    | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
    | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$)
    | (?P<parameter>\$[0-9]+)
    | (?P<number>[0-9][A-Za-z0-9_.]*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
COMMENT_EDGE = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL that means something; spaces and comments do not."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement that may be run: its text as written, without the semicolon at its end."""

    text: str
    keyword: str
    parameters: tuple[Token, ...]

    @property
    def is_query(self) -> bool:
        """Whether the statement can stand in a FROM clause."""
        return self.keyword in QUERIES


def parse(sql: str) -> Statement:
    """Check that there is one statement and that it begins like a read; raises `ToolError` otherwise."""
    if "\0" in sql or not _is_unicode(sql):
        raise ToolError("sql has a character PostgreSQL cannot read (NUL or half a surrogate pair); leave it out")
    tokens = list(tokenize(sql))
    body = _without_semicolons(tokens)
    if not body:
        raise ToolError("sql is empty; write one SELECT, VALUES, TABLE, WITH, EXPLAIN or SHOW statement")
    if any(token.text == ";" for token in body):
        raise ToolError("sql has more than one statement; send them one at a time, each in a call of its own")
    end = tokens[len(body)].start if len(tokens) > len(body) else len(sql)
    parameters = tuple(token for token in body if token.kind == "parameter")
    return Statement(sql[:end], _keyword(body), parameters)


def tokenize(sql: str) -> Iterator[Token]:
    """The tokens of SQL, as PostgreSQL's scanner cuts them."""
    position = 0
    while match := TOKEN.match(sql, position):
        kind, start = str(match.lastgroup), position
        position = match.end()
        if kind == "comment":
            position = _end_of_comment(sql, position)
        elif kind == "dollar":
            closing = sql.find(match[0], position)
            position = len(sql) if closing < 0 else closing + len(match[0])
        if kind not in ("space", "comment"):
            yield Token(kind, sql[start:position], start, position)


def _end_of_comment(sql: str, position: int) -> int:
    depth = 1
    for edge in COMMENT_EDGE.finditer(sql, position):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)


def _without_semicolons(tokens: list[Token]) -> list[Token]:
    count = len(tokens)
    while count and tokens[count - 1].text == ";":
        count -= 1
    return tokens[:count]


def _keyword(tokens: list[Token]) -> str:
    first = next((token for token in tokens if token.text != "("), tokens[0])
    keyword = first.text.upper() if first.kind == "word" else ""
    if keyword not in (ALLOWED if first is tokens[0] else QUERIES):
        raise ToolError(
            f"sql begins with {_shown(first.text)}, and only statements that read are run here: "
            f"SELECT, VALUES, TABLE, WITH, EXPLAIN or SHOW"
        )
    return keyword


def _shown(text: str) -> str:
    return repr(text if len(text) <= 20 else f"{text[:20]}…")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
