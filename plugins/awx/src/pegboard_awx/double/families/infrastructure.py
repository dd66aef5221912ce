"""Infrastructure: the nodes of AWX, its settings and numbers, and its own jobs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from pegboard_awx.double.clock import stamp
from pegboard_awx.double.kinds import Row, data
from pegboard_awx.double.paging import page
from pegboard_awx.double.refusals import bad_field, detail, forbidden
from pegboard_awx.double.resources import Resource, Values, tables
from pegboard_awx.double.routes import Table
from pegboard_awx.double.running import start
from pegboard_awx.double.sublists import Linked
from pegboard_awx.double.sublists import tables as sublists
from pegboard_awx.double.variables import given as given_variables
from pegboard_awx.double.visits import Reply, Visit
from pegboard_awx.double.world import NODE, VERSION, World

MANAGED_GROUPS = frozenset({"controlplane", "default"})
SECRET = ("PASSWORD", "SECRET", "PRIVATE_KEY")


def ping(world: World) -> dict[str, Any]:
    """What `ping/` answers to everybody."""
    nodes = [
        {
            "node": one["hostname"],
            "node_type": one["node_type"],
            "uuid": one["uuid"],
            "heartbeat": stamp(world.now() - timedelta(seconds=12)),
            "capacity": one["capacity"],
            "version": VERSION,
        }
        for one in world.store.all("instances")
    ]
    groups = [
        {
            "name": group["name"],
            "capacity": sum(one["capacity"] for one in world.store.linked(group, "instances")),
            "instances": [one["hostname"] for one in world.store.linked(group, "instances")],
        }
        for group in world.store.all("instance_groups")
    ]
    return {
        "ha": len(nodes) > 1,
        "version": VERSION,
        "active_node": NODE,
        "install_uuid": world.unique("install"),
        "instances": nodes,
        "instance_groups": groups,
    }


def _config(visit: Visit) -> Reply:
    known = data("config")
    told: dict[str, Any] = {
        "time_zone": "UTC",
        "license_info": known["license_info"],
        "version": VERSION,
        "eula": "",
        "analytics_status": "off",
        "analytics_collectors": known["analytics_collectors"],
        "become_methods": known["become_methods"],
        "ui_next": True,
    }
    if visit.rights.sees_all:
        told |= {"project_base_dir": "/var/lib/awx/projects", "project_local_paths": [], "custom_virtualenvs": []}
    return Reply(body=told)


def _dashboard(visit: Visit) -> Reply:
    prefix = visit.prefix

    def seen(collection: str) -> list[Row]:
        return visit.rights.readable(visit.store.all(collection))

    def part(collection: str, **more: Any) -> dict[str, Any]:
        return {"url": f"{prefix}{collection}/", "total": len(seen(collection)), **more}

    hosts, projects, sources = seen("hosts"), seen("projects"), seen("inventory_sources")
    failing = sum(1 for one in hosts if one["has_active_failures"])
    scms = {"git": "Git", "svn": "Subversion", "archive": "Remote Archive"}
    inventories = {one["inventory"] for one in hosts if one["has_active_failures"]}
    return Reply(
        body={
            "related": {"jobs_graph": f"{prefix}dashboard/graphs/jobs/"},
            "inventories": part(
                "inventories",
                total_with_inventory_source=len({one["inventory"] for one in sources}),
                job_failed=len(inventories),
                inventory_failed=sum(1 for one in sources if one["last_job_failed"]),
            ),
            "inventory_sources": {
                "ec2": {
                    "url": f"{prefix}inventory_sources/?source=ec2",
                    "failures_url": f"{prefix}inventory_sources/?source=ec2&status=failed",
                    "label": "Amazon EC2",
                    "total": sum(1 for one in sources if one["source"] == "ec2"),
                    "failed": 0,
                }
            },
            "groups": part("groups", inventory_failed=0),
            "hosts": part("hosts", failures_url=f"{prefix}hosts/?last_job_host_summary__failed=True", failed=failing),
            "projects": part(
                "projects",
                failures_url=f"{prefix}projects/?last_job_failed=True",
                failed=sum(1 for one in projects if one["last_job_failed"]),
            ),
            "scm_types": {
                scm: {
                    "url": f"{prefix}projects/?scm_type={scm}",
                    "label": label,
                    "failures_url": f"{prefix}projects/?scm_type={scm}&last_job_failed=True",
                    "total": sum(1 for one in projects if one["scm_type"] == scm),
                    "failed": sum(1 for one in projects if one["scm_type"] == scm and one["last_job_failed"]),
                }
                for scm, label in scms.items()
            },
            **{name: part(name) for name in ("users", "organizations", "teams", "credentials", "job_templates")},
        }
    )


def _settings_root(visit: Visit) -> Reply:
    _require_admin(visit)
    rows: list[Row] = [{"slug": slug, "name": name} for slug, name in data("settings")["names"].items()]
    return Reply(
        body=page(visit.path, rows, visit.pairs, lambda row: {"url": f"{visit.prefix}settings/{row['slug']}/", **row})
    )


def _settings_get(visit: Visit, slug: str) -> Reply:
    _require_admin(visit)
    return Reply(body=_masked(_category(visit, slug)))


def _settings_patch(visit: Visit, slug: str) -> Reply:
    if not visit.rights.all:
        raise forbidden()
    values = _category(visit, slug)
    known = {name: category for category in visit.world.settings.values() for name in category}
    for name, given in visit.body.items():
        if name in values:
            known[name][name] = _setting(name, values[name], given)
    return Reply(body=_masked(_category(visit, slug)))


def _category(visit: Visit, slug: str) -> dict[str, Any]:
    if slug not in data("settings")["names"]:
        raise detail(404, "Not found.")
    if slug in ("all", "changed"):
        every = {name: one for category in visit.world.settings.values() for name, one in category.items()}
        before = {name: one for values in data("settings")["values"].values() for name, one in values.items()}
        return every if slug == "all" else {name: one for name, one in every.items() if one != before[name]}
    return visit.world.settings[slug]


def _setting(name: str, old: Any, given: Any) -> Any:
    if isinstance(old, bool):
        if not isinstance(given, bool):
            raise bad_field(name, "Must be a valid boolean.")
    elif isinstance(old, int):
        if isinstance(given, bool) or not str(given).lstrip("-").isdecimal():
            raise bad_field(name, "A valid integer is required.")
        return int(given)
    elif isinstance(old, list) and not isinstance(given, list):
        raise bad_field(name, f'Expected a list of items but got type "{type(given).__name__}".')
    return cast(Any, given)


def _masked(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "$encrypted$" if one and name.endswith(SECRET) else one for name, one in values.items()}


def _require_admin(visit: Visit) -> None:
    if not visit.rights.sees_all:
        raise forbidden()


def _metrics(visit: Visit) -> Reply:
    _require_admin(visit)
    gauges = list(_gauges(visit))
    if visit.asked("format") == "json" or (visit.accept.startswith("application/json")):
        return Reply(
            body={name: {"help_text": about, "type": "gauge", "samples": samples} for name, about, samples in gauges}
        )
    lines: list[str] = []
    for name, about, samples in gauges:
        lines += [f"# HELP {name} {about}", f"# TYPE {name} gauge"]
        for one in samples:
            labels = ",".join(f'{key}="{text}"' for key, text in one["labels"].items())
            lines.append(f"{name}{{{labels}}} {one['value']}" if labels else f"{name} {one['value']}")
    return Reply(body="\n".join([*lines, ""]), type="text/plain; charset=utf-8")


def _gauges(visit: Visit) -> list[tuple[str, str, list[dict[str, Any]]]]:
    store = visit.store
    counted = ("organizations", "users", "teams", "inventories", "projects", "job_templates", "workflow_job_templates")
    jobs = store.all("unified_jobs")
    statuses = ("failed", "waiting", "pending", "running", "successful", "canceled", "error")
    by_status = {status: sum(1 for job in jobs if job["status"] == status) for status in statuses}
    info = {"install_uuid": visit.world.unique("install"), "license_type": "open", "tower_version": VERSION}
    node = store.all("instances")[0]
    nodes = {"hostname": node["hostname"], "instance_uuid": node["uuid"], "node_type": node["node_type"]}
    quiet = (
        "callback_receiver_events_in_memory",
        "subsystem_metrics_pipe_execute_seconds",
        "task_manager_tasks_blocked",
    )
    return [
        ("awx_system_info", "AWX System Information", _sample(1, **info)),
        *(
            (f"awx_{name}_total", f"Number of {name.replace('_', ' ')}", _sample(len(store.all(name))))
            for name in counted
        ),
        ("awx_hosts_total", "Number of hosts", _sample(len(store.all("hosts")), type="all")),
        ("awx_schedules_total", "Number of schedules", _sample(len(store.all("schedules")))),
        ("awx_running_jobs_total", "Number of running jobs on the system", _sample(by_status["running"])),
        ("awx_pending_jobs_total", "Number of pending jobs on the system", _sample(by_status["pending"])),
        (
            "awx_status_total",
            "Status of Job launched",
            [one for s in statuses for one in _sample(by_status[s], status=s)],
        ),
        ("awx_instance_capacity", "Capacity of each node in the system", _sample(node["capacity"], **nodes)),
        *(
            (f"{name}_{number}", "Filler of the size a real one has", _sample(0, node=NODE))
            for name in quiet
            for number in range(40)
        ),
    ]


def _sample(value: float, **labels: str) -> list[dict[str, Any]]:
    return [{"labels": labels, "value": float(value)}]


def _remove_group(visit: Visit, row: Row) -> None:
    if row["name"] in MANAGED_GROUPS or not visit.rights.all:
        raise forbidden()


def _only_admins(visit: Visit, row: Row | None, values: Values, body: Mapping[str, Any]) -> None:  # noqa: ARG001
    if not visit.rights.all:
        raise forbidden()


def _remove_environment(visit: Visit, row: Row) -> None:  # noqa: ARG001
    if row["managed"]:
        raise forbidden()


def _launch_system_job(visit: Visit, id: int) -> Reply:  # noqa: A002 # what AWX calls it
    if not visit.rights.all:
        raise forbidden()
    template = visit.row("system_job_templates", id)
    given = given_variables("extra_vars", visit.body.get("extra_vars", {}))
    days = given.get("days", 30)
    if isinstance(days, bool) or not str(days).isdecimal():
        raise bad_field("extra_vars", "days must be a positive integer.")
    job = start(visit, template, {"extra_vars": {"days": int(days)} if given else {}})
    return visit.created(job, {"system_job": job["id"]})


ROUTES: Table = {
    ("GET", "config/"): _config,
    ("GET", "dashboard/"): _dashboard,
    ("GET", "settings/"): _settings_root,
    ("GET", "settings/{slug}/"): _settings_get,
    ("PATCH", "settings/{slug}/"): _settings_patch,
    ("GET", "metrics/"): _metrics,
    ("POST", "system_job_templates/{id}/launch/"): _launch_system_job,
    **tables(
        [
            Resource("instances", "GET PATCH PUT", prepare=_only_admins),
            Resource("instance_groups", prepare=_only_admins, removing=_remove_group),
            Resource("execution_environments", removing=_remove_environment),
            Resource("system_job_templates", "GET"),
            Resource("labels", "GET POST PUT PATCH"),
        ]
    ),
    **sublists([Linked("instance_groups", "instances")]),
}
