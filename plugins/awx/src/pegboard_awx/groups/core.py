"""Group core: launch job templates and follow their jobs."""

from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr
from typing_extensions import TypedDict

from pegboard import Call, Group, tool
from pegboard_awx.api import Api, Object, named
from pegboard_awx.connection import Connection, probe
from pegboard_awx.failures import AwxError
from pegboard_awx.launching import launch
from pegboard_awx.output import MAX_CHARS, Excerpt, Mode, errors, part, tail
from pegboard_awx.pending import why_pending
from pegboard_awx.prompts import ASKS
from pegboard_awx.runs import JobType, Run, Shown, is_complete, is_final, shown
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
)
from pegboard_awx.waiting import WAIT_TIMEOUT, Result, handle, outcome

CHARS_PER_TOKEN = 1.3
"""Output that is no longer than this always fits into an answer, whatever it consists of."""

Passwords = Annotated[dict[str, SecretStr], Field(json_schema_extra={"writeOnly": True})]


class Health(TypedDict):
    """How the plugin itself is."""

    status: Literal["ok"]
    plugin_version: str
    environment: str
    url: str
    read_only: bool


class Canceled(TypedDict, total=False):
    """What became of the wish to cancel a job."""

    job_id: int
    type: str
    cancel_requested: bool
    status: str
    next: str


class Output(TypedDict, total=False):
    """Lines of a job's output, numbered from 1."""

    job_id: int
    text: str
    first_line: int
    last_line: int
    total_lines: int
    truncated: bool
    job_status: str
    output_complete: bool
    next: str


@tool(read_only=True, open_world=False)
async def health_check(call: Call[Settings]) -> Health:
    """Tell how this plugin is set up, without asking AWX."""
    url = str(call.settings.target)
    read_only = call.writes == "deny"
    return {
        "status": "ok",
        "plugin_version": _version(),
        "environment": call.environment,
        "url": url,
        "read_only": read_only,
    }


@tool(read_only=True, open_world=True)
async def test_connection(call: Call[Settings]) -> Connection:
    """Try the connection to AWX: version, user, or the step that fails."""
    return await probe(await Api.of(call))


@tool(read_only=True, open_world=True, priority=10)
async def list_job_templates(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
    project_id: int | None = None,
    inventory_id: int | None = None,
    executable_only: bool = False,
) -> Listing:
    """List job templates."""
    params = {
        **finding(search, name_contains, order_by),
        "project": project_id,
        "inventory": inventory_id,
        "role_level": "execute_role" if executable_only else None,
    }

    api = await Api.of(call)
    return await listed(
        api,
        "job_templates",
        params=params,
        page=page,
        page_size=page_size,
        summarize=by_detail(detail, _template, _template_details),
    )


@tool(destructive=True, open_world=True, timeout=WAIT_TIMEOUT, priority=10)
async def launch_job_template(
    call: Call[Settings],
    template_id: int | str,
    extra_vars: dict[str, Any] | None = None,
    limit: str | None = None,
    inventory_id: int | None = None,
    credentials: list[int] | None = None,
    job_tags: str | list[str] | None = None,
    skip_tags: str | list[str] | None = None,
    job_type: Literal["run", "check"] | None = None,
    verbosity: Annotated[int, Field(ge=0, le=5)] | None = None,
    scm_branch: str | None = None,
    diff_mode: bool | None = None,
    forks: int | None = None,
    timeout: int | None = None,
    execution_environment_id: int | None = None,
    labels: list[int] | None = None,
    instance_groups: list[int] | None = None,
    credential_passwords: Passwords | None = None,
    wait: bool = False,
    wait_timeout_s: Annotated[float, Field(ge=0)] = 300,
) -> Result:
    """Launch a job template by id, name or name++organization.

    Refuses what AWX would ignore. With wait it answers with the result, or in time with what to call next.
    """
    given = {
        "extra_vars": extra_vars,
        "limit": limit,
        "inventory": inventory_id,
        "credentials": credentials,
        "job_tags": joined(job_tags),
        "skip_tags": joined(skip_tags),
        "job_type": job_type,
        "verbosity": verbosity,
        "scm_branch": scm_branch,
        "diff_mode": diff_mode,
        "forks": forks,
        "timeout": timeout,
        "execution_environment": execution_environment_id,
        "labels": labels,
        "instance_groups": instance_groups,
        "credential_passwords": plain(credential_passwords),
    }
    api = await Api.of(call)
    started = await launch(call, api, "job_templates", template_id, given)
    if wait:
        return await outcome(call, api, started.run, wait_timeout_s, job=started.job, warnings=started.warnings)
    return await handle(api, started.run, started.job, started.warnings)


@tool(read_only=True, open_world=True, priority=10)
async def get_job(call: Call[Settings], job_id: int, job_type: JobType = "auto") -> Shown:
    """Show a job of any type; of a pending one, why it waits."""
    api = await Api.of(call)
    run = await Run.of(api, job_id, job_type)
    job = await api.get(*run.path)
    answer = await shown(api, job)
    why = await why_pending(api, run, job)
    return {**answer, "explanation": why} if why else answer


@tool(read_only=True, open_world=True)
async def list_jobs(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "-id",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
    status: str | list[str] | None = None,
    template_id: int | None = None,
    failed_only: bool = False,
    created_after: datetime | None = None,
    finished_after: datetime | None = None,
    launched_by: str | None = None,
) -> Listing:
    """List jobs of job templates, newest first; launched_by is a username."""
    params = {
        **finding(search, name_contains, order_by),
        "status__in": joined(status),
        "job_template": template_id,
        "failed": True if failed_only else None,
        "created__gt": created_after and created_after.isoformat(),
        "finished__gt": finished_after and finished_after.isoformat(),
        "created_by__username": launched_by,
    }

    return await listed(
        await Api.of(call),
        "jobs",
        params=params,
        page=page,
        page_size=page_size,
        summarize=by_detail(detail, _job, _job_details),
    )


