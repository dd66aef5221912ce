"""Workflows: templates of nodes, runs of them, and the approvals they wait for."""

from collections.abc import Iterable, Mapping
from typing import Any

from pegboard_awx.double import surveys
from pegboard_awx.double.families.templates import survey_routes
from pegboard_awx.double.fields import read
from pegboard_awx.double.kinds import Row, kinds
from pegboard_awx.double.prompts import answered, workflow_launch_info
from pegboard_awx.double.refusals import bad, error
from pegboard_awx.double.resources import Resource, Values, tables
from pegboard_awx.double.routes import Table
from pegboard_awx.double.running import in_use, start
from pegboard_awx.double.sublists import Children, Linked, Related, activity_of
from pegboard_awx.double.sublists import tables as sublists
from pegboard_awx.double.visits import Reply, Visit

EDGES = ("success_nodes", "failure_nodes", "always_nodes")
NODES = "workflow_job_template_nodes"


def _remove(visit: Visit, row: Row) -> None:
    in_use(visit, "unified_job_template", row)
    for node in list(visit.store.where(NODES, workflow_job_template=row["id"])):
        visit.store.remove(node)


def _prepare_node(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    if row is None and not values.get("identifier"):
        values["identifier"] = visit.world.unique("node", len(visit.store.all(NODES)))


def _launch_get(visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
    return Reply(body=workflow_launch_info(visit.world, visit.row("workflow_job_templates", id)))


def _launch(visit: Visit, id: int) -> Reply:  # noqa: A002
    template = visit.row("workflow_job_templates", id, "start")
    answers = answered(visit.world, template, visit.body)
    shown = surveys.hide_passwords(template, answers.taken["extra_vars"])
    job = start(visit, template, {**answers.taken, "extra_vars": shown})
    return visit.created(job, {"workflow_job": job["id"], "ignored_fields": answers.ignored})


def _no_cycle(visit: Visit, row: Row, target: Row) -> None:
    """Refuse an edge from which a way leads back."""
    waiting = [target]
    for node in waiting:  # grows while it is walked
        if node is row:
            raise bad({"Error": "Cycle detected."})
        waiting += [one for edge in EDGES for one in visit.store.linked(node, edge) if one not in waiting]


def _create_approval(visit: Visit, id: int) -> Reply:  # noqa: A002
    node = visit.row(NODES, id, "edit")
    values = read(visit.world, kinds()["workflow_approval_templates"], visit.body)
    template = visit.world.make(
        "workflow_approval_templates", visit.user, **values, _workflow_job_template=node["workflow_job_template"]
    )
    node["unified_job_template"] = template["id"]
    return visit.created(template)


def _decide(status: str) -> Any:
    def post(visit: Visit, id: int) -> Reply:  # noqa: A002
        row = visit.row("workflow_approvals", id, "approve")
        if row["status"] != "pending":
            raise error("This workflow step has already been approved or denied.")
        row["_decided_by"] = visit.user["id"]
        visit.life.finish(row, status, visit.world.now())
        return Reply(204)

    return post


def _approvals_of(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.where("workflow_approvals", unified_job_template=row["id"])


def _jobs_of(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.where("workflow_jobs", workflow_job_template=row["id"])


def _nodes_of(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.where("workflow_job_nodes", workflow_job=row["id"])


def _relaunch_get(visit: Visit, id: int) -> Reply:  # noqa: A002
    visit.row("workflow_jobs", id)
    return Reply(body={})


def _relaunch(visit: Visit, id: int) -> Reply:  # noqa: A002
    job = visit.row("workflow_jobs", id)
    template = visit.row("workflow_job_templates", job["workflow_job_template"], "start")
    new = start(visit, template, {"extra_vars": job["_variables"]}, launch_type="relaunch")
    return visit.created(new, {"workflow_job": new["id"]})


def _copy(visit: Visit, id: int) -> Reply:  # noqa: A002
    row = visit.row("workflow_job_templates", id, "edit")
    same = {name: row[name] for name, field in WORKFLOWS.kind.fields.items() if field.write}
    return WORKFLOWS.make(visit, {**same, **visit.body})


WORKFLOWS = Resource("workflow_job_templates", order="name", removing=_remove)
NODE = Resource(NODES, prepare=_prepare_node)

ROUTES: Table = {
    **tables(
        [
            WORKFLOWS,
            NODE,
            Resource("workflow_job_nodes", "GET"),
            Resource("workflow_approvals", "GET DELETE"),
            Resource("workflow_approval_templates", "GET PATCH PUT DELETE"),
        ]
    ),
    ("GET", "workflow_job_templates/{id}/launch/"): _launch_get,
    ("POST", "workflow_job_templates/{id}/launch/"): _launch,
    ("POST", "workflow_job_templates/{id}/copy/"): _copy,
    ("POST", f"{NODES}/{{id}}/create_approval_template/"): _create_approval,
    ("POST", "workflow_approvals/{id}/approve/"): _decide("successful"),
    ("POST", "workflow_approvals/{id}/deny/"): _decide("failed"),
    ("GET", "workflow_jobs/{id}/relaunch/"): _relaunch_get,
    ("POST", "workflow_jobs/{id}/relaunch/"): _relaunch,
    **survey_routes("workflow_job_templates"),
    **sublists(
        [
            Children("workflow_job_templates", "workflow_nodes", NODES, "workflow_job_template", NODE),
            Related("workflow_job_templates", "workflow_jobs", "workflow_jobs", _jobs_of),
            Related("workflow_approval_templates", "approvals", "workflow_approvals", _approvals_of),
            Related("workflow_jobs", "workflow_nodes", "workflow_job_nodes", _nodes_of),
            *(Linked(NODES, edge, check=_no_cycle) for edge in EDGES),
            *(Linked("workflow_job_nodes", edge) for edge in EDGES),
            Linked(NODES, "credentials"),
            Linked("workflow_job_templates", "labels"),
            *(
                Linked("workflow_job_templates", f"notification_templates_{event}")
                for event in ("started", "success", "error", "approvals")
            ),
            activity_of("workflow_job_templates"),
        ]
    ),
}
