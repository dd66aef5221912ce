"""Effects: what a run leaves behind in the world, at its start and at its end."""

from datetime import datetime
from typing import Any

from pegboard_awx.double.events import Story
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.world import World

UPDATES = frozenset({"project_updates", "inventory_updates"})


def began(world: World, job: Row) -> None:
    """Tell the template that it runs."""
    template = world.store.get("unified_job_templates", job.get("unified_job_template"))
    if template is not None:
        template["_current_job"] = job["id"]
        template["status"] = "running" if job["_collection"] in (*UPDATES, "workflow_jobs") else template["status"]


def ended(world: World, job: Row) -> None:
    """Tell the template how it went, and carry out what the run was for."""
    at: datetime = job["finished"]
    template = world.store.get("unified_job_templates", job.get("unified_job_template"))
    if template is not None:
        template["_current_job"] = None
        template["_last_job"] = job["id"]
        template.update(status=job["status"], last_job_failed=job["failed"], last_job_run=at)
        if job["_collection"] in UPDATES:
            template.update(last_update_failed=job["failed"], last_updated=at)
    if job["status"] != "successful":
        return
    if job["_collection"] == "project_updates" and template is not None:
        template["scm_revision"] = job["scm_revision"] = (
            world.unique("revision", job["id"]).replace("-", "") + "eba90626"
        )
    if job["_collection"] == "inventory_updates" and template is not None:
        _synchronize(world, template)


def summarize(world: World, job: Row, story: Story) -> None:
    """Write a summary for each host of a job, and tell the hosts."""
    for host in story.hosts:
        counts = story.counts[host["name"]]
        if not counts:
            continue
        failed = bool(counts["failures"] or counts["dark"])
        names = ("changed", "dark", "failures", "ok", "processed", "skipped", "ignored", "rescued")
        numbers = {name: counts[name] for name in names}
        summary = world.store.add(
            "job_host_summaries",
            created=job["finished"],
            job=job["id"],
            host=host["id"],
            host_name=host["name"],
            failed=failed,
            **numbers,
        )
        host.update(last_job=job["id"], last_job_host_summary=summary["id"], has_active_failures=failed)
        if story.book.gathers_facts and not failed:
            host.update(_facts=facts(host), ansible_facts_modified=job["finished"])


def facts(host: Row) -> dict[str, Any]:
    """What a run with the fact cache finds out about a host."""
    number = host["id"] % 200 + 10
    return {
        "ansible_hostname": host["name"],
        "ansible_fqdn": f"{host['name']}.alpenkraft.example",
        "ansible_distribution": "Debian",
        "ansible_distribution_version": "12.8",
        "ansible_os_family": "Debian",
        "ansible_system": "Linux",
        "ansible_kernel": "6.1.0-27-amd64",
        "ansible_architecture": "x86_64",
        "ansible_processor_vcpus": 4,
        "ansible_memtotal_mb": 16034,
        "ansible_memfree_mb": 5210,
        "ansible_default_ipv4": {"address": f"10.20.0.{number}", "interface": "eth0", "gateway": "10.20.0.1"},
        "ansible_all_ipv4_addresses": [f"10.20.0.{number}"],
        "ansible_mounts": [{"mount": "/", "device": "/dev/sda1", "fstype": "ext4", "size_total": 62725623808}],
        "ansible_uptime_seconds": 3542400,
        "ansible_pkg_mgr": "apt",
        "ansible_service_mgr": "systemd",
        "ansible_python_version": "3.11.2",
        "ansible_env": {"HOME": "/root", "SHELL": "/bin/bash", "LANG": "C.UTF-8"},
        "module_setup": True,
    }


def _synchronize(world: World, source: Row) -> None:
    """Bring the hosts of a source into its inventory; those that are there stay."""
    store, inventory = world.store, source["inventory"]
    group = store.find("groups", name="cloud", inventory=inventory) or world.make(
        "groups", None, name="cloud", inventory=inventory
    )
    for name in ("cloud-01", "cloud-02", "cloud-03"):
        host = store.find("hosts", name=name, inventory=inventory)
        if host is None:
            host = world.make("hosts", None, name=name, inventory=inventory, has_inventory_sources=True)
        store.link(group, "hosts", host)
