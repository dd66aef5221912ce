"""Projects: where playbooks come from, and their updates."""

from collections.abc import Iterable, Mapping
from typing import Any

from pegboard_awx.double.kinds import Row
from pegboard_awx.double.playbooks import PLAYBOOKS
from pegboard_awx.double.refusals import bad_field, not_allowed
from pegboard_awx.double.resources import Resource, Values, tables
from pegboard_awx.double.routes import Table
from pegboard_awx.double.running import in_use, start
from pegboard_awx.double.sublists import Linked, Related, activity_of
from pegboard_awx.double.sublists import tables as sublists
from pegboard_awx.double.visits import Reply, Visit

RESYNCED = ("scm_type", "scm_url", "scm_branch", "credential", "scm_refspec")


def _prepare(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    merged = {**(row or {}), **values}
    if merged.get("scm_type") and not merged.get("scm_url"):
        raise bad_field("scm_url", "SCM URL is required.")
    if row is None and not merged.get("organization"):
        raise bad_field("organization", "Organization is missing")
    path = merged.get("local_path")
    if not merged.get("scm_type") and path:
        others = (one for one in visit.store.all("projects") if one is not row and not one["scm_type"])
        if any(one["local_path"] == path for one in others):
            raise bad_field("local_path", "This path is already being used by another manual project.")
    if row is None:
        values["status"] = "pending" if merged.get("scm_type") else "ok" if path else "missing"


def _made(visit: Visit, row: Row, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    if row["scm_type"]:
        row["local_path"] = f"_{row['id']}__{row['name'].lower().replace(' ', '_')}"
        row["_fails"] = "nosuch" in row["scm_url"]
        _update_of(visit, row)


def _changed(visit: Visit, row: Row, body: Mapping[str, Any]) -> None:
    row["_fails"] = "nosuch" in row["scm_url"]
    if row["scm_type"] and any(name in body for name in RESYNCED):
        _update_of(visit, row)


def _update_of(visit: Visit, row: Row) -> Row:
    job = start(visit, row, _fails=row.get("_fails", False), job_type="check", job_tags="update_git,install_roles")
    row.update(_current_job=job["id"], status="pending")
    return job


def _remove(visit: Visit, row: Row) -> None:
    in_use(visit, "project", row)


def _update_get(visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
    return Reply(body={"can_update": bool(visit.row("projects", id)["scm_type"])})


def _update(visit: Visit, id: int) -> Reply:  # noqa: A002
    row = visit.row("projects", id, "update")
    if not row["scm_type"]:
        raise not_allowed("POST")
    job = _update_of(visit, row)
    return visit.created(job, {"project_update": job["id"]}, 202)


def _playbooks(visit: Visit, id: int) -> Reply:  # noqa: A002
    return Reply(body=sorted(playbooks_of(visit.row("projects", id))))


def playbooks_of(row: Row) -> list[str]:
    """The playbooks of a project; before the first update there are none."""
    return list(PLAYBOOKS) if row["status"] in ("ok", "successful") or row["scm_revision"] else []


def _inventories(visit: Visit, id: int) -> Reply:  # noqa: A002
    row = visit.row("projects", id)
    return Reply(body=["inventories/production.ini", "inventories/staging.ini"] if row["scm_type"] else [])


def _updates_of(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.where("project_updates", project=row["id"])


def _teams_of(visit: Visit, row: Row) -> Iterable[Row]:
    roles = visit.store.roles(row)
    return [team for role in roles for team in visit.store.linked(role, "teams")]


def _copy(visit: Visit, id: int) -> Reply:  # noqa: A002
    row = visit.row("projects", id, "edit")
    same = {name: row[name] for name, field in PROJECTS.kind.fields.items() if field.write and name != "local_path"}
    return PROJECTS.make(visit, {**same, **visit.body})


PROJECTS = Resource("projects", prepare=_prepare, made=_made, changed=_changed, removing=_remove)

ROUTES: Table = {
    **tables([PROJECTS]),
    ("GET", "projects/{id}/update/"): _update_get,
    ("POST", "projects/{id}/update/"): _update,
    ("GET", "projects/{id}/playbooks/"): _playbooks,
    ("GET", "projects/{id}/inventories/"): _inventories,
    ("POST", "projects/{id}/copy/"): _copy,
    **sublists(
        [
            Related("projects", "project_updates", "project_updates", _updates_of),
            Related("projects", "teams", "teams", _teams_of),
            *(Linked("projects", f"notification_templates_{event}") for event in ("started", "success", "error")),
            activity_of("projects"),
        ]
    ),
}
