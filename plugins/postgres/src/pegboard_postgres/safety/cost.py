"""Refuses a query that PostgreSQL expects to be expensive, before it is run."""

import json
from collections.abc import Sequence
from typing import Any

from pegboard import ToolError
from pegboard_postgres.driver import Connection


async def check_cost(connection: Connection, query: str, arguments: Sequence[Any], most: float) -> None:
    """Plan a query that has passed `check`; raises `ToolError` if PostgreSQL expects it to cost more than `most`.

    The unit is that of EXPLAIN: about the time it takes to read 8 kB in a row.
    """
    ((plan,),) = await connection.fetch(f"EXPLAIN (FORMAT JSON) {query}", *arguments)
    top = json.loads(plan)[0]["Plan"]
    if top["Total Cost"] > most:
        raise ToolError(
            f"PostgreSQL expects this to cost {top['Total Cost']:,.0f} and to return {top['Plan Rows']:,} rows; "
            f"the operator allows a cost of {most:,.0f} (max_cost). Narrow it down with WHERE on indexed columns "
            f"or with LIMIT; EXPLAIN shows its plan"
        )
