"""Group jobs: follow jobs up, understand failures, run them again."""

from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import Field
from typing_extensions import TypedDict

from pegboard import Call, Group, tool
from pegboard_awx.allowed import permit_inventory
from pegboard_awx.analysis import Analysis, analyze, message_of, result_of
from pegboard_awx.api import Api, Object, named
from pegboard_awx.deleting import Deleted, counts
from pegboard_awx.failures import AwxError
from pegboard_awx.groups.core import Passwords, plain
from pegboard_awx.launching import relaunch, start
from pegboard_awx.names import resolve
from pegboard_awx.output import clean
from pegboard_awx.runs import ACTIVE, JobType, Run
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import (
    Detail,
    Listing,
    PageNumber,
    PageSize,
    brief,
    by_detail,
    finding,
    joined,
    listed,
    mapping,
    moment,
    sequence,
)
from pegboard_awx.waiting import WAIT_TIMEOUT, Result, handle, outcome

SHORT, LONG = 200, 1000
"""Characters of a message in a list, and of one with all details."""


class Events(Listing, total=False):
    """One page of events; `next_counter` reads on while the job runs."""

    next_counter: int


class Relaunched(TypedDict, total=False):
    """The job that repeats another one."""

    new_job_id: int
    from_job_id: int
    hosts_targeted: int
    status: str
    web_url: str
    warnings: list[str]
    next: str


class DeletedJob(Deleted, total=False):
    """The job that was deleted, or would be."""

    type: str
    status: str
    finished: str


@tool(read_only=True, open_world=True, timeout=WAIT_TIMEOUT, priority=5)
async def wait_for_job(
    call: Call[Settings],
    job_id: int,
    job_type: JobType = "auto",
    timeout_s: Annotated[float, Field(ge=0)] = 300,
    poll_s: Annotated[float, Field(ge=0.1, le=30)] = 2,
) -> Result:
    """Wait for the end of a job of any type and its output.

    Answers in time for clients that give up after 60 s; while is_finished is false, call it again.
    """
    api = await Api.of(call)
    return await outcome(call, api, await Run.of(api, job_id, job_type), timeout_s, poll=poll_s)


@tool(destructive=True, open_world=True)
async def relaunch_job(
    call: Call[Settings],
    job_id: int,
    hosts: Literal["all", "failed"] = "all",
    job_type: Literal["run", "check"] | None = None,
    credential_passwords: Passwords | None = None,
) -> Relaunched:
    """Run a job again as it was, on all its hosts or those that failed."""
    api = await Api.of(call)
    job = await api.get("jobs", job_id)
    told = await api.get("jobs", job_id, "relaunch")
    passwords = plain(credential_passwords)
    count = mapping(told.get("retry_counts")).get(hosts)
    _check_relaunch(job, told, hosts, passwords)
    body = {"hosts": hosts, **brief(job_type=job_type, credential_passwords=passwords)}
    started = await relaunch(call, api, job, body)
    shown = await handle(api, started.run, started.job, started.warnings)
    answer = {"new_job_id": started.run.id, "from_job_id": job_id, **brief(hosts_targeted=count)}
    same = {"status", "web_url", "warnings", "next"}
    return cast(Relaunched, {**answer, **{name: value for name, value in shown.items() if name in same}})


@tool(read_only=True, open_world=True)
async def list_job_events(
    call: Call[Settings],
    job_id: int,
    failed_only: bool = False,
    host: str | None = None,
    task_contains: str | None = None,
    after_counter: int | None = None,
    page: PageNumber = 1,
    page_size: PageSize = 50,
    detail: Detail = "summary",
) -> Events:
    """List what happened in a job, in order; next_counter as after_counter reads on."""
    api = await Api.of(call)
    run = await Run.of(api, job_id)
    params = {
        "failed": True if failed_only else None,
        "host_name": host,
        "task__icontains": task_contains,
        "counter__gt": after_counter,
        "not__event": "runner_on_start",
        "order_by": "counter",
    }
    most = LONG if detail == "full" else SHORT

    def summarize(event: Object) -> dict[str, Any]:
        return {**_event(event, most), **(_event_details(event) if detail == "full" else {})}

    path = (*run.path, _events(run))
    found = await listed(api, *path, params=params, page=page, page_size=page_size, summarize=summarize)
    answer: Events = {**found}
    if found["items"]:
        answer["next_counter"] = int(found["items"][-1]["counter"])
    return answer


