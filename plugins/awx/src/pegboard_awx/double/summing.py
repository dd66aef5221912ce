"""Summing up: what more some kinds show in their `summary_fields`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pegboard_awx.double.kinds import UNIONS, Row
from pegboard_awx.double.store import Store, kind_of
from pegboard_awx.double.values import shown

if TYPE_CHECKING:
    from pegboard_awx.double.rendering import Renderer

Summing = Callable[["Renderer", Row, bool], dict[str, Any]]
RECENT = 10


def _resource(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:  # noqa: ARG001 # the shape of all
    kind = kind_of(row)
    id_ = renderer.world.unique(kind.type, row["id"])
    return {"resource": {"ansible_id": id_, "resource_type": f"shared.{kind.type}"}}


def _organization(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:
    counts = organization_counts(renderer.store, row)
    if listed:
        del counts["hosts"]
    return _resource(renderer, row, listed) | {"related_field_counts": counts}


def organization_counts(store: Store, row: Row) -> dict[str, int]:
    """How much belongs to an organization."""
    inventories = {one["id"] for one in store.where("inventories", organization=row["id"])}
    people = {role["_name"]: len(store.linked(role, "users")) for role in store.roles(row)}
    return {
        "users": people["member_role"],
        "admins": people["admin_role"],
        "inventories": len(inventories),
        "teams": sum(1 for _ in store.where("teams", organization=row["id"])),
        "projects": sum(1 for _ in store.where("projects", organization=row["id"])),
        "job_templates": sum(1 for _ in store.where("job_templates", organization=row["id"])),
        "hosts": sum(1 for host in store.all("hosts") if host["inventory"] in inventories),
    }


def _labels(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:  # noqa: ARG001
    return {"labels": renderer.few(renderer.store.linked(row, "labels"))}


def _credentials(renderer: "Renderer", row: Row) -> dict[str, Any]:
    found = renderer.store.linked(row, "credentials")
    return {
        "credentials": [{name: one[name] for name in ("id", "name", "description", "kind", "cloud")} for one in found]
    }


def _runs(renderer: "Renderer", row: Row) -> dict[str, Any]:
    """What a template tells of its jobs: the last one, the current one."""
    told: dict[str, Any] = {}
    for word, key in (("last", "_last_job"), ("current", "_current_job")):
        job = renderer.store.get("unified_jobs", row.get(key))
        if job is not None:
            told |= {
                f"{word}_job": renderer.summary(f"{word}_run", job),
                f"{word}_update": renderer.summary(f"{word}_update", job),
            }
    return told


def _recent(renderer: "Renderer", row: Row) -> dict[str, Any]:
    jobs = [job for job in renderer.store.all("unified_jobs") if job.get("unified_job_template") == row["id"]]
    recent = [
        {
            "id": job["id"],
            "status": job["status"],
            "finished": shown(job["finished"]),
            "canceled_on": shown(job["canceled_on"]),
            "type": kind_of(job).type,
        }
        for job in reversed(jobs[-RECENT:])
    ]
    return {"recent_jobs": recent}


def _environment(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:
    if listed or row.get("_last_job") is None:
        return {}
    chosen = renderer.store.get("execution_environments", row.get("execution_environment") or 1)
    return {} if chosen is None else {"resolved_environment": renderer.summary("execution_environment", chosen)}


def _job_template(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:
    told = _runs(renderer, row) | _labels(renderer, row, listed) | _environment(renderer, row, listed)
    survey = {"survey": {"title": "", "description": ""}} if row["survey_enabled"] else {}
    return told | survey | _recent(renderer, row) | _credentials(renderer, row)


def _workflow_template(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:
    survey = {"survey": {"title": "", "description": ""}} if row["survey_enabled"] else {}
    return _runs(renderer, row) | _labels(renderer, row, listed) | survey | _recent(renderer, row)


def _project(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:
    return _runs(renderer, row) | _environment(renderer, row, listed)


def _source(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:
    told = _runs(renderer, row) | _credentials(renderer, row) | _environment(renderer, row, listed)
    return told | _via_inventory(renderer, row)


def _via_inventory(renderer: "Renderer", row: Row) -> dict[str, Any]:
    inventory = renderer.store.get("inventories", row.get("inventory"))
    organization = None if inventory is None else renderer.store.get("organizations", inventory["organization"])
    return {} if organization is None else {"organization": renderer.summary("organization", organization)}


def _host(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:  # noqa: ARG001
    store = renderer.store
    done = list(store.where("job_host_summaries", host=row["id"]))[-5:]
    jobs = [job for one in reversed(done) if (job := store.get("jobs", one["job"])) is not None]
    recent = [
        {
            "id": job["id"],
            "name": job["name"],
            "type": "job",
            "status": job["status"],
            "finished": shown(job["finished"]),
        }
        for job in jobs
    ]
    return {"groups": renderer.few(store.linking("groups", "hosts", row)), "recent_jobs": recent}


def _job(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:
    return _labels(renderer, row, listed) | _credentials(renderer, row)


def _workflow_job(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:
    return _organization_of(renderer, row, "workflow_job_templates", row["workflow_job_template"]) | _labels(
        renderer, row, listed
    )


def _project_update(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:  # noqa: ARG001
    return _organization_of(renderer, row, "projects", row["project"])


def _inventory_update(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:  # noqa: ARG001
    return _via_inventory(renderer, row) | _credentials(
        renderer, renderer.store.get("inventory_sources", row["inventory_source"]) or row
    )


def _organization_of(renderer: "Renderer", row: Row, collection: str, id_: int | None) -> dict[str, Any]:
    owner = renderer.store.get(collection, id_) or row
    organization = renderer.store.get("organizations", owner.get("organization"))
    return {} if organization is None else {"organization": renderer.summary("organization", organization)}


def _credential(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:  # noqa: ARG001
    store = renderer.store
    owners = [store.get("organizations", row["organization"]), store.get("users", row.get("_user"))]
    return {
        "owners": [
            {
                "id": one["id"],
                "type": kind_of(one).type,
                "name": one.get("name") or one["username"],
                "description": one.get("description", " "),
                "url": renderer.url(one),
            }
            for one in owners
            if one is not None
        ]
    }


def _notification_template(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:  # noqa: ARG001
    sent = list(renderer.store.where("notifications", notification_template=row["id"]))
    names = ("id", "status", "created", "error")
    return {"recent_notifications": [{name: shown(one[name]) for name in names} for one in reversed(sent[-5:])]}


def _node_job(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:  # noqa: ARG001
    job = renderer.store.get("unified_jobs", row.get("job"))
    if job is None:
        return {}
    told = renderer.summary("job", job)
    return {"job": {name: value for name, value in told.items() if not name.startswith("job_template")}}


def _approval(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:
    store = renderer.store
    workflow = store.get("workflow_jobs", row["_workflow_job"])
    told: dict[str, Any] = {}
    for name, collection, key in (
        ("workflow_job_template", "workflow_job_templates", "_workflow_job_template"),
        ("workflow_approval_template", "workflow_approval_templates", "unified_job_template"),
    ):
        target = store.get(collection, row[key])
        told |= {} if target is None else {name: renderer.summary(name, target)}
    if workflow is not None:
        told["workflow_job"] = renderer.summary("workflow_job", workflow)
        told["source_workflow_job"] = renderer.summary("source_workflow_job", workflow)
        ancestor = {
            "id": workflow["id"],
            "name": workflow["name"],
            "type": "workflow_job",
            "url": renderer.url(workflow),
        }
        told |= {} if listed else {"ancestor_job": ancestor}
    return told


def _approval_template(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:
    workflow = renderer.store.get("workflow_job_templates", row["_workflow_job_template"])
    told = {} if workflow is None else {"workflow_job_template": renderer.summary("workflow_job_template", workflow)}
    return told | _environment(renderer, {**row, "_last_job": 0}, listed)


def _role(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:  # noqa: ARG001
    target = renderer.store.get(*row["_of"])
    if target is None:
        return {}
    kind = kind_of(target)
    return {
        "resource_name": target.get("name") or target.get("username"),
        "resource_type": kind.type,
        "resource_type_display_name": kind.words.title(),
        "resource_id": target["id"],
    }


def _activity(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:  # noqa: ARG001
    told: dict[str, Any] = {}
    for collection, id_ in row["_about"]:
        target = renderer.store.get(collection, id_)
        if target is not None:
            field = "noted_job" if target["_collection"] in UNIONS["unified_jobs"] else ""
            told.setdefault(kind_of(target).type, []).append(renderer.summary(field, target))
    actor = renderer.store.get("users", row["_actor"])
    return told if actor is None else told | {"actor": renderer.summary("actor", actor)}


def _event(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:  # noqa: ARG001
    return {"role": {}} if row["_collection"] != "ad_hoc_command_events" else {}


def _instance(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:  # noqa: ARG001
    return {} if listed else {"links": []}


def _user_resource(renderer: "Renderer", row: Row, listed: bool) -> dict[str, Any]:
    return _resource(renderer, row, listed)


SUMMING: dict[str, Summing] = {
    "organizations": _organization,
    "users": _user_resource,
    "teams": _resource,
    "inventories": _labels,
    "constructed_inventories": _labels,
    "job_templates": _job_template,
    "workflow_job_templates": _workflow_template,
    "projects": _project,
    "inventory_sources": _source,
    "hosts": _host,
    "jobs": _job,
    "workflow_jobs": _workflow_job,
    "project_updates": _project_update,
    "inventory_updates": _inventory_update,
    "credentials": _credential,
    "notification_templates": _notification_template,
    "workflow_job_nodes": _node_job,
    "workflow_approvals": _approval,
    "workflow_approval_templates": _approval_template,
    "roles": _role,
    "activity_stream": _activity,
    "job_events": _event,
    "project_update_events": _event,
    "instances": _instance,
}
"""What more is in the `summary_fields` of some kinds."""
