"""What a job is doing just now, in words: its task and how many hosts are done, or its nodes."""

from dataclasses import dataclass

from pegboard_awx.api import Api, Object
from pegboard_awx.runs import ACTIVE, FINAL, Run, is_final
from pegboard_awx.shapes import mapping

DONE = "runner_on_ok,runner_on_failed,runner_on_skipped,runner_on_unreachable"


@dataclass(frozen=True, slots=True)
class Doing:
    """A few words; and the approval a workflow waits for, when nothing else of it goes on."""

    words: str
    approval: int | None = None


async def doing(api: Api, run: Run, job: Object) -> Doing:
    """What a job does: `running, task 'Restart the service', 4 hosts done`. Raises `AwxError`."""
    status = str(job["status"])
    if is_final(job):
        return Doing(f"{status}, its output is still coming in")
    if status != "running":
        return Doing(status)
    if run.kind.events is None:
        return await _nodes(api, run)
    return Doing(f"running{await _task(api, run, run.kind.events)}")


async def _task(api: Api, run: Run, events: str) -> str:
    latest = {"event": "playbook_on_task_start", "order_by": "-counter"}
    task = await api.first(*run.path, events, params=latest)
    if task is None:
        return ""
    within = {"event__in": DONE, "parent_uuid": mapping(task.get("event_data")).get("task_uuid")}
    done = await api.page(*run.path, events, params=within, size=1)
    return f", task {task['task']!r}, {done.total or 0} hosts done"


async def _nodes(api: Api, run: Run) -> Doing:
    """Which nodes run, and which approval nobody has decided yet."""
    jobs = [mapping(node["summary_fields"].get("job")) async for node in api.all(*run.path, "workflow_nodes")]
    active = [job for job in jobs if job.get("status") in ACTIVE]
    gates = [job for job in active if job.get("type") == "workflow_approval"]
    parts = [
        f"running, {sum(job.get('status') in FINAL for job in jobs)} nodes done",
        *(f"waits for approval {gate['id']} {gate['name']!r}" for gate in gates),
        *(f"{job['name']!r} runs" for job in active if job not in gates),
    ]
    return Doing(", ".join(parts), int(gates[0]["id"]) if gates and gates == active else None)
