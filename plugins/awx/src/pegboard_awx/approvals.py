"""Approvals: what workflows wait for until somebody decides."""

from typing import Any

from typing_extensions import TypedDict

from pegboard_awx.api import Api, Object, named
from pegboard_awx.shapes import brief, moment

NODES = 200
"""More nodes of one workflow are not looked at."""


class Waiting(TypedDict, total=False):
    """An approval that a workflow job waits for; without `expires` it waits for ever."""

    approval_id: int
    name: str
    expires: str


async def nodes_of(api: Api, workflow_job: int) -> list[Object]:
    """The nodes of a workflow job, in the order they were made."""
    path = ("workflow_jobs", workflow_job, "workflow_nodes")
    return [node async for node in api.all(*path, params={"order_by": "id"}, most=NODES)]


async def waiting_for(api: Api, nodes: list[Object]) -> list[Waiting]:
    """The approvals among the nodes of a workflow job that nobody has decided on yet."""
    jobs: list[Object] = [node["summary_fields"].get("job") or {} for node in nodes]
    pending = [job["id"] for job in jobs if job.get("type") == "workflow_approval" and job["status"] == "pending"]
    return [_waiting(await api.get("workflow_approvals", id_)) for id_ in pending]


def summary(approval: Object) -> dict[str, Any]:
    """One approval in few words."""
    return brief(
        id=approval["id"],
        name=approval["name"],
        description=approval["description"],
        status=None if approval["status"] == "pending" else decided(approval),
        decided_by=named(approval, "approved_or_denied_by", "username"),
        workflow=named(approval, "workflow_job_template"),
        workflow_job=named(approval, "workflow_job", "id"),
        created=moment(approval["created"]),
        expires=moment(approval["approval_expiration"]) if approval["status"] == "pending" else None,
        can_approve=approval["can_approve_or_deny"],
    )


def decided(approval: Object) -> str:
    """What became of an approval, in the words of people."""
    if approval["timed_out"]:
        return "timed out"
    return {"successful": "approved", "failed": "denied"}.get(approval["status"], str(approval["status"]))


def _waiting(approval: Object) -> Waiting:
    told: Waiting = {"approval_id": approval["id"], "name": approval["name"]}
    expires = moment(approval["approval_expiration"])
    return {**told, "expires": expires} if expires else told
