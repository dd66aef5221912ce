"""Group infrastructure: the nodes that run jobs, and how AWX is set up."""

from datetime import UTC, datetime
from typing import Any

from typing_extensions import TypedDict

from pegboard import Call, Group, tool
from pegboard_awx.api import Api, Object, named
from pegboard_awx.names import resolve
from pegboard_awx.settings import Settings
from pegboard_awx.shapes import (
    Detail,
    Listing,
    PageNumber,
    PageSize,
    brief,
    by_detail,
    finding,
    listed,
    mapping,
    moment,
    sequence,
)
from pegboard_awx.system_settings import CHANGED, EVERY, categories, chosen, is_set, masked, settings_of

MEMBERS = 100
"""Instances of a group that are shown; hardly any AWX has more."""


class SystemSettings(TypedDict, total=False):
    """Settings of AWX without secrets; `unknown` names what is not there, with names that are near."""

    category: str
    settings: dict[str, Any]
    empty: int
    unknown: dict[str, list[str]]
    categories: list[str]
    next: str


@tool(read_only=True, open_world=True)
async def ping_awx(call: Call[Settings]) -> dict[str, Any]:
    """Tell AWX's version, nodes and instance groups; works with wrong credentials, too."""
    told = await (await Api.of(call)).get("ping")
    now = datetime.now(UTC)
    instances = [
        brief(node=one["node"], capacity=one["capacity"], heartbeat_age_s=_age(one.get("heartbeat"), now))
        for one in told["instances"]
    ]
    groups = [
        {"name": one["name"], "capacity": one["capacity"], "instances": len(one["instances"])}
        for one in told["instance_groups"]
    ]
    return {
        "version": told["version"],
        "ha": told["ha"],
        **brief(active_node=told["active_node"]),
        "instances": instances,
        "instance_groups": groups,
    }


@tool(read_only=True, open_world=True)
async def get_config(call: Call[Settings], detail: Detail = "summary") -> dict[str, Any]:
    """Show version, license and time zone of AWX; to administrators also the directories of projects."""
    told = await (await Api.of(call)).get("config")
    license_ = mapping(told.get("license_info"))
    summary = brief(
        version=told["version"],
        license_type=license_.get("license_type"),
        time_zone=told["time_zone"],
        project_base_dir=told.get("project_base_dir"),
    )
    local = {"project_local_paths": told["project_local_paths"]} if "project_local_paths" in told else {}
    return {**summary, **local, **(_config_details(told, license_) if detail == "full" else {})}


@tool(read_only=True, open_world=True)
async def get_dashboard(call: Call[Settings]) -> dict[str, Any]:
    """Count what there is of everything, and what failed."""
    told = await (await Api.of(call)).get("dashboard")
    return {name: counts for name, part in told.items() if name != "related" and (counts := _counts(mapping(part)))}


@tool(read_only=True, open_world=True)
async def get_settings(call: Call[Settings], category: str = EVERY, keys: list[str] | None = None) -> SystemSettings:
    """Show settings of AWX: of a category, or those named by keys, like MAX_FORKS or AUTH_LDAP*.

    Without either: the categories, and what is not as AWX came.
    """
    api = await Api.of(call)
    if keys:
        found, unknown = chosen(await settings_of(api, category), keys)
        told: SystemSettings = {"category": category, "settings": found}
        return {**told, "unknown": unknown} if unknown else told
    values = await settings_of(api, CHANGED if category == EVERY else category)
    given = {name: masked(name, value) for name, value in values.items() if is_set(value)}
    if category == EVERY:
        then = "name a category or keys to see more"
        return {"category": CHANGED, "settings": given, "categories": await categories(api), "next": then}
    return {"category": category, "settings": given, "empty": len(values) - len(given)}


@tool(read_only=True, open_world=True)
async def list_instances(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "hostname",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
) -> Listing:
    """List the nodes of AWX: state, capacity, and when each was last seen."""
    now = datetime.now(UTC)

    def summarize(item: Object) -> dict[str, Any]:
        return {**_instance(item, now), **(_instance_details(item) if detail == "full" else {})}

    api = await Api.of(call)
    params = {**finding(search, None, order_by), "hostname__icontains": name_contains}
    return await listed(api, "instances", params=params, page=page, page_size=page_size, summarize=summarize)


@tool(read_only=True, open_world=True)
async def list_instance_groups(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
) -> Listing:
    """List instance groups with their capacity and running jobs."""

    api, params = await Api.of(call), finding(search, name_contains, order_by)
    return await listed(
        api,
        "instance_groups",
        params=params,
        page=page,
        page_size=page_size,
        summarize=by_detail(detail, _group, _group_details),
    )


