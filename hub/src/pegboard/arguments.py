"""Arguments: from a function's signature to a compact schema, and from what a client sent to checked values."""

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, NotRequired, Required, cast, get_origin

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError, with_config
from pydantic_core import ErrorDetails, SchemaError, from_json
from typing_extensions import TypedDict

from pegboard.call import Call
from pegboard.errors import PluginError, ToolError
from pegboard.hasty import FEW, are_few, hasty
from pegboard.plugin import Function
from pegboard.validation import did_you_mean, location, message, show

MOST_ERRORS = 1000
"""What is told of them one by one; a union finds as many faults in a value as it has branches."""
MOST_LINES = 20
LONGEST_NAME = 200


class InvalidArguments(ToolError):  # noqa: N818 # read as what it says
    """The arguments of a call do not fit the tool; one line for each of the first fields."""


class Arguments:
    """The parameters of one function: their JSON schema, and the check of what a client sends.

    Raises `PluginError` for a signature that cannot be put into a schema.
    """

    def __init__(self, function: Function) -> None:
        signature, hints = _inspect(function)
        self.call_parameter = next((name for name in signature.parameters if _is_call(hints.get(name))), None)
        parameters = {name: p for name, p in signature.parameters.items() if name != self.call_parameter}
        _check_kinds(function, parameters)
        self._defaults = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
        self._names = list(parameters)
        types = {name: hints.get(name, Any) for name in parameters}
        self._adapter, schema = _adapter(function, types, self._defaults)
        self._hasty = hasty(self._adapter.core_schema)
        self.returns: Any = hints.get("return", Any)
        self.schema = self._build_schema(schema)

    def check(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the arguments as the function wants them; what may be left out and was is not in there.

        Forgives what small models get wrong: numbers in strings, JSON in a string where an object or a list belongs,
        `null` for a parameter with a default. Raises `InvalidArguments` otherwise.
        """
        given = given or {}
        if len(given) > FEW:
            raise InvalidArguments(f"invalid arguments\n- {len(given)} are too many; {_list_of(self._names)}")
        try:
            return self._hasty.validate_python(given)
        except ValidationError as error:
            repaired = self._repair(given, error)
        try:
            return (self._adapter if are_few(repaired) else self._hasty).validate_python(repaired)
        except ValidationError as error:
            raise self._explain(repaired, error) from None

    def _repair(self, given: Mapping[str, Any], error: ValidationError) -> dict[str, Any]:
        repaired = dict(given)
        if error.error_count() > MOST_ERRORS:
            return repaired
        for name in {str(detail["loc"][0]) for detail in error.errors(include_url=False) if detail["loc"]}:
            value = given.get(name)
            if value is None and name in given and name in self._defaults:
                del repaired[name]
            elif isinstance(value, str):
                repaired[name] = _unwrap(value)
        return repaired

    def _explain(self, given: Mapping[str, Any], error: ValidationError) -> InvalidArguments:
        count = error.error_count()
        too_many = f"{count} values do not fit; send less at a time"
        lines = self._lines(given, error) if count <= MOST_ERRORS else [too_many]
        left = [f"and {len(lines) - MOST_LINES} more like these"] if len(lines) > MOST_LINES else []
        text = "\n".join(f"- {line}" for line in [*lines[:MOST_LINES], *left])
        return InvalidArguments(f"invalid arguments\n{text}".encode(errors="replace").decode())

    def _lines(self, given: Mapping[str, Any], error: ValidationError) -> list[str]:
        lines: dict[str, None] = {}
        for detail in error.errors(include_url=False):
            name = location(detail, given)[:LONGEST_NAME]
            if detail["type"] == "extra_forbidden":
                unused = [known for known in self._names if known not in given]
                lines[f"{name}: unknown argument; {did_you_mean(name, unused) or _list_of(self._names)}"] = None
            else:
                lines[f"{name}: {message(detail)}{self._shown(detail)}"] = None
        return list(lines)

    def _shown(self, detail: ErrorDetails) -> str:
        is_secret = self.schema["properties"].get(detail["loc"][0], {}).get("writeOnly", False)
        return "" if detail["type"] == "missing" or is_secret else f", not {show(detail['input'])}"

    def _build_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        schema = compact(schema)
        schema.pop("additionalProperties", None)
        properties = schema.setdefault("properties", {})
        for name, default in self._defaults.items():
            properties[name] = _with_default(properties[name], default)
        return schema


def compact(schema: Any) -> Any:
    """A JSON schema without the titles pydantic makes up, everywhere but in the names of properties."""
    if isinstance(schema, list):
        return [compact(item) for item in cast(list[Any], schema)]
    if not isinstance(schema, dict):
        return schema
    compacted: dict[str, Any] = {}
    for key, value in cast(dict[str, Any], schema).items():
        if key in ("properties", "$defs", "patternProperties"):
            compacted[key] = {name: compact(inner) for name, inner in value.items()}
        elif key in ("default", "const", "enum", "examples"):
            compacted[key] = value
        elif not (key == "title" and isinstance(value, str)):
            compacted[key] = compact(value)
    return compacted


def _inspect(function: Function) -> tuple[inspect.Signature, dict[str, Any]]:
    try:
        return inspect.signature(function), typing.get_type_hints(function, include_extras=True)
    except Exception as error:  # an annotation is code, which may raise anything
        raise PluginError(f"the annotations of {function.__name__} cannot be read: {error}") from error


def _is_call(annotation: Any) -> bool:
    return annotation is Call or get_origin(annotation) is Call


def _check_kinds(function: Function, parameters: Mapping[str, inspect.Parameter]) -> None:
    for name, parameter in parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise PluginError(f"the parameter {name!r} of {function.__name__} has no name a client could use")


def _adapter(
    function: Function, hints: Mapping[str, Any], defaults: Mapping[str, Any]
) -> tuple[TypeAdapter[dict[str, Any]], dict[str, Any]]:
    # A TypedDict and not a model: its keys may be called `schema` or `copy`, and what comes out is a plain dict.
    fields = {name: NotRequired[hint] if name in defaults else Required[hint] for name, hint in hints.items()}
    config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, arbitrary_types_allowed=False)
    make = cast("Callable[[str, dict[str, Any]], type[dict[str, Any]]]", TypedDict)
    try:
        adapter = TypeAdapter(with_config(config)(make(function.__name__, fields)))
        return adapter, adapter.json_schema()
    except (PydanticUserError, SchemaError, TypeError) as error:
        raise PluginError(f"the parameters of {function.__name__} have no JSON schema: {error}") from error


def _with_default(schema: dict[str, Any], default: Any) -> dict[str, Any]:
    """Add a default; for a default of null say only the other type, since null means the same as leaving it out."""
    if default is not None:
        return {**schema, "default": default} if isinstance(default, str | int | float | bool) else schema
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if not choices:
        return schema
    return {**choices[0], **rest} if len(choices) == 1 else {"anyOf": choices, **rest}


def _unwrap(value: str) -> Any:
    """The object or list inside a JSON string; any other string as it is."""
    if value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return from_json(value, allow_inf_nan=False)
    except ValueError:
        return value


def _list_of(names: list[str]) -> str:
    return f"there are {', '.join(names)}" if names else "there are no arguments"


def signature_line(name: str, schema: Mapping[str, Any]) -> str:
    """One line a model can call the tool by: `postgres_query(sql: string, limit?: integer)`."""
    required = set(schema.get("required", ()))
    parts = [f"{key}{'' if key in required else '?'}: {_type_of(value)}" for key, value in schema["properties"].items()]
    return f"{name}({', '.join(parts)})"


def _type_of(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "|".join(str(choice) for choice in schema["enum"])
    if "anyOf" in schema:
        return "|".join(_type_of(choice) for choice in schema["anyOf"])
    return str(schema.get("type", "any"))
