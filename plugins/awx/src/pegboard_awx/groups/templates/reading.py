"""What a job template is, and what a launch of it needs."""

from collections.abc import Mapping
from typing import Any, Literal, cast

from typing_extensions import TypedDict

from pegboard import Call, tool
from pegboard_awx import surveys
from pegboard_awx.api import Api, Object, named
from pegboard_awx.failures import AwxError
from pegboard_awx.names import resolve
from pegboard_awx.pages import page
from pegboard_awx.prompts import ASKS, Terms, checked
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import brief, moment, variables
from pegboard_awx.surveys import Question

PLAIN = ("job_type", "playbook", "scm_branch", "limit", "job_tags", "skip_tags", "webhook_service")
NUMBERS = ("forks", "verbosity", "timeout")
SWITCHES = ("become_enabled", "allow_simultaneous", "diff_mode", "use_fact_cache")
ARGUMENTS: Mapping[str, str] = {"inventory": "inventory_id", "execution_environment": "execution_environment_id"}
"""Where the launching tools call a field by another name than AWX."""
RECENT = 5


class Requirements(TypedDict, total=False):
    """What a launch may choose and what it needs; `missing` says what has to be given, by argument."""

    template_id: int
    template: str
    can_launch_now: bool
    promptable: list[str]
    survey: list[Question]
    missing: dict[str, str]
    defaults: dict[str, Any]
    warnings: list[str]


@tool(read_only=True, open_world=True)
async def get_job_template(call: Call[Settings], template_id: int | str) -> dict[str, Any]:
    """Show a job template: settings, prompts, survey, credentials, recent jobs."""
    api = await Api.of(call)
    template = await api.get("job_templates", await resolve(api, "job_templates", template_id))
    spec: Object = await api.get("job_templates", template["id"], "survey_spec") if template["survey_enabled"] else {}
    return {
        **_summary(template),
        **brief(survey=surveys.read(spec.get("spec", []))),
        "web_url": await page(api, "templates", "job_template", template["id"]),
    }


@tool(read_only=True, open_world=True)
async def get_launch_requirements(
    call: Call[Settings],
    template_id: int | str,
    kind: Literal["job_template", "workflow_job_template"] = "job_template",
) -> Requirements:
    """Tell what a launch of a template may choose, what it must give, and the defaults."""
    api = await Api.of(call)
    terms = await Terms.of(api, f"{kind}s", await resolve(api, f"{kind}s", template_id))
    missing = _missing(terms)
    told = {"template_id": terms.id, "template": terms.name, "can_launch_now": not missing}
    lost: list[int] = terms.info.get("node_templates_missing") or []
    more = brief(
        promptable=[ARGUMENTS.get(name, name) for name in ASKS if terms.takes(name)],
        survey=surveys.read(terms.survey),
        missing=missing,
        defaults=_defaults(terms),
        warnings=[f"the templates of the nodes {lost} are gone; the workflow fails there"] if lost else [],
    )
    return cast(Requirements, {**told, **more})


def _summary(item: Object) -> dict[str, Any]:
    related: Object = item["summary_fields"]
    return brief(
        id=item["id"],
        name=item["name"],
        description=item["description"],
        organization=named(item, "organization"),
        project=_related(item, "project", "status"),
        inventory=_related(item, "inventory", "kind"),
        execution_environment=named(item, "execution_environment"),
        extra_vars=variables(item["extra_vars"]),
        **{name: item[name] for name in (*PLAIN, *SWITCHES)},
        **{name: item[name] or None for name in NUMBERS},
        asks=[name for name, flag in ASKS.items() if item.get(flag)],
        credentials=[_credential(one) for one in related.get("credentials", ())],
        labels=[one["name"] for one in related.get("labels", {}).get("results", ())],
        recent_jobs=[_recent(one) for one in related.get("recent_jobs", ())[:RECENT]],
        next_run=moment(item["next_job_run"]),
        may=[action for action, is_allowed in related.get("user_capabilities", {}).items() if is_allowed],
    )


def _related(item: Object, field: str, *more: str) -> dict[str, Any]:
    """A related object in few words."""
    return brief(**{name: named(item, field, name) for name in ("id", "name", *more)})


def _credential(item: Object) -> dict[str, Any]:
    return brief(id=item["id"], name=item["name"], kind=item.get("kind"))


def _recent(item: Object) -> dict[str, Any]:
    return brief(id=item["id"], status=item["status"], finished=moment(item.get("finished")))


def _missing(terms: Terms) -> dict[str, str]:
    """What a launch without any arguments would be refused for."""
    try:
        checked(terms, {})
    except AwxError as error:
        return {name: str(reasons[0]) for name, reasons in error.fields.items()}
    return {}


def _defaults(terms: Terms) -> dict[str, Any]:
    """What the template has where a launch says nothing; other objects by name, nothing that is empty or 0."""
    defaults: Object = terms.info.get("defaults") or {}
    told = {name: _named(value) or None for name, value in defaults.items() if name != "extra_vars"}
    return brief(**told, extra_vars=variables(defaults.get("extra_vars")))


def _named(value: Any) -> Any:
    """Another object by its name, several by theirs, and anything else as it is."""
    if isinstance(value, dict):
        return cast(Object, value).get("name")
    return [_named(one) for one in cast(list[Any], value)] if isinstance(value, list) else value
