"""Paths of the API: built from quoted segments, or followed when they stay where they belong."""

from urllib.parse import quote, unquote, urlsplit

from pegboard_awx.failures import AwxError
from pegboard_awx.target import Target

Segment = str | int

FORBIDDEN = frozenset("/\\?#%")


def join(*segments: Segment) -> str:
    """The path `hosts/5/` of the segments "hosts" and 5; raises `AwxError` for one that could lead elsewhere."""
    return "".join(f"{_quoted(str(segment))}/" for segment in segments)


def below(target: Target, prefix: str, link: str) -> str:
    """The path below the prefix of a `next` or `related` link, query included.

    Raises `AwxError` for a link to another server or out of the API.
    """
    parts = urlsplit(link)
    same = not parts.netloc or f"{parts.scheme}://{parts.netloc}" == target.origin
    path = parts.path.removeprefix(target.folder) if target.folder else parts.path
    rest = path.removeprefix(prefix)
    if not same or not path.startswith(prefix) or any(part in (".", "..") for part in unquote(rest).split("/")):
        raise AwxError("unreachable", f"AWX links to {link[:200]!r}, which is not part of its API")
    return f"{rest}?{parts.query}" if parts.query else rest


def _quoted(segment: str) -> str:
    if segment in ("", ".", "..") or not FORBIDDEN.isdisjoint(segment) or not segment.isprintable():
        raise AwxError("validation", f"{segment[:100]!r} cannot be a part of a path", hint="use a number or a name")
    return quote(segment, safe="")
