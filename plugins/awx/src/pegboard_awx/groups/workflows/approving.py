"""Deciding on what workflows wait for."""

from typing import Literal

from typing_extensions import TypedDict

from pegboard import Call, tool
from pegboard_awx.allowed import permit_template
from pegboard_awx.api import Api, Object, named
from pegboard_awx.approvals import decided, summary
from pegboard_awx.failures import AwxError
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import Listing, PageNumber, PageSize, listed

Decision = Literal["approve", "deny"]


class Decided(TypedDict):
    """What was decided, and where to see what comes of it."""

    approval_id: int
    decision: Decision
    workflow_job: int
    next: str


@tool(read_only=True, open_world=True)
async def list_workflow_approvals(
    call: Call[Settings],
    status: Literal["pending", "successful", "failed"] = "pending",
    page: PageNumber = 1,
    page_size: PageSize = 20,
) -> Listing:
    """List workflow approvals, newest first: pending ones, approved (successful), or denied and timed out (failed)."""
    params = {"status": status, "order_by": "-id"}
    return await listed(
        await Api.of(call), "workflow_approvals", params=params, page=page, page_size=page_size, summarize=summary
    )


@tool(destructive=True, open_world=True, confirms=True)
async def decide_workflow_approval(call: Call[Settings], approval_id: int, decision: Decision) -> Decided:
    """Approve or deny what a workflow waits for; approved, it goes on and runs its next jobs."""
    api = await Api.of(call)
    approval = await api.get("workflow_approvals", approval_id)
    _check(call, approval)
    if call.writes == "confirm":
        await call.confirm(f"{decision.capitalize()} {_described(approval)} in {call.environment}?")
    await api.post("workflow_approvals", approval_id, decision)
    job = int(named(approval, "workflow_job", "id"))
    return {
        "approval_id": approval_id,
        "decision": decision,
        "workflow_job": job,
        "next": f"awx_get_workflow_job(job_id={job})",
    }


def _check(call: Call[Settings], approval: Object) -> None:
    """Raise `AwxError` for an approval that is not to be decided: any more, by this user, or from here."""
    if approval["status"] != "pending":
        by = named(approval, "approved_or_denied_by", "username")
        message = f"{_described(approval)} is {decided(approval)} already{f' by {by}' if by else ''}"
        raise AwxError("not_allowed_now", message, hint="awx_list_workflow_approvals lists what waits")
    if not approval["can_approve_or_deny"]:
        message = f"this user may not decide on {_described(approval)}"
        raise AwxError("permission", message, hint="it takes the role Approve on the workflow")
    workflow = named(approval, "workflow_job_template", "id")
    permit_template(call, int(workflow or 0), str(named(approval, "workflow_job_template")))


def _described(approval: Object) -> str:
    workflow = named(approval, "workflow_job_template")
    return f"approval {approval['id']} {approval['name']!r} of the workflow {workflow!r}"