@tool(read_only=True, open_world=True)
async def list_job_host_summaries(
    call: Call[Settings],
    job_id: int,
    failed_only: bool = False,
    page: PageNumber = 1,
    page_size: PageSize = 20,
) -> Listing:
    """List the hosts of a job with their counts of tasks."""
    params = {"failed": True if failed_only else None, "order_by": "host_name"}
    path = ("jobs", job_id, "job_host_summaries")
    return await listed(
        await Api.of(call), *path, params=params, page=page, page_size=page_size, summarize=_host_summary
    )


@tool(read_only=True, open_world=True, priority=5)
async def analyze_job_failure(call: Call[Settings], job_id: int) -> Analysis:
    """Say why a job failed: failures grouped by task and message, with hints."""
    api = await Api.of(call)
    return await analyze(api, await Run.of(api, job_id))


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_job(call: Call[Settings], job_id: int, dry_run: bool = False) -> DeletedJob:
    """Delete a finished job with its output and events."""
    api = await Api.of(call)
    run = await Run.of(api, job_id)
    job = await api.get(*run.path)
    told: DeletedJob = {"id": run.id, "type": run.type, "name": job["name"], "status": job["status"]}
    if job["finished"]:
        told["finished"] = moment(job["finished"]) or ""
    if dry_run:
        return {"deleted": False, "dry_run": True, **told, "related": await _related(api, run)}
    if job["status"] in ACTIVE:
        raise AwxError("not_allowed_now", f"{run} is {job['status']}", hint=f"awx_cancel_job(job_id={run.id}) first")
    await api.delete(*run.path)
    return {"deleted": True, **told}


@tool(read_only=True, open_world=True)
async def list_unified_jobs(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "-id",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
    types: list[str] | None = None,
    status: str | list[str] | None = None,
    since: datetime | None = None,
) -> Listing:
    """List jobs of all types, newest first; types like job, workflow_job, project_update."""
    params = {
        **finding(search, name_contains, order_by),
        "type": joined(types),  # several mean either; AWX finds nothing by type__in
        "status__in": joined(status),
        "created__gt": since and since.isoformat(),
    }

    api = await Api.of(call)
    return await listed(
        api,
        "unified_jobs",
        params=params,
        page=page,
        page_size=page_size,
        summarize=by_detail(detail, _unified, _unified_details),
    )


@tool(destructive=True, open_world=True, timeout=WAIT_TIMEOUT)
async def run_ad_hoc_command(
    call: Call[Settings],
    inventory_id: int | str,
    module_name: str,
    module_args: str | None = None,
    credential_id: int | None = None,
    limit: str | None = None,
    become_enabled: bool | None = None,
    job_type: Literal["run", "check"] | None = None,
    verbosity: Annotated[int, Field(ge=0, le=5)] | None = None,
    forks: int | None = None,
    wait: bool = False,
) -> Result:
    """Run one Ansible module on hosts of an inventory."""
    api = await Api.of(call)
    inventory = await resolve(api, "inventories", inventory_id)
    await permit_inventory(call, api, inventory)
    given = {
        "module_name": module_name,
        "module_args": module_args,
        "credential": credential_id,
        "limit": limit,
        "become_enabled": become_enabled,
        "job_type": job_type,
        "verbosity": verbosity,
        "forks": forks,
    }
    body = {"inventory": inventory, **{name: value for name, value in given.items() if value is not None}}
    within = {"inventory": inventory, "module_name": module_name}
    try:
        started = await start(call, api, ("ad_hoc_commands",), body, "ad_hoc_command", within=within)
    except AwxError as error:
        raise await _with_modules(api, error) from error
    if wait:
        return await outcome(call, api, started.run, job=started.job, warnings=started.warnings)
    return await handle(api, started.run, started.job, started.warnings)


