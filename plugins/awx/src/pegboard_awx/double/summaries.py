"""Summaries: the few fields by which an object is shown inside of another one, in `summary_fields`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pegboard_awx.double.kinds import Row, kinds
from pegboard_awx.double.store import Store
from pegboard_awx.double.values import shown

USUAL = ("id", "name", "description")

SHOWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "users": ("id", "username", "first_name", "last_name"),
        "inventory_sources": ("id", "name", "source", "last_updated", "status"),
        "projects": (*USUAL, "status", "scm_type", "allow_override"),
        "execution_environments": (*USUAL, "image"),
        "instance_groups": ("id", "name", "is_container_group"),
        "credentials": (*USUAL, "kind", "cloud", "kubernetes"),
        "role_definitions": (*USUAL, "managed"),
        "job_host_summaries": ("id", "failed"),
        "workflow_approval_templates": (*USUAL, "timeout"),
    }
)
"""What is shown of the objects of a collection; of others it is the `USUAL`."""

OF_FIELD: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "unified_job_template": USUAL,
        "project_update": (*USUAL, "status", "failed"),
        "ad_hoc_command": (*USUAL, "status", "limit"),
        "last_job": (*USUAL, "finished", "status", "failed"),
        "last_run": (*USUAL, "finished", "status", "failed"),
        "current_run": (*USUAL, "status", "failed"),
        "last_update": (*USUAL, "status", "failed"),
        "current_update": (*USUAL, "status", "failed"),
        "source_workflow_job": (*USUAL, "status", "failed", "elapsed"),
        "job": (*USUAL, "status", "failed", "elapsed"),
        "noted_job": (*USUAL, "status", "failed", "elapsed"),
    }
)
"""What is shown through a field, where that is not what its collection says."""

JOB_TYPES = MappingProxyType(
    {
        "job_templates": "job",
        "projects": "project_update",
        "inventory_sources": "inventory_update",
        "workflow_job_templates": "workflow_job",
        "system_job_templates": "system_job",
        "workflow_approval_templates": "workflow_approval",
    }
)
"""What runs from a template of a collection."""


def summary(store: Store, field: str, row: Row) -> dict[str, Any]:
    """An object as it is shown through a field of another one."""
    collection = row["_collection"]
    if collection == "inventories":
        return inventory(store, row)
    names = OF_FIELD.get(field) or SHOWN.get(collection, USUAL)
    told = {name: shown(row.get(name, "" if name == "description" else None)) for name in names}
    if field == "unified_job_template":
        told["unified_job_type"] = JOB_TYPES[collection]
    if field in ("last_run", "last_update") and collection == "inventory_updates":
        told["license_error"] = False
    if collection == "credentials":
        told["credential_type_id"] = row["credential_type"]
    if field in ("last_job", "job"):
        told |= _job(store, field, row)
    return told


def inventory(store: Store, row: Row) -> dict[str, Any]:
    """An inventory with its counts."""
    return {
        **{name: row[name] for name in USUAL},
        **counts(store, row),
        "organization_id": row["organization"],
        "kind": row["kind"],
    }


def counts(store: Store, row: Row) -> dict[str, Any]:
    """How many hosts, groups and sources an inventory has, and how many of them failed."""
    hosts = inventory_hosts(store, row)
    sources = list(store.where("inventory_sources", inventory=row["id"]))
    failing = sum(1 for host in hosts if host["has_active_failures"])
    return {
        "has_active_failures": failing > 0,
        "total_hosts": len(hosts),
        "hosts_with_active_failures": failing,
        "total_groups": sum(1 for _ in store.where("groups", inventory=row["id"])),
        "has_inventory_sources": bool(sources),
        "total_inventory_sources": len(sources),
        "inventory_sources_with_failures": sum(1 for source in sources if source["last_job_failed"]),
    }


def inventory_hosts(store: Store, row: Row) -> list[Row]:
    """The hosts of an inventory; of a smart one those that its filter finds, of a constructed one its inputs'."""
    if row["kind"] == "smart":
        from pegboard_awx.double.host_filter import found  # the filter itself looks at inventories

        return found(store, row["host_filter"] or "", row["organization"])
    if row["kind"] == "constructed":
        inputs = store.linked(row, "input_inventories")
        return [host for one in inputs for host in store.where("hosts", inventory=one["id"])]
    return list(store.where("hosts", inventory=row["id"]))


def _job(store: Store, field: str, row: Row) -> dict[str, Any]:
    type_ = kinds()[row["_collection"]].type
    told: dict[str, Any] = {"type": type_} if field == "job" else {}
    if type_ == "workflow_approval":
        told["timed_out"] = row["timed_out"]
    template = store.get("job_templates", row.get("job_template"))
    if template is not None:
        told |= {"job_template_id": template["id"], "job_template_name": template["name"]}
    return told
