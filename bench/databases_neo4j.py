"""`python -m bench.databases_neo4j`: `neo4j_query` beside the same query by the driver alone, in one run.

Both end in JSON and take turns, so that a busy machine hurts both alike: on a real Neo4j, and on ArcadeDB. The plugin's
way holds all that a call does behind the protocol: the guard, the READ transaction, the values, the fitting of the
answer. The driver's way is one explicit READ transaction and `json.dumps`.
"""

import argparse
import json
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import anyio
from neo4j import AsyncDriver, AsyncGraphDatabase
from pydantic import SecretStr
from tests.plugins.neo4j.engines import Engine, run_arcadedb, run_neo4j
from tests.plugins.neo4j.maven import installed_neo4j

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
Ask = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Timing:
    """The median seconds of one query, by the plugin and by the driver alone."""

    title: str
    plugin: float
    driver: float

    def __str__(self) -> str:
        ratio = self.plugin / self.driver
        return f"{self.title:28}{self.plugin * 1e3:9.2f} ms{self.driver * 1e3:9.2f} ms{ratio:8.2f}x"


def main() -> None:
    options = parser().parse_args()
    print(f"{'':28}{'the plugin':>12}{'the driver':>12}{'ratio':>9}")
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


async def measure(name: str, engine: Engine, rounds: int) -> list[Timing]:
    login = engine.reader
    settings = Settings(url=login.url, user=login.user, password=SecretStr(login.password), database=engine.database)
    timings: list[Timing] = []
    async with Pools() as pools, Results(ResultSettings()) as results, connected(engine) as driver:
        for rows in SIZES:
            asks = plugin(pools, results, settings, rows), alone(driver, engine.database, rows)
            by_plugin, by_driver = await turns(*asks, rounds if rows < max(SIZES) else max(5, rounds // 6))
            timings.append(Timing(f"{name}, {rows} rows", by_plugin, by_driver))
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


async def turns(first: Ask, second: Ask, rounds: int) -> tuple[float, float]:
    """The median seconds of each, after some to warm up."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + WARM_UP):
        for ask, spent in zip((first, second), seconds, strict=True):
            began = time.perf_counter()
            await ask()
            if number >= WARM_UP:
                spent.append(time.perf_counter() - began)
    return median(seconds[0]), median(seconds[1])


if __name__ == "__main__":
    main()
