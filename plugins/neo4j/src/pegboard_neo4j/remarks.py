"""What is worth telling about a query that worked: names the graph does not have, and what the server warns of."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pegboard_neo4j import names, suggest
from pegboard_neo4j.cache import Cache
from pegboard_neo4j.names import Kind
from pegboard_neo4j.tokens import Token, tokenize
from pegboard_neo4j.transaction import Transaction

if TYPE_CHECKING:
    from neo4j import ResultSummary

UNKNOWN: dict[str, Kind] = {"01N50": "label", "01N51": "relationship type", "01N52": "property"}
"""Statuses that say a name is unknown; the name stands in backticks in the description."""
NAMED = re.compile(r"`(.+)`")
WARNINGS = ("PERFORMANCE", "GENERIC", "SECURITY")
MOST = 5


async def notice(
    transaction: Transaction, cache: Cache, cypher: str, summary: "ResultSummary", *, is_empty: bool
) -> str | None:
    """The remarks on a finished query in a sentence or two, or `None`."""
    missing = unknown(summary)
    if is_empty and not transaction.engine.is_neo4j:  # others do not report it
        missing = await _unknown(transaction, cache, cypher)
    found = [
        suggest.missing(kind, name, await names.known(transaction, cache, kind))
        for kind, name in dict.fromkeys(missing)
    ]
    return "; ".join([*found, *warnings(summary)][:MOST]) or None


def warnings(summary: "ResultSummary") -> list[str]:
    """The server's own warnings about performance and the like."""
    return [
        status.status_description.removeprefix("warn: ").removeprefix("info: ")
        for status in summary.gql_status_objects
        if status.is_notification and status.raw_classification in WARNINGS
    ]


def unknown(summary: "ResultSummary") -> list[tuple[Kind, str]]:
    """The labels, types and properties of the query that the server does not know."""
    return [
        (UNKNOWN[status.gql_status], name[1])
        for status in summary.gql_status_objects
        if status.gql_status in UNKNOWN and (name := NAMED.search(status.status_description))
    ]


async def _unknown(transaction: Transaction, cache: Cache, cypher: str) -> list[tuple[Kind, str]]:
    labels, types = named(tokenize(cypher))
    there = await names.known(transaction, cache, "label"), await names.known(transaction, cache, "relationship type")
    return [
        *(("label", name) for name in labels if name not in there[0]),
        *(("relationship type", name) for name in types if name not in there[1]),
    ]


def named(tokens: Sequence[Token]) -> tuple[list[str], list[str]]:
    """The labels and the types that patterns name: `(n:Label|Other)`, `[r:TYPE]`."""
    labels: list[str] = []
    types: list[str] = []
    for index, token in enumerate(tokens[:-1]):
        opening = tokens[index - 1] if token.is_name and index else token
        if opening.text not in ("(", "["):
            continue
        cursor = index + 1
        while tokens[cursor].text in (":", "|", "&") and cursor + 1 < len(tokens) and tokens[cursor + 1].is_name:
            (labels if opening.text == "(" else types).append(tokens[cursor + 1].name)
            cursor += 2
    return labels, types
