"""Names as people write them: with a schema or without, quoted or not, nearly right."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from pegboard import ToolError
from pegboard_postgres import catalog
from pegboard_postgres.driver import Connection

PART = r'"(?:[^"]|"")+"|[^".\s(),;]+'
WRITTEN_PART = r'(?:"(?:[^"]|"")+"|[^".]+)'
WRITTEN = re.compile(rf"{WRITTEN_PART}(?:\.{WRITTEN_PART})*")


async def find(connection: Connection, name: str) -> int:
    """The oid of the table of this name; raises `ToolError` with the nearest names if there is none, or several."""
    schema, table = split(name)
    found = await connection.fetch(catalog.FIND, name, spellings(table), schema and spellings(schema))
    # As PostgreSQL would: the search path counts for a bare name, and quotes or capitals are exact.
    best = [record for record in found if record["rank"] == found[0]["rank"]]
    if not best:
        raise await _unknown(connection, name)
    if len(best) > 1:
        raise ToolError(f"{name!r} could be {' or '.join(record['label'] for record in best)}; write the one you mean")
    return best[0]["oid"]


def split(name: str) -> tuple[str | None, str]:
    """Schema and table as written, quotes kept; a name that is no SQL name is a table's as it stands."""
    if not WRITTEN.fullmatch(name):
        return None, name
    *_, schema, table = (None, *re.findall(WRITTEN_PART, name))
    return schema, table or name


def spellings(part: str) -> list[str]:
    """What a written name can stand for, the likeliest first."""
    if part.startswith('"') and part.endswith('"') and len(part) > 1:
        return [part[1:-1].replace('""', '"')]
    return list(dict.fromkeys([part.lower(), part]))


def spelling(part: str) -> str:
    """What PostgreSQL takes a written name for."""
    return spellings(part)[0]


def near_labels(name: str, labels: Iterable[tuple[str, str]]) -> list[str]:
    """The labels of the names that look like this one, the nearest first."""
    by_name: dict[str, list[str]] = {}
    for other, label in labels:
        by_name.setdefault(other.lower(), []).append(label)
    return [label for match in get_close_matches(name.lower(), by_name) for label in by_name[match]]


async def _unknown(connection: Connection, name: str) -> ToolError:
    _, table = split(name)
    (*_, written) = spellings(table)
    found = await connection.fetch(catalog.NAMES, written)
    near = near_labels(written, ((record["name"], record["label"]) for record in found))
    guess = f"did you mean {' or '.join(near[:3])}?" if near else "postgres_list_tables lists what there is"
    return ToolError(f"no table named {name!r}; {guess}")
