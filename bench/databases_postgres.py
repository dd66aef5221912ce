"""`python -m bench.databases_postgres`: `postgres_query` beside the same query by asyncpg alone, in one run.

All end in JSON and take turns, so that a busy machine hurts them alike. asyncpg is measured as most people call it, a
statement on a pool, which is two round trips, and inside the READ ONLY transaction that reading safely takes, which is
four. The plugin takes three; its way holds all that a call does behind the protocol: the gates, the values, the fitting
of the answer. What the protocol adds is measured by the rest of `make bench`.
"""

import argparse
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import anyio
from pydantic import SecretStr
from pydantic_core import to_json
from tests.conftest import UNSAFE, open_folder

from bench.turns import Ask, turns
from pegboard import Call, Limits
from pegboard.pools import Pools
from pegboard.results import Results
from pegboard.settings import ResultSettings
from pegboard_postgres import Settings, tools
from pegboard_postgres.embedded import Embedded, connected, embedded

ROWS = (1, 100, 10_000)
MOST = 10_000
LIMITS = Limits(tokens=10_000_000, bytes=64 * 1024 * 1024)
DEADLINE = 60.0
WARM_UP = 5
TABLE = """CREATE TABLE orders AS SELECT n::int AS id, n::int8 * 7 AS customer, 'order number ' || n AS title,
n % 2 = 0 AS paid, n / 3.0::float8 AS weight, (n / 100.0)::numeric(12, 2) AS price,
'2024-01-01'::timestamptz + n * interval '1 minute' AS placed FROM generate_series(1, 20000) AS n;
ALTER TABLE orders ADD PRIMARY KEY (id); ANALYZE orders; GRANT SELECT ON orders TO PUBLIC"""
SQL = "SELECT * FROM orders WHERE id <= {}"


@dataclass(frozen=True, slots=True)
class Timing:
    """The median seconds of a query with so many rows: by the plugin, and by asyncpg without and with a transaction."""

    rows: int
    plugin: float
    asyncpg: float
    read_only: float

    def __str__(self) -> str:
        times = [f"{seconds * 1e3:10.2f} ms" for seconds in (self.plugin, self.asyncpg, self.read_only)]
        ratios = [f"{self.plugin / seconds:8.2f}x" for seconds in (self.asyncpg, self.read_only)]
        return f"{self.rows:8} {times[0]}{times[1]}{ratios[0]}{times[2]}{ratios[1]}"


def main() -> None:
    options = parser().parse_args()
    print(f"{'rows':>8} {'the plugin':>13}{'asyncpg':>13}{'ratio':>9}{'in READ ONLY':>13}{'ratio':>9}")
    anyio.run(table, options.rounds)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.databases_postgres", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="queries of each, of which the median counts")
    return parser


async def table(rounds: int) -> None:
    async with (
        server() as postgres,
        Pools() as pools,
        Results(ResultSettings()) as results,
        asyncpg_pool(postgres.dsn) as pool,
    ):
        settings = Settings(dsn=SecretStr(postgres.dsn), max_rows=MOST)
        for rows in ROWS:
            sql = SQL.format(rows)
            asks = plugin(pools, results, settings, sql, rows), plain(pool, sql), read_only(pool, sql)
            print(Timing(rows, *await turns(asks, rounds if rows < MOST else max(10, rounds // 10), WARM_UP)))


@asynccontextmanager
async def server() -> AsyncGenerator[Embedded]:
    with open_folder() as folder:
        async with embedded(folder, options=UNSAFE) as postgres:
            async with connected(postgres.admin_dsn) as admin:
                await admin.execute(TABLE)
            yield postgres


@asynccontextmanager
async def asyncpg_pool(dsn: str) -> AsyncGenerator[Any]:
    import asyncpg  # pyright: ignore[reportMissingTypeStubs] # it brings no types

    create = cast(Any, asyncpg).create_pool
    async with create(dsn, min_size=1, max_size=1) as pool:
        yield pool


def plugin(pools: Pools, results: Results, settings: Settings, sql: str, rows: int) -> Ask:
    async def ask() -> str:
        call: Call[Any] = Call(
            settings=settings, plugin="postgres", tool="postgres_query", endpoint="/postgres", timeout=DEADLINE,
            deadline=anyio.current_time() + DEADLINE, pools=pools, limits=LIMITS,
        )  # fmt: skip
        answer = await results.rows(await tools.query(call, sql, limit=settings.max_rows), call)
        assert answer["structuredContent"]["returned"] == rows
        return answer["content"][0]["text"]

    return ask


def plain(pool: Any, sql: str) -> Ask:
    async def ask() -> bytes:
        return to_json([dict(record) for record in await pool.fetch(sql)])

    return ask


def read_only(pool: Any, sql: str) -> Ask:
    async def ask() -> bytes:
        async with pool.acquire() as connection, connection.transaction(readonly=True):
            return to_json([dict(record) for record in await connection.fetch(sql)])

    return ask


if __name__ == "__main__":
    main()
