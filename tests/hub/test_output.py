"""Output: a schema from a return annotation, and a result that keeps its promise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, NotRequired

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import ImageContent, TextContent
from pydantic import BaseModel, Field, RootModel
from typing_extensions import TypedDict

from pegboard.output import Output, error_result


class City(BaseModel):
    name: str
    size: int | None = None


@dataclass
class Town:
    name: str


class Village(TypedDict):
    name: str
    size: NotRequired[int]


class Hamlet(NamedTuple):
    name: str


class Tree(BaseModel):
    children: "list[Tree]" = []


LEAF: dict[str, list[Any]] = {"children": []}


class Names(RootModel[list[str]]): ...


class Sizes(RootModel[dict[str, int]]): ...


def output(returns: Any) -> Output:
    def answer() -> None: ...

    return Output(answer, returns)


@pytest.mark.parametrize(
    ("returns", "value", "structured"),
    [
        (City, City(name="Rome"), {"name": "Rome", "size": None}),
        (Town, Town("Rome"), {"name": "Rome"}),
        (Village, {"name": "Rome"}, {"name": "Rome"}),
        (Tree, Tree(children=[Tree()]), {"children": [LEAF]}),
        (Sizes, Sizes({"Rome": 3}), {"Rome": 3}),
        (dict[str, int], {"Rome": 3}, {"Rome": 3}),
        (Mapping[str, Any], {"Rome": [1]}, {"Rome": [1]}),
        (Annotated[City, Field(description="A city.")], City(name="Rome", size=3), {"name": "Rome", "size": 3}),
        (list[City], [City(name="Rome")], {"result": [{"name": "Rome", "size": None}]}),
        (list[Tree], [Tree()], {"result": [LEAF]}),
        (Names, Names(["Rome"]), {"result": ["Rome"]}),
        (Hamlet, Hamlet("Rome"), {"result": ["Rome"]}),
        (list[str], ["Rome"], {"result": ["Rome"]}),
        (int, 3, {"result": 3}),
        (bool, False, {"result": False}),
        (int | None, None, {"result": None}),
        (str | int, "x", {"result": "x"}),
        (City | Town, Town("Rome"), {"result": {"name": "Rome"}}),
        (Decimal, Decimal("1.10"), {"result": "1.10"}),
        (datetime, datetime(2026, 1, 31, tzinfo=UTC), {"result": "2026-01-31T00:00:00Z"}),
        (dict[str, float], {"x": float("nan"), "y": float("inf")}, {"x": None, "y": None}),
    ],
)
def test_data_is_structured_content_under_a_schema_of_an_object(returns: Any, value: Any, structured: Any) -> None:
    bound = output(returns)

    result = bound.convert(value)

    assert result["structuredContent"] == structured
    assert result["isError"] is False
    assert bound.schema is not None
    assert bound.schema["type"] == "object"


def test_data_is_json_text_too() -> None:
    assert output(list[int]).convert([1, 2])["content"] == [{"type": "text", "text": "[1,2]"}]


def test_the_schema_says_what_the_annotation_says() -> None:
    assert output(City).schema == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "size": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        },
        "required": ["name"],
    }


def test_a_wrapped_schema_keeps_its_definitions_at_the_root() -> None:
    schema = output(list[Tree]).schema

    assert schema is not None
    assert schema["properties"]["result"] == {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    assert list(schema["$defs"]) == ["Tree"]


def test_a_schema_that_is_a_reference_says_its_type_at_the_root() -> None:
    schema = output(Tree).schema

    assert schema is not None
    assert (schema["type"], schema["$ref"], list(schema["$defs"])) == ("object", "#/$defs/Tree", ["Tree"])


@pytest.mark.parametrize("returns", [str, Any, None, object, Callable[[], int], type, 5])
def test_text_and_what_has_no_schema_promise_nothing(returns: Any) -> None:
    bound = output(returns)

    assert bound.schema is None
    assert bound.convert("x") == {
        "content": [{"type": "text", "text": "x"}],
        "isError": False,
        "resultType": "complete",
    }


def test_without_a_promise_data_is_json_text() -> None:
    assert output(Any).convert({"a": [1, float("nan")]})["content"] == [{"type": "text", "text": '{"a":[1,null]}'}]
    assert output(Any).convert([])["content"] == [{"type": "text", "text": "[]"}]
    assert output(str).convert(5)["content"] == [{"type": "text", "text": "5"}]


def test_nothing_is_no_content() -> None:
    assert output(None).convert(None)["content"] == []


@pytest.mark.parametrize(
    "returns",
    [ImageContent, list[ImageContent], ImageContent | None, list[TextContent | ImageContent], list[str | ImageContent]],
)
def test_content_blocks_have_no_schema(returns: Any) -> None:
    assert output(returns).schema is None


def test_content_blocks_pass_as_they_are() -> None:
    image = ImageContent(type="image", data="aGk=", mime_type="image/png")
    block = {"type": "image", "data": "aGk=", "mimeType": "image/png"}

    assert output(ImageContent).convert(image)["content"] == [block]
    assert output(Any).convert([image, "a caption"])["content"] == [block, {"type": "text", "text": "a caption"}]


@pytest.mark.parametrize(
    ("returns", "value"),
    [
        (City, {"name": "Rome"}),
        (City, None),
        (Village, {"name": 5}),
        (Village, ["Rome"]),
        (int, "five"),
        (list[int], ["five"]),
        (dict[str, str], None),
        (list[Any], [object()]),
    ],
)
def test_a_value_that_breaks_its_promise_is_a_type_error_of_the_tool(returns: Any, value: Any) -> None:
    with pytest.raises(TypeError, match="answer did not return"):
        output(returns).convert(value)


@given(st.text(st.characters(exclude_categories=[])))
def test_text_always_becomes_unicode(text: str) -> None:
    (block,) = output(str).convert(text)["content"]

    assert len(block["text"].encode().decode()) == len(text)


def test_an_error_is_a_result_with_its_sentence() -> None:
    assert error_result("no such table") == {
        "content": [{"type": "text", "text": "no such table"}],
        "isError": True,
        "resultType": "complete",
    }
