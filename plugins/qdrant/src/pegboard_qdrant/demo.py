"""The demo: an embedded Qdrant with the texts of a sample shop in it, for `pegboard demo`."""

import gzip
import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from pegboard import ToolError
from pegboard_qdrant.embedded import FolderInUseError, check_unlocked, open_engine, unsynced

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

TEXTS = "demo.jsonl.gz"
"""The texts of the shop whose tables pegboard-postgres makes, with the same numbers; it has a test for that."""
VERSION = "version"
BATCH = 500

ABOUT = "Brightwick's texts: 320 product descriptions, 4 000 reviews and 1 500 support tickets, found by words (BM25)."
QUESTIONS = [
    "What do support tickets say about things that arrived damaged, and which cities do they come from?",
    "Find the reviews of kitchen products that complain about late delivery. Which products are they about?",
    "Which products suit a small balcony, cost under 60 euros, and are in stock?",
]


@asynccontextmanager
async def demo(folder: Path, say: Callable[[str], None]) -> AsyncGenerator[dict[str, Any]]:
    """Make the folder of an embedded Qdrant at the first start, and whenever its texts have changed.

    Yields the `settings` of the plugin, a line `about` the data, and three `questions` worth asking. The engine itself
    is the plugin's; nothing runs here. Raises `ToolError` while another process uses the folder.
    """
    texts = (files("pegboard_qdrant") / TEXTS).read_bytes()
    version = hashlib.sha256(texts).hexdigest()
    path, marker = folder / "data", folder / VERSION
    if not marker.exists() or marker.read_text() != version:
        say("loading the texts of the sample shop (first start only)")
        await to_thread.run_sync(_fill, path, texts)
        marker.write_text(version)
    yield {"settings": {"path": str(path)}, "about": ABOUT, "questions": QUESTIONS}


def _fill(path: Path, texts: bytes) -> None:
    """Make the collections anew; what an interrupted load left is taken away first."""
    try:
        check_unlocked(path)
    except FolderInUseError as error:
        raise ToolError(f"another process uses the folder {error}; stop it first") from error
    rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    client = open_engine(str(path))
    try:
        _load(client, texts)
    finally:
        client.close()


def _load(client: "QdrantClient", texts: bytes) -> None:
    from qdrant_client.models import PointStruct

    for collection, points in _points(texts):
        client.create_collection(collection, vectors_config={})
        unsynced(client)
        structs = [PointStruct(id=number, vector={}, payload=payload) for number, payload in points]
        for start in range(0, len(structs), BATCH):
            client.upsert(collection, structs[start : start + BATCH])
        _rank_by_words(client, collection)


def _points(texts: bytes) -> Iterator[tuple[str, list[tuple[int, dict[str, Any]]]]]:
    found: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for line in gzip.decompress(texts).splitlines():
        collection, number, payload = json.loads(line)
        found.setdefault(collection, []).append((number, payload))
    yield from found.items()


def _rank_by_words(client: "QdrantClient", collection: str) -> None:
    from qdrant_client.models import TextIndexParams, TextIndexType, TextScoringParams, TextScoringType

    scoring = TextScoringParams(type=TextScoringType.BM25)
    client.create_payload_index(collection, "text", TextIndexParams(type=TextIndexType.TEXT, scoring=scoring))
