"""Group platform: what administrators of AWX do. Reading is always there, the rest where writing is allowed."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from pegboard import Call, Group, tool
from pegboard_awx.allowed import permit_template
from pegboard_awx.api import Api, Object
from pegboard_awx.changing import Changed, change, unhidden
from pegboard_awx.creating import create
from pegboard_awx.deleting import Deleted, counts, delete, would_delete
from pegboard_awx.failures import AwxError
from pegboard_awx.launching import start
from pegboard_awx.metrics import USUAL, families, unknown
from pegboard_awx.names import resolve
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import ENCRYPTED
from pegboard_awx.system_settings import masked, near, settings_of
from pegboard_awx.usage import removed
from pegboard_awx.waiting import Result, handle

AtLeast0 = Annotated[int, Field(ge=0)]
Percentage = Annotated[int, Field(ge=0, le=100)]
Days = Annotated[int, Field(ge=1, description="what is older goes")]

DATED = frozenset({"cleanup_jobs", "cleanup_activitystream"})
"""Cleanings that take a number of days; the others remove what has expired, and ignore it."""
KEPT = "AWX keeps the groups controlplane and default; for others it takes an administrator"
SYSTEM_JOBS = "it takes an administrator of AWX to start system jobs"
IMAGES_KEPT = "AWX keeps the images it manages itself; for others it takes an administrator"
IN_IMAGE: Mapping[str, tuple[str, str]] = {"templates": ("unified_job_templates", "execution_environment")}


class Made(TypedDict):
    """What was made."""

    id: int
    name: str


class Changes(TypedDict, total=False):
    """Settings that are others now, each with the value before and after, without secrets."""

    changed: dict[str, list[Any]]
    warnings: list[str]


class Metrics(TypedDict, total=False):
    """Numbers by family; `unknown` names what there is none of, with names that are near."""

    metrics: dict[str, Any]
    families_in_all: int
    left_out: int
    unknown: dict[str, list[str]]
    next: str


@tool(destructive=False, open_world=True)
async def create_instance_group(
    call: Call[Settings],
    name: str,
    policy_instance_percentage: Percentage | None = None,
    policy_instance_minimum: AtLeast0 | None = None,
    max_concurrent_jobs: AtLeast0 | None = None,
    max_forks: AtLeast0 | None = None,
) -> Made:
    """Create an instance group. AWX puts nodes in by policy; limits of 0 are none."""
    body = {
        "name": name,
        "policy_instance_percentage": policy_instance_percentage,
        "policy_instance_minimum": policy_instance_minimum,
        "max_concurrent_jobs": max_concurrent_jobs,
        "max_forks": max_forks,
    }
    made = await create(await Api.of(call), "instance_groups", body=body)
    return {"id": made["id"], "name": made["name"]}


@tool(destructive=False, idempotent=True, open_world=True)
async def update_instance_group(
    call: Call[Settings],
    instance_group_id: int | str,
    name: str | None = None,
    policy_instance_percentage: Percentage | None = None,
    policy_instance_minimum: AtLeast0 | None = None,
    max_concurrent_jobs: AtLeast0 | None = None,
    max_forks: AtLeast0 | None = None,
) -> Changed:
    """Change an instance group."""
    api = await Api.of(call)
    wanted = {
        "name": name,
        "policy_instance_percentage": policy_instance_percentage,
        "policy_instance_minimum": policy_instance_minimum,
        "max_concurrent_jobs": max_concurrent_jobs,
        "max_forks": max_forks,
    }
    return (await change(api, "instance_groups", await resolve(api, "instance_groups", instance_group_id), wanted)).told


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_instance_group(call: Call[Settings], instance_group_id: int | str, dry_run: bool = False) -> Deleted:
    """Delete an instance group; its instances stay. A dry run counts them."""
    api = await Api.of(call)
    id_ = await resolve(api, "instance_groups", instance_group_id)
    if dry_run:
        lists = {"instances": ("instance_groups", id_, "instances")}
        return would_delete("instance_groups", await api.get("instance_groups", id_), await counts(api, lists))
    with _explained(KEPT):
        return await delete(api, "instance_groups", id_, dry_run=False)


@tool(destructive=False, open_world=True)
async def create_execution_environment(
    call: Call[Settings],
    name: str,
    image: str,
    pull: Literal["always", "missing", "never"] | None = None,
    organization_id: int | str | None = None,
    credential_id: int | str | None = None,
) -> Made:
    """Create an execution environment: a container image for jobs. The credential is one for its registry."""
    api = await Api.of(call)
    body = {
        "name": name,
        "image": image,
        "pull": pull,
        "organization": None if organization_id is None else await resolve(api, "organizations", organization_id),
        "credential": None if credential_id is None else await resolve(api, "credentials", credential_id),
    }
    made = await create(api, "execution_environments", body=body)
    return {"id": made["id"], "name": made["name"]}


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_execution_environment(
    call: Call[Settings], execution_environment_id: int | str, dry_run: bool = False
) -> Deleted:
    """Delete an execution environment; a dry run counts the templates that use it."""
    with _explained(IMAGES_KEPT):
        api = await Api.of(call)
        return await removed(api, "execution_environments", execution_environment_id, IN_IMAGE, dry_run=dry_run)


@tool(destructive=True, idempotent=True, confirms=True, open_world=True)
async def update_settings(call: Call[Settings], category: str, values: dict[str, Any]) -> Changes:
    """Change settings of AWX, for everybody. awx_get_settings shows them; a list or an object is replaced whole."""
    api = await Api.of(call)
    before = await settings_of(api, category)
    wanted = _wanted(category, before, values)
    if not wanted:
        return {"changed": {}}
    if call.writes == "confirm":
        shown = "; ".join(
            f"{name}: {_shown(name, before[name])} -> {_shown(name, one)}" for name, one in wanted.items()
        )
        await call.confirm(f"Change the {category} settings of AWX in {call.environment}? {shown}")
    return _changes(before, await api.patch("settings", category, json=wanted), wanted)


@tool(destructive=True, open_world=True)
async def launch_system_job(
    call: Call[Settings],
    name: Literal["cleanup_jobs", "cleanup_activitystream", "cleanup_sessions", "cleanup_tokens"],
    days: Days | None = None,
) -> Result:
    """Delete old jobs or activity, or expired sessions or tokens, for good. days is for the first two."""
    if days is not None and name not in DATED:
        raise AwxError("validation", f"{name} takes no days: it removes what has expired", hint="leave days out")
    api = await Api.of(call)
    template = await api.first("system_job_templates", params={"job_type": name})
    if template is None:
        raise AwxError("not_found", f"there is no system job {name} here", hint=SYSTEM_JOBS)
    permit_template(call, template["id"], template["name"])
    body = {} if days is None else {"extra_vars": {"days": days}}
    path = ("system_job_templates", template["id"], "launch")
    within = {"unified_job_template": template["id"]}
    with _explained(SYSTEM_JOBS):
        started = await start(call, api, path, body, "system_job", within=within)
    return await handle(api, started.run, started.job, started.warnings)


@tool(read_only=True, open_world=True)
async def get_metrics_summary(call: Call[Settings], names: list[str] | None = None) -> Metrics:
    """Show numbers of AWX about itself: the usual ones, or families by name or pattern, like task_manager_*."""
    told = await (await Api.of(call)).get("metrics", params={"format": "json"})
    found, left_out = families(told, names or USUAL)
    answer: Metrics = {"metrics": found, "families_in_all": len(told)}
    if left_out:
        answer |= {"left_out": left_out, "next": "name fewer families"}
    missing = unknown(told, names or ())
    return {**answer, "unknown": missing} if missing else answer


def _wanted(category: str, before: Object, values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that shall be others; raises `AwxError` for names that AWX would ignore without a word."""
    unknown_ = {name: near(name, before) for name in values if name not in before}
    if unknown_:
        said = "; ".join(f"{name} (near: {', '.join(found) or 'none'})" for name, found in unknown_.items())
        raise AwxError("validation", f"there are no {category} settings {said}", hint="nothing was changed")
    new = {name: unhidden(value, before[name], name) for name, value in values.items()}
    return {name: value for name, value in new.items() if value != before[name] and value != ENCRYPTED}


