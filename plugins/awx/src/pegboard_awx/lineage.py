"""Lineage: what AWX deletes together with a group, its child groups and hosts that have no other."""

from dataclasses import dataclass

from pegboard_awx.api import Api, Object
from pegboard_awx.shapes import mapping

MOST = 1000
"""Things of one group that are looked at."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """Names of the groups and hosts that go with a group, and how many of its hosts stay in another one."""

    groups: list[str]
    hosts: list[str]
    kept: int


async def doomed_with(api: Api, group: Object) -> Doomed:
    """Find out what would go with a group."""
    groups = await _groups(api, group)
    hosts: dict[int, tuple[str, bool]] = {}
    for number in groups:
        async for host in api.all("groups", number, "hosts", most=MOST):
            hosts[host["id"]] = host["name"], await _groups_of(api, host) <= groups.keys()
    going = [name for name, goes in hosts.values() if goes]
    return Doomed([name for number, name in groups.items() if number != group["id"]], going, len(hosts) - len(going))


async def _groups(api: Api, group: Object) -> dict[int, str]:
    """The group, and those below it that are below no other."""
    groups: dict[int, str] = {group["id"]: group["name"]}
    waiting: list[int] = [group["id"]]
    while waiting:
        async for child in api.all("groups", waiting.pop(), "children", most=MOST):
            parents = {one["id"] async for one in api.all("groups", params={"children": child["id"]}, most=MOST)}
            if child["id"] not in groups and parents <= groups.keys():
                groups[child["id"]] = child["name"]
                waiting.append(child["id"])
    return groups


async def _groups_of(api: Api, host: Object) -> set[int]:
    """The groups a host is in; the summary of a host has only the first five."""
    told = mapping(host["summary_fields"].get("groups"))
    if told.get("count") == len(told.get("results", ())):
        return {group["id"] for group in told["results"]}
    return {group["id"] async for group in api.all("hosts", host["id"], "groups", most=MOST)}
