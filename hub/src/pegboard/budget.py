"""The tool budget: which tools an endpoint lists, how far they are trimmed, which it hides, and why. Pure."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from pegboard.errors import BudgetError

Overflow = Literal["search", "split", "error"]
State = Literal["listed", "trimmed", "hidden"]
CountTokens = Callable[[str], int]

META_TOOLS = 2
"""How many tools stand for the hidden ones: one that searches and one that calls."""

LEVELS = ("in full", "its first sentence only", "without parameter descriptions", "without any description")
"""How far a tool can be trimmed; nothing that is needed to call it is ever left out."""

DEEPEST = len(LEVELS) - 1
FILL_LEVEL = 1
"""How far tools are trimmed to list more of them; a tool nobody can understand is better searched for."""

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^a-z\s])|\n\s*\n|(?<=[.!?])\n")


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of one endpoint, and what happens to tools beyond them. `None` is no limit."""

    tools: int | None = None
    tokens: int | None = None
    overflow: Overflow = "search"
    pinned: tuple[str, ...] = ()
    read_twin: bool = False
    """Whether a third meta-tool runs read-only tools only, so that clients need not ask for each of those calls."""

    @property
    def meta_tools(self) -> int:
        """How many tools stand for the hidden ones."""
        return META_TOOLS + self.read_twin


PROFILES: Mapping[str, Budget] = {
    "small": Budget(tools=8, tokens=1500),
    "medium": Budget(tools=16, tokens=3000),
    "large": Budget(tools=40, tokens=8000),
    "unlimited": Budget(),
}


