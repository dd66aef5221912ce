"""The embedded engine: one thread at a time, never on the event loop, opened by the first call that needs it.

The client's own engine computes while it is awaited, which would stop the loop, and is not safe in threads.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, from_thread, to_thread

from pegboard_qdrant.target import MEMORY

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

LOCK_TIMEOUT = 30.0
"""Seconds a thread waits for the one before it, whose call may have ended at its deadline long ago."""
CLOSE_TIMEOUT = 3.0

Failures = (ValueError, TypeError, KeyError, AssertionError, NotImplementedError, RuntimeError, OSError, sqlite3.Error)
"""What the engine raises about a request or its folder."""


class EngineError(Exception):
    """The engine could not do what was asked; its own words."""


class FolderInUseError(EngineError):
    """Another process has the folder."""


class Embedded:
    """The methods of `QdrantClient`, each run in a thread when its turn has come."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._client: QdrantClient | None = None
        # The thread holds it, and not the call: a call may be cancelled, its thread goes on.
        self._mutex = Lock()
        self._limiter = CapacityLimiter(1)

    def __getattr__(self, operation: str) -> Callable[..., Awaitable[Any]]:
        return partial(self._run, operation)

    async def get_collection(self, collection_name: str) -> Any:
        """As the server answers: with the text indexes, which the engine has and does not tell."""
        return await self._in_thread(partial(self._described, collection_name), LOCK_TIMEOUT)

    async def close(self) -> None:
        """Give the folder back; gives up when the engine is still busy after 3 seconds."""
        await self._in_thread(self._close, CLOSE_TIMEOUT)

    async def _run(self, operation: str, *arguments: Any, **named: Any) -> Any:
        return await self._in_thread(partial(self._call, operation, *arguments, **named), LOCK_TIMEOUT)

    async def _in_thread(self, work: Callable[[], Any], timeout: float) -> Any:
        return await to_thread.run_sync(self._locked, work, timeout, abandon_on_cancel=True, limiter=self._limiter)

    def _locked(self, work: Callable[[], Any], timeout: float) -> Any:
        if not self._mutex.acquire(timeout=timeout):
            raise EngineError("the engine is busy with a request that takes long")
        try:
            from_thread.check_cancelled()
            return work()
        finally:
            self._mutex.release()

    def _call(self, operation: str, *arguments: Any, **named: Any) -> Any:
        try:
            return getattr(self._opened(), operation)(*arguments, **named)
        except RecursionError as error:
            raise EngineError("the request is nested too deeply") from error
        except Failures as error:
            raise EngineError(str(error)) from error

    def _described(self, name: str) -> Any:
        info = self._call("get_collection", name)
        info.payload_schema.update(text_indexes(self._opened(), name))
        return info

    def _opened(self) -> "QdrantClient":
        if self._client is None:
            self._client = open_engine(self._location)
        return self._client

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def open_engine(location: str) -> "QdrantClient":
    """The engine on a folder, made if it is not there; raises `FolderInUseError` while somebody else has it."""
    from qdrant_client import QdrantClient

    if location == MEMORY:
        return QdrantClient(MEMORY, force_disable_check_same_thread=True)
    check_unlocked(Path(location))
    return QdrantClient(path=location, force_disable_check_same_thread=True)


def text_indexes(client: "QdrantClient", collection: str) -> dict[str, Any]:
    """The text indexes with scoring, as a server's `payload_schema` has them.

    The engine's own `get_collection` leaves them out (qdrant-client 1.20), so this looks inside. Only here, and
    tests/plugins/qdrant/test_embedded.py fails when it changes.
    """
    from qdrant_client.models import PayloadIndexInfo, PayloadSchemaType

    engine: Any = client._client  # pyright: ignore[reportPrivateUsage] # see above
    indexes = engine._get_collection(collection).text_indexes
    return {
        key: PayloadIndexInfo(data_type=PayloadSchemaType.TEXT, params=params, points=0)
        for key, params in indexes.items()
    }


def unsynced(client: "QdrantClient") -> None:
    """Do not wait for the disk after each point: a hundred times faster, for data that can be made again.

    The engine commits every point by itself (qdrant-client 1.20), so this looks inside as well.
    """
    engine: Any = client._client  # pyright: ignore[reportPrivateUsage] # see above
    for collection in engine.collections.values():
        if collection.storage is not None:
            collection.storage.storage.execute("PRAGMA synchronous = OFF")


def check_unlocked(folder: Path) -> None:
    """Raise `FolderInUseError` while another process has the folder.

    The engine itself reads everything before it looks at its lock, and leaks its files when that fails.
    """
    import portalocker

    path = folder / ".lock"
    if not path.exists():
        return
    with path.open("r+") as file:
        try:
            portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
        except portalocker.exceptions.LockException as error:
            raise FolderInUseError(str(folder)) from error
        portalocker.unlock(file)
