"""The budget: what is listed, how far it is trimmed, what is hidden, and why, for any catalogue."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pegboard.budget import (
    DEEPEST,
    FILL_LEVEL,
    LEVELS,
    META_TOOLS,
    PROFILES,
    Budget,
    Fit,
    count_tokens,
    first_sentence,
    fit,
    tokens_of,
    without_descriptions,
)
from pegboard.errors import BudgetError

META = 120
"""What the two meta-tools cost in these tests."""


@dataclass(frozen=True)
class Tool:
    """What the budget knows of a tool."""

    name: str
    description: str = ""
    input_schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    priority: int = 0

    def forms(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The tool at every level of trimming, as the documentation says."""
        short, bare = first_sentence(self.description), without_descriptions(self.input_schema)
        return [
            (self.description, self.input_schema),
            (short, self.input_schema),
            (short, bare),
            ("", bare),
        ]

    def sizes(self) -> list[int]:
        return [tokens_of(self.name, *form) for form in self.forms()]


def fitted(tools: Sequence[Tool], budget: Budget) -> Fit:
    return fit(tools, budget, meta_tokens=META)


def described(count: int, *, sentences: int = 3, prefix: str = "t") -> list[Tool]:
    text = " ".join(f"This is sentence number {number} of it." for number in range(sentences))
    return [Tool(f"{prefix}{index:04}", text) for index in range(count)]


# Catalogues of any shape

WORDS = st.sampled_from(
    ["List the hosts", "e.g. this", "Run it", "日本語の説明", "a\nb", "", "...", "x" * 900, "\n\n", "Ä"]
)
DESCRIPTIONS = (
    st.text(max_size=80)
    | st.lists(WORDS, max_size=6).map(". ".join)
    | st.text(alphabet=" .\n!?aB", max_size=60)
    | st.integers(0, 5000).map(lambda size: "🎈" * size)
)
PROPERTY_NAMES = st.sampled_from(["id", "description", "examples", "properties", "default", "größe", "$defs", "type"])
LEAVES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", ["string", "null"]])},
    optional={
        "description": DESCRIPTIONS,
        "examples": st.lists(st.text(max_size=20), max_size=3),
        "enum": st.lists(st.text(max_size=9) | st.fixed_dictionaries({"description": st.text(max_size=5)}), max_size=3),
        "default": st.none() | st.booleans() | st.fixed_dictionaries({"description": st.text(max_size=5)}),
    },
)
SCHEMAS = st.recursive(
    LEAVES | st.booleans(),
    lambda inner: (
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(PROPERTY_NAMES, inner, max_size=3)},
            optional={"$defs": st.dictionaries(PROPERTY_NAMES, inner, max_size=2), "description": DESCRIPTIONS},
        )
        | st.fixed_dictionaries({"anyOf": st.lists(inner, max_size=3), "description": DESCRIPTIONS})
        | st.fixed_dictionaries({"type": st.just("array"), "items": inner})
    ),
    max_leaves=6,
)
INPUTS = st.dictionaries(PROPERTY_NAMES, SCHEMAS, max_size=4).map(lambda given: {"type": "object", "properties": given})
TOOLS = st.builds(Tool, st.just(""), DESCRIPTIONS, INPUTS, st.integers(-2, 2))
CATALOGUES = st.lists(TOOLS, min_size=1, max_size=12).map(
    lambda tools: [replace(tool, name=f"tool_{index}") for index, tool in enumerate(tools)]
)
BUDGETS = st.builds(
    Budget,
    tools=st.none() | st.integers(1, 14),
    tokens=st.none() | st.integers(1, 3000),
    overflow=st.sampled_from(["search", "split", "error"]),
    pinned=st.lists(st.integers(0, 14).map("tool_{}".format), max_size=4, unique=True).map(tuple),
)


