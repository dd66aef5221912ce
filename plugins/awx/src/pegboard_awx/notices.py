"""Notices: what a notification template is set to, shown without its secrets and changed without losing them."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pegboard_awx.api import Object
from pegboard_awx.changing import unhidden
from pegboard_awx.shapes import HIDDEN, brief, hidden, mapping, moment, sequence

SECRET = frozenset({"service_key", "grafana_key"})
"""Keys that are secrets and do not sound so."""
ADDRESS = re.compile(r"https?://\S+|(?<=with url: )\S+")
"""A web address, or a part of one, in an error of AWX."""


def shown(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without secrets: who knows the path of a chat's hook may write there."""
    return {name: _shown(name, value) for name, value in configuration.items()}


def changed(old: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with some keys changed. AWX replaces it whole, and keeps a secret that comes as it shows it.

    What is given as `shown` showed it stays as it is.
    """
    before = shown(old)
    new = {
        name: old[name] if name in old and value == before[name] else unhidden(value, old.get(name), name)
        for name, value in given.items()
    }
    return {**old, **new}


def sent(item: Object) -> dict[str, Any]:
    """A message that was sent, or was not."""
    return brief(id=item["id"], when=moment(item["created"]), status=item["status"], error=plain(item["error"]))


def plain(text: str) -> str:
    """The text of an error without the addresses in it."""
    return ADDRESS.sub(lambda found: _address(found[0]), text)


def last(item: Object) -> str | None:
    """How the last message of a template went."""
    recent = sequence(item["summary_fields"].get("recent_notifications"))
    return recent[0]["status"] if recent else None


def _shown(name: str, value: Any) -> Any:
    if name == "headers":  # any of them may be what lets a message in
        return dict.fromkeys(mapping(value), HIDDEN)
    if name in SECRET and value:
        return HIDDEN
    if name.endswith("url") and isinstance(value, str):
        return _address(value)
    return hidden({name: value})[name]


def _address(url: str) -> str:
    parts = urlsplit(url)
    if not parts.netloc:
        return "…"
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return origin if parts.path in ("", "/") and not parts.query else f"{origin}/…"
