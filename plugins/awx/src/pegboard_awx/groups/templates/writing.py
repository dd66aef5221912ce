"""Making, changing, copying and deleting job templates and their surveys."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from pegboard import Call, tool
from pegboard_awx import surveys
from pegboard_awx.api import Api
from pegboard_awx.changing import Changed, Variables, change, written
from pegboard_awx.creating import create
from pegboard_awx.deleting import Deleted
from pegboard_awx.failures import AwxError
from pegboard_awx.names import resolve
from pegboard_awx.pages import page
from pegboard_awx.settings import Settings
from pegboard_awx.surveys import Question
from pegboard_awx.usage import removed

COLLECTION = "job_templates"
USERS = {
    "schedules": ("schedules", "unified_job_template"),
    "workflow_nodes": ("workflow_job_template_nodes", "unified_job_template"),
}
SHOWN_PLAYBOOKS = 10

JobKind = Literal["run", "check"]
Verbosity = Annotated[int, Field(ge=0, le=5)]


class Created(TypedDict, total=False):
    """What was made; `warnings` say what was not."""

    id: int
    name: str
    web_url: str
    warnings: list[str]


class Survey(TypedDict):
    """The survey as it is now."""

    template_id: int
    questions: int
    enabled: bool


@tool(destructive=False, open_world=True)
async def create_job_template(
    call: Call[Settings],
    name: str,
    project_id: int | str,
    playbook: str,
    inventory_id: int | str | None = None,
    job_type: JobKind | None = None,
    description: str | None = None,
    extra_vars: dict[str, Any] | None = None,
    limit: str | None = None,
    credentials: list[int] | None = None,
    ask_variables_on_launch: bool | None = None,
    ask_limit_on_launch: bool | None = None,
    ask_inventory_on_launch: bool | None = None,
    become_enabled: bool | None = None,
    verbosity: Verbosity | None = None,
    allow_simultaneous: bool | None = None,
) -> Created:
    """Create a job template. Needs an inventory or ask_inventory_on_launch."""
    api = await Api.of(call)
    project = await resolve(api, "projects", project_id)
    body = {
        "name": name,
        "description": description,
        "project": project,
        "playbook": playbook,
        "inventory": None if inventory_id is None else await resolve(api, "inventories", inventory_id),
        "job_type": job_type,
        "extra_vars": written(extra_vars),
        "limit": limit,
        "ask_variables_on_launch": ask_variables_on_launch,
        "ask_limit_on_launch": ask_limit_on_launch,
        "ask_inventory_on_launch": ask_inventory_on_launch,
        "become_enabled": become_enabled,
        "verbosity": verbosity,
        "allow_simultaneous": allow_simultaneous,
    }
    async with _naming_playbooks(api, project, playbook):
        made = await create(api, COLLECTION, body=body, within={"organization__projects": project})
    warnings = await _attached(api, made["id"], credentials or [])
    return await _created(api, made["id"], made["name"], warnings)


@tool(destructive=False, idempotent=True, open_world=True)
async def update_job_template(
    call: Call[Settings],
    template_id: int | str,
    name: str | None = None,
    project_id: int | str | None = None,
    playbook: str | None = None,
    inventory_id: int | str | None = None,
    job_type: JobKind | None = None,
    description: str | None = None,
    extra_vars: dict[str, Any] | None = None,
    limit: str | None = None,
    credentials: list[int] | None = None,
    ask_variables_on_launch: bool | None = None,
    ask_limit_on_launch: bool | None = None,
    ask_inventory_on_launch: bool | None = None,
    become_enabled: bool | None = None,
    verbosity: Verbosity | None = None,
    allow_simultaneous: bool | None = None,
) -> Changed:
    """Change a job template; extra_vars and credentials replace all of theirs."""
    api = await Api.of(call)
    template = await api.get(COLLECTION, await resolve(api, COLLECTION, template_id))
    project = template["project"] if project_id is None else await resolve(api, "projects", project_id)
    wanted = {
        "name": name,
        "description": description,
        "project": project,
        "playbook": playbook,
        "inventory": None if inventory_id is None else await resolve(api, "inventories", inventory_id),
        "job_type": job_type,
        "extra_vars": None if extra_vars is None else Variables(extra_vars, merge=False),
        "limit": limit,
        "ask_variables_on_launch": ask_variables_on_launch,
        "ask_limit_on_launch": ask_limit_on_launch,
        "ask_inventory_on_launch": ask_inventory_on_launch,
        "become_enabled": become_enabled,
        "verbosity": verbosity,
        "allow_simultaneous": allow_simultaneous,
    }
    async with _naming_playbooks(api, project, playbook or template["playbook"]):
        told = (await change(api, COLLECTION, template["id"], wanted)).told
    return told if credentials is None else await _with_credentials(api, told, credentials)


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_job_template(call: Call[Settings], template_id: int | str, dry_run: bool = False) -> Deleted:
    """Delete a job template. dry_run counts the schedules and workflow nodes that would break."""
    return await removed(await Api.of(call), COLLECTION, template_id, USERS, dry_run=dry_run)


@tool(destructive=False, open_world=True)
async def copy_job_template(call: Call[Settings], template_id: int | str, name: str) -> Created:
    """Copy a job template with its credentials and survey under a new name."""
    api = await Api.of(call)
    id_ = await resolve(api, COLLECTION, template_id)
    made = await create(api, COLLECTION, id_, "copy", body={"name": name}, into=COLLECTION)
    return await _created(api, made["id"], made["name"], [])


@tool(destructive=False, idempotent=True, open_world=True)
async def set_survey(
    call: Call[Settings], template_id: int | str, questions: list[Question], enable: bool = True
) -> Survey:
    """Replace the survey of a job template, as get_launch_requirements shows it; no questions remove it."""
    api = await Api.of(call)
    template = await api.get(COLLECTION, await resolve(api, COLLECTION, template_id))
    path = (COLLECTION, template["id"], "survey_spec")
    if questions:
        await api.post(*path, json=surveys.written(questions))
    else:
        await api.delete(*path)
    is_on = enable and bool(questions)
    if template["survey_enabled"] is not is_on:
        await api.patch(COLLECTION, template["id"], json={"survey_enabled": is_on})
    return {"template_id": template["id"], "questions": len(questions), "enabled": is_on}


async def _created(api: Api, id_: int, name: str, warnings: Sequence[str]) -> Created:
    told: Created = {"id": id_, "name": name, "web_url": await page(api, "templates", "job_template", id_)}
    return {**told, "warnings": list(warnings)} if warnings else told


async def _attached(api: Api, template: int, credentials: Sequence[int]) -> list[str]:
    """Give a template credentials, and say which it did not get; the others are there."""
    warnings: list[str] = []
    for credential in credentials:
        try:
            await api.associate(COLLECTION, template, "credentials", id=credential)
        except AwxError as error:
            warnings.append(f"credential {credential} was not attached: {error}")
    return warnings


async def _with_credentials(api: Api, told: Changed, wanted: Sequence[int]) -> Changed:
    """Give a template exactly these credentials; the old ones go first, as it may have one of each type only."""
    template = told.get("id", 0)
    there = {one["id"] async for one in api.all(COLLECTION, template, "credentials")}
    for credential in sorted(there - set(wanted)):
        await api.associate(COLLECTION, template, "credentials", id=credential, remove=True)
    new = [credential for credential in wanted if credential not in there]
    warnings = [*told.get("warnings", []), *await _attached(api, template, new)]
    changed = [*told.get("changed", []), *(["credentials"] if there != set(wanted) else [])]
    answer: Changed = {**told, "changed": changed}
    return {**answer, "warnings": warnings} if warnings else answer


@asynccontextmanager
async def _naming_playbooks(api: Api, project: int | None, playbook: str) -> AsyncGenerator[None]:
    """Tell the playbooks of the project when AWX does not know this one."""
    try:
        yield
    except AwxError as error:
        if error.kind != "validation" or "playbook" not in error.fields:
            raise
        hint = None if project is None else await _playbooks(api, project, playbook)
        raise AwxError(error.kind, error.message, hint=hint, status=error.status, fields=error.fields) from error


async def _playbooks(api: Api, project: int, playbook: str) -> str | None:
    try:
        names: list[str] = await api.get("projects", project, "playbooks")
    except AwxError:  # the refusal of the template tells more
        return None
    if not names:
        return f"project {project} has no playbooks; has it been synced (awx_sync_project)?"
    near = get_close_matches(playbook, names, SHOWN_PLAYBOOKS) or names[:SHOWN_PLAYBOOKS]
    more = f"; awx_list_project_playbooks lists all {len(names)}" if len(names) > len(near) else ""
    return f"the project has {', '.join(near)}{more}"
