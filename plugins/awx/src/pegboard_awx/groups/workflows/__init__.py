"""Group workflows: workflow templates, their runs, and the approvals they wait for."""

from pegboard import Group
from pegboard_awx.groups.workflows.approving import decide_workflow_approval, list_workflow_approvals
from pegboard_awx.groups.workflows.running import get_workflow_job, launch_workflow_job_template
from pegboard_awx.groups.workflows.templates import (
    create_workflow_job_template,
    delete_workflow_job_template,
    list_workflow_job_templates,
    update_workflow_job_template,
)

__all__ = ["ALIASES", "GROUP"]

GROUP = Group(
    "workflows",
    title="Workflow templates, runs and approvals",
    tools=[
        list_workflow_job_templates,
        create_workflow_job_template,
        update_workflow_job_template,
        delete_workflow_job_template,
        launch_workflow_job_template,
        get_workflow_job,
        list_workflow_approvals,
        decide_workflow_approval,
    ],
)

ALIASES = {"list_workflow_templates": "list_workflow_job_templates"}
"""Old names, without the prefix `awx_`."""
