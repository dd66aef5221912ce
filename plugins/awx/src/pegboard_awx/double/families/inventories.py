"""Inventories: their hosts, groups and sources."""

from collections.abc import Iterable, Mapping
from typing import Any

from pegboard_awx.double.host_filter import found, holds
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.refusals import bad_field, detail
from pegboard_awx.double.resources import Resource, Values, tables
from pegboard_awx.double.routes import Table
from pegboard_awx.double.running import in_use, start
from pegboard_awx.double.sublists import Children, Linked, Related, activity_of
from pegboard_awx.double.sublists import tables as sublists
from pegboard_awx.double.summaries import inventory_hosts
from pegboard_awx.double.variables import parsed
from pegboard_awx.double.visits import Reply, Visit


def _prepare_inventory(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    kind = values.get("kind", "" if row is None else row["kind"])
    host_filter = values.get("host_filter", None if row is None else row["host_filter"])
    if kind == "smart" and not host_filter:
        raise bad_field("host_filter", "Smart inventories must specify host_filter")
    if kind != "smart" and host_filter:
        raise bad_field("host_filter", "host_filter can only be set for Smart Inventories.")
    if host_filter:
        found(visit.store, host_filter)


def _remove_inventory(visit: Visit, row: Row) -> Reply:
    """AWX deletes inventories later; from now on nobody sees this one."""
    in_use(visit, "inventory", row)
    store = visit.store
    for collection in ("hosts", "groups", "inventory_sources"):
        for one in list(store.where(collection, inventory=row["id"])):
            store.remove(one)
    visit.world.remove(row, visit.user)
    return Reply(202)


def _remove_group(visit: Visit, row: Row) -> None:
    """AWX deletes with a group those child groups and hosts that are in no other."""
    store = visit.store
    doomed = [row]
    for group in doomed:  # grows while it is walked
        children = [one for one in store.linked(group, "children") if one not in doomed]
        doomed += [one for one in children if all(it in doomed for it in store.linking("groups", "children", one))]
    hosts = {host["id"]: host for group in doomed for host in store.linked(group, "hosts")}
    for host in hosts.values():
        if all(group in doomed for group in store.linking("groups", "hosts", host)):
            visit.world.remove(host, visit.user)
    for group in doomed[1:]:
        visit.world.remove(group, visit.user)


def _prepare_host(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    inventory = visit.store.get("inventories", values.get("inventory"))
    if inventory is not None and inventory["kind"]:
        raise detail(400, f"Cannot create Host for {inventory['kind'].title()} Inventory")


def _prepare_source(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    merged = {**(row or {}), **values}
    if merged.get("source") == "scm" and merged.get("source_project") is None:
        raise bad_field("source_project", "Project required for scm type sources.")
    if merged.get("source") not in ("scm", "constructed", "") and merged.get("credential") is None:
        raise bad_field("credential", "Credential is required for a cloud source.")


def _prepare_constructed(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    values["kind"] = "constructed"


def _list_hosts(visit: Visit) -> Reply:
    text = visit.asked("host_filter")
    hosts = [host for host in visit.store.all("hosts") if not text or holds(visit.store, host, text)]
    return visit.listing("hosts", hosts)


def _variable_data(collection: str) -> Any:
    def get(visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
        return Reply(body=parsed("variables", visit.row(collection, id)["variables"]))

    return get


def _facts(visit: Visit, id: int) -> Reply:  # noqa: A002
    return Reply(body=visit.row("hosts", id).get("_facts", {}))


def _groups_of(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.linking("groups", "hosts", row)


def _all_groups_of(visit: Visit, row: Row) -> Iterable[Row]:
    groups = visit.store.linking("groups", "hosts", row)
    for group in groups:  # grows while it is walked
        groups += [one for one in visit.store.linking("groups", "children", group) if one not in groups]
    return sorted(groups, key=lambda group: group["id"])


def _all_hosts_of(visit: Visit, row: Row) -> Iterable[Row]:
    groups = [row]
    for group in groups:  # grows while it is walked
        groups += [one for one in visit.store.linked(group, "children") if one not in groups]
    hosts = {host["id"]: host for group in groups for host in visit.store.linked(group, "hosts")}
    return [hosts[number] for number in sorted(hosts)]


def _root_groups(visit: Visit, row: Row) -> Iterable[Row]:
    groups = visit.store.where("groups", inventory=row["id"])
    return [group for group in groups if not visit.store.linking("groups", "children", group)]


def _hosts_of(visit: Visit, id: int) -> Reply:  # noqa: A002
    return visit.listing("hosts", inventory_hosts(visit.store, visit.row("inventories", id)))


def _make_host(visit: Visit, id: int) -> Reply:  # noqa: A002
    visit.row("inventories", id)
    return HOSTS.make(visit, {**visit.body, "inventory": id})


def _script(visit: Visit, id: int) -> Reply:  # noqa: A002
    """The inventory as Ansible reads it."""
    row = visit.row("inventories", id)
    hosts = inventory_hosts(visit.store, row)
    groups = {
        group["name"]: {"hosts": [host["name"] for host in visit.store.linked(group, "hosts")]}
        for group in visit.store.where("groups", inventory=id)
    }
    told: dict[str, Any] = {
        "all": {"hosts": [host["name"] for host in hosts], "vars": parsed("variables", row["variables"])}
    }
    variables = {host["name"]: parsed("variables", host["variables"]) for host in hosts}
    return Reply(body={**told, **groups, "_meta": {"hostvars": variables if visit.asked("hostvars") else {}}})


def _source_jobs(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.where("inventory_updates", inventory_source=row["id"])


def _source_hosts(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.where("hosts", inventory=row["inventory"], has_inventory_sources=True)


def _templates_of(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.where("job_templates", inventory=row["id"])


def _summaries_of(visit: Visit, row: Row) -> Iterable[Row]:
    return visit.store.where("job_host_summaries", host=row["id"])


def _update_get(visit: Visit, id: int) -> Reply:  # noqa: A002
    source = visit.row("inventory_sources", id)
    return Reply(body={"can_update": source["source"] != ""})


def _update(visit: Visit, id: int) -> Reply:  # noqa: A002
    source = visit.row("inventory_sources", id, "update")
    job = start(visit, source)
    return visit.created(job, {"inventory_update": job["id"]}, 202)


def _update_all_get(visit: Visit, id: int) -> Reply:  # noqa: A002
    visit.row("inventories", id)
    sources = visit.store.where("inventory_sources", inventory=id)
    return Reply(body=[{"inventory_source": source["id"], "can_update": True} for source in sources])


def _update_all(visit: Visit, id: int) -> Reply:  # noqa: A002
    visit.row("inventories", id, "update")
    sources = list(visit.store.where("inventory_sources", inventory=id))
    if not sources:
        raise detail(400, "No inventory sources to update.")
    jobs = [(source, start(visit, source)) for source in sources]
    body = [
        {**visit.show(job), "inventory_source": source["id"], "status": "started", "inventory_update": job["id"]}
        for source, job in jobs
    ]
    return Reply(body=body)


def _copy_inventory(visit: Visit, id: int) -> Reply:  # noqa: A002
    row = visit.row("inventories", id)
    names = [name for name, field in INVENTORIES.kind.fields.items() if field.write]
    reply = INVENTORIES.make(visit, {**{name: row[name] for name in names}, **visit.body})
    for host in visit.store.where("hosts", inventory=id):
        same = {name: host[name] for name in ("name", "description", "enabled", "variables")}
        visit.store.add("hosts", **same, inventory=reply.body["id"])
    return reply


INVENTORIES = Resource("inventories", prepare=_prepare_inventory, removing=_remove_inventory)
HOSTS = Resource("hosts", prepare=_prepare_host)
GROUPS = Resource("groups", removing=_remove_group)
SOURCES = Resource("inventory_sources", order="name", prepare=_prepare_source)
CONSTRUCTED = Resource("constructed_inventories", prepare=_prepare_constructed, removing=_remove_inventory)

ROUTES: Table = {
    **tables([INVENTORIES, HOSTS, GROUPS, SOURCES, CONSTRUCTED]),
    ("GET", "hosts/"): _list_hosts,
    ("GET", "hosts/{id}/ansible_facts/"): _facts,
    ("GET", "inventories/{id}/hosts/"): _hosts_of,
    ("POST", "inventories/{id}/hosts/"): _make_host,
    ("GET", "inventories/{id}/script/"): _script,
    ("POST", "inventories/{id}/copy/"): _copy_inventory,
    ("GET", "inventories/{id}/update_inventory_sources/"): _update_all_get,
    ("POST", "inventories/{id}/update_inventory_sources/"): _update_all,
    ("GET", "inventory_sources/{id}/update/"): _update_get,
    ("POST", "inventory_sources/{id}/update/"): _update,
    **{("GET", f"{name}/{{id}}/variable_data/"): _variable_data(name) for name in ("inventories", "hosts", "groups")},
    **sublists(
        [
            Children("inventories", "groups", "groups", "inventory", GROUPS),
            Children("inventories", "inventory_sources", "inventory_sources", "inventory", SOURCES),
            Related("inventories", "root_groups", "groups", _root_groups),
            Related("inventories", "job_templates", "job_templates", _templates_of),
            Linked("inventories", "labels"),
            Linked("inventories", "instance_groups"),
            Linked("inventories", "input_inventories"),
            Linked("groups", "hosts", resource=HOSTS),
            Linked("groups", "children", resource=GROUPS),
            Related("groups", "all_hosts", "hosts", _all_hosts_of),
            Linked("inventory_sources", "credentials"),
            Related("hosts", "groups", "groups", _groups_of),
            Related("hosts", "all_groups", "groups", _all_groups_of),
            Related("hosts", "job_host_summaries", "job_host_summaries", _summaries_of),
            Related("inventory_sources", "hosts", "hosts", _source_hosts),
            Related("inventory_sources", "inventory_updates", "inventory_updates", _source_jobs),
            *(activity_of(owner) for owner in ("inventories", "hosts", "groups", "inventory_sources")),
        ]
    ),
}
