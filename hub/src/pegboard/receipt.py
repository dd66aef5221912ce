"""The receipt: what an endpoint lists, trims and hides, why, and where a hidden tool is listed."""

from collections.abc import Mapping
from typing import Literal

from typing_extensions import TypedDict

from pegboard.budget import Fit
from pegboard.view import View


class ToolLine(TypedDict):
    """One tool; `listed_at` are the paths of the other endpoints that list it."""

    name: str
    state: Literal["listed", "trimmed", "hidden"]
    tokens: int
    full_tokens: int
    reason: str
    listed_at: list[str]


class Receipt(TypedDict):
    endpoint: str
    path: str
    overflow: str
    tool_limit: int | None
    token_limit: int | None
    tools_listed: int
    tokens_listed: int
    trimmed: int
    hidden: int
    meta_tools: bool
    tokens_saved: int
    tools: list[ToolLine]


def receipt_of(views: Mapping[str, View], path: str) -> Receipt:
    """The receipt of the endpoint at `path`, among all endpoints of the hub."""
    view = views[path]
    fitted, budget = view.fit, view.offer.budget
    return {
        "endpoint": view.offer.name,
        "path": path or "/",
        "overflow": budget.overflow,
        "tool_limit": budget.tools,
        "token_limit": budget.tokens,
        "tools_listed": fitted.tools,
        "tokens_listed": fitted.tokens,
        "trimmed": sum(line.state == "trimmed" for line in fitted.lines),
        "hidden": len(fitted.dropped),
        "meta_tools": fitted.searched,
        "tokens_saved": fitted.saved,
        "tools": _lines(views, path, fitted),
    }


def summary_of(view: View) -> str | None:
    """One line about an endpoint that trims or hides; `None` for one that lists everything in full."""
    fitted, budget = view.fit, view.offer.budget
    trimmed = sum(line.state == "trimmed" for line in fitted.lines)
    if not trimmed and not fitted.dropped:
        return None
    limit = "any number of" if budget.tokens is None else budget.tokens
    return (
        f"endpoint {view.offer.name} lists {fitted.tools} tools in {fitted.tokens} of {limit} tokens, "
        f"{trimmed} trimmed and {len(fitted.dropped)} hidden; `pegboard budget {view.offer.name}` says which and why"
    )


def _lines(views: Mapping[str, View], path: str, fitted: Fit) -> list[ToolLine]:
    places = _places(views)
    return [
        {
            "name": line.name,
            "state": line.state,
            "tokens": line.tokens,
            "full_tokens": line.full,
            "reason": line.reason,
            "listed_at": [place or "/" for place in places.get(line.name, []) if place != path],
        }
        for line in fitted.lines
    ]


def _places(views: Mapping[str, View]) -> dict[str, list[str]]:
    """Where each tool is listed."""
    places: dict[str, list[str]] = {}
    for path, view in views.items():
        for line in view.fit.kept:
            places.setdefault(line.name, []).append(path)
    return places
