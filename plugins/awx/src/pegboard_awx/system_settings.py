"""System settings: those of AWX itself, by category, chosen by name and shown without secrets."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from pegboard_awx.api import Api, Object
from pegboard_awx.failures import AwxError
from pegboard_awx.shapes import ENCRYPTED, HIDDEN, SECRET, mapping, sequence

EVERY = "all"
CHANGED = "changed"
"""The category of what is not as AWX came."""
LOGIN = re.compile(r"//[^/@\s]+@")
"""A user, and mostly a password, in an address."""


async def categories(api: Api) -> list[str]:
    """The names of the categories."""
    return [item["slug"] async for item in api.all("settings")]


async def settings_of(api: Api, category: str) -> Object:
    """The settings of a category; raises `AwxError` that names the categories where there is none of that name."""
    try:
        return await api.get("settings", category)
    except AwxError as error:
        if error.kind != "not_found":
            raise
        names = await categories(api)
        hint = f"there are {', '.join(names)}"
        raise AwxError("not_found", f"AWX has no settings {category!r}", hint=hint, status=404) from error


def masked(name: str, value: Any) -> Any:
    """A value without secrets: texts that are called so, at any depth, and logins in addresses."""
    if isinstance(value, dict):
        return {key: masked(key, inner) for key, inner in mapping(value).items()}
    if isinstance(value, list):
        return [masked(name, one) for one in sequence(value)]
    if not isinstance(value, str) or value in ("", ENCRYPTED):
        return value
    return HIDDEN if SECRET.search(name) else LOGIN.sub("//…@", value)


def chosen(values: Mapping[str, Any], keys: Sequence[str]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The settings of these names, or patterns like `AUTH_LDAP*`, and what was not found with names that are near."""
    patterns = {key: key.upper() for key in keys}
    found = {name: masked(name, one) for name, one in values.items() if _fits(name, patterns.values())}
    unknown = {key: near(pattern, values) for key, pattern in patterns.items() if not _any(found, pattern)}
    return found, unknown


def near(name: str, values: Mapping[str, Any]) -> list[str]:
    """Settings that are called nearly so, or that have the word in their names."""
    close = get_close_matches(name.upper(), values, n=3)
    return close or [one for one in values if name.upper() in one][:3]


def is_set(value: Any) -> bool:
    """Whether a setting says anything; `False` and 0 do."""
    return value is not None and value not in ("", [], {})


def _any(names: Mapping[str, Any], pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)


def _fits(name: str, patterns: Any) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
