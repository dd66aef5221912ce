"""Schedules: rules by which templates run."""

from collections.abc import Iterable, Mapping
from datetime import UTC
from itertools import islice
from typing import Any
from zoneinfo import available_timezones

from pegboard_awx.double import rrules, surveys
from pegboard_awx.double.clock import stamp
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.refusals import bad_field
from pegboard_awx.double.resources import Resource, Values, tables
from pegboard_awx.double.routes import Table
from pegboard_awx.double.sublists import Children, Linked, Related
from pegboard_awx.double.sublists import tables as sublists
from pegboard_awx.double.visits import Reply, Visit

OWNERS = ("job_templates", "projects", "inventory_sources", "workflow_job_templates", "system_job_templates")
SHOWN = 10
NOT_ASKED = (
    "Variables {} are not allowed on launch. Check the Prompt on Launch setting on the Job Template to include Extra "
    "Variables."
)


def _prepare(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    merged = {**(row or {}), **values}
    rule = rrules.read(merged["rrule"])
    template = visit.store.get("unified_job_templates", merged["unified_job_template"])
    if template is not None:
        _check_prompts(template, values)
    values.update(
        dtstart=rule.start.astimezone(UTC),
        dtend=rule.end(),
        timezone=rule.zone,
        until=rule.parts.get("UNTIL", ""),
        next_run=rule.next_after(visit.world.now()) if merged.get("enabled", True) else None,
    )


def _check_prompts(template: Row, values: Values) -> None:
    known = {question["variable"] for question in surveys.questions(template)}
    refused = [name for name in values.get("extra_data", {}) if name not in known]
    system = template["_collection"] == "system_job_templates"
    if refused and not template.get("ask_variables_on_launch") and not system:
        raise bad_field("extra_data", NOT_ASKED.format(", ".join(refused)))
    if values.get("limit") and not template.get("ask_limit_on_launch"):
        raise bad_field("limit", "Field is not configured to prompt on launch.")


def _preview(visit: Visit) -> Reply:
    """Tell when a rule would fire from now on; nothing is written."""
    rule, now = rrules.read(str(visit.body.get("rrule", ""))), visit.world.now()
    moments = list(islice((one for one in rule.moments() if one > now), SHOWN))
    return Reply(body={"local": [one.isoformat() for one in moments], "utc": [stamp(one) for one in moments]})


def _zones(visit: Visit) -> Reply:  # noqa: ARG001 # the shape of all
    return Reply(body={"zones": sorted(available_timezones()), "links": {}})


def _jobs(visit: Visit, row: Row) -> Iterable[Row]:
    return (job for job in visit.store.all("unified_jobs") if job.get("_schedule") == row["id"])


SCHEDULES = Resource("schedules", prepare=_prepare)

ROUTES: Table = {
    ("POST", "schedules/preview/"): _preview,
    ("GET", "schedules/zoneinfo/"): _zones,
    **tables([SCHEDULES]),
    **sublists([Children(owner, "schedules", "schedules", "unified_job_template", SCHEDULES) for owner in OWNERS]),
    **sublists(
        [
            Linked("schedules", "credentials"),
            Linked("schedules", "labels"),
            Related("schedules", "jobs", "unified_jobs", _jobs),
        ]
    ),
}
