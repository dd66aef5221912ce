"""`python -m bench.databases_neo4j`: `neo4j_query` beside the same query by the driver alone, in one run.

Both end in JSON and take turns, so that a busy machine hurts both alike: on a real Neo4j, and on ArcadeDB. The plugin's
way holds all that a call does behind the protocol: the guard, the READ transaction, the values, the fitting of the
answer. The driver's way is one explicit READ transaction and `json.dumps`.
"""

import argparse
import json
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from neo4j import AsyncDriver, AsyncGraphDatabase
from pydantic import SecretStr
from tests.plugins.neo4j.engines import Engine, run_arcadedb, run_neo4j
from tests.plugins.neo4j.maven import installed_neo4j

from bench.turns import HEAD, Ask, Beside, turns
from pegboard import Call, Limits
from pegboard.pools import Pools
from pegboard.results import Results
from pegboard.settings import ResultSettings
from pegboard_neo4j import Settings, tools

QUERY = "UNWIND range(1, $rows) AS x RETURN x, 'name ' + toString(x) AS name, x * 0.5 AS half"
SIZES = (1, 100, 10_000)
LIMITS = Limits(tokens=10_000_000, bytes=64 * 1024 * 1024)
WARM_UP = 20
DEADLINE = 60.0


def main() -> None:
    options = parser().parse_args()
    print(HEAD)
    anyio.run(show, options.rounds)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.databases_neo4j", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="queries of each, of which the median counts")
    return parser


async def show(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, running in (
            ("neo4j", lambda: run_neo4j(_made(folder, "neo4j"), installed_neo4j())),
            ("arcadedb", lambda: run_arcadedb(_made(folder, "arcadedb"))),
        ):
            async with running() as engine:
                for timing in await measure(name, engine, rounds):
                    print(timing)


def _made(folder: str, name: str) -> Path:
    path = Path(folder) / name
    path.mkdir()
    return path


async def measure(name: str, engine: Engine, rounds: int) -> list[Beside]:
    login = engine.reader
    settings = Settings(url=login.url, user=login.user, password=SecretStr(login.password), database=engine.database)
    timings: list[Beside] = []
    async with Pools() as pools, Results(ResultSettings()) as results, connected(engine) as driver:
        for rows in SIZES:
            asks = plugin(pools, results, settings, rows), alone(driver, engine.database, rows)
            by_plugin, by_driver = await turns(asks, rounds if rows < max(SIZES) else max(5, rounds // 6), WARM_UP)
            timings.append(Beside(f"{name}, {rows} rows", by_plugin, by_driver))
    return timings


def plugin(pools: Pools, results: Results, settings: Settings, rows: int) -> Ask:
    async def ask() -> str:
        call: Call[Any] = Call(
            settings=settings, plugin="neo4j", tool="neo4j_query", endpoint="/neo4j", timeout=DEADLINE,
            deadline=anyio.current_time() + DEADLINE, pools=pools, limits=LIMITS,
        )  # fmt: skip
        answer = await results.rows(await tools.query(call, QUERY, {"rows": rows}, limit=10_000), call)
        assert answer["structuredContent"]["returned"] == rows, answer["structuredContent"]["returned"]
        return answer["content"][0]["text"]

    return ask


@asynccontextmanager
async def connected(engine: Engine) -> AsyncGenerator[AsyncDriver]:
    auth = engine.reader.user, engine.reader.password
    async with AsyncGraphDatabase.driver(engine.url, auth=auth, telemetry_disabled=True) as driver:  # pyright: ignore[reportUnknownMemberType]
        yield driver


def alone(driver: AsyncDriver, database: str, rows: int) -> Ask:
    async def ask() -> str:
        async with driver.session(database=database, default_access_mode="READ", fetch_size=10_001) as session:  # pyright: ignore[reportUnknownMemberType]
            transaction = await session.begin_transaction()
            result = await transaction.run(QUERY, {"rows": rows})
            found = [record.values() async for record in result]
            await transaction.rollback()
        return json.dumps({"columns": result.keys(), "rows": found})

    return ask


if __name__ == "__main__":
    main()
