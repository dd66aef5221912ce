"""Variables: strings of JSON or YAML that have to hold an object."""

import json
from typing import Any, cast

import yaml

from pegboard_awx.double.refusals import bad_field


def parsed(name: str, text: str) -> dict[str, Any]:
    """The object a string holds; refuses one that holds none."""
    if not text.strip():
        return {}
    try:
        value = _read(text)
    except _Unreadable as error:
        raise bad_field(name, str(error)) from error
    if not isinstance(value, dict):
        found = f"Input type `{type(value).__name__}` is not a dictionary"
        raise bad_field(name, f"Cannot parse as JSON (error: {found}) or YAML (error: {found}).")
    return cast(dict[str, Any], value)


def given(name: str, value: Any) -> dict[str, Any]:
    """The variables of a launch: an object, or a string that holds one."""
    if isinstance(value, dict):
        return cast(dict[str, Any], value)
    if not isinstance(value, str):
        raise bad_field(name, "Not a valid string.")
    return parsed(name, value)


class _Unreadable(Exception):  # noqa: N818 # never leaves this module
    pass


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        reason = error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _Unreadable(f"Cannot parse as JSON (error: {reason}) or YAML (error: {error}).") from error
