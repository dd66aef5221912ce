"""Group projects: where playbooks come from, and bringing them up to date."""

from pegboard import Group
from pegboard_awx.groups.projects.reading import (
    get_project,
    list_project_playbooks,
    list_project_updates,
    list_projects,
)
from pegboard_awx.groups.projects.writing import create_project, delete_project, sync_project, update_project

__all__ = ["ALIASES", "GROUP"]

GROUP = Group(
    "projects",
    title="SCM projects",
    tools=[
        list_projects,
        get_project,
        create_project,
        update_project,
        delete_project,
        sync_project,
        list_project_playbooks,
        list_project_updates,
    ],
)

ALIASES = {
    "projects_list": "list_projects",
    "project_create": "create_project",
    "project_delete": "delete_project",
    "project_update": "sync_project",
}
"""Old names, without the prefix `awx_`."""
