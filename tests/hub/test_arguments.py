"""Arguments: a compact schema from a signature, and a check that forgives what small models get wrong."""

import json
import tracemalloc
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr
from typing_extensions import TypedDict

from pegboard import Call, PluginSettings
from pegboard.arguments import Arguments, InvalidArguments, signature_line
from pegboard.errors import PluginError


class Color(Enum):
    red = "r"
    green = "g"


class City(BaseModel):
    name: str
    lines: list[int] = []


def problem(function: Callable[..., Any], given: dict[str, Any]) -> str:
    with pytest.raises(InvalidArguments) as caught:
        Arguments(function).check(given)
    head, *lines = str(caught.value).splitlines()
    assert head == "invalid arguments"
    return "\n".join(lines)


def test_the_schema_is_the_signature_without_noise() -> None:
    def query(sql: Annotated[str, Field(description="One statement.")], limit: int = 100) -> None: ...

    assert Arguments(query).schema == {
        "type": "object",
        "properties": {
            "sql": {"type": "string", "description": "One statement."},
            "limit": {"type": "integer", "default": 100},
        },
        "required": ["sql"],
    }


def test_a_function_without_parameters_has_an_empty_schema() -> None:
    def ping() -> None: ...

    assert Arguments(ping).schema == {"type": "object", "properties": {}}
    assert Arguments(ping).check(None) == {}


def test_the_call_never_reaches_the_schema() -> None:
    async def first(call: Call[PluginSettings], city: str) -> None: ...
    async def second(city: str, *, context: Call) -> None: ...  # pyright: ignore[reportMissingTypeArgument, reportUnknownParameterType]

    assert Arguments(first).call_parameter == "call"
    assert Arguments(second).call_parameter == "context"  # pyright: ignore[reportUnknownArgumentType]
    assert list(Arguments(first).schema["properties"]) == ["city"]


def test_a_default_of_null_leaves_only_the_other_types() -> None:
    def find(
        city: str | None = None, limit: Annotated[int | str | None, Field(description="Rows.")] = None, x: Any = None
    ) -> None: ...

    assert Arguments(find).schema["properties"] == {
        "city": {"type": "string"},
        "limit": {"anyOf": [{"type": "integer"}, {"type": "string"}], "description": "Rows."},
        "x": {},
    }


def test_a_default_that_is_no_json_scalar_is_left_out() -> None:
    def find(tags: list[str] = []) -> None: ...  # noqa: B006

    assert Arguments(find).schema["properties"] == {"tags": {"type": "array", "items": {"type": "string"}}}


def test_titles_go_and_properties_and_values_called_title_stay() -> None:
    class Book(BaseModel):
        title: str
        kind: Literal["title"] = "title"

    def add(book: Book, title: str = "title") -> None: ...

    schema = Arguments(add).schema

    assert schema["properties"]["title"] == {"type": "string", "default": "title"}
    assert schema["$defs"]["Book"]["properties"] == {
        "title": {"type": "string"},
        "kind": {"type": "string", "const": "title", "default": "title"},
    }
    assert "title" not in schema


def test_parameters_may_have_any_name() -> None:
    def odd(schema: str, copy: int, json: bool, model_config: str, self: str, validate: str = "x") -> None: ...

    given = {"schema": "public", "copy": 1, "json": True, "model_config": "m", "self": "s"}

    assert Arguments(odd).check(given) == given


def test_a_parameter_without_annotation_takes_anything() -> None:
    def echo(value) -> None: ...  # type: ignore[no-untyped-def] # pyright: ignore[reportMissingParameterType, reportUnknownParameterType]

    assert Arguments(echo).check({"value": [{}]}) == {"value": [{}]}  # pyright: ignore[reportUnknownArgumentType]


def test_what_was_left_out_is_left_to_the_function() -> None:
    def find(city: str, limit: int = 5) -> None: ...

    assert Arguments(find).check({"city": "Rome"}) == {"city": "Rome"}


