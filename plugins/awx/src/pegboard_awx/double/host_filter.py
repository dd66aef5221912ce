"""Host filters: `name=web-01 and groups__name=web`, for smart inventories and for lists of hosts."""

import re

from pegboard_awx.double.filtering import condition
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.refusals import error
from pegboard_awx.double.store import Store

FACTS = "ansible_facts__"


def found(store: Store, text: str, organization: int | None = None) -> list[Row]:
    """The hosts that a filter finds, within an organization where one is given."""
    inventories = {
        row["id"]
        for row in store.all("inventories")
        if row["kind"] == "" and (organization is None or row["organization"] == organization)
    }
    hosts = [host for host in store.all("hosts") if host["inventory"] in inventories]
    return [host for host in hosts if holds(store, host, text)]


def holds(store: Store, host: Row, text: str) -> bool:
    """Whether a filter is true for a host; `and` binds tighter than `or`."""
    parts = re.split(r"\s+or\s+", text.strip(), flags=re.IGNORECASE)
    return any(all(_term(store, host, term) for term in re.split(r"\s+and\s+", part, flags=re.I)) for part in parts)


def _term(store: Store, host: Row, term: str) -> bool:
    name, equals, value = term.strip().strip("()").partition("=")
    if not equals:
        raise error(f"Invalid query {term}")
    name, value = name.strip(), value.strip().strip('"')
    if name.startswith(FACTS):
        return str(host.get("_facts", {}).get(name.removeprefix(FACTS))) == value
    return condition("hosts", name, value).holds(store, host)
