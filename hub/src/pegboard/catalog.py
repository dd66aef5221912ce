"""The catalog: a plugin's tools as clients see them, in a few digits, and what is new about them. Pure."""

import hashlib
from collections.abc import Iterable, Mapping

from mcp_types import Tool

DIGITS = 16

Catalog = Mapping[str, str]
"""A digest of each tool's definition, by the tool's name."""


def catalog_of(tools: Iterable[Tool]) -> Catalog:
    """The catalog of these tools."""
    return {tool.name: _digest(tool.model_dump_json(by_alias=True, exclude_none=True)) for tool in tools}


def fingerprint_of(catalog: Catalog) -> str:
    """The same digits for the same tools, whatever their order."""
    return _digest("\n".join(f"{name} {catalog[name]}" for name in sorted(catalog)))


def changes(before: Catalog, after: Catalog) -> str:
    """How many tools came, went and are others now: `+1 -0 ~2`; empty where nothing changed."""
    came, went = len(after.keys() - before.keys()), len(before.keys() - after.keys())
    others = sum(before[name] != after[name] for name in before.keys() & after.keys())
    return f"+{came} -{went} ~{others}" if came or went or others else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
