"""Group schedules: when templates run by themselves."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from pegboard import Call, Group, tool
from pegboard_awx.allowed import permit_inventory, permit_template
from pegboard_awx.api import Api, Object, named
from pegboard_awx.changing import Changed, change, unhidden
from pegboard_awx.creating import create
from pegboard_awx.deleting import Deleted, delete
from pegboard_awx.failures import AwxError
from pegboard_awx.names import resolve
from pegboard_awx.rules import Frequency, Plan, Weekday, tidy, words
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import (
    Detail,
    Listing,
    PageNumber,
    PageSize,
    brief,
    by_detail,
    finding,
    hidden,
    listed,
    moment,
)

LAUNCHED = ("job_template", "workflow_job_template")
"""Types of templates that are launched, which the operator may restrict."""
PROMPTS = ("limit", "inventory", "job_type", "job_tags", "skip_tags", "scm_branch", "verbosity", "forks", "diff_mode")
"""What a schedule may choose for the jobs it starts."""
SHOWN = 10
"""Runs AWX tells of a rule."""
MOST_UPCOMING = 100


class Scheduled(TypedDict, total=False):
    """A schedule that was made or switched."""

    id: int
    name: str
    enabled: bool
    next_run: str | None
    timezone: str
    rule_text: str
    warnings: list[str]


class Rescheduled(Changed, total=False):
    """What was changed of a schedule, and when it runs now."""

    next_run: str | None
    rule_text: str


class Preview(TypedDict):
    """The next runs of a rule, by the clock of its time zone and in UTC."""

    rule_text: str
    local: list[str]
    utc: list[str]


class Upcoming(TypedDict):
    """The next run of every schedule that runs until then, soonest first."""

    until: str
    items: list[dict[str, Any]]
    total: int | None
    has_more: bool


@tool(read_only=True, open_world=True)
async def list_schedules(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
    template_id: int | str | None = None,
    enabled: bool | None = None,
) -> Listing:
    """List schedules of templates, workflows, projects and inventory sources."""
    api = await Api.of(call)
    params = {
        **finding(search, name_contains, order_by),
        "unified_job_template": None if template_id is None else await _template_number(api, template_id),
        "enabled": enabled,
    }

    return await listed(
        api,
        "schedules",
        params=params,
        page=page,
        page_size=page_size,
        summarize=by_detail(detail, _schedule, _details),
    )


@tool(read_only=True, open_world=True)
async def get_schedule(call: Call[Settings], schedule_id: int) -> dict[str, Any]:
    """Show a schedule with its rule, its variables and its next runs."""
    api = await Api.of(call)
    item = await api.get("schedules", schedule_id)
    runs = await _next_runs(api, item["rrule"]) if item["enabled"] else []
    return {**_schedule(item), **_details(item), **brief(next_runs=runs)}


@tool(destructive=False, open_world=True)
async def create_schedule(
    call: Call[Settings],
    template_id: int | str,
    name: str,
    rrule: str | None = None,
    start: datetime | None = None,
    frequency: Frequency | None = None,
    interval: Annotated[int, Field(ge=1)] = 1,
    timezone: str = "UTC",
    weekdays: list[Weekday] | None = None,
    count: int | None = None,
    until: datetime | None = None,
    extra_data: dict[str, Any] | None = None,
    limit: str | None = None,
    enabled: bool = True,
) -> Scheduled:
    """Schedule a template, by rrule or by start and frequency. A start without offset is in timezone.

    extra_data and limit only where the template prompts for them.
    """
    rule = _rule(rrule, start, frequency, interval, timezone, weekdays, count, until)
    api = await Api.of(call)
    template = await _template(api, template_id)
    await _permit(call, api, template)
    body = {
        "name": name,
        "unified_job_template": template["id"],
        "rrule": rule,
        "extra_data": extra_data,
        "limit": limit,
        "enabled": enabled,
    }
    made = await create(api, "schedules", body=body, within={"unified_job_template": template["id"]})
    return _scheduled(made)


@tool(destructive=False, idempotent=True, open_world=True)
async def update_schedule(
    call: Call[Settings],
    schedule_id: int,
    name: str | None = None,
    rrule: str | None = None,
    enabled: bool | None = None,
    extra_data: dict[str, Any] | None = None,
) -> Rescheduled:
    """Change a schedule; extra_data replaces what it has."""
    api = await Api.of(call)
    before = await api.get("schedules", schedule_id)
    if rrule is not None or extra_data is not None or enabled:
        await _permit_runs(call, api, before)
    data = None if extra_data is None else unhidden(extra_data, before["extra_data"], "extra_data")
    wanted = {"name": name, "rrule": rrule and tidy(rrule), "enabled": enabled, "extra_data": data}
    done = await change(api, "schedules", schedule_id, wanted)
    after = done.after
    return {**done.told, "next_run": moment(after["next_run"]), "rule_text": words(after["rrule"])}


@tool(destructive=False, idempotent=True, open_world=True)
async def toggle_schedule(call: Call[Settings], schedule_id: int, enabled: bool) -> Scheduled:
    """Switch a schedule on or off."""
    api = await Api.of(call)
    if enabled:
        await _permit_runs(call, api, await api.get("schedules", schedule_id))
    return _scheduled((await change(api, "schedules", schedule_id, {"enabled": enabled})).after)


@tool(destructive=True, idempotent=True, open_world=True)
async def delete_schedule(call: Call[Settings], schedule_id: int, dry_run: bool = False) -> Deleted:
    """Delete a schedule; jobs it has started stay."""
    return await delete(await Api.of(call), "schedules", schedule_id, dry_run=dry_run)


@tool(read_only=True, open_world=True)
async def preview_schedule(
    call: Call[Settings], rrule: str, count: Annotated[int, Field(ge=1, le=SHOWN)] = 5
) -> Preview:
    """Show the next runs of a rule, like DTSTART;TZID=Europe/Zurich:20270101T030000 RRULE:FREQ=DAILY;INTERVAL=1."""
    runs = await (await Api.of(call)).post("schedules", "preview", json={"rrule": tidy(rrule)})
    return {"rule_text": words(tidy(rrule)), "local": runs["local"][:count], "utc": runs["utc"][:count]}


@tool(read_only=True, open_world=True)
async def list_upcoming_runs(
    call: Call[Settings], within_hours: Annotated[float, Field(gt=0, le=8784)] = 24
) -> Upcoming:
    """List what runs next by schedule, soonest first: each schedule once, with how it repeats."""
    api = await Api.of(call)
    until = (datetime.now(UTC) + timedelta(hours=within_hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    params = {"enabled": True, "next_run__lte": until, "order_by": "next_run"}
    found = await api.page("schedules", params=params, size=MOST_UPCOMING)
    items = [_upcoming(item) for item in found.items]
    return {"until": until, "items": items, "total": found.total, "has_more": found.has_more}


def _schedule(item: Object) -> dict[str, Any]:
    return {
        **brief(id=item["id"], name=item["name"], template=named(item, "unified_job_template")),
        "enabled": item["enabled"],
        **brief(next_run=moment(item["next_run"]), timezone=item["timezone"], rule_text=words(item["rrule"])),
    }


def _details(item: Object) -> dict[str, Any]:
    return brief(
        template_type=named(item, "unified_job_template", "unified_job_type"),
        description=item["description"],
        rrule=item["rrule"],
        ends=moment(item["dtend"]),
        extra_data=hidden(item["extra_data"]),
        **{name: named(item, "inventory") if name == "inventory" else item[name] for name in PROMPTS if item[name]},
    )


def _scheduled(item: Object) -> Scheduled:
    told: Scheduled = {
        "id": item["id"],
        "name": item["name"],
        "enabled": item["enabled"],
        "next_run": moment(item["next_run"]),
        "timezone": item["timezone"],
        "rule_text": words(item["rrule"]),
    }
    if item["enabled"] and not item["next_run"]:
        told["warnings"] = ["it is enabled, but all its runs are in the past"]
    return told


def _upcoming(item: Object) -> dict[str, Any]:
    return brief(
        when=moment(item["next_run"]),
        template=named(item, "unified_job_template"),
        schedule=item["name"],
        schedule_id=item["id"],
        repeats=words(item["rrule"]),
        timezone=item["timezone"],
    )


def _rule(
    rrule: str | None,
    start: datetime | None,
    frequency: Frequency | None,
    interval: int,
    timezone: str,
    weekdays: list[Weekday] | None,
    count: int | None,
    until: datetime | None,
) -> str:
    """The rule that was given, or one of the plain fields; raises `AwxError` where it is neither or both."""
    if rrule is not None:
        if start is not None or frequency is not None:
            raise AwxError("validation", "rrule was given, and start or frequency too", hint="give one of them")
        return tidy(rrule)
    if start is None or frequency is None:
        missing = " and ".join(name for name, value in (("start", start), ("frequency", frequency)) if value is None)
        raise AwxError("validation", f"{missing} must be given", hint="or rrule, if you have one")
    return Plan(start, frequency, interval, timezone, weekdays or (), count, until).rule()


async def _template_number(api: Api, ref: int | str) -> int:
    """The number of a template; by name it is one that is launched, since projects may have the same names."""
    return await resolve(api, "unified_job_templates", ref, within={"type": ",".join(LAUNCHED)})


async def _template(api: Api, ref: int | str) -> Object:
    number = await _template_number(api, ref)
    found = await api.first("unified_job_templates", params={"id": number})
    if found is None:
        hint = "awx_search_templates finds them by name"
        raise AwxError("not_found", f"there is no template {number}, or you may not see it", hint=hint)
    return found


async def _permit(call: Call[Settings], api: Api, template: Object) -> None:
    """What may not be launched may not be scheduled either; raises `AwxError` "policy"."""
    if template["type"] in LAUNCHED:
        permit_template(call, template["id"], template["name"])
    await permit_inventory(call, api, template.get("inventory"), named(template, "inventory"))


async def _permit_runs(call: Call[Settings], api: Api, schedule: Object) -> None:
    """The same for a schedule that is there."""
    if call.settings.allow_templates is not None or call.settings.allow_inventories is not None:
        await _permit(call, api, await _template(api, schedule["unified_job_template"]))


async def _next_runs(api: Api, rrule: str) -> list[str]:
    """The next runs by the clock of the rule's time zone; none where AWX does not tell this user."""
    try:
        return (await api.post("schedules", "preview", json={"rrule": rrule}))["local"]
    except AwxError as error:
        if error.kind not in ("permission", "validation"):  # a token that only reads may not even ask
            raise
        return []


GROUP = Group(
    "schedules",
    title="Schedules",
    tools=[
        list_schedules,
        get_schedule,
        create_schedule,
        update_schedule,
        toggle_schedule,
        delete_schedule,
        preview_schedule,
        list_upcoming_runs,
    ],
)

ALIASES: dict[str, str] = {}
"""Old names, without the prefix `awx_`; none differ."""
