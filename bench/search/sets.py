"""The development sets: catalogues of tools, and questions with the tools that answer them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pegboard.search import Entry

FILES: Mapping[str, tuple[str, str]] = {
    "metatool": ("metatool", "metatool_train"),
    "metatool_multi": ("metatool", "metatool_multi"),
    "bfcl": ("bfcl", "bfcl"),
    "sealtools": ("sealtools", "sealtools"),
}
"""Name of the set, of its tools and of its queries."""

LARGEST = "sealtools"
"""The set whose catalogue is cut to measure speed by size."""


class MissingDataError(Exception):
    """The development sets are not where they were looked for."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Some tools in canonical order, with the schemas of their arguments."""

    entries: Sequence[Entry]
    schemas: Sequence[Mapping[str, Any]]

    def cut(self, size: int) -> "Catalogue":
        return Catalogue(self.entries[:size], self.schemas[:size])


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks for, and the names of the tools that together answer it."""

    query: str
    wanted: frozenset[str]


@dataclass(frozen=True, slots=True)
class DevelopmentSet:
    """A catalogue and the questions to it."""

    name: str
    catalogue: Catalogue
    questions: Sequence[Question]


def load(folder: Path, name: str, questions: int) -> DevelopmentSet:
    """Read a set, with at most so many of its questions, evenly picked; raises `MissingDataError`."""
    tools_file, queries_file = (folder / file for file in _files(name))
    if not (tools_file.is_file() and queries_file.is_file()):
        raise MissingDataError(f"{tools_file} or {queries_file} is missing; --data DIR names the folder that has them")
    tools = list(_lines(tools_file))
    asked = list(_questions(queries_file, {tool["id"]: tool["name"] for tool in tools}))
    return DevelopmentSet(name, _catalogue(tools), asked[:: max(1, -(-len(asked) // questions))])


def _files(name: str) -> tuple[str, str]:
    tools, queries = FILES[name]
    return f"{tools}.tools.jsonl", f"{queries}.queries.jsonl"


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _catalogue(tools: Sequence[Mapping[str, Any]]) -> Catalogue:
    # A server cannot have two tools of one name: the first one stands, and finding it is finding either.
    by_name: dict[str, Mapping[str, Any]] = {}
    for tool in tools:
        by_name.setdefault(tool["name"], tool)
    schemas = [tool.get("input_schema", {"type": "object"}) for tool in by_name.values()]
    return Catalogue([_entry(tool) for tool in by_name.values()], schemas)


def _entry(tool: Mapping[str, Any]) -> Entry:
    """A tool as the hub would index it. Only one set says where its tools belong, as `plugin/group`."""
    plugin, _, group = tool["server"].partition("/")
    schema: Mapping[str, Any] = tool.get("input_schema", {})
    properties: Mapping[str, Any] = schema.get("properties", {})
    parameters = [(name, str(inner.get("description", ""))) for name, inner in properties.items()]
    return Entry(tool["name"], None, plugin, group or None, tool["description"], parameters)


def _questions(file: Path, names: Mapping[str, str]) -> Iterator[Question]:
    for line in _lines(file):
        yield Question(line["query"], frozenset(names[tool] for tool in line["gold"]))
