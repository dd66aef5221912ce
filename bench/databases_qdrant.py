"""`python -m bench.databases_qdrant`: `qdrant_search` beside the same search by qdrant-client alone, in one run.

Both end in JSON and take turns, so that a busy machine hurts both alike: over the embedded engine in this process, and
over HTTP to the front of the tests, since no Qdrant server can be had here. What the hub adds is measured by
`make bench`; this is what the plugin adds.
"""

import argparse
import json
import tempfile
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import anyio
from qdrant_client import QdrantClient, models
from tests.plugins.qdrant.processes import front

from bench.turns import HEAD, Ask, Beside, turns
from pegboard import Call
from pegboard.pools import Pools
from pegboard_qdrant import QDRANT, Settings, tools
from pegboard_qdrant.embedded import unsynced
from pegboard_qdrant.pool import Qdrant

SIZE = 64
VECTOR = [0.5] * SIZE
COLLECTION = "bench"
WARM_UP = 5
DEADLINE = 60.0


def main() -> None:
    options = parser().parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    print(HEAD)
    for way in (embedded, over_http):
        with way(options.points) as settings:
            for timing in anyio.run(measure, way.__name__, settings, options.points, options.rounds):
                print(timing)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.databases_qdrant", description=__doc__)
    parser.add_argument("--points", type=int, default=5_000, help="size of the collection")
    parser.add_argument("--rounds", type=int, default=40, help="searches of each, of which the median counts")
    return parser


@contextmanager
def embedded(points: int) -> Generator[Settings]:
    with tempfile.TemporaryDirectory() as folder:
        client = QdrantClient(path=folder)
        fill(client, points)
        client.close()
        yield Settings(path=folder)


@contextmanager
def over_http(points: int) -> Generator[Settings]:
    with front() as process:
        client = QdrantClient(url=process.url, check_compatibility=False, timeout=60)
        fill(client, points)
        client.close()
        yield Settings(url=process.url)


def fill(client: QdrantClient, points: int) -> None:
    client.create_collection(COLLECTION, models.VectorParams(size=SIZE, distance=models.Distance.COSINE))
    if client.init_options["path"] is not None:
        unsynced(client)
    for start in range(0, points, 500):
        client.upsert(COLLECTION, [point(number) for number in range(start, min(points, start + 500))])


def point(number: int) -> models.PointStruct:
    vector = [(number * place % 97) / 97 + 0.01 for place in range(1, SIZE + 1)]
    return models.PointStruct(id=number, vector=vector, payload={"number": number, "name": f"point {number}"})


async def measure(way: str, settings: Settings, points: int, rounds: int) -> list[Beside]:
    timings: list[Beside] = []
    async with Pools() as pools:
        qdrant = await pools.get(QDRANT, settings.target)
        for limit in (1, 100, 1000):
            by_plugin, by_client = await turns([plugin(pools, settings, limit), client(qdrant, limit)], rounds, WARM_UP)
            timings.append(Beside(f"{way}, {limit} of {points} points", by_plugin, by_client))
    return timings


def plugin(pools: Pools, settings: Settings, limit: int) -> Ask:
    async def ask() -> str:
        now = anyio.current_time()
        call: Call[Any] = Call(
            settings=settings, plugin="qdrant", tool="qdrant_search", endpoint="/qdrant", timeout=DEADLINE,
            deadline=now + DEADLINE, pools=pools,
        )  # fmt: skip
        return json.dumps(await tools.search(call, COLLECTION, query_vector=VECTOR, limit=limit))

    return ask


def client(qdrant: Qdrant, limit: int) -> Ask:
    async def ask() -> str:
        async with qdrant.use("search") as client:
            found = await client.query_points(COLLECTION, query=VECTOR, limit=limit, with_payload=True)
        return found.model_dump_json()

    return ask


if __name__ == "__main__":
    main()
