"""Limits: which hosts of an inventory a run goes to."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from pegboard_awx.double.kinds import Row
from pegboard_awx.double.store import Store


def chosen(store: Store, hosts: Sequence[Row], limit: str) -> list[Row]:
    """The hosts that a limit names: names, patterns and groups, with `!` for all but those."""
    terms = [term for term in limit.replace(",", ":").split(":") if term]
    if not terms or terms == ["all"]:
        return list(hosts)
    wanted = [term for term in terms if not term.startswith("!")]
    without = [term[1:] for term in terms if term.startswith("!")]
    return [
        host
        for host in hosts
        if (not wanted or any(_is(store, host, term) for term in wanted))
        and not any(_is(store, host, term) for term in without)
    ]


def _is(store: Store, host: Row, term: str) -> bool:
    if term == "all" or fnmatchcase(host["name"], term):
        return True
    return any(group["name"] == term for group in store.linking("groups", "hosts", host))
