"""Cuts Cypher into tokens, as every engine would; what two engines could read in two ways is refused."""

import re
import unicodedata
from dataclasses import dataclass

from pegboard import ToolError

MAX_CYPHER = 100_000
MAX_TOKENS = 10_000
"""A statement of more would keep a server's planner busy for long, and the hub's other clients waiting."""
MAX_DEPTH = 100

SPACES = " \\t\\n\\r\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"

# Digits and the letters behind them are separate tokens to some engines: `1CREATE` is `1 CREATE`.
TOKEN = re.compile(
    rf"""
      (?P<space>[{SPACES}]+)
    | (?P<comment>//[^\n]*+ | /\*(?s:.*?)\*/)
    | (?P<string>'(?:[^'\\]|\\(?s:.))*+' | "(?:[^"\\]|\\(?s:.))*+")
    | (?P<quoted>`[^`]*+(?:``[^`]*+)*+`)
    | (?P<number>0[xX][0-9a-fA-F_]+ | 0[oO][0-7_]+
        | (?:[0-9][0-9_]*(?:\.[0-9][0-9_]*)? | \.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?[fFdD]?)
    | (?P<word>[^\W\d]\w*)
    | (?P<sign>\.\.|/(?!\*)|[()\[\]{{}},.;:|&!=<>+\-*%^$~?])
    """,
    re.VERBOSE,
)

LETTER = re.compile(r"\w")
UNICODE_ESCAPE = re.compile(r"\\u+([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})")
ODD = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]|\r(?!\n)")
"""Controls, and what ends a line for one engine and not for another."""

OPENINGS = {"'": "string", '"': "string", "`": "name in backticks", "/": "comment"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of Cypher that means something; spaces and comments do not."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """The word in capitals, compatibility forms folded, as the most lenient engine would read it; else empty."""
        if self.kind != "word":
            return ""
        return (self.text if self.text.isascii() else unicodedata.normalize("NFKC", self.text)).upper()

    @property
    def name(self) -> str:
        """The name it stands for, without backticks."""
        return self.text[1:-1].replace("``", "`") if self.kind == "quoted" else self.text

    @property
    def is_name(self) -> bool:
        """Whether it can be (part of) a name."""
        return self.kind in ("word", "quoted")


NOTHING = Token("end", "", 0, 0)


def tokenize(cypher: str) -> list[Token]:
    """The tokens of a text; raises `ToolError` for one that is too long, nested too deep, or unclear."""
    if len(cypher) > MAX_CYPHER:
        raise ToolError(f"cypher has {len(cypher)} characters and {MAX_CYPHER} are accepted; put data into params")
    tokens: list[Token] = []
    position = 0
    while position < len(cypher):
        match = TOKEN.match(cypher, position)
        if match is None:
            raise ToolError(_unreadable(cypher, position))
        token = Token(str(match.lastgroup), match[0], position, match.end())
        _check_token(token, cypher)
        if token.kind not in ("space", "comment"):
            tokens.append(token)
        if len(tokens) > MAX_TOKENS:
            raise ToolError(f"cypher has more than {MAX_TOKENS} words and signs; put data into params")
        position = token.end
    _check_depth(tokens)
    return tokens


def place(cypher: str, offset: int) -> str:
    """Line and column of an offset, both from 1."""
    before = cypher[:offset]
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def _check_token(token: Token, cypher: str) -> None:
    problem = None
    if token.kind == "string":
        problem = _of_string(token)
    elif token.kind == "quoted" and ("\\" in token.text or ODD.search(token.text)):
        problem = "a backslash or a control character in the name in backticks at {}"
    elif token.kind == "comment":
        problem = _of_comment(token)
    elif token.kind == "number" and LETTER.match(cypher, token.end):
        problem = "a number with letters behind it at {}; put a space between them"
    if problem:
        raise ToolError(f"cypher has {problem.format(place(cypher, token.start))}")


def _of_string(token: Token) -> str | None:
    if "\0" in token.text:
        return "a NUL in the string at {}; leave it out"
    for escape in UNICODE_ESCAPE.finditer(token.text):
        code = int(escape[1] or escape[2], 16)
        # Neo4j 5 decodes \u0027 before it looks where the string ends.
        if code > 0x10FFFF or chr(code) in "'\"\\`" or code < ord(" "):
            return (
                f"the escape {escape[0]} in the string at {{}}, which some engines read as the end of the string; "
                f"put the text into params"
            )
    return None


def _of_comment(token: Token) -> str | None:
    # `\u002a/` ends a comment in Neo4j 5; comments nest in some engines, and end with a bare \r in some.
    if "\\u" in token.text or "/*" in token.text[2:] or ODD.search(token.text.removesuffix("\r")):
        return (
            "a comment at {} that can be read in two ways (an escape, a control character or a comment in it); "
            "leave it out"
        )
    return None


def _check_depth(tokens: list[Token]) -> None:
    depth = 0
    for token in tokens:
        if token.kind == "sign":
            depth += (token.text in "([{") - (token.text in ")]}")
        if depth > MAX_DEPTH:
            raise ToolError(f"cypher has more than {MAX_DEPTH} brackets in each other; write it flatter")


def _unreadable(cypher: str, position: int) -> str:
    character = cypher[position]
    if character in OPENINGS:
        return f"cypher has a {OPENINGS[character]} that is not closed, from {place(cypher, position)}"
    remedy = "put names with it in backticks, and text into params"
    if character == "\\":
        remedy = "a backslash belongs into strings only"
    shown = f"{character!r} " if character.isprintable() else ""
    return f"cypher has the character {shown}(U+{ord(character):04X}) at {place(cypher, position)}; {remedy}"