@pytest.mark.parametrize(
    ("annotation", "given", "wanted"),
    [
        (int, "5", 5),
        (int, 5.0, 5),
        (float, "1.5", 1.5),
        (float, 1, 1.0),
        (bool, "true", True),
        (str, 5, "5"),
        (list[int], "[1, 2]", [1, 2]),
        (list[int], ' ["1"] ', [1]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (City, '{"name": "Rome", "lines": ["1"]}', City(name="Rome", lines=[1])),
        (City, {"name": "Rome"}, City(name="Rome")),
        (Color, "r", Color.red),
        (Literal["a", "b"], "b", "b"),
        (date, "2026-01-31", date(2026, 1, 31)),
        (UUID, "00000000-0000-0000-0000-000000000001", UUID(int=1)),
        (Decimal, "1.10", Decimal("1.10")),
        (int | None, None, None),
        (str, '{"not": "opened"}', '{"not": "opened"}'),
        (int | list[int], "[1]", [1]),
    ],
)
def test_what_small_models_send_is_understood(annotation: Any, given: Any, wanted: Any) -> None:
    def take(value: Any) -> None: ...

    take.__annotations__["value"] = annotation

    assert Arguments(take).check({"value": given}) == {"value": wanted}


def test_null_stands_for_a_default() -> None:
    def find(city: str = "Rome", limit: int | None = 5) -> None: ...

    assert Arguments(find).check({"city": None, "limit": None}) == {"limit": None}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(json_values) | st.dictionaries(st.text(), json_values))
def test_a_list_or_an_object_in_a_string_is_the_same_as_itself(value: Any) -> None:
    def take(value: list[Any] | dict[str, Any]) -> None: ...

    checked = Arguments(take)

    assert checked.check({"value": json.dumps(value)}) == checked.check({"value": value}) == {"value": value}


@given(st.integers(-(10**18), 10**18), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))
def test_a_scalar_in_a_string_is_the_same_as_itself(whole: int, flag: bool, number: float) -> None:
    def take(whole: int, flag: bool, number: float) -> None: ...

    values = {"whole": whole, "flag": flag, "number": number}

    assert Arguments(take).check({name: json.dumps(value) for name, value in values.items()}) == values


@given(st.text())
def test_a_string_reaches_a_string_parameter_as_it_is(text: str) -> None:
    def take(value: str) -> None: ...

    assert Arguments(take).check({"value": text}) == {"value": text}


@pytest.mark.parametrize(
    ("annotation", "given", "line"),
    [
        (int, "many", 'must be a whole number, not "many"'),
        (int, 1.5, "must be a whole number, not 1.5"),
        (int, [1], "must be a whole number, not a list"),
        (int, None, "must be a whole number, not null"),
        (int, "9" * 5000, f'is too large, not "{"9" * 59}…'),
        (float, "x", 'must be a number, not "x"'),
        (Annotated[float, Field(allow_inf_nan=False)], "nan", 'must be a finite number, not "nan"'),
        (bool, "maybe", 'must be true or false, not "maybe"'),
        (bool, [], "must be true or false, not a list"),
        (str, {"a": 1}, "must be a string, not an object"),
        (Annotated[str, Field(min_length=2)], "x", 'must have at least 2 characters, not "x"'),
        (Annotated[str, Field(max_length=2)], "xyz", 'must have at most 2 characters, not "xyz"'),
        (Annotated[str, Field(pattern="^a")], "b", 'must match the pattern ^a, not "b"'),
        (bytes, [], "must be a string, not a list"),
        (list[int], 5, "must be a list, not 5"),
        (tuple[int, int], 5, "must be a list, not 5"),
        (set[int], 5, "must be a list, not 5"),
        (Annotated[list[int], Field(min_length=2)], [1], "must have at least 2 items, not a list"),
        (Annotated[list[int], Field(max_length=1)], [1, 2], "must have at most 1 items, not a list"),
        (dict[str, int], 5, "must be an object, not 5"),
        (City, 5, "must be an object, not 5"),
        (Literal["a", "b"], "c", "must be one of 'a' or 'b', not \"c\""),
        (Color, "blue", "must be one of 'r' or 'g', not \"blue\""),
        (Annotated[int, Field(gt=0)], 0, "must be greater than 0, not 0"),
        (Annotated[int, Field(ge=1)], "0", 'must be at least 1, not "0"'),
        (Annotated[int, Field(lt=1)], 1, "must be less than 1, not 1"),
        (Annotated[int, Field(le=1)], 2, "must be at most 1, not 2"),
        (Annotated[int, Field(multiple_of=5)], 2, "must be a multiple of 5, not 2"),
        (None, 1, "must be null, not 1"),
        (date, "soon", 'must be a date like 2026-01-31, not "soon"'),
        (UUID, "x", 'must be a UUID, not "x"'),
        (Decimal, "x", 'must be a number, not "x"'),
        (int, "\ud800", 'is not valid, not "?"'),
        (complex, "x", 'is not valid, not "x"'),
    ],
)
def test_each_problem_is_one_line_in_our_own_words(annotation: Any, given: Any, line: str) -> None:
    def take(value: Any) -> None: ...

    take.__annotations__["value"] = annotation

    assert problem(take, {"value": given}) == f"- value: {line}"


