"""Spawning: the job that a template becomes, with what was asked for it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pegboard_awx.double.kinds import Row, kinds
from pegboard_awx.double.store import Store
from pegboard_awx.double.variables import parsed
from pegboard_awx.double.world import World

RUNS = {
    "job_templates": "jobs",
    "projects": "project_updates",
    "inventory_sources": "inventory_updates",
    "workflow_job_templates": "workflow_jobs",
    "system_job_templates": "system_jobs",
    "workflow_approval_templates": "workflow_approvals",
}
OWNED = {
    "job_templates": "job_template",
    "projects": "project",
    "inventory_sources": "inventory_source",
    "workflow_job_templates": "workflow_job_template",
    "system_job_templates": "system_job_template",
}


def run(world: World, template: Row, by: Row | None, given: Mapping[str, Any] | None = None, **more: Any) -> Row:
    """Make the job of a template; `given` are the prompts that were answered."""
    collection = RUNS[template["_collection"]]
    fields = kinds()[collection].fields
    same = {name: template[name] for name in fields if name in template and name != "status"}
    values: dict[str, Any] = {**same, "unified_job_template": template["id"], "launch_type": "manual", **more}
    if template["_collection"] in OWNED:
        values[OWNED[template["_collection"]]] = template["id"]
    if template["_collection"] == "inventory_sources":
        inventory = world.store.get("inventories", template["inventory"])
        values["name"] = f"{'' if inventory is None else inventory['name']} - {template['name']}"
    given = dict(given or {})
    variables = {**_variables(template), **given.pop("extra_vars", {})}
    if "extra_vars" in fields:
        values["extra_vars"] = json.dumps(variables)
    linked = {name: given.pop(name) for name in ("credentials", "labels", "instance_groups") if name in given}
    values |= {name: value for name, value in given.items() if name in fields}
    job = world.store.add(collection, **values)
    job["_by"] = None if by is None else by["id"]
    job["_variables"] = variables
    _link(world.store, template, job, linked)
    if collection == "workflow_jobs":
        _copy_nodes(world, template, job)
    if by is not None:
        world.note("create", by, job, {"name": job["name"], "id": job["id"]})
    return job


def spawn(world: World, workflow: Row, node: Row, at: datetime) -> Row:
    """Make the job of a node of a workflow."""
    template = world.store.get("unified_job_templates", node["unified_job_template"])
    assert template is not None
    by = world.store.get("users", workflow.get("_by"))
    if template["_collection"] == "workflow_approval_templates":
        return _approval(world, workflow, template, by, at)
    prompts = {name: node[name] for name in ("inventory", "limit", "job_type", "scm_branch") if node[name] is not None}
    given = {**prompts, "extra_vars": {**node["extra_data"], **workflow["_variables"]}}
    return run(world, template, by, given, launch_type="workflow", created=at, _in_node=node["id"])


def _approval(world: World, workflow: Row, template: Row, by: Row | None, at: datetime) -> Row:
    return world.store.add(
        "workflow_approvals",
        created=at,
        name=template["name"],
        description=template["description"],
        unified_job_template=template["id"],
        launch_type="workflow",
        status="pending",
        started=at,
        event_processing_finished=True,
        _by=None if by is None else by["id"],
        _workflow_job=workflow["id"],
        _workflow_job_template=workflow["workflow_job_template"],
        _timeout=template["timeout"],
    )


def _copy_nodes(world: World, template: Row, job: Row) -> None:
    """Give a workflow job the nodes of its template, with their edges."""
    store = world.store
    copies: dict[int, Row] = {}
    for node in store.where("workflow_job_template_nodes", workflow_job_template=template["id"]):
        names = [name for name in kinds()["workflow_job_nodes"].fields if name in node and not name.endswith("_nodes")]
        values = {name: node[name] for name in names}
        copies[node["id"]] = store.add("workflow_job_nodes", **values, workflow_job=job["id"], job=None)
    for id_, copy in copies.items():
        original = store.get("workflow_job_template_nodes", id_)
        assert original is not None
        for edge in ("success_nodes", "failure_nodes", "always_nodes"):
            for target in store.linked(original, edge):
                store.link(copy, edge, copies[target["id"]])


def _link(store: Store, template: Row, job: Row, given: Mapping[str, Any]) -> None:
    if job["_collection"] != "jobs":
        return
    for name in ("credentials", "labels", "instance_groups"):
        ids = given.get(name)
        found = store.linked(template, name) if ids is None else [store.get(name, id_) for id_ in ids]
        for one in found:
            if one is not None:
                store.link(job, name, one)


def _variables(template: Row) -> dict[str, Any]:
    return parsed("extra_vars", template.get("extra_vars") or "")
