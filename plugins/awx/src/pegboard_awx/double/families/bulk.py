"""Bulk: many hosts or many jobs in one request."""

from typing import Any

from pegboard_awx.double.families.inventories import HOSTS
from pegboard_awx.double.fields import check_unique, read
from pegboard_awx.double.refusals import bad, bad_field
from pegboard_awx.double.routes import Table
from pegboard_awx.double.visits import Reply, Visit


def _root(visit: Visit) -> Reply:
    return Reply(body={name: f"{visit.prefix}bulk/{name}/" for name in ("host_create", "host_delete", "job_launch")})


def _create_hosts(visit: Visit) -> Reply:
    hosts: list[dict[str, Any]] = visit.body.get("hosts", [])
    inventory = visit.row("inventories", int(visit.body.get("inventory", 0)), "edit")
    most = visit.world.setting("bulk", "BULK_HOST_MAX_CREATE")
    if len(hosts) > most:
        raise bad_field("hosts", f"Number of hosts exceeds system setting BULK_HOST_MAX_CREATE ({most}).")
    wanted = [read(visit.world, HOSTS.kind, {**host, "inventory": inventory["id"]}) for host in hosts]
    for values in wanted:
        check_unique(visit.world, HOSTS.kind, values)
    rows = [visit.world.make("hosts", visit.user, **values) for values in wanted]
    names = ("name", "enabled", "instance_id", "description", "variables", "id")
    url = visit.renderer.url(inventory)
    told = [{**{name: row[name] for name in names}, "url": visit.renderer.url(row), "inventory": url} for row in rows]
    return Reply(201, {"url": url, "hosts": told}, headers={"Location": url})


def _delete_hosts(visit: Visit) -> Reply:
    ids: list[int] = visit.body.get("hosts", [])
    rows = {id_: visit.store.get("hosts", id_) for id_ in ids}
    unknown = [id_ for id_, row in rows.items() if row is None or not visit.rights.may("delete", row)]
    if unknown:
        raise bad({"hosts": {str(id_): "Hosts do not exist or you lack permission to delete it" for id_ in unknown}})
    for row in rows.values():
        if row is not None:
            visit.world.remove(row, visit.user)
    return Reply(201, {"hosts": {str(id_): "The host was deleted" for id_ in ids}})


def _launch_jobs(visit: Visit) -> Reply:
    """Launch several templates as one workflow job without a template."""
    store, by = visit.store, visit.user
    workflow = store.add(
        "workflow_jobs", name=str(visit.body.get("name", "Bulk Job Launch")), launch_type="manual", extra_vars="{}"
    )
    workflow.update(_by=by["id"], _variables={}, organization=None)
    for job in visit.body.get("jobs", []):
        template = store.get("unified_job_templates", job.get("unified_job_template"))
        if template is None:
            raise bad_field("jobs", f"Invalid unified_job_template {job.get('unified_job_template')}.")
        visit.require("start", template)
        store.add(
            "workflow_job_nodes",
            workflow_job=workflow["id"],
            unified_job_template=template["id"],
            extra_data=job.get("extra_data", {}),
            identifier=job.get("identifier", visit.world.unique("bulk", workflow["id"], template["id"])),
        )
    visit.life.start(workflow)
    return visit.created(workflow)


ROUTES: Table = {
    ("GET", "bulk/"): _root,
    ("POST", "bulk/host_create/"): _create_hosts,
    ("POST", "bulk/host_delete/"): _delete_hosts,
    ("POST", "bulk/job_launch/"): _launch_jobs,
}
