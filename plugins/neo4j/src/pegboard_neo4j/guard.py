"""Decides from the text alone whether Cypher only reads; nothing is sent to a server before this has agreed.

The guard knows words, not grammar: a word that could begin a clause that writes is refused wherever it does not
certainly stand for a name. It is the first of several layers and gives the good message; see the README for the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pegboard import ToolError
from pegboard_neo4j.procedures import Allowed
from pegboard_neo4j.tokens import NOTHING, Token, place, tokenize
from pegboard_neo4j.words import (
    ADMIN,
    AFTER_A_VALUE,
    BEFORE_A_VALUE,
    MODES,
    OPTIONS,
    READS,
    REFUSED,
    SHOW_KINDS,
    SHOWN,
    SIGNS_BEFORE_A_VALUE,
    WRITES,
)

YOUNG = frozenset({"LET", "FILTER", "FOR", "WHEN"})
"""They begin reads too, but few know them."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement that may be run.

    `text` is what was written, without the semicolon at its end. `mode` is `EXPLAIN`, `PROFILE` or empty, and `body`
    the text without it. `procedures` are those it calls, in lower case.
    """

    text: str
    body: str
    mode: str
    keyword: str
    procedures: tuple[str, ...] = ()


def check(cypher: str, allowed: Allowed | None = None, *, writes: bool = False) -> Statement:
    """The statement, if it is one and only reads; raises `ToolError` that says what is refused, where and why.

    `allowed` are the procedures and functions that may be called. `writes` lets through what changes nodes and
    relationships; never what changes the schema, users or the server.
    """
    tokens = _without_semicolons(tokenize(cypher))
    end = tokens[-1].end if tokens else 0
    start, mode = _options(tokens)
    body = tokens[start:]
    keyword = _keyword(body, writes, cypher)
    walk = _Walk(cypher, body, allowed or Allowed(), writes, keyword == "SHOW")
    walk.check()
    without = cypher[:end] if mode is None else f"{cypher[: mode.start]}{cypher[mode.end : end]}"
    return Statement(cypher[:end], without.strip(), mode.word if mode else "", keyword, tuple(walk.procedures))


def _without_semicolons(tokens: list[Token]) -> list[Token]:
    count = len(tokens)
    while count and tokens[count - 1].text == ";":
        count -= 1
    if any(token.text == ";" for token in tokens[:count]):
        raise ToolError("cypher has more than one statement; send them one at a time, each in a call of its own")
    return tokens[:count]


def _options(tokens: Sequence[Token]) -> tuple[int, Token | None]:
    """Where the statement begins behind `CYPHER 5 runtime=slotted EXPLAIN`, and the mode if there is one."""
    index, mode = 0, None
    while index < len(tokens) and tokens[index].word in {"CYPHER", *MODES}:
        if tokens[index].word == "CYPHER":
            index = _after_version(tokens, index + 1)
        elif mode is None:
            mode = tokens[index]
            index += 1
        else:
            raise ToolError(f"cypher has {mode.word} and {tokens[index].word}; leave one out")
    return index, mode


def _after_version(tokens: Sequence[Token], index: int) -> int:
    index += index < len(tokens) and tokens[index].kind == "number"
    while index + 2 < len(tokens) and tokens[index].word in OPTIONS and tokens[index + 1].text == "=":
        index += 3
    return index


def _keyword(body: Sequence[Token], writes: bool, cypher: str) -> str:
    first = body[0] if body else NOTHING
    if first is NOTHING:
        raise ToolError("cypher is empty; write one statement, such as MATCH (n) RETURN n LIMIT 10")
    if first.word in READS or (writes and first.word in WRITES):
        return first.word
    raise ToolError(
        f"cypher begins with {_shown(first.text)} at {place(cypher, first.start)}, and only statements that "
        + ("read or write nodes and relationships are run here" if writes else "read are run here")
        + f": {', '.join(sorted(READS | WRITES if writes else READS - YOUNG))}"
    )


@dataclass(frozen=True, slots=True)
class _Walk:
    """One walk over the tokens of a statement."""

    cypher: str
    tokens: Sequence[Token]
    allowed: Allowed
    writes: bool
    shows: bool
    procedures: list[str] = field(default_factory=list[str])

    def check(self) -> None:
        for index, token in enumerate(self.tokens):
            if token.is_name and self._at(index + 1).text == "(":
                self._check_function(index)
            if token.word and not self._is_name(index):
                self._check_word(index, token.word)

    def _at(self, index: int) -> Token:
        return self.tokens[index] if 0 <= index < len(self.tokens) else NOTHING

    def _check_word(self, index: int, word: str) -> None:
        is_admin = word in ADMIN and self._may_begin(index)
        if word in REFUSED or is_admin or (word in WRITES and not self.writes):
            raise self._refusal(index)
        if word in ("CREATE", "INSERT") and not self._creates_a_pattern(index):
            raise self._refusal(index, "it changes the schema or the server")
        if word == "CALL":
            self._check_call(index)
        elif word == "SHOW" and (self.shows or self._may_begin(index)):
            self._check_show(index)
        elif word == "IN":
            self._check_transactions(index)

    def _is_name(self, index: int) -> bool:
        """Whether the word certainly is a label, a type, a property, a parameter or the key of a map."""
        before, token, after = self._at(index - 1), self.tokens[index], self._at(index + 1)
        if before.text == ".":  # but `1.` may be a number to some engine
            return self._at(index - 2).kind != "number"
        if before.text == "$":  # but `a$` may be a name
            return before.end == token.start
        if before.word == "AS":  # but `as` may be a name
            return self._closes_a_value(index - 2)
        return before.text in (":", "|", "&", "!") or (before.text in ("{", ",") and after.text == ":")

    def _closes_a_value(self, index: int) -> bool:
        """Whether a value certainly ends here, so that an AS behind it is no variable."""
        token, before = self._at(index), self._at(index - 1)
        is_property = token.is_name and before.text == "." and self._at(index - 2).is_name
        return is_property or token.kind in ("number", "string", "quoted") or token.text in (")", "]", "}")

    def _may_begin(self, index: int) -> bool:
        """Whether a clause could begin here: a variable stands behind an opening, an operator or a word like AS."""
        before = self._at(index - 1)
        return before.word not in BEFORE_A_VALUE and before.text not in SIGNS_BEFORE_A_VALUE

    def _creates_a_pattern(self, index: int) -> bool:
        after = self._at(index + 1)
        on_create = self._at(index - 1).word == "ON" and after.word == "SET"
        return on_create or after.text == "(" or (after.is_name and self._at(index + 2).text == "=")

    def _check_call(self, index: int) -> None:
        after = self._at(index + 1)
        if after.text in ("{", "(") or not after.is_name:
            return
        end = index + 2
        while self._at(end).text == "." and self._at(end + 1).is_name:
            end += 2
        name = ".".join(token.name for token in self.tokens[index + 1 : end : 2])
        if end == index + 2 and after.word in AFTER_A_VALUE:
            return  # `call` is a variable here
        if not self.allowed.procedure(name):
            raise self._not_allowed("procedure", name, index)
        self.procedures.append(name.lower())

    def _check_function(self, index: int) -> None:
        start = index
        while self._at(start - 1).text == "." and self._at(start - 2).is_name:
            start -= 2
        if self._at(start - 1).word == "CALL":
            return
        name = ".".join(token.name for token in self.tokens[start : index + 1 : 2])
        if not self.allowed.function(name):
            raise self._not_allowed("function", name, start)

    def _check_show(self, index: int) -> None:
        end = index + 1
        while self._at(end).word in SHOW_KINDS:
            end += 1
        if self._at(end).word not in SHOWN:
            raise self._refusal(index, "SHOW is for INDEXES, CONSTRAINTS, FUNCTIONS and PROCEDURES here")

    def _check_transactions(self, index: int) -> None:
        following = [self._at(index + offset).word for offset in range(1, 6)]
        if self._at(index - 1).text == "}" and ("TRANSACTIONS" in following or "TRANSACTION" in following):
            raise self._refusal(index, "IN TRANSACTIONS commits by itself")

    def _refusal(self, index: int, reason: str | None = None) -> ToolError:
        token = self.tokens[index]
        what = "reads or writes nodes and relationships" if self.writes else "reads"
        return ToolError(
            f"cypher has {token.word} at {place(self.cypher, token.start)}: {reason or f'this tool only {what}'}; "
            f"if it is a name, write it in backticks"
        )

    def _not_allowed(self, kind: str, name: str, index: int) -> ToolError:
        return ToolError(
            f"cypher calls the {kind} {_shown(name)} at {place(self.cypher, self.tokens[index].start)}, which is "
            f"not on the list of those that only read; the operator can add it to allow_procedures"
        )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
