"""Who ranks: pegboard by words, pegboard by words and meaning, and FastMCP's own BM25 search."""

import importlib.util
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from fastmcp.server.transforms.search.bm25 import BM25SearchTransform
from fastmcp.tools.base import Tool

from bench.search.sets import Catalogue
from pegboard.search import Index

DEPTH = 10
"""Tools of an answer that are looked at."""

Rank = Callable[[str], Sequence[str]]
"""From a query to the names of at most `DEPTH` tools, best first."""

FASTMCP = "FastMCP BM25"
LEXICAL = "pegboard"
SEMANTIC = "pegboard[semantic]"


def rankers() -> Mapping[str, Callable[[Catalogue], Rank]]:
    """All that can run here, by their names; each takes a catalogue and makes its index."""
    found: dict[str, Callable[[Catalogue], Rank]] = {FASTMCP: fastmcp, LEXICAL: lexical}
    if importlib.util.find_spec("numpy"):
        found[SEMANTIC] = semantic
    return found


def lexical(catalogue: Catalogue) -> Rank:
    index = Index(catalogue.entries)
    return lambda query: [hit.entry.name for hit in index.search(query, DEPTH)]


def semantic(catalogue: Catalogue) -> Rank:
    from pegboard.semantic import WordVectors  # needs the extra

    index = Index(catalogue.entries, WordVectors())
    return lambda query: [hit.entry.name for hit in index.search(query, DEPTH)]


def fastmcp(catalogue: Catalogue) -> Rank:
    """FastMCP's transform itself, asked where its `search_tools` asks it, without server and protocol around it."""
    logging.getLogger("mcp").setLevel(logging.ERROR)  # some names of the sets are no proper tool names
    tools = [
        Tool(name=entry.name, description=entry.description, parameters=dict(schema))
        for entry, schema in zip(catalogue.entries, catalogue.schemas, strict=True)
    ]
    search = BM25SearchTransform(max_results=DEPTH)._search  # pyright: ignore[reportPrivateUsage] # see above
    _result(search(tools, ""))  # the index is made by the first search
    return lambda query: [tool.name for tool in _result(search(tools, query))]


def _result(search: Coroutine[Any, Any, Sequence[Tool]]) -> Sequence[Tool]:
    # It never waits, so one step ends it; an event loop would only add its own time to what is measured.
    try:
        search.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("FastMCP's search waited for something; drive it with an event loop")
