"""The plugin: every group, and the names by which older servers called their tools."""

from collections.abc import Iterator
from types import ModuleType

from pegboard import Group, Plugin, hookimpl
from pegboard_awx.groups import (
    access,
    advanced,
    core,
    environments,
    hosts,
    infrastructure,
    inventory,
    inventory_sources,
    jobs,
    local_playbooks,
    local_projects,
    notifications,
    organizations,
    platform,
    projects,
    schedules,
    templates,
    users,
    workflows,
)
from pegboard_awx.settings import CALLERS_TOKEN, Settings

MODULES: tuple[ModuleType, ...] = (
    core,
    jobs,
    workflows,
    projects,
    inventory,
    hosts,
    inventory_sources,
    templates,
    users,
    access,
    organizations,
    schedules,
    advanced,
    notifications,
    infrastructure,
    platform,
    environments,
    local_playbooks,
    local_projects,
)
"""One for each group, those for the daily work first: where not all tools can be listed, the first are."""

INSTRUCTIONS = """\
AWX / Ansible Automation Platform. Ids may be names. To run something: awx_list_job_templates, then \
awx_launch_job_template with wait=true; where it answers with `next`, do that. Why a job failed: \
awx_analyze_job_failure. Check the limit before you launch: without one a template runs on all of its hosts."""


@hookimpl
def hub_plugin() -> Plugin:
    groups: list[Group] = [module.GROUP for module in MODULES]
    return Plugin(
        name="awx",
        groups=groups,
        settings=Settings,
        instructions=INSTRUCTIONS,
        aliases=dict(_aliases()),
        credentials={CALLERS_TOKEN: "token"},
        login=("token", "username", "password"),
    )


def _aliases() -> Iterator[tuple[str, str]]:
    """Old names, and every name without the prefix, which older servers did not have."""
    for module in MODULES:
        yield from getattr(module, "ALIASES", {}).items()
        yield from ((tool.__name__, tool.__name__) for tool in module.GROUP.tools)
