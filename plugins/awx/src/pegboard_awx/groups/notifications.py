"""Group notifications: who changed what, and whom AWX tells when a job starts, succeeds or fails."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import anyio
from pydantic import Field
from typing_extensions import TypedDict

from pegboard import Call, Group, tool
from pegboard_awx.activity import details, line, type_of
from pegboard_awx.api import Api, Object, named
from pegboard_awx.changing import Changed, Unseen, change
from pegboard_awx.creating import create
from pegboard_awx.deleting import Deleted
from pegboard_awx.failures import AwxError
from pegboard_awx.names import resolve
from pegboard_awx.notices import changed, last, plain, sent, shown
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
from pegboard_awx.usage import removed

Kind = Literal[
    "awssns", "email", "grafana", "irc", "mattermost", "pagerduty", "rocketchat", "slack", "twilio", "webhook"
]
Configuration = Annotated[dict[str, Any], Field(json_schema_extra={"writeOnly": True})]
"""Has tokens and passwords in it, so no question and no record shows it."""

SENDING = 20.0
"""Seconds to wait for a test message; AWX gives up on most servers sooner."""
PAUSE = 0.5
EVENTS = ("started", "success", "error")
USERS: Mapping[str, tuple[str, str]] = {
    f"{word}_on_{event}": (collection, f"notification_templates_{event}")
    for word, collection in (("templates", "unified_job_templates"), ("organizations", "organizations"))
    for event in EVENTS
}
"""What sends its messages through a notification template, by the event."""


class Activity(Listing, total=False):
    """A page of events; `next` says how to find what is not in it."""

    next: str


class Made(TypedDict):
    """A notification template that was made."""

    id: int
    name: str
    next: str


class Tested(TypedDict, total=False):
    """How a test message went."""

    status: str
    error: str
    notification_id: int
    next: str


@tool(read_only=True, open_world=True)
async def list_activity_stream(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "-id",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
    object_type: str | None = None,
    object_id: int | None = None,
    actor: str | None = None,
    operation: Literal["create", "update", "delete", "associate", "disassociate"] | None = None,
    since: datetime | None = None,
) -> Activity:
    """List who did what, newest first. object_type is like job_template; actor is a username."""
    params = {
        # An event has no name of its own: what changed is all that AWX searches, for every one of these words.
        "search": joined([word for word in (search, name_contains) if word]) or None,
        "order_by": order_by,
        "actor__username": actor,
        "operation": operation,
        "timestamp__gte": since.isoformat() if since else None,
        **_about(object_type, object_id),
    }
    summarize = line if detail == "summary" else details
    found = await listed(
        await Api.of(call), "activity_stream", params=params, page=page, page_size=page_size, summarize=summarize
    )
    if object_id is not None and not found["total"]:
        return {**found, "next": "AWX forgets the ids of what was deleted; search for the name, without object_id"}
    return {**found}


@tool(read_only=True, open_world=True)
async def get_activity_event(call: Call[Settings], event_id: int) -> dict[str, Any]:
    """Show one event of the activity stream with all that changed, old and new; AWX hides secrets."""
    return details(await (await Api.of(call)).get("activity_stream", event_id))


@tool(read_only=True, open_world=True)
async def list_notification_templates(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
) -> Listing:
    """List notification templates and how their last message went."""

    api, params = await Api.of(call), finding(search, name_contains, order_by)
    path = ("notification_templates",)
    return await listed(
        api, *path, params=params, page=page, page_size=page_size, summarize=by_detail(detail, _template, _details)
    )


@tool(read_only=True, open_world=True)
async def get_notification_template(call: Call[Settings], notification_template_id: int | str) -> dict[str, Any]:
    """Show where a notification template sends to, without secrets, and its last messages."""
    api = await Api.of(call)
    item = await api.get(
        "notification_templates", await resolve(api, "notification_templates", notification_template_id)
    )
    recent = [sent(mapping(one)) for one in sequence(item["summary_fields"].get("recent_notifications"))]
    return {**_template(item), **_details(item), **brief(recent_notifications=recent)}


@tool(destructive=False, open_world=True)
async def create_notification_template(
    call: Call[Settings],
    name: str,
    organization_id: int | str,
    notification_type: Kind,
    notification_configuration: Configuration,
    description: str | None = None,
) -> Made:
    """Create a notification template. The configuration depends on the type: url and headers for a webhook,
    token and channels for slack; what is missing is named."""
    api = await Api.of(call)
    organization = await resolve(api, "organizations", organization_id)
    body = {
        "name": name,
        "organization": organization,
        "notification_type": notification_type,
        "notification_configuration": notification_configuration,
        "description": description,
    }
    made = await create(api, "notification_templates", body=body, within={"organization": organization})
    then = f"awx_test_notification_template(notification_template_id={made['id']}) sends a message"
    return {"id": made["id"], "name": made["name"], "next": then}


@tool(destructive=False, idempotent=True, open_world=True)
async def update_notification_template(
    call: Call[Settings],
    notification_template_id: int | str,
    name: str | None = None,
    notification_configuration: Configuration | None = None,
) -> Changed:
    """Change a notification template. Keys of the configuration that are not given stay, secrets too."""
    api = await Api.of(call)
    id_ = await resolve(api, "notification_templates", notification_template_id)
    wanted = {"name": name, "notification_configuration": await _configured(api, id_, notification_configuration)}
    return (await change(api, "notification_templates", id_, wanted)).told


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_notification_template(
    call: Call[Settings], notification_template_id: int | str, dry_run: bool = False
) -> Deleted:
    """Delete a notification template; a dry run counts the templates that send through it."""
    api = await Api.of(call)
    return await removed(api, "notification_templates", notification_template_id, USERS, dry_run=dry_run)


@tool(destructive=False, open_world=True)
async def test_notification_template(
    call: Call[Settings],
    notification_template_id: int | str,
    wait: bool = True,  # noqa: PT028 # a tool
) -> Tested:
    """Send a test message to real people or systems, and tell whether it arrived."""
    api = await Api.of(call)
    id_ = await resolve(api, "notification_templates", notification_template_id)
    notice = await api.post("notification_templates", id_, "test")
    if wait:
        notice = await _delivered(call, api, notice)
    told: Tested = {"status": notice["status"], "notification_id": notice["id"]}
    if notice["error"]:
        told["error"] = plain(notice["error"])
    if notice["status"] == "pending":
        told["next"] = f"awx_get_notification_template(notification_template_id={id_}) shows how it went"
    return told


async def _delivered(call: Call[Settings], api: Api, notice: Object) -> Object:
    """The message when it has arrived or failed, or as it is when the time is over."""
    with call.waiting(SENDING):
        notice = await api.get("notifications", notice["id"])
        while notice["status"] == "pending":
            await anyio.sleep(PAUSE)
            notice = await api.get("notifications", notice["id"])
    return notice


async def _configured(api: Api, id_: int, given: dict[str, Any] | None) -> Unseen | None:
    """The whole configuration, as AWX wants it, with what was given in it; `None` where that changes nothing."""
    if given is None:
        return None
    old = mapping((await api.get("notification_templates", id_))["notification_configuration"])
    new = changed(old, given)
    names = [f"notification_configuration.{name}" for name in new if name not in old or new[name] != old[name]]
    return Unseen(new, names) if names else None


def _about(object_type: str | None, object_id: int | None) -> dict[str, Any]:
    """The filters for one object, or for all of a type, on either side of an event."""
    if object_type is None:
        if object_id is not None:
            raise AwxError("validation", "object_id needs object_type", hint='like object_type="job_template"')
        return {}
    type_ = type_of(object_type)
    if object_id is not None:
        return {f"{type_}__id": object_id}
    return {"or__object1": type_, "or__object2": type_}


def _template(item: Object) -> dict[str, Any]:
    return brief(
        id=item["id"],
        name=item["name"],
        type=item["notification_type"],
        organization=named(item, "organization"),
        last_status=last(item),
    )


def _details(item: Object) -> dict[str, Any]:
    messages = [event for event, text in mapping(item["messages"]).items() if text]
    return brief(
        description=item["description"],
        notification_configuration=shown(mapping(item["notification_configuration"])),
        own_messages=messages,
        modified=moment(item["modified"]),
    )


GROUP = Group(
    "notifications",
    title="Activity stream and notifications",
    tools=[
        list_activity_stream,
        get_activity_event,
        list_notification_templates,
        get_notification_template,
        create_notification_template,
        update_notification_template,
        delete_notification_template,
        test_notification_template,
    ],
)

ALIASES: dict[str, str] = {"list_notifications": "list_notification_templates"}
"""Old names, without the prefix `awx_`."""
