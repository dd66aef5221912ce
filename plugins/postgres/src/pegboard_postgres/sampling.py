"""A few rows of a table, to see what its columns hold."""

from contextlib import suppress
from typing import Any

import anyio

from pegboard_postgres import catalog, driver, forms
from pegboard_postgres.pool import Lent

TIMEOUT = 2.0
"""Seconds for the rows of a view, which may have to be computed first; then the rest comes without."""
MOST = 100
"""Characters of one value."""


async def sample(lent: Lent, oid: int, count: int) -> list[dict[str, Any]] | None:
    """Up to `count` rows as they come, of the columns that may be read; `None` where that cannot be had soon."""
    connection = lent.connection
    with lent.bounded():
        label = await connection.fetchval(catalog.LABEL, oid)
        readable = [record["name"] for record in await connection.fetch(catalog.COLUMNS, oid) if record["readable"]]
    if not readable:
        return None
    query = f"SELECT {', '.join(map(forms.quoted, readable))} FROM {label} LIMIT {count}"  # noqa: S608 # quoted names
    with anyio.move_on_after(TIMEOUT), suppress(*driver.errors()):
        prepared = await connection.prepare(query, name="")
        layout = forms.Layout.of([attribute.type for attribute in prepared.get_attributes()])
        records = await connection.fetch(layout.sql(query, MOST))
        return [dict(zip(readable, row, strict=True)) for row in layout.rows(records)]
    return None
