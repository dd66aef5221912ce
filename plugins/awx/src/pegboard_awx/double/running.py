"""Running: how handlers start jobs, and refuse to delete what jobs are using."""

from collections.abc import Mapping
from typing import Any

from pegboard_awx.double.kinds import Row
from pegboard_awx.double.life import ACTIVE
from pegboard_awx.double.refusals import Refusal
from pegboard_awx.double.spawning import run
from pegboard_awx.double.store import kind_of
from pegboard_awx.double.visits import Visit


def start(visit: Visit, template: Row, given: Mapping[str, Any] | None = None, **more: Any) -> Row:
    """Start the job of a template for the user of a visit."""
    return visit.life.start(run(visit.world, template, visit.user, given, **more))


def in_use(visit: Visit, field: str, row: Row) -> None:
    """Refuse while a job that has not ended uses an object."""
    jobs = [job for job in visit.store.all("unified_jobs") if job.get(field) == row["id"] and job["status"] in ACTIVE]
    if jobs:
        active = [{"id": job["id"], "type": kind_of(job).type} for job in jobs]
        raise Refusal(409, {"error": "Resource is being used by running jobs.", "active_jobs": active})
