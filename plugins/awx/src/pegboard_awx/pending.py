"""Why a job has not started yet: AWX itself leaves the explanation empty."""

from typing import Any

from pegboard_awx.api import Api, Object, named
from pegboard_awx.runs import Run

NOT_STARTED = frozenset({"new", "pending", "waiting"})
RUNNING = "pending,waiting,running"


async def why_pending(api: Api, run: Run, job: Object) -> str | None:
    """One sentence, or `None` for a job that has started."""
    if job["status"] not in NOT_STARTED:
        return None
    if job.get("job_explanation"):
        return str(job["job_explanation"])
    for reason in (_same_template, _update, _capacity):
        if (text := await reason(api, run, job)) is not None:
            return text
    return (
        "it has just been launched, and starts when AWX schedules it"
        if job["status"] != "waiting"
        else ("AWX has chosen a node and is about to start it")
    )


async def _same_template(api: Api, run: Run, job: Object) -> str | None:
    template = job.get("unified_job_template")
    if template is None or job.get("allow_simultaneous"):
        return None
    params = {"unified_job_template": template, "status__in": RUNNING, "id__lt": run.id, "order_by": "id"}
    first = await api.first("unified_jobs", params=params)
    if first is None:
        return None
    return f"it waits for job {first['id']} of the same template ({first['status']}), which does not run twice at once"


async def _update(api: Api, run: Run, job: Object) -> str | None:
    """Jobs wait for the update of their project, and of the sources of their inventory."""
    if run.type != "job":
        return None
    asked: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("project", "project_updates", {"project": job.get("project")}),
        ("inventory", "inventory_updates", {"inventory_source__inventory": job.get("inventory")}),
    )
    for noun, collection, within in asked:
        if None in within.values():
            continue
        update = await api.first(collection, params={**within, "status__in": RUNNING, "order_by": "id"})
        if update is not None:
            return f"it waits for the {noun} update {update['id']} of {named(job, noun)!r} ({update['status']})"
    return None


async def _capacity(api: Api, run: Run, job: Object) -> str | None:  # noqa: ARG001 # the shape of all
    groups = (await api.page("instance_groups", size=50)).items
    running = [group for group in groups if not group.get("is_container_group") and group["name"] != "controlplane"]
    if not running or any(group["capacity"] - group["consumed_capacity"] > 0 for group in running):
        return None
    full = ", ".join(f"{one['name']} ({one['consumed_capacity']:g} of {one['capacity']})" for one in running)
    return f"no instance group has free capacity: {full}"
