"""Validation errors in our own words: one line says where and what, never in pydantic's text."""

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, cast

from pydantic_core import ErrorDetails

MAX_SHOWN = 60
MAX_NAME = 100

MESSAGES: Mapping[str, str] = {
    "missing": "required",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be a string",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "bytes_type": "must be a string",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dataclass_type": "must be an object",
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "none_required": "must be null",
    "date_type": "must be a date like 2026-01-31",
    "date_parsing": "must be a date like 2026-01-31",
    "date_from_datetime_parsing": "must be a date like 2026-01-31",
    "datetime_type": "must be a time like 2026-01-31T12:00:00Z",
    "datetime_parsing": "must be a time like 2026-01-31T12:00:00Z",
    "datetime_from_date_parsing": "must be a time like 2026-01-31T12:00:00Z",
    "timezone_aware": "must have an offset from UTC, like 2026-01-31T12:00:00Z",
    "uuid_parsing": "must be a UUID",
    "url_parsing": "must be a URL",
    "decimal_parsing": "must be a number",
    "value_error": "{error}",
    "assertion_error": "{error}",
}
"""Our words for pydantic's error types; whatever is not here is only called not valid."""


def message(detail: ErrorDetails) -> str:
    """What is wrong, without the value: `must be at least 1`."""
    try:
        return MESSAGES[detail["type"]].format(**detail.get("ctx", {}))
    except KeyError:  # a type without words, or one of ours raised by somebody else with another context
        return "is not valid"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for the nearest known name, or an empty string; reads the beginning of a long name only."""
    close = get_close_matches(name[:MAX_NAME], known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def location(detail: ErrorDetails, given: Any) -> str:
    """Where in `given` an error is, as a user writes it: `filter.city[0]`."""
    where, value = "", given
    for index, part in enumerate(detail["loc"]):
        is_missing = index == len(detail["loc"]) - 1 and detail["type"] == "missing"
        if isinstance(value, dict) and (part in value or is_missing):
            where += f".{part if str(part).isprintable() else repr(part)}"
            value = cast(dict[Any, Any], value).get(part)
        elif isinstance(value, list) and isinstance(part, int):
            where += f"[{part}]"
            value = cast(list[Any], value)[part]
        # Anything else, such as the name of a union's branch, is pydantic's and not in what was given.
    return where.removeprefix(".") or "arguments"


def show(value: Any) -> str:
    """A value as an error may show it: as JSON, shortened; only the kind of a container."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False, default=str).encode(errors="replace").decode()
    text = "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text[: MAX_SHOWN + 1])
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
