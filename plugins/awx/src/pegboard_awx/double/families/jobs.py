"""Jobs of every kind: what became of them, what they said, and how to stop or repeat them."""

from collections.abc import Mapping
from typing import Any

from pegboard_awx.double.fields import model_of
from pegboard_awx.double.filtering import filtered, ordered
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.life import ACTIVE
from pegboard_awx.double.output import stdout
from pegboard_awx.double.refusals import bad, bad_field, forbidden, missing, not_allowed
from pegboard_awx.double.resources import Resource, Values, tables
from pegboard_awx.double.routes import Table
from pegboard_awx.double.running import start
from pegboard_awx.double.sublists import Related, activity_of
from pegboard_awx.double.sublists import tables as sublists
from pegboard_awx.double.visits import Reply, Visit

EVENTS = {
    "jobs": "job_events",
    "project_updates": "events",
    "inventory_updates": "events",
    "ad_hoc_commands": "events",
    "system_jobs": "events",
}
EVENT_KINDS = {"jobs": "job_events", "ad_hoc_commands": "ad_hoc_command_events"}
CANCELABLE = (*EVENTS, "workflow_jobs")
TRUNCATED = 1024
REPEATED = ("inventory", "limit", "job_tags", "skip_tags", "job_type", "verbosity", "scm_branch", "diff_mode", "forks")


def _remove(visit: Visit, row: Row) -> None:  # noqa: ARG001 # the shape of all
    if row["status"] in ACTIVE:
        raise forbidden("Cannot delete running job resource.")


