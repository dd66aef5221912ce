"""The demo: an embedded PostgreSQL with a sample shop in it, for `pegboard demo`."""

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from anyio import to_thread

from pegboard_postgres import sample
from pegboard_postgres.binaries import ROOT_FOLDER, reachable, unprivileged
from pegboard_postgres.embedded import READER, connected, embedded

DATABASE = "shop"
SOURCES = ("sample.sql", "sample.py", "sample_words.py")

ABOUT = "Brightwick, a fictional online shop: 2 000 customers, 320 products, 12 000 orders of 2024 and 2025."
QUESTIONS = [
    "Which product category of the shop is losing ground, and since when? Show revenue by quarter.",
    "Which supplier has begun to deliver late, and how did that change the ratings of its products?",
    "From which city do we get the most returns per delivered item, and what is the reason?",
]


@asynccontextmanager
async def demo(folder: Path, say: Callable[[str], None]) -> AsyncGenerator[dict[str, Any]]:
    """Run the sample shop, made at the first start and whenever its definition has changed; leaving stops it.

    Yields the `settings` of the plugin, a line `about` the data, and three `questions` worth asking. Raises
    `EmbeddedError` when there can be no server.
    """
    async with embedded(_folder(folder, say), database=DATABASE, say=say) as server:
        async with connected(server.admin_dsn) as admin:
            await _fill(admin, say)
        yield {"settings": {"dsn": server.dsn}, "about": ABOUT, "questions": QUESTIONS}


def _folder(folder: Path, say: Callable[[str], None]) -> Path:
    """The folder, or one that the server's user can enter: root's own, below /root, is closed to it."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if unprivileged() is None or reachable(existing):
        return folder
    moved = ROOT_FOLDER / "demo" / folder.name
    say(f"keeping the data in {moved}, since PostgreSQL does not run as root and others cannot enter {existing}")
    return moved


async def _fill(admin: Any, say: Callable[[str], None]) -> None:
    """Load the sample unless this version of it is there; an interrupted load leaves nothing."""
    version = f"sample {_version()}"
    present = await admin.fetchval(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
    )
    if present == version:
        return
    say("loading the sample shop" if present is None else "loading the new version of the sample shop")
    rows = await to_thread.run_sync(sample.tables)
    async with admin.transaction():
        await _load(admin, rows)
        await admin.execute(f"COMMENT ON DATABASE {DATABASE} IS '{version}'")


async def _load(admin: Any, rows: dict[str, list[sample.Row]]) -> None:
    await admin.execute("DROP SCHEMA IF EXISTS shop CASCADE")
    await admin.execute(_source("sample.sql").decode())
    for table, records in rows.items():
        await admin.copy_records_to_table(table, schema_name="shop", records=records)
    await admin.execute(f"GRANT USAGE ON SCHEMA shop TO {READER}")
    await admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {READER}")
    await admin.execute(f"ALTER ROLE {READER} IN DATABASE {DATABASE} SET search_path = shop, public")
    await admin.execute("ANALYZE")


def _version() -> str:
    return hashlib.sha256(b"".join(_source(name) for name in SOURCES)).hexdigest()[:16]


def _source(name: str) -> bytes:
    return (files("pegboard_postgres") / name).read_bytes()
