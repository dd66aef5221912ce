"""Finds tables, columns, enum labels and functions by words, in their names and comments, the best first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from pegboard_postgres import catalog
from pegboard_postgres.driver import Connection
from pegboard_postgres.values import shorten

Kind = Literal["table", "view", "column", "enum", "function"]

WORD = re.compile(r"[^\W\d_]+|\d+")
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
MAX_COMMENT = 200

EXACT, PART_OF_NAME, PREFIX, INSIDE, OF_PARENT, IN_COMMENT = 10.0, 6.0, 4.0, 2.0, 3.0, 2.5
"""How well a word matches: the name itself, a whole part of it, ...; for a column also the name of its table."""
WEIGHTS: dict[str, float] = {"table": 1.2, "view": 1.1, "column": 1.0, "enum": 0.9, "function": 0.8}


class Match(TypedDict):
    """Something found, and which of the words was found where."""

    kind: str
    name: str
    type: NotRequired[str]
    comment: NotRequired[str]
    why: str


@dataclass(frozen=True, slots=True)
class _Scored:
    score: float
    match: Match


async def search(connection: Connection, text: str, kinds: Sequence[Kind] | None) -> list[Match]:
    """Everything that matches at least one word, the best first."""
    words = _words(text)
    if not words:
        return []
    pattern = "|".join(sorted({_stem(word) for word in words}, key=len))
    found = await connection.fetch(catalog.SEARCH, pattern, list(kinds) if kinds else None)
    scored = [_scored(record, words) for record in found]
    return [
        one.match for one in sorted(scored, key=lambda one: (-one.score, len(one.match["name"]), one.match["name"]))
    ]


def _scored(record: Any, words: Sequence[str]) -> _Scored:
    hits = [_hit(word, record) for word in words]
    score = sum(points for points, _ in hits) * WEIGHTS[record["kind"]]
    # What has all the words is what was looked for.
    score *= sum(points > 0 for points, _ in hits) / len(hits)
    return _Scored(score, _match(record, [why for _, why in hits if why]))


def _hit(word: str, record: Any) -> tuple[float, str]:
    """How well one word matches, and where."""
    what = "label" if record["kind"] == "enum" else "name"
    if points := _likeness(word, record["name"]):
        return points, f"{what} has {word!r}"
    if _likeness(word, record["parent"]) >= PART_OF_NAME:
        return OF_PARENT, f"{'type' if record['kind'] == 'enum' else 'table'} has {word!r}"
    if record["comment"] and _likeness(word, record["comment"]) >= PREFIX:
        return IN_COMMENT, f"comment has {word!r}"
    return 0.0, ""


def _likeness(word: str, name: str) -> float:
    stem, parts = _stem(word), [_stem(part) for part in _words(name)]
    if parts == [stem]:
        return EXACT
    if stem in parts:
        return PART_OF_NAME
    if any(part.startswith(stem) for part in parts):
        return PREFIX
    return INSIDE if stem in name.lower() else 0.0


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(word.lower() for word in WORD.findall(HUMP.sub(" ", text))))


def _stem(word: str) -> str:
    """A word without the ending of its plural, so that `customers` finds `customer` and the other way round."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3]
    if len(word) > 3 and word.endswith("y"):
        return word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _match(record: Any, why: Sequence[str]) -> Match:
    enum = record["kind"] == "enum"
    match: Match = {
        "kind": record["kind"],
        "name": f"{record['label']} {record['name']!r}" if enum else record["label"],
        "why": ", ".join(why),
    }
    if record["type"]:
        match["type"] = record["type"]
    if record["comment"]:
        match["comment"] = shorten(record["comment"], MAX_COMMENT)
    return match