def _changes(before: Object, after: Object, wanted: Mapping[str, Any]) -> Changes:
    """What became of it. A secret looks the same before and after."""
    kept = [name for name in wanted if after.get(name) == before[name] != ENCRYPTED]
    pairs = {name: [masked(name, before[name]), masked(name, after.get(name))] for name in wanted if name not in kept}
    told: Changes = {"changed": pairs}
    return {**told, "warnings": [f"AWX did not change {name}; it may be read-only" for name in kept]} if kept else told


def _shown(name: str, value: Any) -> str:
    text = str(masked(name, value))
    return text if len(text) <= 100 else f"{text[:100]}…"


@contextmanager
def _explained(hint: str) -> Generator[None]:
    """Say why AWX may have refused, where it says no more than that somebody may not."""
    try:
        yield
    except AwxError as error:
        if error.kind != "permission":
            raise
        raise AwxError("permission", error.message, hint=hint, status=error.status) from error


GROUP = Group(
    "platform",
    title="Platform administration",
    tools=[
        create_instance_group,
        update_instance_group,
        delete_instance_group,
        create_execution_environment,
        delete_execution_environment,
        update_settings,
        launch_system_job,
        get_metrics_summary,
    ],
)

ALIASES: dict[str, str] = {}
"""Old names, without the prefix `awx_`; there are none."""
