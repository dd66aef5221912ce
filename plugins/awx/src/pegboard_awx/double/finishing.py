"""Finishing: what some kinds show differently from what is stored."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pegboard_awx.double.kinds import Row
from pegboard_awx.double.store import kind_of
from pegboard_awx.double.summaries import counts
from pegboard_awx.double.values import shown

if TYPE_CHECKING:
    from pegboard_awx.double.rendering import Renderer

Finishing = Callable[["Renderer", Row, dict[str, Any], bool], None]


def _finish_user(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    told["password"] = "$encrypted$"  # noqa: S105 # what AWX shows
    told["modified"] = None
    told["summary_fields"]["user_capabilities"]["delete"] = (
        renderer.rights.all and row["id"] != renderer.rights.user["id"]
    )


def _finish_inventory(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    told |= counts(renderer.store, row)
    if row["kind"] == "constructed":
        told["related"]["input_inventories"] = f"{renderer.url(row)}input_inventories/"
        told["related"]["constructed_url"] = renderer.url(row, "constructed_inventories")


def _finish_credential(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    told["inputs"] = {
        name: "$encrypted$" if name in row["_secret"] and value else value for name, value in row["inputs"].items()
    }


def _finish_token(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    told["token"] = "************"  # noqa: S105 # what AWX shows


def _finish_notification_template(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    configuration = row["notification_configuration"]
    secret = {"password", "token", "account_token", "grafana_key", "service_key"}
    told["notification_configuration"] = {
        name: "$encrypted$" if name in secret and value else value for name, value in configuration.items()
    }


def _finish_template(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    for name, key in (("last_job", "_last_job"), ("current_job", "_current_job")):
        job = renderer.store.get("unified_jobs", row.get(key))
        if job is not None:
            told["related"][name] = renderer.url(job)
            if row["_collection"] in ("projects", "inventory_sources"):
                told["related"][name.replace("job", "update")] = renderer.url(job)
    if row["_collection"] == "projects":
        told["related"]["inventory_files"] = f"{renderer.url(row)}inventories/"
    if row["_collection"].endswith("job_templates") and row["_collection"] != "system_job_templates":
        service = row.get("webhook_service")
        told["related"]["webhook_receiver"] = f"{renderer.url(row)}{service}/" if service else ""
    schedules = [one for one in renderer.store.where("schedules", unified_job_template=row["id"]) if one["next_run"]]
    told["next_job_run"] = shown(min((one["next_run"] for one in schedules), default=None))
    if schedules:
        told["related"]["next_schedule"] = renderer.url(min(schedules, key=lambda one: one["next_run"]))


def _finish_job(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    maker = renderer.store.get("users", row.get("_by"))
    told["launched_by"] = (
        {}
        if maker is None
        else {"id": maker["id"], "name": maker["username"], "type": "user", "url": renderer.url(maker)}
    )
    if row["status"] == "running" and row["started"] is not None:
        told["elapsed"] = round((renderer.world.now() - row["started"]).total_seconds(), 6)
    if row["finished"] is not None:
        told["related"].pop("modified_by", None)
        told["summary_fields"].pop("modified_by", None)
    if "_workflow_job" in row and row["_collection"] == "workflow_approvals":
        _finish_approval(renderer, row, told)


def _finish_approval(renderer: "Renderer", row: Row, told: dict[str, Any]) -> None:
    related = told["related"]
    related.pop("modified_by", None)
    told["summary_fields"].pop("modified_by", None)
    workflow = renderer.store.get("workflow_jobs", row["_workflow_job"])
    if workflow is not None:
        related["source_workflow_job"] = renderer.url(workflow)
    related["workflow_approval_template"] = (
        f"{renderer.prefix}workflow_approval_templates/{row['unified_job_template']}/"
    )
    pending = row["status"] == "pending"
    told["can_approve_or_deny"] = pending and renderer.rights.may("approve", row)
    if pending:
        told["elapsed"] = round((renderer.world.now() - row["started"]).total_seconds(), 6)


def _finish_schedule(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    told["related"]["unified_jobs"] = f"{renderer.url(row)}jobs/"
    template = renderer.store.get("unified_job_templates", row["unified_job_template"]) or row
    if template["_collection"] == "system_job_templates":
        told["summary_fields"]["unified_job_template"]["job_type"] = template["job_type"]
    for name, collection in (("project", "projects"), ("inventory", "inventories")):
        target = renderer.store.get(collection, template.get(name))
        if target is not None:
            told["related"][name] = renderer.url(target)
            told["summary_fields"] |= {name: renderer.summary(name, target)} if name == "inventory" else {}


def _finish_approval_template(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    told["related"]["jobs"] = f"{renderer.url(row)}approvals/"


def _finish_node(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    for edge in ("success_nodes", "failure_nodes", "always_nodes"):
        told[edge] = [one["id"] for one in renderer.store.linked(row, edge)]


def _finish_role(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    target = renderer.store.get(*row["_of"])
    if target is not None:
        told["related"][kind_of(target).type] = renderer.url(target)


def _finish_activity(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    for collection, id_ in row["_about"]:
        target = renderer.store.get(collection, id_)
        if target is not None:
            told["related"].setdefault(kind_of(target).type, []).append(renderer.url(target))
    if row["_actor"] is not None:
        told["related"]["actor"] = f"{renderer.prefix}users/{row['_actor']}/"


def _finish_assignment(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    target = renderer.store.get(*row["_of"])
    told.pop("type", None)
    told["related"]["created_by"] = f"{renderer.prefix}users/{row['created_by']}/"
    maker = renderer.store.get("users", row["created_by"])
    if maker is not None:
        told["summary_fields"]["created_by"] = renderer.summary("created_by", maker)
    if target is not None:
        told["related"]["content_object"] = renderer.url(target)
        told["summary_fields"]["content_object"] = renderer.summary("inventory", target)


def _finish_definition(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    told.pop("type", None)


def _finish_event(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    if row["_collection"] != "job_events":
        told["url"] = "" if row["_collection"] == "project_update_events" else told["url"]
        return
    told["related"]["children"] = f"{renderer.url(row)}children/"


def _finish_instance_group(renderer: "Renderer", row: Row, told: dict[str, Any], listed: bool) -> None:  # noqa: ARG001
    members = renderer.store.linked(row, "instances")
    running = [job for job in renderer.store.all("unified_jobs") if job.get("instance_group") == row["id"]]
    told["instances"] = len(members)
    told["capacity"] = sum(one["capacity"] for one in members if one["enabled"])
    told["percent_capacity_remaining"] = 100.0 if told["capacity"] else 0.0
    told["jobs_total"] = len(running)
    told["jobs_running"] = sum(1 for job in running if job["status"] in ("running", "waiting"))
    managed = row["name"] in ("controlplane", "default")
    told["summary_fields"]["user_capabilities"]["delete"] &= not managed


FINISHING: dict[str, Finishing] = {
    "users": _finish_user,
    "inventories": _finish_inventory,
    "constructed_inventories": _finish_inventory,
    "credentials": _finish_credential,
    "tokens": _finish_token,
    "notification_templates": _finish_notification_template,
    "roles": _finish_role,
    "activity_stream": _finish_activity,
    "role_user_assignments": _finish_assignment,
    "role_team_assignments": _finish_assignment,
    "role_definitions": _finish_definition,
    "instance_groups": _finish_instance_group,
    "schedules": _finish_schedule,
    "workflow_approval_templates": _finish_approval_template,
    "workflow_job_template_nodes": _finish_node,
    "workflow_job_nodes": _finish_node,
    **dict.fromkeys(("job_events", "project_update_events", "ad_hoc_command_events"), _finish_event),
    **dict.fromkeys(
        ("job_templates", "workflow_job_templates", "projects", "inventory_sources", "system_job_templates"),
        _finish_template,
    ),
    **dict.fromkeys(
        (
            "jobs",
            "workflow_jobs",
            "project_updates",
            "inventory_updates",
            "ad_hoc_commands",
            "system_jobs",
            "workflow_approvals",
        ),
        _finish_job,
    ),
}
"""What some kinds show differently from what is stored."""
