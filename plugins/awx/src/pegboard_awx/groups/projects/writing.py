"""Making, changing, deleting and syncing projects."""

from typing import Annotated, Literal, cast

from pydantic import Field
from typing_extensions import TypedDict

from pegboard import Call, tool
from pegboard_awx.api import Api, Object, named
from pegboard_awx.changing import Changed, change
from pegboard_awx.creating import create
from pegboard_awx.deleting import Deleted
from pegboard_awx.failures import AwxError
from pegboard_awx.groups.projects.shaping import REVISION
from pegboard_awx.launching import Started, start
from pegboard_awx.names import resolve
from pegboard_awx.runs import Run
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import HIDDEN, brief
from pegboard_awx.usage import removed
from pegboard_awx.waiting import WAIT_TIMEOUT, Result, handle, outcome

COLLECTION = "projects"
USERS = {
    "job_templates": ("job_templates", "project"),
    "inventory_sources": ("inventory_sources", "source_project"),
    "schedules": ("schedules", "unified_job_template"),
}

ScmType = Literal["git", "svn", "insights", "archive", ""]


class Created(TypedDict, total=False):
    """The project that was made, and the update AWX has started for it."""

    id: int
    name: str
    status: str
    update_job_id: int
    update: Result
    next: str


class Resynced(Changed, total=False):
    """What was changed, and whether AWX fetches the project again for it."""

    resync_started: bool
    update_job_id: int
    next: str


class Synced(Result, total=False):
    """An update that was started, or its result."""

    update_id: int
    revision: str


@tool(destructive=False, open_world=True, timeout=WAIT_TIMEOUT)
async def create_project(
    call: Call[Settings],
    name: str,
    organization_id: int | str,
    scm_type: ScmType = "git",
    scm_url: str | None = None,
    scm_branch: str | None = None,
    credential_id: int | None = None,
    description: str | None = None,
    scm_clean: bool | None = None,
    scm_update_on_launch: bool | None = None,
    local_path: Annotated[str | None, Field(description='Folder of a manual one (scm_type "").')] = None,
    wait: bool = False,
) -> Created:
    """Create a project. AWX syncs it at once; wait tells how that went."""
    api = await Api.of(call)
    organization = await resolve(api, "organizations", organization_id)
    body = {
        "name": name,
        "organization": organization,
        "scm_type": scm_type,
        "scm_url": scm_url,
        "scm_branch": scm_branch,
        "credential": credential_id,
        "description": description,
        "scm_clean": scm_clean,
        "scm_update_on_launch": scm_update_on_launch,
        "local_path": local_path,
    }
    made = await create(api, COLLECTION, body=body, within={"organization": organization})
    told: Created = {"id": made["id"], "name": made["name"], "status": made["status"]}
    update = _current(made)
    if update is None:
        return told
    told["update_job_id"] = update
    if not wait:
        return {**told, "next": _wait_for(update)}
    answer = await outcome(call, api, Run("project_update", update))
    return {**told, "status": answer.get("status", ""), "update": answer}


@tool(destructive=False, idempotent=True, open_world=True)
async def update_project(
    call: Call[Settings],
    project_id: int | str,
    name: str | None = None,
    scm_type: ScmType | None = None,
    scm_url: str | None = None,
    scm_branch: str | None = None,
    credential_id: int | None = None,
    description: str | None = None,
) -> Resynced:
    """Change a project. AWX syncs it again when its source has changed."""
    api = await Api.of(call)
    id_ = await resolve(api, COLLECTION, project_id)
    wanted = {
        "name": name,
        "scm_type": scm_type,
        "scm_url": _whole(scm_url),
        "scm_branch": scm_branch,
        "credential": credential_id,
        "description": description,
    }
    newest = await _newest(api, id_)
    told = (await change(api, COLLECTION, id_, wanted)).told
    update = await _newest(api, id_) if told.get("changed") else newest
    if update == newest or update is None:
        return {**told, "resync_started": False}
    return {**told, "resync_started": True, "update_job_id": update, "next": _wait_for(update)}


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_project(call: Call[Settings], project_id: int | str, dry_run: bool = False) -> Deleted:
    """Delete a project. dry_run counts the templates and sources that would break."""
    return await removed(await Api.of(call), COLLECTION, project_id, USERS, dry_run=dry_run)


@tool(destructive=False, open_world=True, timeout=WAIT_TIMEOUT)
async def sync_project(
    call: Call[Settings],
    project_id: int | str,
    wait: bool = False,
    wait_timeout_s: Annotated[float, Field(ge=0)] = 300,
) -> Synced:
    """Fetch a project's source again. With wait, answers with the result or what to call next."""
    api = await Api.of(call)
    id_ = await resolve(api, COLLECTION, project_id)
    started = await _started(call, api, id_)
    if wait:
        answer = await outcome(call, api, started.run, wait_timeout_s, warnings=started.warnings)
    else:
        answer = await handle(api, started.run, started.job, started.warnings)
    told = {"update_id": started.run.id, **answer}
    return cast(Synced, {**told, **(await _fetched(api, started.run) if answer.get("is_finished") else {})})


async def _fetched(api: Api, run: Run) -> dict[str, str]:
    """The revision an update has brought, if it has brought one."""
    update = await api.get(*run.path)
    return brief(revision=update["scm_revision"][:REVISION])


async def _started(call: Call[Settings], api: Api, project: int) -> Started:
    if not (await api.get(COLLECTION, project, "update"))["can_update"]:
        raise await _not_now(api, project)
    path = (COLLECTION, project, "update")
    return await start(call, api, path, {}, "project_update", within={"project": project})


async def _not_now(api: Api, id_: int) -> AwxError:
    """Why a project cannot be synced."""
    project = await api.get(COLLECTION, id_)
    if project["scm_type"]:
        message = f"the project {project['name']!r} cannot be synced now ({project['status']})"
        return AwxError("not_allowed_now", message, hint=f"awx_list_project_updates(project_id={id_})")
    message = (
        f"the project {project['name']!r} is manual: its playbooks lie in a folder of AWX, so nothing can be synced"
    )
    return AwxError("not_allowed_now", message, hint="change the files there, or give it a scm_type and a scm_url")


def _whole(url: str | None) -> str | None:
    """The URL, unless it is one that was shown without its password."""
    if url is not None and HIDDEN in url:
        raise AwxError(
            "validation", f"scm_url has {HIDDEN} in it", hint="leave scm_url out to keep it, or give all of it"
        )
    return url


def _current(project: Object) -> int | None:
    """The update that AWX has started by itself."""
    return named(project, "current_update", "id") or named(project, "current_job", "id")


async def _newest(api: Api, project: int) -> int | None:
    update = await api.first("project_updates", params={"project": project, "order_by": "-id"})
    return None if update is None else int(update["id"])


def _wait_for(update: int) -> str:
    return f"awx_wait_for_job(job_id={update}, job_type='project_update')"