def test_a_problem_deep_inside_is_named_by_its_place() -> None:
    def take(city: City, rows: dict[str, list[int]]) -> None: ...

    lines = problem(take, {"city": {"name": "Rome", "lines": [1, "x"]}, "rows": '{"a": [1, "y"]}'})

    assert lines == '- city.lines[1]: must be a whole number, not "x"\n- rows.a[1]: must be a whole number, not "y"'


def test_all_problems_are_told_at_once() -> None:
    def take(sql: str, limit: int, cursor: str | None = None) -> None: ...

    assert problem(take, {"limit": "x", "qsl": "select 1"}) == (
        "- sql: required\n- limit: must be a whole number, not \"x\"\n- qsl: unknown argument; did you mean 'sql'?"
    )


def test_only_the_first_of_many_problems_are_told() -> None:
    def take(rows: list[int]) -> None: ...

    lines = problem(take, {"rows": ["x"] * 21}).splitlines()

    assert (lines[19], lines[20:]) == ('- rows[19]: must be a whole number, not "x"', ["- and 1 more like these"])


@pytest.mark.parametrize("rows", [[None] * 200_000, "x" * 1_000_000], ids=["many", "long"])
def test_a_body_full_of_problems_is_refused_at_once_and_briefly(rows: Any) -> None:
    """S-33: a million wrong values once took seconds of everybody's time, and ten times their size in memory."""

    def take(rows: list[int]) -> None: ...

    tracemalloc.start()
    told = problem(take, {"rows": rows, "r" * 1_000_000: 1})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(told) < 1000
    assert most < 25_000_000


def test_a_name_nothing_is_near_to_gets_the_list_of_names() -> None:
    def take(sql: str = "", limit: int = 1) -> None: ...
    def nothing() -> None: ...

    assert problem(take, {"zzz": 1}) == "- zzz: unknown argument; there are sql, limit"
    assert problem(nothing, {"zzz": 1}) == "- zzz: unknown argument; there are no arguments"


def test_the_branches_of_a_union_are_not_shown() -> None:
    def take(limit: int | float) -> None: ...

    assert problem(take, {"limit": "x"}) == (
        '- limit: must be a whole number, not "x"\n- limit: must be a number, not "x"'
    )


def test_what_cannot_be_repaired_is_reported_as_it_was_sent() -> None:
    def take(rows: list[int]) -> None: ...

    assert problem(take, {"rows": "[1,"}) == '- rows: must be a list, not "[1,"'
    assert problem(take, {"rows": '["x"]'}) == '- rows[0]: must be a whole number, not "x"'
    assert problem(take, {"rows": "[NaN]"}) == '- rows: must be a list, not "[NaN]"'


def test_a_secret_is_taken_and_not_shown() -> None:
    def login(password: SecretStr, pin: Annotated[SecretStr, Field(min_length=9)] = SecretStr("")) -> None: ...  # noqa: B008

    assert Arguments(login).check({"password": "hunter2"}) == {"password": SecretStr("hunter2")}
    assert "hunter2" not in problem(login, {"password": "x", "pin": "hunter2"})


@given(json_values)
def test_pydantic_never_speaks(value: Any) -> None:
    class Row(TypedDict):
        id: int

    def take(row: Row, when: date, colors: list[Color]) -> None: ...

    text = problem(take, {"row": value, "when": [], "colors": value, "x": value})

    assert "pydantic" not in text
    assert "Input should" not in text
    assert all(line.startswith("- ") for line in text.split("\n"))


def test_a_parameter_without_a_name_is_no_parameter() -> None:
    def args(*rows: str) -> None: ...
    def kwargs(**rows: str) -> None: ...
    def positional(row: str, /) -> None: ...

    for function in (args, kwargs, positional):
        with pytest.raises(PluginError, match=r"the parameter 'rows?' of \w+ has no name a client could use"):
            Arguments(function)


class Opaque: ...


@pytest.mark.parametrize("annotation", [Opaque, Callable[[int], int], "Nowhere", "json.Nowhere", "1 +", 5])
def test_a_parameter_without_a_schema_is_a_plugin_error(annotation: Any) -> None:
    def take(value: Any) -> None: ...

    take.__annotations__["value"] = annotation

    with pytest.raises(PluginError, match="of take"):
        Arguments(take)


@pytest.mark.parametrize(
    ("schema", "line"),
    [
        ({"properties": {}}, "t()"),
        (
            {"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]},
            "t(a: string, b?: integer)",
        ),
        ({"properties": {"a": {"enum": ["x", 1]}}}, "t(a?: x|1)"),
        ({"properties": {"a": {"anyOf": [{"type": "string"}, {}]}}}, "t(a?: string|any)"),
    ],
)
def test_a_signature_fits_on_a_line(schema: dict[str, Any], line: str) -> None:
    assert signature_line("t", schema) == line