def _cancel_get(owner: str) -> Any:
    def get(visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
        return Reply(body={"can_cancel": visit.row(owner, id)["status"] in ACTIVE})

    return get


def _cancel(owner: str) -> Any:
    def post(visit: Visit, id: int) -> Reply:  # noqa: A002
        job = visit.row(owner, id)
        if job["_by"] != visit.user["id"]:
            visit.require("edit", job)
        if job["status"] not in ACTIVE:
            raise not_allowed("POST")
        visit.life.cancel(job)
        return Reply(202)

    return post


def _relaunch_get(visit: Visit, id: int) -> Reply:  # noqa: A002
    job = visit.row("jobs", id)
    hosts = list(visit.store.where("job_host_summaries", job=id))
    counts = {"all": len(hosts), "failed": sum(1 for one in hosts if one["failed"])}
    return Reply(body={"passwords_needed_to_start": job["passwords_needed_to_start"], "retry_counts": counts})


def _relaunch(visit: Visit, id: int) -> Reply:  # noqa: A002
    job = visit.row("jobs", id)
    template = visit.store.get("job_templates", job["job_template"])
    if template is None:
        raise forbidden("Job has been orphaned from its job template.")
    visit.require("start", template)
    given: dict[str, Any] = {name: job[name] for name in REPEATED} | {"extra_vars": job["_variables"]}
    if visit.body.get("job_type"):
        given["job_type"] = visit.body["job_type"]
    given |= _only_failed(visit, job)
    new = start(visit, template, given, launch_type="relaunch")
    return visit.created(new, {"job": new["id"]})


def _only_failed(visit: Visit, job: Row) -> dict[str, str]:
    hosts = visit.body.get("hosts", "all")
    if hosts == "all":
        return {}
    if job["status"] in ACTIVE:
        raise bad_field("hosts", f"Cannot relaunch because previous job had status {job['status']}.")
    failed = [one["host_name"] for one in visit.store.where("job_host_summaries", job=job["id"]) if one["failed"]]
    if not failed:
        raise bad_field("hosts", "Cannot relaunch on failed hosts, none found.")
    return {"limit": ",".join(failed)}


def _events(owner: str) -> Any:
    def get(visit: Visit, id: int) -> Reply:  # noqa: A002
        events = visit.life.events(visit.row(owner, id))
        kind = EVENT_KINDS.get(owner, "project_update_events")
        limit = visit.asked("limit")
        if not limit.isdecimal():
            return _shortened(visit, visit.listing(kind, events))
        found = filtered(visit.store, kind, events, visit.pairs)
        found = ordered(visit.store, kind, found, visit.pairs)[: int(limit)]
        return _shortened(visit, Reply(body={"results": [visit.renderer.show(row, listed=True) for row in found]}))

    return get


def _shortened(visit: Visit, reply: Reply) -> Reply:
    """The events with their output cut, as AWX does unless it is told not to."""
    if not visit.asked("no_truncate"):
        for event in reply.body["results"]:
            text: str = event["stdout"]
            event["stdout"] = text if len(text) <= TRUNCATED else f"{text[:TRUNCATED]}…\x1b[0m"
    return reply


def _children_summary(visit: Visit, id: int) -> Reply:  # noqa: A002
    job = visit.row("jobs", id)
    done = job["event_processing_finished"]
    return Reply(
        body={
            "children_summary": {},
            "meta_event_nested_uuid": {},
            "event_processing_finished": done,
            "is_tree": True,
        }
    )


def _event(visit: Visit, id: int) -> Reply:  # noqa: A002
    job = visit.store.get("jobs", id // 100_000)
    found = None if job is None else next((one for one in visit.life.events(job) if one["id"] == id), None)
    if job is None or found is None:
        raise missing(model_of("job_events"))
    visit.require("read", job)
    return Reply(body=visit.renderer.show(found))


def _summaries(visit: Visit, row: Row) -> list[Row]:
    return list(visit.store.where("job_host_summaries", job=row["id"]))


def _linked(name: str) -> Any:
    def found(visit: Visit, row: Row) -> list[Row]:
        return visit.store.linked(row, name)

    return found


def _stdout(owner: str) -> Any:
    def get(visit: Visit, id: int) -> Reply:  # noqa: A002
        return stdout(visit, visit.row(owner, id))

    return get


def _prepare_command(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    module = values.get("module_name", "command")
    if module not in visit.world.setting("jobs", "AD_HOC_COMMANDS"):
        raise bad_field("module_name", f'"{module}" is not a valid choice.')
    reasons: dict[str, list[str]] = {}
    if values.get("credential") is None:
        reasons["credential"] = ["This field cannot be blank."]
    if module in ("command", "shell") and not values.get("module_args"):
        reasons["module_args"] = [f"No argument passed to {module} module."]
    if reasons:
        raise bad(reasons)
    values.update(name=module, status="new", launch_type="manual", module_name=module)


def _run_command(visit: Visit, row: Row, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    row["_variables"] = {}
    visit.life.start(row)


def _unified(name: str) -> Any:
    def get(visit: Visit) -> Reply:
        return visit.listing(name, visit.store.all(name))

    return get


COMMANDS = Resource("ad_hoc_commands", "GET POST DELETE", prepare=_prepare_command, made=_run_command, removing=_remove)

ROUTES: Table = {
    ("GET", "unified_jobs/"): _unified("unified_jobs"),
    ("GET", "unified_job_templates/"): _unified("unified_job_templates"),
    ("GET", "jobs/{id}/job_events/children_summary/"): _children_summary,
    **tables(
        [
            Resource(name, "GET DELETE", removing=_remove)
            for name in (*EVENTS, "workflow_jobs")
            if name != "ad_hoc_commands"
        ]
    ),
    **tables([COMMANDS, Resource("job_host_summaries", "GET")]),
    ("GET", "job_events/{id}/"): _event,
    ("GET", "jobs/{id}/relaunch/"): _relaunch_get,
    ("POST", "jobs/{id}/relaunch/"): _relaunch,
    **{("GET", f"{owner}/{{id}}/{name}/"): _events(owner) for owner, name in EVENTS.items()},
    **{("GET", f"{owner}/{{id}}/stdout/"): _stdout(owner) for owner in EVENTS},
    **{("GET", f"{owner}/{{id}}/cancel/"): _cancel_get(owner) for owner in CANCELABLE},
    **{("POST", f"{owner}/{{id}}/cancel/"): _cancel(owner) for owner in CANCELABLE},
    **sublists(
        [
            Related("jobs", "job_host_summaries", "job_host_summaries", _summaries),
            Related("jobs", "credentials", "credentials", _linked("credentials")),
            Related("jobs", "labels", "labels", _linked("labels")),
            activity_of("jobs"),
        ]
    ),
}
