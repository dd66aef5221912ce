"""Templates: job templates, their surveys, launches, copies and webhooks."""

from collections.abc import Iterable, Mapping
from typing import Any

from pegboard_awx.double import surveys
from pegboard_awx.double.families.projects import playbooks_of
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.prompts import answered, launch_info, passwords_needed
from pegboard_awx.double.refusals import bad, bad_field, forbidden
from pegboard_awx.double.resources import Resource, Values, tables
from pegboard_awx.double.routes import Table
from pegboard_awx.double.running import in_use, start
from pegboard_awx.double.sublists import Linked, Related, activity_of
from pegboard_awx.double.sublists import tables as sublists
from pegboard_awx.double.visits import Reply, Visit


def _prepare(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    merged = {**(row or {}), **values}
    project = visit.store.get("projects", merged.get("project"))
    if merged.get("inventory") is None and not merged.get("ask_inventory_on_launch"):
        raise bad_field("inventory", "You must either set a default value or ask to prompt on launch.")
    if project is None:
        raise bad_field("project", "Job Templates must have a project assigned.")
    if not merged.get("playbook"):
        raise bad_field("playbook", "Must select playbook for project.")
    if "playbook" in values and values["playbook"] not in playbooks_of(project):
        raise bad_field("playbook", "Playbook not found for project.")
    values["organization"] = project["organization"]


def _remove(visit: Visit, row: Row) -> None:
    in_use(visit, "unified_job_template", row)
    for schedule in list(visit.store.where("schedules", unified_job_template=row["id"])):
        visit.world.remove(schedule, visit.user)


def _launch_get(visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
    return Reply(body=launch_info(visit.world, visit.row("job_templates", id)))


def _launch(visit: Visit, id: int) -> Reply:  # noqa: A002
    template = visit.row("job_templates", id, "start")
    job, ignored = launch(visit, template, visit.body)
    return visit.created(job, {"job": job["id"], "ignored_fields": ignored})


def launch(visit: Visit, template: Row, body: Mapping[str, Any]) -> tuple[Row, Mapping[str, Any]]:
    """Start a job; what the request gave and the template does not ask for is ignored."""
    answers = answered(visit.world, template, body)
    inventory = answers.taken.get("inventory", template["inventory"])
    if inventory is None or visit.store.get("inventories", inventory) is None:
        raise bad({"resources_needed_to_start": ["Job Template inventory is missing or undefined."]})
    if visit.store.get("projects", template["project"]) is None:
        raise bad({"resources_needed_to_start": ["Job Template project is missing or undefined."]})
    missing = [
        name for name in passwords_needed(visit.world, template) if not body.get("credential_passwords", {}).get(name)
    ]
    if missing and "credentials" not in answers.taken:
        raise bad({"passwords_needed_to_start": missing})
    shown = surveys.hide_passwords(template, answers.taken["extra_vars"])
    job = start(visit, template, {**answers.taken, "extra_vars": shown})
    return job, answers.ignored


def _survey_get(owner: str) -> Any:
    def get(visit: Visit, id: int) -> Reply:  # noqa: A002
        return Reply(body=visit.row(owner, id).get("_survey", {}))

    return get


def _survey_post(owner: str) -> Any:
    def post(visit: Visit, id: int) -> Reply:  # noqa: A002
        row = visit.row(owner, id, "edit")
        surveys.check_spec(visit.body)
        visit.world.change(
            row, visit.user, {"_survey": {name: visit.body[name] for name in ("name", "description", "spec")}}
        )
        return Reply(200)

    return post


def _survey_delete(owner: str) -> Any:
    def delete(visit: Visit, id: int) -> Reply:  # noqa: A002
        visit.row(owner, id, "edit").pop("_survey", None)
        return Reply(200)

    return delete


def survey_routes(owner: str) -> Table:
    """The survey of a kind of template."""
    path = f"{owner}/{{id}}/survey_spec/"
    return {
        ("GET", path): _survey_get(owner),
        ("POST", path): _survey_post(owner),
        ("DELETE", path): _survey_delete(owner),
    }


def _copy_get(visit: Visit, id: int) -> Reply:  # noqa: A002
    return Reply(body={"can_copy": visit.rights.may("edit", visit.row("job_templates", id))})


def _copy(visit: Visit, id: int) -> Reply:  # noqa: A002
    row = visit.row("job_templates", id, "edit")
    same = {name: row[name] for name, field in TEMPLATES.kind.fields.items() if field.write}
    reply = TEMPLATES.make(visit, {**same, **visit.body})
    copy = visit.store.get("job_templates", reply.body["id"])
    assert copy is not None
    if "_survey" in row:
        copy["_survey"] = row["_survey"]
    for credential in visit.store.linked(row, "credentials"):
        visit.store.link(copy, "credentials", credential)
    return visit.created(copy)


def _webhook_key(visit: Visit, id: int) -> Reply:  # noqa: A002
    return Reply(body={"webhook_key": visit.row("job_templates", id, "edit").get("_webhook_key", "")})


def _rotate_webhook_key(visit: Visit, id: int) -> Reply:  # noqa: A002
    row = visit.row("job_templates", id, "edit")
    row["_webhook_key"] = visit.world.unique("webhook", id, visit.world.now()).replace("-", "")
    return Reply(201, {"webhook_key": row["_webhook_key"]})


def _receive(visit: Visit, id: int) -> Reply:  # noqa: A002
    """Webhooks need a signature, and the double signs nothing."""
    visit.store.get("job_templates", id)
    raise forbidden()


def _one_of_a_kind(visit: Visit, row: Row, credential: Row) -> None:
    """A template has one credential of each type; only vaults may be several."""
    same = [
        one for one in visit.store.linked(row, "credentials") if one["credential_type"] == credential["credential_type"]
    ]
    if same and same != [credential] and credential["kind"] != "vault":
        kind = visit.store.get("credential_types", credential["credential_type"])
        raise bad({"error": f"Cannot assign multiple {'' if kind is None else kind['name']} credentials."})


def _jobs_of(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.where("jobs", job_template=row["id"])


TEMPLATES = Resource("job_templates", order="name", prepare=_prepare, removing=_remove)

ROUTES: Table = {
    **tables([TEMPLATES]),
    ("GET", "job_templates/{id}/launch/"): _launch_get,
    ("POST", "job_templates/{id}/launch/"): _launch,
    **survey_routes("job_templates"),
    ("GET", "job_templates/{id}/copy/"): _copy_get,
    ("POST", "job_templates/{id}/copy/"): _copy,
    ("GET", "job_templates/{id}/webhook_key/"): _webhook_key,
    ("POST", "job_templates/{id}/webhook_key/"): _rotate_webhook_key,
    ("POST", "job_templates/{id}/github/"): _receive,
    **sublists(
        [
            Linked("job_templates", "credentials", check=_one_of_a_kind),
            Linked("job_templates", "labels"),
            Linked("job_templates", "instance_groups"),
            *(Linked("job_templates", f"notification_templates_{event}") for event in ("started", "success", "error")),
            Related("job_templates", "jobs", "jobs", _jobs_of),
            activity_of("job_templates"),
        ]
    ),
}
