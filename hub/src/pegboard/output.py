"""Output: from a function's return annotation to an output schema, and from its value to the result of a call."""

import types
import typing
from typing import Any, cast, get_args, get_origin

from mcp_types import ContentBlock
from pydantic import PydanticUserError, TypeAdapter
from pydantic_core import PydanticSerializationError, SchemaError, from_json, to_json

from pegboard.arguments import compact
from pegboard.plugin import Function
from pegboard.rows import Rows

CONTENT = get_args(ContentBlock)
TEXT = (str, Any, None, type(None), object)

ROWS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "columns": {"type": "array", "items": {"type": "object"}},
        "rows": {"type": "array", "items": {"type": "array"}},
        "items": {"type": "array"},
        "returned": {"type": "integer"},
        "total": {"type": "integer"},
        "has_more": {"type": "boolean"},
        "cursor": {"type": "string"},
        "notice": {"type": "string"},
    },
    "required": ["returned", "has_more"],
}
"""The schema of an answer with rows: `rows` in the order of `columns`, or `items` where they have none."""

Result = dict[str, Any]
"""A `tools/call` result as it goes over the wire."""


class Output:
    """What a function returns: the schema that says so, and the way from its value to a result.

    A string, or no annotation, is text. An object (model, dataclass, typed dict, mapping) is structured content with
    its schema, and as JSON text for clients that know only that. Anything else is the same inside `{"result": ...}`,
    since structured content must be an object (2025-06-18, "Structured Content"). MCP content blocks pass as they
    are.
    """

    def __init__(self, function: Function, returns: Any) -> None:
        self._adapter, schema = (None, None) if _is_plain(returns) else _adapter(returns)
        self._wraps = schema is not None and schema.get("type") != "object"
        self.schema = _wrapped(schema) if schema is not None and self._wraps else schema
        self.is_list = returns is Rows or (schema is not None and schema.get("type") == "array")
        """Whether its answers are lists, of which there may be more than one answer can take."""
        self.is_open = self.schema is not None and self.schema.get("additionalProperties") is not False
        """Whether an answer may have more keys than its schema names."""
        if returns is Rows:
            self.schema = ROWS
        self._function = function.__name__

    def convert(self, value: Any) -> Result:
        """Return the result of a call that answered `value`.

        Raises `TypeError` when the value is not what the function says it returns.
        """
        if self._adapter is None:
            return result(_content(value))
        try:
            # Through JSON and back, so that a NaN is null and no object of Python's own is left in there.
            text = self._adapter.dump_json(value, by_alias=True, warnings="error")
        except PydanticSerializationError as error:
            raise TypeError(f"{self._function} did not return what its annotation says") from error
        data = from_json(text)
        if not self._wraps and not isinstance(data, dict):
            raise TypeError(f"{self._function} did not return the object its annotation says")
        return result([text_block(text.decode())], {"result": data} if self._wraps else data)


def result(content: list[Any], structured: Any = None, *, is_error: bool = False) -> Result:
    """A result in its wire form; `resultType` is what 2026-07-28 asks for, and older revisions drop it."""
    answer: Result = {"content": content, "isError": is_error, "resultType": "complete"}
    if structured is not None:
        answer["structuredContent"] = structured
    return answer


def error_result(message: str) -> Result:
    """The result of a call that failed in a way its caller can read."""
    return result([text_block(message)], is_error=True)


def text_block(text: str) -> dict[str, Any]:
    """A text content block; what is no Unicode text (a lone surrogate) becomes a question mark."""
    return {"type": "text", "text": text if text.isascii() else text.encode(errors="replace").decode()}


def _content(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, CONTENT):
        return [value.model_dump(by_alias=True, mode="json", exclude_none=True)]
    if isinstance(value, list) and value and all(isinstance(item, (*CONTENT, str)) for item in cast(list[Any], value)):
        return [block for item in cast(list[Any], value) for block in _content(item)]
    return [text_block(value if isinstance(value, str) else to_json(value, inf_nan_mode="null").decode())]


def _is_plain(returns: Any) -> bool:
    """Whether the annotation promises text or content blocks, which have no schema."""
    if returns is Rows or returns in TEXT:
        return True
    origin = get_origin(returns)
    if origin in (typing.Union, types.UnionType, list):
        return any(_is_content(part) for part in get_args(returns))
    return _is_content(returns)


def _is_content(annotation: Any) -> bool:
    if get_origin(annotation) in (typing.Union, types.UnionType):
        return any(_is_content(part) for part in get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, CONTENT)


def _adapter(returns: Any) -> tuple[TypeAdapter[Any], dict[str, Any]] | tuple[None, None]:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(returns)
        return adapter, _typed(compact(adapter.json_schema(mode="serialization")))
    except (PydanticUserError, SchemaError, TypeError):
        return None, None


def _typed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its type at the root, where MCP wants to read it, also when the root is only a reference."""
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    named = schema.get("$defs", {}).get(name, {})
    return {"type": named["type"], **schema} if "type" in named else schema


def _wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    definitions = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
    return {"type": "object", "properties": {"result": schema}, "required": ["result"], **definitions}
