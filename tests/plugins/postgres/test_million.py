"""A million rows: all of them, in order, in little memory; and one value that is too much for any memory."""

import json
import sys
from pathlib import Path

import anyio
from anyio import fail_after
from tests.plugins.postgres.conftest import Reader
from tests.plugins.postgres.million import ROWS

from pegboard_postgres.embedded import Embedded

PROGRAM = Path(__file__).with_name("million.py")


async def test_a_million_rows_arrive_complete_and_in_order_in_little_memory(postgres_server: Embedded) -> None:
    with fail_after(300):
        process = await anyio.run_process([sys.executable, str(PROGRAM), postgres_server.dsn])

    found = json.loads(process.stdout)
    assert (found["rows"], found["faults"]) == (ROWS, 0)
    assert found["pages"] >= 100
    assert found["peak_mb"] < 150


async def test_a_value_of_a_hundred_megabytes_is_cut_where_it_is(reader: Reader) -> None:
    with fail_after(60):
        value = await reader.value("SELECT repeat('x', 100 * 1024 * 1024)")

    assert value == "x" * 2000 + "…(+104855600 chars)"
