"""The names a graph knows: labels, types of relationships and keys of properties."""

from collections.abc import Iterable, Sequence
from typing import Literal

from pegboard import ToolError
from pegboard_neo4j import suggest
from pegboard_neo4j.cache import Cache
from pegboard_neo4j.quoting import quoted
from pegboard_neo4j.transaction import Transaction

Kind = Literal["label", "relationship type", "property"]

LISTS: dict[Kind, str] = {
    "label": "CALL db.labels() YIELD label RETURN label ORDER BY label",
    "relationship type": "CALL db.relationshipTypes() YIELD relationshipType AS name RETURN name ORDER BY name",
    "property": "CALL db.propertyKeys() YIELD propertyKey AS name RETURN name ORDER BY name",
}


async def known(transaction: Transaction, cache: Cache, kind: Kind, *, fresh: bool = False) -> Sequence[str]:
    """All names of a kind, as of a short while ago."""
    found = None if fresh else cache.get(kind)
    if found is None:
        found = [str(name) for (name,) in await transaction.rows(LISTS[kind])]
        cache.put(kind, found)
    return found


async def check(transaction: Transaction, cache: Cache, kind: Kind, names: Iterable[str]) -> list[str]:
    """The names in backticks; raises `ToolError` with the likeliest others for one that is not there."""
    wanted = list(names)
    if kind == "property" and not transaction.engine.is_neo4j:
        return [quoted(name) for name in wanted]  # others list only the keys some schema declares
    there = await known(transaction, cache, kind)
    if not set(wanted) <= set(there):
        there = await known(transaction, cache, kind, fresh=True)
    for name in wanted:
        if name not in there:
            raise ToolError(suggest.missing(kind, name, there))
    return [quoted(name) for name in wanted]