def large_catalogue(count: int, seed: int) -> list[Tool]:
    """Many tools, whose sizes are as different as they come."""
    draw = random.Random(seed)
    return [
        Tool(
            f"tool_{index}",
            draw.choice(["", "Short.", "One. Two. Three.", "é" * draw.randrange(2000), "Go.\n\n" + "x" * 400]),
            {
                "type": "object",
                "properties": {
                    f"p{number}": {"type": "string", "description": "d" * draw.randrange(80)}
                    for number in range(draw.randrange(6))
                },
            },
            draw.randrange(-3, 4),
        )
        for index in range(count)
    ]


def check(tools: list[Tool], budget: Budget) -> None:
    """Everything that holds for every catalogue and every budget."""
    try:
        fit_ = fitted(tools, budget)
    except BudgetError as error:
        check_refusal(tools, budget, str(error))
        return
    by_name = {tool.name: tool for tool in tools}
    assert fit_ == fitted(tools, budget)
    assert [line.name for line in fit_.lines] == list(by_name)
    assert budget.tools is None or fit_.tools <= budget.tools
    assert budget.tokens is None or fit_.tokens <= budget.tokens
    assert fit_.searched == bool(fit_.dropped and budget.overflow == "search")
    assert fit_.tools == len(fit_.kept) + META_TOOLS * fit_.searched
    assert fit_.saved == sum(tool.sizes()[0] for tool in tools) - fit_.tokens
    assert all(line.state != "hidden" for line in fit_.lines if line.name in budget.pinned)
    for line in fit_.lines:
        check_line(by_name[line.name], line)
    check_hidden(tools, budget, fit_)
    check_trimmed(by_name, budget, fit_)


def check_refusal(tools: list[Tool], budget: Budget, message: str) -> None:
    """Nothing is refused that could have been served, and the numbers are told."""
    least = sum(tool.sizes()[DEEPEST] for tool in tools)
    count_fits = budget.tools is None or len(tools) <= budget.tools
    assert not (count_fits and (budget.tokens is None or least <= budget.tokens))
    numbers = [number for number in (budget.tools, budget.tokens) if number is not None]
    assert all(str(number) in message for number in numbers)
    assert "; " in message


def check_line(tool: Tool, line: Any) -> None:
    """A line says the truth about its tool."""
    assert line.full == tool.sizes()[0]
    if line.state == "hidden":
        assert (line.tokens, line.description, line.input_schema) == (0, tool.description, tool.input_schema)
        assert line.reason
    else:
        level = LEVELS.index(line.reason)
        assert (line.state == "listed") == (level == 0)
        assert (line.description, line.input_schema) == tool.forms()[level]
        assert line.tokens == tool.sizes()[level] == tokens_of(line.name, line.description, line.input_schema)
        assert (line.tokens < line.full) == (level > 0)


def check_hidden(tools: list[Tool], budget: Budget, fit_: Fit) -> None:
    """Nothing is hidden while trimming is enough, nor while there is room for it."""
    if not fit_.dropped:
        return
    least = sum(tool.sizes()[DEEPEST] for tool in tools)
    assert (budget.tools is not None and len(tools) > budget.tools) or (budget.tokens or 0) < least
    sizes = {tool.name: tool.sizes()[DEEPEST if tool.name in budget.pinned else FILL_LEVEL] for tool in tools}
    taken = sum(sizes[line.name] for line in fit_.kept) + (META if fit_.searched else 0)
    if budget.tools is None or fit_.tools < budget.tools:
        assert all(taken + sizes[line.name] > (budget.tokens or 0) for line in fit_.dropped)


def check_trimmed(by_name: Mapping[str, Tool], budget: Budget, fit_: Fit) -> None:
    """No step of trimming could be undone."""
    for line in fit_.kept:
        sizes = by_name[line.name].sizes()
        for level in range(LEVELS.index(line.reason)):
            assert fit_.tokens - line.tokens + sizes[level] > (budget.tokens or 0)


@given(CATALOGUES, BUDGETS)
@settings(max_examples=120, deadline=None)
def test_what_holds_for_every_catalogue_and_every_budget(tools: list[Tool], budget: Budget) -> None:
    check(tools, budget)


