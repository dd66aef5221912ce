"""Names that come from outside: which may be sent on, and which were probably meant."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from pegboard import ToolError

MAX_NAME = 255
FORBIDDEN = frozenset('<>:"/\\|?*')
"""What Qdrant does not allow in the name of a collection."""
MAX_KEY = 512
MAX_SHOWN = 60
SHOWN = 12

INDEX = re.compile(r"\[\d*\]")
PLAIN = re.compile(r'[A-Za-z0-9_-]+|"[^"]+"')
PART = re.compile(r'("[^"]+"|[^".\[\]]+)((?:\[\d*\])*)')
PATH = re.compile(rf"{PART.pattern}(?:\.{PART.pattern})*")


def collection_name(name: str) -> str:
    """The name, if a collection can have it; raises `ToolError` otherwise, so that it never becomes part of a URL."""
    if not 0 < len(name) <= MAX_NAME:
        raise ToolError(f"the name of a collection has 1 to {MAX_NAME} characters, not {len(name)}")
    if name in (".", "..") or not name.isprintable() or not FORBIDDEN.isdisjoint(name):
        raise ToolError(
            f"{shown(name)} cannot be the name of a collection: Qdrant allows no control characters and none of "
            f'< > : " / \\ | ? * in it; qdrant_list_collections lists them'
        )
    return name


def payload_path(key: str) -> str:
    """A payload key as Qdrant's paths have it: a part that is not plain ASCII letters and digits stands in quotes.

    `offers[].price` and `"a.b"` stay what they are; `first name` becomes `"first name"`. Raises `ToolError` for a key
    no path can have.
    """
    if not 0 < len(key) <= MAX_KEY or not key.isprintable():
        raise ToolError(f"a payload key has 1 to {MAX_KEY} printable characters; {shown(key)} does not")
    if PATH.fullmatch(key) is None:
        raise ToolError(f"{shown(key)} is no payload key or path like offers[].price")
    return PART.sub(lambda part: part[0] if PLAIN.fullmatch(part[1]) else f'"{part[1]}"{part[2]}', key)


def plain_key(key: str) -> str:
    """A path as it is compared: places in lists left out, quotes taken off."""
    return INDEX.sub("[]", key).replace('"', "")


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """One sentence about a name nobody has: the closest one if there is any, and those there are."""
    known = sorted(known)
    close = get_close_matches(name, known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else "."
    return f"{what} {shown(name)}{meant} {_listed(known)}".rstrip()


def _listed(known: list[str]) -> str:
    if not known:
        return ""
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"There is: {', '.join(known[:SHOWN])}{more}."


def shown(name: str) -> str:
    """A name in quotes, shortened, as an error may show it."""
    return repr(name if len(name) <= MAX_SHOWN else f"{name[:MAX_SHOWN]}…")