class Listable(Protocol):
    """What the budget has to know of a tool: what a model sees, and how much it matters."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def input_schema(self) -> Mapping[str, Any]: ...
    @property
    def priority(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Line:
    """One tool on the receipt: its tokens in full and as listed (0 when hidden), and the reason."""

    name: str
    state: State
    full: int
    tokens: int
    reason: str
    description: str
    input_schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fit:
    """What `fit` decided. `searched` says whether the two meta-tools are listed; their tokens are `meta_tokens`."""

    budget: Budget
    lines: tuple[Line, ...]
    searched: bool = False
    meta_tokens: int = 0

    @property
    def kept(self) -> tuple[Line, ...]:
        """The tools that are listed, in canonical order."""
        return tuple(line for line in self.lines if line.state != "hidden")

    @property
    def dropped(self) -> tuple[Line, ...]:
        """The tools that are hidden, in canonical order."""
        return tuple(line for line in self.lines if line.state == "hidden")

    @property
    def tools(self) -> int:
        """How many tools are listed, meta-tools included."""
        return len(self.kept) + (self.budget.meta_tools if self.searched else 0)

    @property
    def tokens(self) -> int:
        """How many tokens the list costs, meta-tools included."""
        return sum(line.tokens for line in self.kept) + (self.meta_tokens if self.searched else 0)

    @property
    def saved(self) -> int:
        """How many tokens less than all tools in full."""
        return sum(line.full for line in self.lines) - self.tokens


def count_tokens(text: str) -> int:
    """The tokens of a text: a quarter of its UTF-8 bytes, rounded up; 7 to 17 % above what tokenizers count."""
    return -(-len(text.encode()) // 4)


def tokens_of(name: str, description: str, schema: Mapping[str, Any], count: CountTokens = count_tokens) -> int:
    """The tokens of a tool as a model sees it: name, description and input schema, as compact JSON."""
    seen = {"name": name, "description": description, "input_schema": schema}
    return count(json.dumps(seen, ensure_ascii=False, separators=(",", ":")))


def fit(tools: Sequence[Listable], budget: Budget, *, meta_tokens: int, count: CountTokens = count_tokens) -> Fit:
    """Decide what an endpoint lists of `tools`, which stand in canonical order.

    All in full if they fit. Else, if their number fits, descriptions are trimmed, where it saves most first and only as
    far as needed. Else `overflow` decides: `search` lists two meta-tools of `meta_tokens`, the pinned tools, and by
    priority what still fits; `split` the same without meta-tools, since group endpoints list the rest; `error` raises.
    Neither limit is ever exceeded. Raises `BudgetError`, with the numbers, for pins or meta-tools that do not fit, and
    under `error`.
    """
    sized = [_Sized.of(tool, count) for tool in tools]
    if _within(len(sized), budget.tools):
        levels = _trim(sized, budget.tokens)
        if levels is not None:
            return Fit(budget, tuple(_listed(tool, level) for tool, level in zip(sized, levels, strict=True)))
    if budget.overflow == "error":
        raise BudgetError(_too_much(sized, budget))
    if budget.overflow == "split":
        return Fit(budget, _fill(sized, budget, budget.tools, budget.tokens))
    room = _less(budget.tools, budget.meta_tools), _less(budget.tokens, meta_tokens)
    if min(room[0] or 0, room[1] or 0) < 0:
        raise BudgetError(
            f"a budget of {_limits(budget)} has no room for search_tools and call_tool, "
            f'which are {budget.meta_tools} tools and {meta_tokens} tokens; raise it, or use overflow = "split"'
        )
    return Fit(budget, _fill(sized, budget, *room), searched=True, meta_tokens=meta_tokens)


@dataclass(frozen=True, slots=True)
class _Sized:
    """One tool at every level of trimming, from all of it to what is needed to call it."""

    name: str
    priority: int
    levels: tuple[tuple[str, Mapping[str, Any], int], ...]

    @classmethod
    def of(cls, tool: Listable, count: CountTokens) -> "_Sized":
        short, bare = first_sentence(tool.description), without_descriptions(tool.input_schema)
        forms = [(tool.description, tool.input_schema), (short, tool.input_schema), (short, bare), ("", bare)]
        levels = tuple((text, schema, tokens_of(tool.name, text, schema, count)) for text, schema in forms)
        return cls(tool.name, tool.priority, levels)

    def tokens(self, level: int) -> int:
        return self.levels[level][2]


def _fill(tools: Sequence[_Sized], budget: Budget, tool_limit: int | None, token_limit: int | None) -> tuple[Line, ...]:
    """The pinned tools and, by priority, as many others as fit when trimmed to `FILL_LEVEL`."""
    pins = [tool for tool in tools if tool.name in budget.pinned]
    floor = sum(tool.tokens(DEEPEST) for tool in pins)
    if not _within(len(pins), tool_limit) or not _within(floor, token_limit):
        raise BudgetError(
            f"{len(pins)} pinned tools need {floor} tokens at least, and {_room(tool_limit, token_limit)} is left for "
            f"them in a budget of {_limits(budget)}; pin fewer, or raise it"
        )
    deepest = dict.fromkeys((tool.name for tool in pins), DEEPEST)
    why: dict[str, str | None] = {}
    for tool in sorted((tool for tool in tools if tool.name not in deepest), key=lambda tool: -tool.priority):
        why[tool.name] = _why_not(tool, len(deepest), floor, tool_limit, token_limit)
        if why[tool.name] is None:
            deepest[tool.name] = FILL_LEVEL
            floor += tool.tokens(FILL_LEVEL)
    kept = [tool for tool in tools if tool.name in deepest]
    levels = _trim(kept, token_limit, [deepest[tool.name] for tool in kept]) or ()
    level_of = {tool.name: level for tool, level in zip(kept, levels, strict=True)}
    return tuple(
        _listed(tool, level_of[tool.name]) if tool.name in level_of else _hidden(tool, str(why[tool.name]))
        for tool in tools
    )


def _why_not(tool: _Sized, listed: int, taken: int, tool_limit: int | None, token_limit: int | None) -> str | None:
    """Why a tool cannot be listed beside `listed` others of `taken` tokens; `None` when it can."""
    size = tool.tokens(FILL_LEVEL)
    if not _within(listed + 1, tool_limit):
        return f"all {tool_limit} places are taken"
    if not _within(size, token_limit):
        return f"its {size} tokens are more than the {token_limit} there are for tools"
    if not _within(taken + size, token_limit):
        return f"its {size} tokens do not fit beside the others in {token_limit}"
    return None


def _trim(tools: Sequence[_Sized], limit: int | None, deepest: Sequence[int] | None = None) -> list[int] | None:
    """The level of each tool with which all fit `limit` tokens, or `None` when they cannot."""
    levels = [0] * len(tools)
    total = sum(tool.tokens(0) for tool in tools)
    for level in range(1, DEEPEST + 1):
        able = [index for index in range(len(tools)) if deepest is None or deepest[index] >= level]
        saving = {index: tools[index].tokens(levels[index]) - tools[index].tokens(level) for index in able}
        for index in sorted((index for index in able if saving[index] > 0), key=lambda index: -saving[index]):
            if _within(total, limit):
                break
            levels[index] = level
            total -= saving[index]
    return _untrim(tools, levels, limit) if _within(total, limit) else None


def _untrim(tools: Sequence[_Sized], levels: Sequence[int], limit: int | None) -> list[int]:
    """Undo what a later step has made needless, by priority."""
    levels = list(levels)
    room = (limit or 0) - sum(tool.tokens(level) for tool, level in zip(tools, levels, strict=True))
    trimmed = [index for index, level in enumerate(levels) if level]
    for index in sorted(trimmed, key=lambda index: -tools[index].priority):
        tool, now = tools[index], tools[index].tokens(levels[index])
        levels[index] = next(level for level in range(levels[index] + 1) if tool.tokens(level) <= now + room)
        room -= tool.tokens(levels[index]) - now
    return levels


def _listed(tool: _Sized, level: int) -> Line:
    description, schema, tokens = tool.levels[level]
    return Line(tool.name, "trimmed" if level else "listed", tool.tokens(0), tokens, LEVELS[level], description, schema)


def _hidden(tool: _Sized, why: str) -> Line:
    description, schema, full = tool.levels[0]
    return Line(tool.name, "hidden", full, 0, why, description, schema)


def _too_much(tools: Sequence[_Sized], budget: Budget) -> str:
    full, least = sum(tool.tokens(0) for tool in tools), sum(tool.tokens(DEEPEST) for tool in tools)
    fitting = [name for name, profile in PROFILES.items() if _trim(tools, profile.tokens) is not None]
    roomy = [name for name in fitting if _within(len(tools), PROFILES[name].tools)]
    what = "split them into groups of 5 to 8" if len(tools) > 1 else f"make {tools[0].name} shorter"
    return (
        f"{len(tools)} tools of {full} tokens ({least} when trimmed) do not fit a budget of {_limits(budget)}; "
        f"{what}, or use profile {roomy[0]!r}"
    )


def _within(number: int, limit: int | None) -> bool:
    return limit is None or number <= limit


def _less(limit: int | None, number: int) -> int | None:
    return None if limit is None else limit - number


def _limits(budget: Budget) -> str:
    return _room(budget.tools, budget.tokens)


def _room(tools: int | None, tokens: int | None) -> str:
    return (
        f"{'any number of' if tools is None else tools} tools / {'any number of' if tokens is None else tokens} tokens"
    )


def first_sentence(text: str) -> str:
    """The first sentence of a description, or its first paragraph if that is shorter."""
    return SENTENCE_END.split(text.strip(), maxsplit=1)[0].strip()


def without_descriptions(schema: Any) -> Any:
    """A schema without descriptions and examples, everywhere but in the names of properties."""
    if isinstance(schema, list):
        return [without_descriptions(item) for item in cast(list[Any], schema)]
    if not isinstance(schema, Mapping):
        return schema
    trimmed: dict[str, Any] = {}
    for key, value in cast(Mapping[str, Any], schema).items():
        if key in ("properties", "$defs", "patternProperties"):
            trimmed[key] = {name: without_descriptions(inner) for name, inner in value.items()}
        elif key in ("default", "const", "enum"):
            trimmed[key] = value
        elif key not in ("description", "examples"):
            trimmed[key] = without_descriptions(value)
    return trimmed
