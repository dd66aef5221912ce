"""Workflow templates: listed, made with their nodes, changed and deleted."""

from collections.abc import Sequence
from typing import Any

from typing_extensions import TypedDict

from pegboard import Call, tool
from pegboard_awx.api import Api, Object, named
from pegboard_awx.changing import Changed, Variables, change, written
from pegboard_awx.creating import create
from pegboard_awx.deleting import Deleted
from pegboard_awx.graphs import Made, Node, build, checked
from pegboard_awx.names import resolve
from pegboard_awx.pages import page as web_page
from pegboard_awx.prompts import ASKS
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import Detail, Listing, PageNumber, PageSize, brief, by_detail, finding, listed, moment
from pegboard_awx.usage import removed
from pegboard_awx.waiting import WAIT_TIMEOUT

COLLECTION = "workflow_job_templates"
USERS = {
    "nodes": ("workflow_job_template_nodes", "workflow_job_template"),
    "schedules": ("schedules", "unified_job_template"),
    "nodes_of_other_workflows": ("workflow_job_template_nodes", "unified_job_template"),
}


class Created(TypedDict):
    """The workflow that was made, and its nodes."""

    id: int
    name: str
    web_url: str
    nodes: list[Made]


@tool(read_only=True, open_world=True)
async def list_workflow_job_templates(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
) -> Listing:
    """List workflow templates."""

    params = finding(search, name_contains, order_by)
    return await listed(
        await Api.of(call),
        COLLECTION,
        params=params,
        page=page,
        page_size=page_size,
        summarize=by_detail(detail, _summary, _details),
    )


@tool(destructive=False, open_world=True, timeout=WAIT_TIMEOUT)
async def create_workflow_job_template(
    call: Call[Settings],
    name: str,
    organization_id: int | str | None = None,
    description: str | None = None,
    inventory_id: int | str | None = None,
    extra_vars: dict[str, Any] | None = None,
    nodes: list[Node] | None = None,
) -> Created:
    """Create a workflow template with its nodes.

    A node runs a template or waits for an approval; success, failure and always are ids of nodes that follow.
    """
    checked(nodes or [])
    api = await Api.of(call)
    organization = None if organization_id is None else await resolve(api, "organizations", organization_id)
    body = {
        "name": name,
        "organization": organization,
        "description": description,
        "inventory": None if inventory_id is None else await resolve(api, "inventories", inventory_id),
        "extra_vars": written(extra_vars),
    }
    templates = await _templates(api, nodes or [])
    made = await create(api, COLLECTION, body=body, within={"organization": organization})
    built = await build(call, api, made["id"], nodes or [], templates)
    url = await web_page(api, "templates", "workflow_job_template", made["id"])
    return {"id": made["id"], "name": made["name"], "web_url": url, "nodes": built}


@tool(destructive=False, idempotent=True, open_world=True)
async def update_workflow_job_template(
    call: Call[Settings],
    workflow_id: int | str,
    name: str | None = None,
    description: str | None = None,
    extra_vars: dict[str, Any] | None = None,
    ask_variables_on_launch: bool | None = None,
    ask_inventory_on_launch: bool | None = None,
    ask_limit_on_launch: bool | None = None,
    ask_scm_branch_on_launch: bool | None = None,
    ask_tags_on_launch: bool | None = None,
    ask_skip_tags_on_launch: bool | None = None,
    ask_labels_on_launch: bool | None = None,
) -> Changed:
    """Change a workflow template; extra_vars replace all of its."""
    api = await Api.of(call)
    wanted = {
        "name": name,
        "description": description,
        "extra_vars": None if extra_vars is None else Variables(extra_vars, merge=False),
        "ask_variables_on_launch": ask_variables_on_launch,
        "ask_inventory_on_launch": ask_inventory_on_launch,
        "ask_limit_on_launch": ask_limit_on_launch,
        "ask_scm_branch_on_launch": ask_scm_branch_on_launch,
        "ask_tags_on_launch": ask_tags_on_launch,
        "ask_skip_tags_on_launch": ask_skip_tags_on_launch,
        "ask_labels_on_launch": ask_labels_on_launch,
    }
    return (await change(api, COLLECTION, await resolve(api, COLLECTION, workflow_id), wanted)).told


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_workflow_job_template(call: Call[Settings], workflow_id: int | str, dry_run: bool = False) -> Deleted:
    """Delete a workflow template with its nodes. dry_run counts what would go or break."""
    return await removed(await Api.of(call), COLLECTION, workflow_id, USERS, dry_run=dry_run)


async def _templates(api: Api, nodes: Sequence[Node]) -> dict[str, int]:
    """The template of each node that runs one, by the id of the node."""
    return {
        node["id"]: await resolve(api, "unified_job_templates", node["template_id"])
        for node in nodes
        if "template_id" in node
    }


def _summary(item: Object) -> dict[str, Any]:
    last: Object = item["summary_fields"].get("last_job") or {}
    return brief(
        id=item["id"],
        name=item["name"],
        organization=named(item, "organization"),
        survey=item["survey_enabled"],
        asks=[name for name, flag in ASKS.items() if item.get(flag)],
        status="running" if item["status"] == "running" else None,
        last_job=brief(id=last.get("id"), status=last.get("status"), finished=moment(last.get("finished"))),
    )


def _details(item: Object) -> dict[str, Any]:
    return brief(
        description=item["description"],
        inventory=named(item, "inventory"),
        limit=item["limit"],
        concurrent=item["allow_simultaneous"],
        labels=[one["name"] for one in item["summary_fields"].get("labels", {}).get("results", ())],
        next_run=moment(item["next_job_run"]),
    )
