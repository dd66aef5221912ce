"""Finding templates of any kind by words, the best first."""

from collections.abc import Sequence
from typing import Any, Literal

from typing_extensions import TypedDict

from pegboard import Call, ToolError, tool
from pegboard_awx.api import MAX_PAGE_SIZE, Api, Object
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import brief

Type = Literal["job_template", "workflow_job_template", "project"]
TYPES: tuple[Type, ...] = ("job_template", "workflow_job_template", "project")
MOST = 20


class Found(TypedDict):
    """The best of what was found; `total` counts all of it."""

    items: list[dict[str, Any]]
    total: int


@tool(read_only=True, open_world=True, priority=5)
async def search_templates(call: Call[Settings], query: str, types: list[Type] | None = None) -> Found:
    """Find job templates, workflow templates and projects by words of name or description, best first."""
    words = query.lower().split()
    if not words:
        raise ToolError("no words given; name at least one, such as 'deploy'")
    api = await Api.of(call)
    found = await _found(api, types or TYPES, [("search", " ".join(words))])
    if not found["results"] and len(words) > 1:
        either = [(f"or__{field}__icontains", word) for field in ("name", "description") for word in words]
        found = await _found(api, types or TYPES, either)
    ranked = sorted(found["results"], key=lambda item: _rank(item, words))
    return {"items": [_summary(item) for item in ranked[:MOST]], "total": found["count"]}


async def _found(api: Api, types: Sequence[str], filters: Sequence[tuple[str, str]]) -> Object:
    """What AWX finds; by `type__in`, which is what its other filters would suggest, it finds nothing."""
    params = [("type", ",".join(types)), *filters, ("order_by", "name"), ("page_size", MAX_PAGE_SIZE)]
    return await api.get("unified_job_templates", params=params)


def _rank(item: Object, words: Sequence[str]) -> tuple[bool, bool, int, int]:
    """Lower is better: the very name, a name that begins so, words in the name, words in the description."""
    name, about, query = item["name"].lower(), item["description"].lower(), " ".join(words)
    in_name = sum(word in name for word in words)
    in_description = sum(word in about for word in words)
    return name != query, not name.startswith(query), -in_name, -in_description


def _summary(item: Object) -> dict[str, Any]:
    status = item["status"] if item["status"] not in ("never updated", "ok") else None
    return brief(
        id=item["id"], type=item["type"], name=item["name"], description=item["description"], last_status=status
    )