@given(st.integers(13, 3000), st.integers(0, 10**6), BUDGETS, st.sampled_from([None, *PROFILES.values()]))
@settings(max_examples=8, deadline=None)
def test_what_holds_for_large_catalogues_too(count: int, seed: int, budget: Budget, profile: Budget | None) -> None:
    check(large_catalogue(count, seed), budget if profile is None else profile)


@given(CATALOGUES, BUDGETS, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_pins_count_in_any_order(tools: list[Tool], budget: Budget, draw: random.Random) -> None:
    pins = list(budget.pinned)
    draw.shuffle(pins)

    def outcome(budget: Budget) -> object:
        try:
            return fitted(tools, budget).lines
        except BudgetError as error:
            return str(error)

    assert outcome(budget) == outcome(replace(budget, pinned=tuple(pins)))


# Fitting


def test_everything_is_listed_in_full_when_it_fits_exactly() -> None:
    tools = described(8)
    total = sum(tool.sizes()[0] for tool in tools)

    fit_ = fitted(tools, Budget(tools=8, tokens=total))

    assert [line.state for line in fit_.lines] == ["listed"] * 8
    assert {line.reason for line in fit_.lines} == {"in full"}
    assert (fit_.tools, fit_.tokens, fit_.saved, fit_.searched) == (8, total, 0, False)


def test_no_tools_fit_any_budget() -> None:
    assert fitted([], Budget(tools=1, tokens=1, overflow="error")).lines == ()


def test_one_token_too_many_trims_one_tool() -> None:
    tools = described(8)
    total = sum(tool.sizes()[0] for tool in tools)

    fit_ = fitted(tools, Budget(tools=8, tokens=total - 1))

    assert [line.state for line in fit_.lines].count("trimmed") == 1
    assert fit_.saved > 0


def test_descriptions_are_trimmed_where_it_saves_most() -> None:
    long = Tool("long", "Do this. " + "And more of it. " * 20)
    tools = [Tool("a", "Do this. Or that."), long, Tool("b", "Do that. Or this.")]

    fit_ = fitted(tools, Budget(tokens=sum(tool.sizes()[0] for tool in tools) - 1))

    assert [(line.name, line.state) for line in fit_.lines] == [("a", "listed"), ("long", "trimmed"), ("b", "listed")]
    assert fit_.lines[1].description == "Do this."


def test_first_sentences_go_before_parameter_descriptions_and_those_before_the_rest() -> None:
    tool = Tool("t", "One sentence here. And another one.", parameters("Some words about it, more than a few."))

    reasons = [fitted([tool], Budget(tokens=size)).lines[0].reason for size in tool.sizes()]

    assert reasons == list(LEVELS)


def test_a_step_that_a_later_one_makes_needless_is_undone_and_by_priority() -> None:
    short = [Tool(f"s{index}", "Do it. Now.", priority=index) for index in range(3)]
    tools = [*short, Tool("big", "", parameters("w" * 400))]
    one_more = short[2].sizes()[0] - short[2].sizes()[1]

    fit_ = fitted(tools, Budget(tokens=sum(tool.sizes()[1] for tool in short) + tools[-1].sizes()[2] + one_more))

    # Short ones are trimmed first, which is not enough; without the big one's words some come back.
    assert [line.state for line in fit_.lines] == ["trimmed", "trimmed", "listed", "trimmed"]


def test_a_step_that_saves_nothing_is_not_taken() -> None:
    plain = Tool("plain", "Nothing to leave out.")
    wordy = Tool("wordy", "Some words. Other words that may go.")

    fit_ = fitted([plain, wordy], Budget(tokens=plain.sizes()[0] + wordy.sizes()[1]))

    assert [(line.state, line.reason) for line in fit_.lines] == [("listed", LEVELS[0]), ("trimmed", LEVELS[1])]


def parameters(*descriptions: str) -> Mapping[str, Any]:
    properties = {f"p{index}": {"type": "string", "description": text} for index, text in enumerate(descriptions)}
    return {"type": "object", "properties": properties}


# Overflow


def test_beyond_the_count_priorities_decide_and_the_order_stays() -> None:
    tools = [replace(tool, priority=index % 3) for index, tool in enumerate(described(12))]

    fit_ = fitted(tools, Budget(tools=6))

    assert [line.name for line in fit_.kept] == ["t0002", "t0005", "t0008", "t0011"]
    assert fit_.searched
    assert fit_.tools == 6
    assert {line.reason for line in fit_.dropped} == {"all 4 places are taken"}


def test_equal_priorities_are_taken_in_canonical_order() -> None:
    assert [line.name for line in fitted(described(9), Budget(tools=5)).kept] == ["t0000", "t0001", "t0002"]


def test_pinned_tools_come_before_priorities() -> None:
    tools = [Tool("a", priority=9), Tool("b"), Tool("c", priority=8), Tool("d")]

    fit_ = fitted(tools, Budget(tools=3, pinned=("d", "unknown")))

    assert [line.name for line in fit_.kept] == ["d"]


def test_a_pinned_tool_is_trimmed_as_far_as_it_takes() -> None:
    pinned = Tool("pinned", "x" * 4000)

    fit_ = fitted([pinned, *described(40)], Budget(tools=40, tokens=META + 100, pinned=("pinned",)))

    assert fit_.lines[0].reason == "without any description"
    assert fit_.tokens <= META + 100


def test_a_tool_that_does_not_fit_makes_room_for_a_smaller_one() -> None:
    tools = [Tool("big", "x" * 1000, priority=1), Tool("small"), *described(3)]

    fit_ = fitted(tools, Budget(tools=4, tokens=META + 40))

    lines = {line.name: line for line in fit_.lines}
    assert lines["small"].state == "listed"
    size = tools[0].sizes()[FILL_LEVEL]
    assert lines["big"].reason == f"its {size} tokens are more than the 40 there are for tools"
    assert lines["t0000"].reason.endswith("tokens do not fit beside the others in 40")


def test_split_hides_without_meta_tools() -> None:
    fit_ = fitted(described(9), Budget(tools=5, overflow="split"))

    assert (len(fit_.kept), len(fit_.dropped), fit_.searched, fit_.tools) == (5, 4, False, 5)


def test_more_tools_are_listed_when_they_are_trimmed_to_a_sentence() -> None:
    tools = described(30, sentences=20)

    fit_ = fitted(tools, Budget(tools=20, tokens=META + 10 * tools[0].sizes()[0]))

    assert len(fit_.kept) == 18
    assert "trimmed" in {line.state for line in fit_.kept}


def test_a_tool_alone_that_is_too_large_is_trimmed_and_says_so() -> None:
    tool = Tool("alone", "x" * 10_000, parameters("y" * 500))

    fit_ = fitted([tool], Budget(tools=8, tokens=200))

    (line,) = fit_.lines
    assert (line.state, line.reason, fit_.searched) == ("trimmed", "without any description", False)


def test_a_tool_alone_that_no_trimming_makes_fit_is_found_by_search_and_says_why() -> None:
    tool = Tool("alone", "Do it.", {"type": "object", "properties": {f"p{n}": {} for n in range(500)}})

    fit_ = fitted([tool], Budget(tools=8, tokens=META + 100))

    assert fit_.searched
    assert fit_.lines[0].reason == f"its {tool.sizes()[FILL_LEVEL]} tokens are more than the 100 there are for tools"


# Errors


def test_no_start_under_error_says_the_numbers_and_the_smallest_profile_that_fits() -> None:
    tools = described(20)
    full, least = (sum(tool.sizes()[level] for tool in tools) for level in (0, DEEPEST))

    with pytest.raises(BudgetError) as error:
        fitted(tools, Budget(tools=8, tokens=1500, overflow="error"))

    assert str(error.value) == (
        f"20 tools of {full} tokens ({least} when trimmed) do not fit a budget of 8 tools / 1500 tokens; "
        f"split them into groups of 5 to 8, or use profile 'large'"
    )


def test_no_start_because_of_one_tool_says_to_make_it_shorter() -> None:
    with pytest.raises(BudgetError, match=r"of any number of tools / 3 tokens; make only shorter, or use profile 'sm"):
        fitted([Tool("only")], Budget(tokens=3, overflow="error"))


@pytest.mark.parametrize("budget", [Budget(tools=1), Budget(tokens=META - 1), Budget(tools=1, tokens=META - 1)])
def test_a_budget_under_the_meta_tools_is_told(budget: Budget) -> None:
    with pytest.raises(BudgetError, match=rf"no room for search_tools and call_tool, which are 2 tools and {META} tok"):
        fitted(described(60), budget)


def test_a_budget_of_exactly_the_meta_tools_lists_those() -> None:
    fit_ = fitted(described(60), Budget(tools=2, tokens=META))

    assert (fit_.tools, fit_.tokens, len(fit_.kept)) == (2, META, 0)


@pytest.mark.parametrize("budget", [Budget(tools=4), Budget(tokens=META + 10)])
def test_pins_that_do_not_fit_are_told_with_the_numbers(budget: Budget) -> None:
    tools = described(60)
    pins = tuple(tool.name for tool in tools[:3])

    with pytest.raises(BudgetError, match=r"^3 pinned tools need \d+ tokens at least, and .* is left .*; pin fewer"):
        fitted(tools, replace(budget, pinned=pins))


# Texts and schemas


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("", ""),
        (" \n ", ""),
        ("List hosts", "List hosts"),
        ("List hosts. Needs a token.", "List hosts."),
        ("List hosts.\nneeds a token", "List hosts."),
        ("List hosts\nof one site. More.", "List hosts\nof one site."),
        ("List hosts\n\nNeeds a token.", "List hosts"),
        ("List hosts, e.g. all of them. More.", "List hosts, e.g. all of them."),
        ("Really? Yes!", "Really?"),
        ("v1.2 of it. 3 more.", "v1.2 of it."),
        ("ホストを一覧. 次", "ホストを一覧."),
    ],
)
def test_the_first_sentence_of_a_description(text: str, first: str) -> None:
    assert first_sentence(text) == first


