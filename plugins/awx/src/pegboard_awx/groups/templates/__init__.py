"""Group templates: what job templates are and need, made, changed, deleted and found."""

from pegboard import Group
from pegboard_awx.groups.templates.reading import get_job_template, get_launch_requirements
from pegboard_awx.groups.templates.searching import search_templates
from pegboard_awx.groups.templates.writing import (
    copy_job_template,
    create_job_template,
    delete_job_template,
    set_survey,
    update_job_template,
)

__all__ = ["ALIASES", "GROUP"]

GROUP = Group(
    "templates",
    title="Job templates and workflow templates",
    tools=[
        get_job_template,
        get_launch_requirements,
        create_job_template,
        update_job_template,
        delete_job_template,
        copy_job_template,
        set_survey,
        search_templates,
    ],
)

ALIASES = {
    "template_create": "create_job_template",
    "template_delete": "delete_job_template",
}
"""Old names, without the prefix `awx_`."""
