"""Overflow: what stands for the tools an endpoint does not list, one tool that searches and one that calls."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, cast

import mcp_types as types
from pydantic_core import from_json

from pegboard.budget import CountTokens, count_tokens, first_sentence, tokens_of
from pegboard.search import Entry, Index, Lexicon
from pegboard.tools import BoundTool

SEARCH_TOOLS = "search_tools"
CALL_TOOL = "call_tool"
CALL_READ_TOOL = "call_read_tool"
OUTER_NAMES = ("", CALL_TOOL, CALL_READ_TOOL)
"""What stands for the name where the real one is inside."""

HITS = 5
ANSWER_BYTES = 780
"""A search answer stays under 200 tokens."""
LINE_BYTES = ANSWER_BYTES // HITS - 1
NEAREST = 3


def meta_tools(hidden: Sequence[BoundTool], *, read_twin: bool = False) -> list[types.Tool]:
    """The tools that stand for the hidden ones; calling promises no more than all of those do, but for its twin."""
    read_only = bool(hidden) and all(tool.mark.read_only for tool in hidden)
    twin = types.Tool(
        name=CALL_READ_TOOL,
        description="The same as call_tool, for tools that only read.",
        input_schema=_object({"name": "string", "arguments": "object"}, ["name"]),
        annotations=types.ToolAnnotations(read_only_hint=True, destructive_hint=False),
    )
    return [
        types.Tool(
            name=SEARCH_TOOLS,
            description="Find more tools by what they do. Answers with their signatures; run one with call_tool.",
            input_schema=_object({"query": "string", "plugin": "string", "group": "string"}, ["query"]),
            annotations=types.ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False),
        ),
        types.Tool(
            name=CALL_TOOL,
            description="Run a tool that search_tools found, with its arguments.",
            input_schema=_object({"name": "string", "arguments": "object"}, ["name"]),
            annotations=types.ToolAnnotations(read_only_hint=read_only, destructive_hint=not read_only),
        ),
        *([twin] if read_twin else []),
    ]


def meta_tokens(count: CountTokens = count_tokens, *, read_twin: bool = False) -> int:
    """What the meta-tools cost together."""
    tools = meta_tools((), read_twin=read_twin)
    return sum(tokens_of(tool.name, tool.description or "", tool.input_schema, count) for tool in tools)


class Overflow:
    """Finds tools by words, and reads what a client meant to call. Built once; pure after that."""

    def __init__(self, tools: Sequence[BoundTool], lexicon: Lexicon | None = None) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._renamed = {alias: tool.name for tool in reversed(tools) for alias in tool.aliases}  # the first has it
        self._index = Index([entry_of(tool) for tool in tools], lexicon)

    def search(self, arguments: Mapping[str, Any] | None) -> str:
        """One line for each hit, the best first; what there is to look for when nothing was hit."""
        given = arguments or {}
        query, plugin, group = (_text(given.get(key)) for key in ("query", "plugin", "group"))
        for place in (plugin, group):
            if place and "/" in place:  # as the overview writes it
                plugin, _, group = place.strip("/").partition("/")
        hits = self._index.search(query or "", k=HITS, plugin=plugin, group=group)
        if not hits:
            return _overview(list(self._tools.values()))
        return "\n".join(_line(self._tools[hit.entry.name]) for hit in hits)

    def read(self, arguments: Mapping[str, Any] | None) -> tuple[str, Mapping[str, Any]]:
        """The tool and the arguments that `call_tool` was given.

        Takes what small models send: the arguments as an object or as JSON in a string, wrapped once more in
        `{"name": ..., "arguments": ...}`, or flattened beside the name. What stands beside an object counts if the tool
        has such a parameter. A tool's alias stands for its name.
        """
        name, inner, beside = unwrap(arguments or {})
        name = name if name in self._tools else self._renamed.get(name, name)
        if inner is None:
            return name, beside
        tool = self._tools.get(name)
        known = tool.input_schema["properties"] if tool is not None else ()
        return name, {**{key: value for key, value in beside.items() if key in known}, **inner}

    def nearest(self, name: str) -> str:
        """Why a tool cannot be called by this name, and the three names nearest to it."""
        name = name[:100]
        hits = [hit.entry.name for hit in self._index.search(name, k=NEAREST)]
        near = list(dict.fromkeys([*get_close_matches(name, self._tools, n=NEAREST), *hits]))[:NEAREST]
        hint = f"the nearest are {', '.join(near)}" if near else f"{SEARCH_TOOLS} finds one"
        return f"there is no tool {name!r}; {hint}"


def unwrap(arguments: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None, Mapping[str, Any]]:
    """The name in `{"name": ..., "arguments": ...}`, the arguments if they are an object, and what stands beside."""
    beside = dict(arguments)
    name, given = _text(beside.pop("name", None)) or "", _parsed(beside.pop("arguments", None))
    while isinstance(given, dict):
        inner = cast(dict[str, Any], given)
        if set(inner) != {"name", "arguments"} or (
            name not in ("", CALL_TOOL, CALL_READ_TOOL) and inner["name"] != name
        ):
            return name, inner, beside
        name, given = _text(inner["name"]) or name, _parsed(inner["arguments"])
    return name, None, beside if given is None else {**beside, "arguments": given}


def entry_of(tool: BoundTool) -> Entry:
    """What the index has to know of a tool."""
    properties: Mapping[str, Any] = tool.definition.input_schema.get("properties", {})
    return Entry(
        name=tool.name,
        title=tool.mark.title or "",
        plugin=tool.plugin,
        group=tool.group or "",
        description=tool.description,
        aliases=tool.aliases,
        parameters=tuple((name, str(schema.get("description", ""))) for name, schema in properties.items()),
    )


def _line(tool: BoundTool) -> str:
    signature = _shortened(" ".join(tool.signature.split()), LINE_BYTES * 2 // 3)
    summary = " ".join(first_sentence(tool.description).split())
    return _shortened(f"{signature} - {summary}" if summary else signature, LINE_BYTES)


def _shortened(text: str, size: int) -> str:
    data = text.encode()
    return text if len(data) <= size else data[: size - 3].decode(errors="ignore") + "…"


def _overview(tools: Sequence[BoundTool]) -> str:
    counts: dict[str, int] = {}
    for tool in tools:
        key = f"{tool.plugin}/{tool.group}" if tool.group else tool.plugin
        counts[key] = counts.get(key, 0) + 1
    there = ", ".join(f"{name} ({number})" for name, number in counts.items())
    return _shortened(f"nothing fits; use other words, or one of these as plugin or group: {there}", ANSWER_BYTES)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _parsed(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip():
        return value or None
    try:
        return from_json(value, allow_inf_nan=False)
    except ValueError:
        return value


def _object(properties: Mapping[str, str], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": required,
    }
