"""The data of the tests: collections of every kind, put into any Qdrant by its own client."""

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from qdrant_client import QdrantClient, models

from pegboard_qdrant.embedded import unsynced

CITIES = (("Rome", 41.9, 12.5), ("Berlin", 52.52, 13.405), ("Lisbon", 38.72, -9.14))
KINDS = ("espresso bar", "garden cafe", "tea house")
POINTS = 30
CROWD = 400
BIG = 2**62
UUIDS = ("0b0f2d2e-6c68-4b5c-9c3c-0d6f2a6d1f01", "7d444840-9dc0-11d1-b245-5ffdce74fad2")


def place(number: int) -> dict[str, Any]:
    """The payload of a place, with something of every kind Qdrant can filter by."""
    city, lat, lon = CITIES[number % 3]
    kind = KINDS[number % len(KINDS)] if number % 5 else "bookshop"
    payload: dict[str, Any] = {
        "name": f"Place {number}",
        "city": city,
        "price": number,
        "rating": number / 10 + 0.5,
        "open": number % 2 == 0,
        "tags": ["old", "quiet"] if number % 4 == 0 else ["new"],
        "opened": f"2024-{1 + number % 12:02}-01T10:00:00Z",
        "location": {"lat": lat + number / 1000, "lon": lon},
        "offers": [{"sku": f"A{number}", "price": number}, {"sku": "B", "price": 100 - number}],
        "description": f"A quiet {kind} in {city} with number {number}" + (" and a wild walrus" if number == 7 else ""),
        "note": None if number % 3 == 0 else f"note {number}",
        "empty": [],
    }
    if number == 11:
        payload |= {"big": BIG, "rare": "once", "ünïcode ☕": "ja", "key": "locker"}
    return payload


def vector(number: int) -> list[float]:
    """Four numbers, different for each point."""
    return [1.0, number / POINTS, (number % 7) / 7, (number % 3) / 3]


def fill(client: QdrantClient) -> None:
    """Make all collections."""
    client.create_collection("places", vectors_config=models.VectorParams(size=4, distance=models.Distance.COSINE))
    client.upsert("places", [models.PointStruct(id=n, vector=vector(n), payload=place(n)) for n in range(1, 31)])
    rank_by_words(client, "places", "description")
    client.update_collection_aliases(
        [models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name="places", alias_name="venues"))]
    )
    _named(client)
    _words(client)
    _crowd(client)
    client.create_collection("empty", vectors_config=models.VectorParams(size=4, distance=models.Distance.DOT))
    client.create_collection("two", vectors_config={"a": dense(2), "b": dense(2)})


def dense(size: int) -> models.VectorParams:
    return models.VectorParams(size=size, distance=models.Distance.DOT)


def rank_by_words(client: QdrantClient, collection: str, key: str) -> None:
    """Make a text index with scoring (BM25)."""
    scoring = models.TextScoringParams(type=models.TextScoringType.BM25)
    index = models.TextIndexParams(type=models.TextIndexType.TEXT, scoring=scoring)
    client.create_payload_index(collection, key, field_schema=index)


def _named(client: QdrantClient) -> None:
    many = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    client.create_collection(
        "named",
        vectors_config={
            "small": dense(2),
            "colbert": models.VectorParams(size=2, distance=models.Distance.DOT, multivector_config=many),
        },
        sparse_vectors_config={"words": models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )
    client.upsert(
        "named",
        [
            models.PointStruct(
                id=uuid,
                vector={
                    "small": [float(n), 1.0],
                    "colbert": [[float(n), 0.0], [0.0, 1.0]],
                    "words": models.SparseVector(indices=[1, 5 + n], values=[0.5, 1.0]),
                },
                payload={"title": f"number {n}"},
            )
            for n, uuid in enumerate(UUIDS)
        ],
    )


def _crowd(client: QdrantClient) -> None:
    """More points than a sample has, and one with a key of its own."""
    client.create_collection("crowd", vectors_config={})
    if client.init_options["path"] is not None:
        unsynced(client)
    payloads: list[dict[str, Any]] = [{"n": n} for n in range(CROWD - 1)]
    payloads.append({"n": CROWD, "needle": "here"})
    client.upsert(
        "crowd", [models.PointStruct(id=n, vector={}, payload=payload) for n, payload in enumerate(payloads, 1)]
    )


def _words(client: QdrantClient) -> None:
    client.create_collection("words", vectors_config={})
    client.upsert(
        "words",
        [
            models.PointStruct(id=2**63 + n, vector={}, payload={"title": title, "body": body})
            for n, (title, body) in enumerate([("Red kettle", "boils water"), ("Blue cup", "holds tea and water")])
        ],
    )
    rank_by_words(client, "words", "title")
    rank_by_words(client, "words", "body")


@contextmanager
def client_of(**where: Any) -> Generator[QdrantClient]:
    """A client to set things up with; what it warns of is of no interest here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        client = QdrantClient(**where, check_compatibility=False)
        try:
            yield client
        finally:
            client.close()
