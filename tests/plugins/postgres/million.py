"""Reads a query to its end through a hub in this process, and says what that took: `million.py DSN`."""

import json
import resource
import sys
from pathlib import Path
from typing import Any

import anyio

import pegboard_postgres
from pegboard.testing import connect

ROWS = 1_000_000
SQL = f"SELECT n, 'row ' || n, n * 7 AS seven FROM generate_series(1, {ROWS}) AS n"
RESULTS = {"tokens": 200_000, "bytes": 1024 * 1024}


async def read(dsn: str, sql: str) -> dict[str, int]:
    """Count the rows and pages; whatever is not the next number in its place is a fault."""
    expected = pages = faults = 0
    settings = {"plugins": {"postgres": {"dsn": dsn, "max_rows": 100_000}}, "results": RESULTS}
    async with connect(pegboard_postgres, settings=settings) as client:
        tool, arguments = "postgres_query", {"sql": sql, "limit": 10_000}
        while True:
            answer: Any = (await client.call_tool(tool, arguments)).structured_content
            for number, text, seven in answer["rows"]:
                expected += 1
                faults += (number, text, seven) != (expected, f"row {expected}", expected * 7)
            pages += 1
            if not answer["has_more"]:
                break
            tool, arguments = "fetch_more", {"cursor": answer["cursor"]}
    return {"rows": expected, "pages": pages, "faults": faults, "peak_mb": peak_mb()}


def peak_mb() -> int:
    """The most memory this process has had; not by `getrusage` on Linux, which counts what its parent had, too."""
    if sys.platform == "linux":
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024)


if __name__ == "__main__":
    print(json.dumps(anyio.run(read, sys.argv[1], SQL)))