@tool(destructive=True, idempotent=True, open_world=True)
async def cancel_job(call: Call[Settings], job_id: int, job_type: JobType = "auto") -> Canceled:
    """Cancel a job of any type; one that has ended stays as it is."""
    api = await Api.of(call)
    run = await Run.of(api, job_id, job_type)
    is_asked = (await api.get(*run.path, "cancel"))["can_cancel"] and await _cancel(api, run)
    job = await api.get(*run.path)
    answer: Canceled = {"job_id": run.id, "type": run.type, "cancel_requested": is_asked, "status": job["status"]}
    return answer if is_final(job) else {**answer, "next": run.next_wait}


@tool(read_only=True, open_world=True)
async def get_job_output(
    call: Call[Settings],
    job_id: int,
    job_type: JobType = "auto",
    mode: Mode = "tail",
    lines: Annotated[int, Field(ge=1, le=2000)] = 100,
    start_line: Annotated[int, Field(ge=1, description="First line of mode range.")] = 1,
    max_chars: Annotated[int, Field(ge=100)] = MAX_CHARS,
) -> Output:
    """Show lines of a job's output, without colors. Mode errors shows failed hosts only."""
    api = await Api.of(call)
    run = await Run.of(api, job_id, job_type)
    job = await api.get(*run.path)
    most = min(max_chars, int(call.limits.tokens * CHARS_PER_TOKEN))
    excerpt = await _excerpt(api, run, mode, start_line, lines, most)
    answer: Output = {"job_id": run.id, "text": excerpt.text, "truncated": excerpt.is_cut}
    answer |= {"first_line": excerpt.first, "last_line": excerpt.last}
    if excerpt.total is not None:
        answer["total_lines"] = excerpt.total
    if excerpt.is_cut and mode in ("head", "range") and excerpt.total is None:
        answer["next"] = f"awx_get_job_output(job_id={run.id}, mode='range', start_line={excerpt.last + 1})"
    return {**answer, "job_status": job["status"], "output_complete": is_complete(job)}


def plain(passwords: Mapping[str, SecretStr] | None) -> dict[str, str] | None:
    """Passwords as AWX wants them."""
    return None if passwords is None else {name: secret.get_secret_value() for name, secret in passwords.items()}


async def _excerpt(api: Api, run: Run, mode: Mode, start: int, lines: int, most: int) -> Excerpt:
    if mode == "tail":
        return await tail(api, run, lines, most)
    if mode == "errors":
        return await errors(api, run, lines, most)
    return await part(api, run, start if mode == "range" else 1, lines, most)


async def _cancel(api: Api, run: Run) -> bool:
    """Ask for the end of a job; `False` when it has ended meanwhile."""
    try:
        await api.post(*run.path, "cancel")
    except AwxError as error:
        if error.kind != "not_allowed_now":
            raise
        return False
    return True


def _version() -> str:
    try:
        return version("pegboard-awx")
    except PackageNotFoundError:  # run from its sources
        return "unknown"


def _template(item: Object) -> dict[str, Any]:
    last = mapping(item["summary_fields"].get("last_job"))
    return brief(
        id=item["id"],
        name=item["name"],
        playbook=item["playbook"],
        project=named(item, "project"),
        inventory=named(item, "inventory"),
        survey=item["survey_enabled"],
        asks=[name for name, flag in ASKS.items() if item.get(flag)],
        last_job=brief(id=last.get("id"), status=last.get("status"), finished=moment(last.get("finished"))),
    )


def _template_details(item: Object) -> dict[str, Any]:
    return brief(
        description=item["description"],
        organization=named(item, "organization"),
        job_type=item["job_type"],
        limit=item["limit"],
        credentials=[one["name"] for one in item["summary_fields"].get("credentials", ())],
        labels=[one["name"] for one in item["summary_fields"].get("labels", {}).get("results", ())],
        concurrent=item["allow_simultaneous"],
    )


def _job(item: Object) -> dict[str, Any]:
    template = named(item, "job_template")
    return brief(
        id=item["id"],
        name=item["name"],
        template=template if template != item["name"] else None,
        status=item["status"],
        finished=moment(item["finished"]),
        elapsed_s=round(float(item["elapsed"])) if item["started"] else None,
    )


def _job_details(item: Object) -> dict[str, Any]:
    return brief(
        created=moment(item["created"]),
        launched_by=mapping(item.get("launched_by")).get("name"),
        launch_type=item["launch_type"],
        inventory=named(item, "inventory"),
        limit=item["limit"],
        playbook=item["playbook"],
        explanation=item["job_explanation"],
    )


GROUP = Group(
    "core",
    title="Launch and follow jobs",
    tools=[
        health_check,
        test_connection,
        list_job_templates,
        launch_job_template,
        get_job,
        list_jobs,
        cancel_job,
        get_job_output,
    ],
)

ALIASES = {
    "list_templates": "list_job_templates",
    "env_test_connection": "test_connection",
    "templates_list": "list_job_templates",
    "job_launch": "launch_job_template",
    "job_get": "get_job",
    "jobs_list": "list_jobs",
    "job_cancel": "cancel_job",
    "job_stdout": "get_job_output",
}
"""Old names, without the prefix `awx_`."""
