"""Hosts as tools show them, and what Ansible found out about them."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from pegboard_awx.api import Object, named
from pegboard_awx.shapes import brief, hidden, mapping, moment, sequence, variables

GIBIBYTE = 1024**3
PREFIX = "ansible_"


def host_summary(item: Object) -> dict[str, Any]:
    """A host in a list."""
    last = mapping(item["summary_fields"].get("last_job"))
    groups = mapping(item["summary_fields"].get("groups"))
    told = brief(
        id=item["id"],
        name=item["name"],
        inventory=named(item, "inventory"),
        groups=[one["name"] for one in groups.get("results", ())],
        last_job=brief(id=last.get("id"), status=last.get("status")),
        has_active_failures=item["has_active_failures"],
    )
    return told if item["enabled"] else {**told, "enabled": False}


def host_details(item: Object) -> dict[str, Any]:
    """What else there is to tell about a host."""
    return brief(
        description=item["description"],
        variables=variables(item["variables"]),
        instance_id=item["instance_id"],
        modified=moment(item["modified"]),
    )


def usual_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts people ask for: system, addresses, memory, processors, file systems."""

    def fact(name: str) -> Any:
        return facts.get(f"{PREFIX}{name}")

    return brief(
        os=" ".join(str(part) for part in (fact("distribution"), fact("distribution_version")) if part),
        kernel=fact("kernel"),
        architecture=fact("architecture"),
        hostname=fact("fqdn") or fact("hostname"),
        ip=mapping(fact("default_ipv4")).get("address"),
        all_ips=[address for address in sequence(fact("all_ipv4_addresses")) if not str(address).startswith("127.")],
        cpus=fact("processor_vcpus"),
        memory_mb=fact("memtotal_mb"),
        memory_free_mb=fact("memfree_mb"),
        uptime_s=fact("uptime_seconds"),
        mounts=[_mount(mapping(one)) for one in sequence(fact("mounts"))],
    )


def chosen_facts(facts: Mapping[str, Any], keys: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The facts with these names or patterns, with or without `ansible_`, and a warning for each that has none."""
    found: dict[str, Any] = {}
    warnings: list[str] = []
    for key in keys:
        matching = [name for name in facts if fnmatchcase(name, key) or fnmatchcase(name, f"{PREFIX}{key}")]
        found |= {name: facts[name] for name in matching}
        if not matching:
            warnings.append(f"there is no fact {key!r}{_near(key, list(facts))}")
    return hidden(found), warnings


def _mount(mount: Object) -> dict[str, Any]:
    return brief(
        mount=mount.get("mount"),
        device=mount.get("device"),
        fstype=mount.get("fstype"),
        size_gib=_gib(mount.get("size_total")),
        free_gib=_gib(mount.get("size_available")),
    )


def _gib(size: Any) -> float | None:
    return round(size / GIBIBYTE, 1) if isinstance(size, int | float) else None


def _near(key: str, names: Sequence[str]) -> str:
    near = get_close_matches(key.removeprefix(PREFIX), [name.removeprefix(PREFIX) for name in names], n=3)
    return f"; did you mean {', '.join(near)}?" if near else ""
