"""Group advanced: credentials. Their secrets go in and never come out."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from pegboard import Call, Group, tool
from pegboard_awx.api import Api, Object, named
from pegboard_awx.associating import Associated, associate
from pegboard_awx.changing import Changed, Unseen, change
from pegboard_awx.creating import create
from pegboard_awx.deleting import Deleted, delete, would_delete
from pegboard_awx.failures import AwxError
from pegboard_awx.inputs import Form, different, without
from pegboard_awx.names import resolve
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import (
    Detail,
    Listing,
    PageNumber,
    PageSize,
    brief,
    by_detail,
    finding,
    listed,
    mapping,
    moment,
)
from pegboard_awx.usage import usage

Secrets = Annotated[dict[str, Any], Field(json_schema_extra={"writeOnly": True})]

USERS = {
    "job_templates": ("job_templates", "credentials"),
    "projects": ("projects", "credential"),
    "inventory_sources": ("inventory_sources", "credentials"),
    "schedules": ("schedules", "credentials"),
    "execution_environments": ("execution_environments", "credential"),
}
"""What uses a credential, and loses it without a word."""


class CredentialMade(TypedDict, total=False):
    """A credential that was made."""

    id: int
    name: str
    type: str
    warnings: list[str]


@tool(read_only=True, open_world=True)
async def list_credentials(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
    kind: Annotated[str, Field(description="Like ssh, scm, cloud, aws.")] | None = None,
    organization_id: int | None = None,
) -> Listing:
    """List credentials, without their inputs."""
    params = {
        **finding(search, name_contains, order_by),
        "organization": organization_id,
        "or__credential_type__kind": kind,
        "or__credential_type__namespace": kind,
    }

    api = await Api.of(call)
    return await listed(
        api,
        "credentials",
        params=params,
        page=page,
        page_size=page_size,
        summarize=by_detail(detail, _credential, _details),
    )


@tool(read_only=True, open_world=True)
async def get_credential(call: Call[Settings], credential_id: int | str) -> dict[str, Any]:
    """Show a credential: which inputs are set and which are secret, not their values."""
    api = await Api.of(call)
    item = await api.get("credentials", await resolve(api, "credentials", credential_id))
    form = await _form(api, item["credential_type"])
    inputs = [brief(id=name, secret=name in form.secrets) for name in _set(item)]
    unset = [one.id for one in form.inputs if one.id not in _set(item)]
    return {**_credential(item), **_details(item), "inputs": inputs, **brief(unset=unset)}


@tool(destructive=False, open_world=True)
async def create_credential(
    call: Call[Settings],
    name: str,
    credential_type: int | str,
    inputs: Secrets,
    organization_id: int | str | None = None,
    user_id: int | None = None,
    team_id: int | None = None,
    description: str | None = None,
) -> CredentialMade:
    """Create a credential of one organization, user or team. get_credential_type shows its inputs."""
    _check_owner(organization_id, user_id, team_id)
    api = await Api.of(call)
    home = None if organization_id is None else await resolve(api, "organizations", organization_id)
    form = await _form(api, await resolve(api, "credential_types", credential_type))
    values = form.put(inputs, {})
    body = {"name": name, "description": description, "credential_type": form.id, "inputs": values}
    owner = {"organization": home, "user": user_id, "team": team_id}
    within = {"credential_type": form.id, "organization": home}
    try:
        made = await create(api, "credentials", body={**body, **owner}, within=within)
    except AwxError as error:
        raise without(error, _secrets(form, inputs)) from None  # the cause would tell them
    told: CredentialMade = {"id": made["id"], "name": made["name"], "type": form.name}
    return {**told, "warnings": form.missing(values)} if form.missing(values) else told


@tool(destructive=False, idempotent=True, open_world=True)
async def update_credential(
    call: Call[Settings],
    credential_id: int | str,
    name: str | None = None,
    description: str | None = None,
    inputs: Secrets | None = None,
) -> Changed:
    """Change a credential. Inputs that are left out stay; null takes one away."""
    api = await Api.of(call)
    number = await resolve(api, "credentials", credential_id)
    wanted: dict[str, Any] = {"name": name, "description": description}
    if not inputs:
        return (await change(api, "credentials", number, wanted)).told
    item = await api.get("credentials", number)
    form, before = await _form(api, item["credential_type"]), mapping(item["inputs"])
    after = form.put(inputs, before)
    names = different(form, before, after)
    wanted["inputs"] = Unseen(after, names) if names else None
    try:
        return (await change(api, "credentials", number, wanted)).told
    except AwxError as error:
        raise without(error, _secrets(form, inputs)) from None  # the cause would tell them


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_credential(call: Call[Settings], credential_id: int | str, dry_run: bool = False) -> Deleted:
    """Delete a credential. What uses it is left without: dry_run counts that."""
    api = await Api.of(call)
    number = await resolve(api, "credentials", credential_id)
    used_by = await usage(api, number, USERS)
    if dry_run:
        return would_delete("credentials", await api.get("credentials", number), used_by)
    told = await delete(api, "credentials", number, dry_run=False)
    return {**told, "related": used_by} if used_by else told


@tool(read_only=True, open_world=True)
async def list_credential_types(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
    kind: str | None = None,
) -> Listing:
    """List credential types."""
    params = {**finding(search, name_contains, order_by), "kind": kind}

    api = await Api.of(call)
    return await listed(
        api,
        "credential_types",
        params=params,
        page=page,
        page_size=page_size,
        summarize=by_detail(detail, _type, _type_details),
    )


@tool(read_only=True, open_world=True)
async def get_credential_type(call: Call[Settings], credential_type_id: int | str) -> dict[str, Any]:
    """Show which inputs credentials of a type take."""
    api = await Api.of(call)
    item = await api.get("credential_types", await resolve(api, "credential_types", credential_type_id))
    return {**_type(item), **_type_details(item), "fields": [one.shown for one in Form.of(item).inputs]}


@tool(destructive=False, idempotent=True, open_world=True)
async def set_template_credentials(
    call: Call[Settings],
    template_id: int | str,
    add: list[int] | None = None,
    remove: list[int] | None = None,
) -> Associated:
    """Give a job template credentials, one of each type, and take others from it first."""
    api = await Api.of(call)
    path = ("job_templates", await resolve(api, "job_templates", template_id), "credentials")
    return await associate(api, *path, collection="credentials", add=add, remove=remove)


async def _form(api: Api, credential_type: int) -> Form:
    return Form.of(await api.get("credential_types", credential_type))


def _check_owner(*owners: int | str | None) -> None:
    count = sum(owner is not None for owner in owners)
    if count != 1:
        message = f"a credential belongs to one organization, user or team, and {count or 'none'} are given"
        raise AwxError("validation", message, hint="give one of organization_id, user_id and team_id")


def _secrets(form: Form, inputs: Mapping[str, Any]) -> list[Any]:
    return [value for name, value in inputs.items() if name in form.secrets]


def _set(item: Object) -> list[str]:
    return [name for name, value in mapping(item["inputs"]).items() if value not in (None, "")]


def _credential(item: Object) -> dict[str, Any]:
    owners = item["summary_fields"].get("owners", ())
    return brief(
        id=item["id"],
        name=item["name"],
        type=named(item, "credential_type"),
        organization=named(item, "organization"),
        owners=[f"{one['type']} {one['name']}" for one in owners if one["type"] != "organization"],
        managed=item["managed"],
    )


def _details(item: Object) -> dict[str, Any]:
    return brief(description=item["description"], kind=item["kind"], modified=moment(item["modified"]))


def _type(item: Object) -> dict[str, Any]:
    return brief(id=item["id"], name=item["name"], kind=item["kind"], managed=item["managed"])


def _type_details(item: Object) -> dict[str, Any]:
    return brief(description=item["description"], namespace=item["namespace"])


GROUP = Group(
    "advanced",
    title="Credentials",
    tools=[
        list_credentials,
        get_credential,
        create_credential,
        update_credential,
        delete_credential,
        list_credential_types,
        get_credential_type,
        set_template_credentials,
    ],
)

ALIASES = {
    "credentials_list": "list_credentials",
    "credential_create": "create_credential",
    "credential_delete": "delete_credential",
    "credential_types_list": "list_credential_types",
}
"""Old names, without the prefix `awx_`."""
