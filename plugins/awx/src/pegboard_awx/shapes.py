"""Shapes: how tools make AWX's objects small, and the arguments and answers that all lists share."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import Field
from typing_extensions import TypedDict

from pegboard_awx.api import Api, Object
from pegboard_awx.paths import Segment

PageNumber = Annotated[int, Field(ge=1)]
PageSize = Annotated[int, Field(ge=1, le=200)]
Detail = Literal["summary", "full"]

SECRET = re.compile(r"pass(word|wd|phrase)?($|_)|secret|token|api_?key|private_?key", re.IGNORECASE)
"""Names of variables whose values nobody has to see again."""
HIDDEN = "$hidden$"
ENCRYPTED = "$encrypted$"
"""What AWX shows instead of a secret."""


class Listing(TypedDict):
    """One page of a list; `total` counts all pages."""

    items: list[dict[str, Any]]
    page: int
    page_size: int
    total: int | None
    has_more: bool


async def listed(
    api: Api,
    *segments: Segment,
    params: Mapping[str, Any],
    page: int,
    page_size: int,
    summarize: Callable[[Object], dict[str, Any]],
) -> Listing:
    """One page of a list of AWX, each object made small."""
    found = await api.page(*segments, params=params, number=page, size=page_size)
    items = [summarize(item) for item in found.items]
    return {"items": items, "page": page, "page_size": page_size, "total": found.total, "has_more": found.has_more}


def by_detail(
    detail: Detail, summary: Callable[[Object], dict[str, Any]], details: Callable[[Object], dict[str, Any]]
) -> Callable[[Object], dict[str, Any]]:
    """How a list makes its objects small: their summary, with their details where all of them are wanted."""
    return summary if detail == "summary" else lambda item: {**summary(item), **details(item)}


def finding(search: str | None, name_contains: str | None, order_by: str) -> dict[str, Any]:
    """The parameters of what every list can be narrowed and ordered by; `None` is left out."""
    return {"search": search, "name__icontains": name_contains, "order_by": order_by}


def brief(**values: Any) -> dict[str, Any]:
    """The values that say something: not `None`, not `False`, not empty. A zero stays."""
    return {name: value for name, value in values.items() if value is not None and value is not False and _full(value)}


def moment(text: str | None) -> str | None:
    """A time of AWX without the microseconds."""
    return None if not text else f"{text[:19]}Z" if text.endswith("Z") else text


def variables(text: str | None) -> dict[str, Any]:
    """Variables as AWX keeps them, JSON or YAML in a string, as an object; secrets among them are hidden."""
    return cast(dict[str, Any], hidden(parsed(text)))


def parsed(text: str | None) -> dict[str, Any]:
    """Variables as AWX keeps them, as they are; empty for what is neither JSON nor YAML of an object."""
    if not text or not text.strip():
        return {}
    try:
        value: Any = json.loads(text)
    except ValueError:
        value = _yaml(text)
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def hidden(value: Any) -> Any:
    """A value in which whatever is called a password, a token or the like is hidden."""
    if isinstance(value, dict):
        return {
            key: HIDDEN if SECRET.search(str(key)) and inner not in ("", None, ENCRYPTED) else hidden(inner)
            for key, inner in cast(dict[str, Any], value).items()
        }
    return [hidden(inner) for inner in cast(list[Any], value)] if isinstance(value, list) else value


def joined(values: str | Sequence[str] | None) -> str | None:
    """Several words as AWX's `__in` filters and its tags want them."""
    return values if values is None or isinstance(values, str) else ",".join(values)


def mapping(value: Any) -> Object:
    """A part of an answer that should be an object; empty for anything else, `None` too."""
    return cast(Object, value) if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """A part of an answer that should be a list; empty for anything else, `None` too."""
    return cast(list[Any], value) if isinstance(value, list) else []


def _full(value: Any) -> bool:
    return not isinstance(value, str | list | dict | tuple) or len(cast(Any, value)) > 0


def _yaml(text: str) -> Any:
    import yaml  # most variables are JSON

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None
