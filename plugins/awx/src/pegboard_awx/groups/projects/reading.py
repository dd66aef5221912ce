"""What projects there are, what is in them, and how their updates went."""

from typing import Any

from typing_extensions import TypedDict

from pegboard import Call, tool
from pegboard_awx.api import Api, Object, named
from pegboard_awx.failures import AwxError
from pegboard_awx.groups.projects.shaping import REVISION, brief_project, full_project
from pegboard_awx.names import resolve
from pegboard_awx.output import tail
from pegboard_awx.pages import page as web_page
from pegboard_awx.runs import Run
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import Detail, Listing, PageNumber, PageSize, brief, finding, listed, moment

TAIL = 40


class Contents(TypedDict):
    """What the last update of a project brought."""

    project_id: int
    playbooks: list[str]
    inventory_files: list[str]


class Updates(Listing, total=False):
    """Updates, and the end of the output of one of them."""

    output_tail: str


@tool(read_only=True, open_world=True)
async def list_projects(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
    organization_id: int | None = None,
    status: str | None = None,
) -> Listing:
    """List projects; status is that of the last update, such as failed."""
    params = {**finding(search, name_contains, order_by), "organization": organization_id, "status": status}
    summarize = full_project if detail == "full" else brief_project
    return await listed(
        await Api.of(call), "projects", params=params, page=page, page_size=page_size, summarize=summarize
    )


@tool(read_only=True, open_world=True)
async def get_project(call: Call[Settings], project_id: int | str) -> dict[str, Any]:
    """Show a project: source, options, last update."""
    api = await Api.of(call)
    project = await api.get("projects", await resolve(api, "projects", project_id))
    return {**full_project(project), "web_url": await web_page(api, "projects", project["id"])}


@tool(read_only=True, open_world=True)
async def list_project_playbooks(call: Call[Settings], project_id: int | str) -> Contents:
    """List the playbooks and inventory files of a project."""
    api = await Api.of(call)
    id_ = await resolve(api, "projects", project_id)
    playbooks = await api.get("projects", id_, "playbooks")
    files = await api.get("projects", id_, "inventories")
    return {"project_id": id_, "playbooks": playbooks, "inventory_files": files}


@tool(read_only=True, open_world=True)
async def list_project_updates(
    call: Call[Settings],
    project_id: int | str,
    page: PageNumber = 1,
    page_size: PageSize = 20,
    include_output_of: int | None = None,
) -> Updates:
    """List a project's updates, newest first, with the end of the output of one."""
    api = await Api.of(call)
    id_ = await resolve(api, "projects", project_id)
    path = ("projects", id_, "project_updates")
    found = await listed(api, *path, params={"order_by": "-id"}, page=page, page_size=page_size, summarize=_update)
    if include_output_of is None:
        return {**found}
    return {**found, "output_tail": await _output(api, id_, include_output_of)}


async def _output(api: Api, project: int, update: int) -> str:
    run = Run("project_update", update)
    if (await api.get(*run.path))["project"] != project:
        message = f"the update {update} is not one of project {project}"
        raise AwxError("not_found", message, hint=f"awx_get_job_output(job_id={update}) shows any")
    return (await tail(api, run, TAIL)).text


def _update(item: Object) -> dict[str, Any]:
    return brief(
        id=item["id"],
        status=item["status"],
        started=moment(item["started"]),
        elapsed_s=round(float(item["elapsed"]), 1) if item["started"] else None,
        revision=item["scm_revision"][:REVISION],
        launch_type=item["launch_type"] if item["launch_type"] != "manual" else None,
        launched_by=named(item, "created_by", "username"),
        explanation=item["job_explanation"],
    )
