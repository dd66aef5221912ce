"""Cuts SQL into tokens, as PostgreSQL's scanner does; what they mean together is the parser's part."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

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