@tool(read_only=True, open_world=True)
async def get_instance_group(call: Call[Settings], instance_group_id: int | str) -> dict[str, Any]:
    """Show an instance group with its limits and member instances."""
    api = await Api.of(call)
    id_ = await resolve(api, "instance_groups", instance_group_id)
    item = await api.get("instance_groups", id_)
    now = datetime.now(UTC)
    members = [_instance(one, now) async for one in api.all("instance_groups", id_, "instances", most=MEMBERS)]
    return {**_group(item), **_group_details(item), "instances": members}


@tool(read_only=True, open_world=True)
async def list_execution_environments(
    call: Call[Settings],
    search: str | None = None,
    name_contains: str | None = None,
    order_by: str = "name",
    page: PageNumber = 1,
    page_size: PageSize = 20,
    detail: Detail = "summary",
) -> Listing:
    """List execution environments: the container images that jobs run in."""

    api, params = await Api.of(call), finding(search, name_contains, order_by)
    path = ("execution_environments",)
    return await listed(
        api, *path, params=params, page=page, page_size=page_size, summarize=by_detail(detail, _image, _image_details)
    )


def _config_details(told: Object, license_: Object) -> dict[str, Any]:
    return brief(
        product=license_.get("product_name"),
        subscription=license_.get("subscription_name"),
        license_is_valid=license_.get("valid_key"),
        analytics=told.get("analytics_status"),
        become_methods=[one[0] for one in sequence(told.get("become_methods"))],
    )


def _counts(part: Object) -> dict[str, Any]:
    """The numbers of a part of the dashboard; those of its kinds, where it is made of several that there are."""
    numbers = {name: value for name, value in part.items() if isinstance(value, int)}
    if numbers:
        return numbers
    inner = {name: _counts(mapping(one)) for name, one in part.items()}
    return {name: counts for name, counts in inner.items() if counts.get("total")}


def _instance(item: Object, now: datetime) -> dict[str, Any]:
    return {
        **brief(id=item["id"], hostname=item["hostname"], node_type=item["node_type"], state=item["node_state"]),
        "enabled": item["enabled"],
        "capacity": item["capacity"],
        "used_percent": round(100 - item["percent_capacity_remaining"]),
        **brief(errors=item["errors"], last_seen_age_s=_age(item["last_seen"], now)),
    }


def _instance_details(item: Object) -> dict[str, Any]:
    return brief(
        version=item["version"],
        cpu=item["cpu"],
        memory_gib=round(item["memory"] / 2**30, 1),
        jobs_running=item["jobs_running"],
        jobs_total=item["jobs_total"],
        ip_address=item["ip_address"],
        last_health_check=moment(item["last_health_check"]),
    )


def _group(item: Object) -> dict[str, Any]:
    return brief(
        id=item["id"],
        name=item["name"],
        capacity=item["capacity"],
        consumed=item["consumed_capacity"],
        jobs_running=item["jobs_running"],
        is_container_group=item["is_container_group"],
    )


def _group_details(item: Object) -> dict[str, Any]:
    return brief(
        policy_instance_percentage=item["policy_instance_percentage"],
        policy_instance_minimum=item["policy_instance_minimum"],
        policy_instance_list=item["policy_instance_list"],
        max_concurrent_jobs=item["max_concurrent_jobs"],
        max_forks=item["max_forks"],
        jobs_total=item["jobs_total"],
        credential=named(item, "credential"),
    )


def _image(item: Object) -> dict[str, Any]:
    return brief(
        id=item["id"],
        name=item["name"],
        image=item["image"],
        pull=item["pull"],
        organization=named(item, "organization"),
        managed=item["managed"],
    )


def _image_details(item: Object) -> dict[str, Any]:
    return brief(
        description=item["description"], credential=named(item, "credential"), modified=moment(item["modified"])
    )


def _age(text: str | None, now: datetime) -> int | None:
    """Seconds since a time of AWX, by the clock here."""
    return None if not text else max(0, round((now - datetime.fromisoformat(text)).total_seconds()))


GROUP = Group(
    "infrastructure",
    title="System information",
    tools=[
        ping_awx,
        get_config,
        get_dashboard,
        get_settings,
        list_instances,
        list_instance_groups,
        get_instance_group,
        list_execution_environments,
    ],
)

ALIASES: dict[str, str] = {"system_info": "get_config"}
"""Old names, without the prefix `awx_`."""
