"""What a name that does not exist was probably meant to be, asked of the catalog after the statement has failed."""

import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import anyio

from pegboard_postgres import catalog, driver
from pegboard_postgres.driver import Connection
from pegboard_postgres.names import PART, near_labels, spelling
from pegboard_postgres.pool import Lent

TIMEOUT = 1.0
"""Seconds for the look-up; an error without a suggestion is better than one that comes late."""
MAX_LISTED = 30
NAME = re.compile(rf"(?:{PART})(?:\s*\.\s*(?:{PART}))*")
QUOTED = re.compile(r'(?<=")[^"]+(?=")')
WORD = re.compile(r'"(?:[^"]|"")+"|[^\W\d]\w*')


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that does not exist, in its parts as PostgreSQL takes them, and the statement it stands in."""

    parts: list[str]
    sql: str

    @property
    def name(self) -> str:
        return self.parts[-1]


Guess = Callable[[Connection, Unknown], Awaitable[str | None]]


async def near(lent: Lent, error: Any, sql: str) -> str | None:
    """A sentence for the caller, or `None` if there is nothing to suggest. The transaction begins anew."""
    guess, parts = GUESSES.get(getattr(error, "sqlstate", "")), _written(error, sql)
    if guess is None or not parts:
        return None
    with anyio.move_on_after(TIMEOUT), suppress(*driver.errors()):
        await lent.begin_again()
        return await guess(lent.connection, Unknown(parts, sql))
    return None


def _written(error: Any, sql: str) -> list[str]:
    """The name the error is about: from its place in the SQL, else from the message."""
    position = int(getattr(error, "position", None) or 0)
    match = NAME.match(sql, position - 1) if position else QUOTED.search(str(error))
    return [spelling(part) for part in re.findall(PART, match[0])] if match else []


async def _tables(connection: Connection, unknown: Unknown) -> str | None:
    found = await connection.fetch(catalog.NAMES, unknown.name)
    return _did_you_mean(near_labels(unknown.name, ((record["name"], record["label"]) for record in found)))


async def _columns(connection: Connection, unknown: Unknown) -> str | None:
    """Among the columns of the tables the statement mentions; all of them if none is like it and they are few."""
    words = {spelling(word) for word in WORD.findall(unknown.sql)}
    found = await connection.fetch(catalog.COLUMNS_OF, sorted(words))
    labels = [(record["name"], f"{record['table']}.{record['name']}") for record in found]
    if likely := near_labels(unknown.name, labels):
        return _did_you_mean(likely)
    tables = {record["table"] for record in found}
    if len(tables) == 1 and len(labels) <= MAX_LISTED:
        return f"{tables.pop()} has {', '.join(name for name, _ in labels)}"
    return None


async def _functions(connection: Connection, unknown: Unknown) -> str | None:
    found = await connection.fetch(catalog.FUNCTIONS, unknown.name)
    same = [record["label"] for record in found if record["name"] == unknown.name]
    if same:
        return f"there is {' and '.join(same[:5])}; cast the arguments, as in value::text"
    return _did_you_mean(get_close_matches(unknown.name, {record["name"] for record in found}))


async def _schemas(connection: Connection, unknown: Unknown) -> str | None:
    names = [record["name"] for record in await connection.fetch(catalog.SCHEMAS)]
    likely = get_close_matches(unknown.parts[0], names)
    return _did_you_mean(likely) or f"there are {', '.join(names[:MAX_LISTED])}"


def _did_you_mean(names: Iterable[str]) -> str | None:
    few = list(names)[:3]
    return f"did you mean {' or '.join(few)}?" if few else None


GUESSES: dict[str, Guess] = {"42P01": _tables, "42703": _columns, "42883": _functions, "3F000": _schemas}