@given(st.text(alphabet=" .\n!?aB\t\u2028", max_size=5000))
@settings(deadline=500)
def test_a_first_sentence_is_a_part_of_its_text_and_found_quickly(text: str) -> None:
    assert text.strip().startswith(first_sentence(text))


@pytest.mark.parametrize(
    "text", ["\n" * 100_000, ". " * 50_000, "." + " " * 100_000 + "a", "\n " * 50_000, "a\n" * 50_000]
)
def test_a_hostile_description_is_cut_in_linear_time(text: str) -> None:
    assert len(first_sentence(text)) <= len(text)


@given(INPUTS)
def test_what_is_needed_to_call_a_tool_is_never_left_out(schema: Mapping[str, Any]) -> None:
    before = json.dumps(schema)

    bare = without_descriptions(schema)

    assert list(bare["properties"]) == list(schema["properties"])
    assert without_descriptions(bare) == bare
    assert json.dumps(schema) == before
    for name, inner in schema["properties"].items():
        if isinstance(inner, dict):
            kept = bare["properties"][name]
            assert [kept.get(key) for key in ("type", "enum", "default")] == [
                inner.get(key)  # pyright: ignore[reportUnknownMemberType] # a drawn schema
                for key in ("type", "enum", "default")
            ]
            assert "description" not in kept


@given(st.text())
def test_tokens_are_a_quarter_of_the_bytes_rounded_up(text: str) -> None:
    assert 4 * count_tokens(text) - 3 <= len(text.encode()) <= 4 * count_tokens(text)


def test_a_tool_counts_as_the_model_sees_it() -> None:
    seen = '{"name":"t","description":"Größe","input_schema":{"type":"object"}}'

    assert tokens_of("t", "Größe", {"type": "object"}) == count_tokens(seen)


def test_profiles_are_what_the_documentation_says() -> None:
    limits = {name: (profile.tools, profile.tokens) for name, profile in PROFILES.items()}

    assert limits == {"small": (8, 1500), "medium": (16, 3000), "large": (40, 8000), "unlimited": (None, None)}
