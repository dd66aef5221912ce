"""Launching workflows and looking at their runs, node by node."""

from typing import Any, cast
from uuid import UUID

from typing_extensions import TypedDict

from pegboard import Call, tool
from pegboard_awx.api import Api, Object, named
from pegboard_awx.approvals import Waiting, nodes_of, waiting_for
from pegboard_awx.failures import AwxError
from pegboard_awx.launching import launch
from pegboard_awx.names import resolve
from pegboard_awx.runs import Run, Shown, is_final, shown
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import brief
from pegboard_awx.waiting import WAIT_TIMEOUT, Result, deciding, handle, outcome

BAD = frozenset({"failed", "error", "canceled"})


class Node(TypedDict, total=False):
    """A node of a run; its status is that of its job, "not started", or "skipped" where its edges ruled it out."""

    node_id: int
    identifier: str
    template: str
    job_id: int
    job_type: str
    status: str


class WorkflowJob(Shown, total=False):
    """A run of a workflow, its nodes, and what it waits for."""

    nodes: list[Node]
    waiting_for_approval: list[Waiting]
    next: str


@tool(destructive=True, open_world=True, timeout=WAIT_TIMEOUT)
async def launch_workflow_job_template(
    call: Call[Settings],
    workflow_id: int | str,
    extra_vars: dict[str, Any] | None = None,
    inventory_id: int | str | None = None,
    limit: str | None = None,
    scm_branch: str | None = None,
    job_tags: str | None = None,
    skip_tags: str | None = None,
    labels: list[int] | None = None,
    wait: bool = False,
) -> Result:
    """Launch a workflow. Refuses what AWX would ignore; with wait, answers with the end or what to call next."""
    api = await Api.of(call)
    given = {
        "extra_vars": extra_vars,
        "inventory": None if inventory_id is None else await resolve(api, "inventories", inventory_id),
        "limit": limit,
        "scm_branch": scm_branch,
        "job_tags": job_tags,
        "skip_tags": skip_tags,
        "labels": labels,
    }
    started = await launch(call, api, "workflow_job_templates", workflow_id, given)
    if wait:
        return await outcome(call, api, started.run, warnings=started.warnings)
    return await handle(api, started.run, started.job, started.warnings)


@tool(read_only=True, open_world=True)
async def get_workflow_job(call: Call[Settings], job_id: int) -> WorkflowJob:
    """Show a run of a workflow: its nodes, their jobs, and the approvals it waits for."""
    api = await Api.of(call)
    job = await _workflow_job(api, job_id)
    nodes = await nodes_of(api, job_id)
    waiting = await waiting_for(api, nodes)
    answer = {**await shown(api, job), "nodes": [_node(node) for node in nodes]}
    return cast(WorkflowJob, {**answer, **brief(waiting_for_approval=waiting, next=_next(job, nodes, waiting))})


async def _workflow_job(api: Api, id_: int) -> Object:
    """The run of a workflow; the error for a job of another type says what it is."""
    try:
        return await api.get("workflow_jobs", id_)
    except AwxError as error:
        if error.kind != "not_found":
            raise
        other = await Run.of(api, id_)
        hint = f"awx_get_job(job_id={id_}) shows it"
        raise AwxError("not_found", f"{other} is no run of a workflow", hint=hint, status=404) from error


def _node(node: Object) -> Node:
    job: Object = node["summary_fields"].get("job") or {}
    told = brief(
        node_id=node["id"],
        identifier=None if _is_made_up(node["identifier"]) else node["identifier"],
        template=named(node, "unified_job_template"),
        job_id=job.get("id"),
        job_type=job.get("type") if job.get("type") != "job" else None,
        status=job.get("status", "skipped" if node["do_not_run"] else "not started"),
    )
    return cast(Node, told)


def _is_made_up(identifier: str) -> bool:
    """Whether AWX has called a node, since nobody did."""
    try:
        UUID(identifier)
    except ValueError:
        return False
    return True


def _next(job: Object, nodes: list[Object], waiting: list[Waiting]) -> str | None:
    if waiting:
        return deciding(waiting[0].get("approval_id", 0))
    if not is_final(job):
        return f"awx_wait_for_job(job_id={job['id']})"
    jobs: list[Object] = [node["summary_fields"].get("job") or {} for node in nodes]
    failed = next((one for one in jobs if one.get("type") == "job" and one.get("status") in BAD), None)
    return f"awx_analyze_job_failure(job_id={failed['id']})" if failed is not None else None