def _check_relaunch(job: Object, told: Object, hosts: str, passwords: dict[str, str] | None) -> None:
    needed = [name for name in sequence(told.get("passwords_needed_to_start")) if name not in (passwords or {})]
    if needed:
        named_ = ", ".join(needed)
        raise AwxError("validation", f"job {job['id']} needs credential_passwords: {named_}", hint="give all of them")
    if hosts == "failed" and job["status"] in ACTIVE:
        hint = f"wait for its end: awx_wait_for_job(job_id={job['id']})"
        raise AwxError("not_allowed_now", f"job {job['id']} is {job['status']}", hint=hint)
    if hosts == "failed" and not mapping(told.get("retry_counts")).get("failed"):
        raise AwxError("validation", f"no host failed in job {job['id']}", hint="use hosts='all' to run it again")


def _events(run: Run) -> str:
    if run.kind.events is None:
        hint = f"awx_get_workflow_job(job_id={run.id}) shows its nodes, whose jobs have events"
        raise AwxError("validation", f"{run} has no events of its own", hint=hint)
    return run.kind.events


def _event(event: Object, most: int) -> dict[str, Any]:
    result = result_of(event)
    has_result = str(event["event"]).startswith("runner")
    return brief(
        counter=event["counter"],
        event=event["event"],
        play=event["play"] if event["event"] == "playbook_on_play_start" else None,
        task=event["task"],
        role=event.get("role"),
        host=event["host_name"],
        changed=event["changed"],
        failed=event["failed"],
        ignored=bool(mapping(event.get("event_data")).get("ignore_errors")),
        msg=message_of(event, printed=False)[:most] if has_result else None,
        rc=result.get("rc"),
    )


def _event_details(event: Object) -> dict[str, Any]:
    result = result_of(event)
    data = mapping(event.get("event_data"))
    return brief(
        at=moment(event["created"]),
        play=event["play"],
        task_path=data.get("task_path"),
        module=data.get("task_action"),
        stdout=clean(str(result.get("stdout") or ""))[-LONG:],
        stderr=clean(str(result.get("stderr") or ""))[-LONG:],
    )


def _host_summary(item: Object) -> dict[str, Any]:
    counts = {name: item[name] for name in ("ok", "changed", "failures", "skipped", "rescued", "ignored")}
    told = {name: count for name, count in {**counts, "unreachable": item["dark"]}.items() if count}
    return {"host": item["host_name"], **told, "failed": item["failed"]}


async def _related(api: Api, run: Run) -> dict[str, int]:
    """What goes with a job."""
    lists = {"events": run.kind.events, "host_summaries": "job_host_summaries" if run.type == "job" else None}
    return await counts(api, {name: (*run.path, path) for name, path in lists.items() if path is not None})


def _unified(item: Object) -> dict[str, Any]:
    return brief(
        id=item["id"],
        type=item["type"],
        name=item["name"],
        status=item["status"],
        finished=moment(item["finished"]),
        elapsed_s=round(float(item["elapsed"])) if item["started"] else None,
    )


def _unified_details(item: Object) -> dict[str, Any]:
    return brief(
        created=moment(item["created"]),
        launched_by=mapping(item.get("launched_by")).get("name"),
        launch_type=item["launch_type"],
        template=named(item, "unified_job_template"),
        inventory=named(item, "inventory"),
        explanation=item.get("job_explanation"),
    )


async def _with_modules(api: Api, error: AwxError) -> AwxError:
    """The refusal of a module, with those that are allowed, where the user may read that."""
    if "module_name" not in error.fields:
        return error
    try:
        allowed = (await api.get("settings", "jobs"))["AD_HOC_COMMANDS"]
    except AwxError:
        return error
    hint = f"AWX allows {', '.join(allowed)} (AD_HOC_COMMANDS)"
    return AwxError(error.kind, error.message, hint=hint, status=error.status, fields=error.fields)


GROUP = Group(
    "jobs",
    title="Job follow-up and diagnostics",
    tools=[
        wait_for_job,
        relaunch_job,
        list_job_events,
        list_job_host_summaries,
        analyze_job_failure,
        delete_job,
        list_unified_jobs,
        run_ad_hoc_command,
    ],
)

ALIASES = {
    "job_events": "list_job_events",
    "job_failure_summary": "analyze_job_failure",
    "job_delete": "delete_job",
}
"""Old names, without the prefix `awx_`."""
