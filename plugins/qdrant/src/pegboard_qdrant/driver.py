"""The part of qdrant-client's API that is used here: typed for both its faces, and imported late, for it is large."""

import math
from collections.abc import Mapping, Sequence
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, Protocol, cast

from anyio import to_thread

from pegboard_qdrant.target import Target

if TYPE_CHECKING:
    from types import ModuleType


class Client(Protocol):
    """An `AsyncQdrantClient`, or the embedded engine behind the same methods."""

    async def get_collections(self) -> Any: ...
    async def get_aliases(self) -> Any: ...
    async def get_collection(self, collection_name: str) -> Any: ...
    async def query_points(self, collection_name: str, **arguments: Any) -> Any: ...
    async def query_points_groups(self, collection_name: str, **arguments: Any) -> Any: ...
    async def scroll(self, collection_name: str, **arguments: Any) -> Any: ...
    async def count(self, collection_name: str, **arguments: Any) -> Any: ...
    async def facet(self, collection_name: str, key: str, **arguments: Any) -> Any: ...
    async def retrieve(self, collection_name: str, ids: Sequence[Any], **arguments: Any) -> Any: ...
    async def upsert(self, collection_name: str, points: Any, **arguments: Any) -> Any: ...
    async def delete(self, collection_name: str, points_selector: Any, **arguments: Any) -> Any: ...
    async def info(self) -> Any: ...
    async def close(self) -> None: ...


async def load() -> None:
    """Import the driver in a thread, since that takes a second and nobody else should wait for it."""
    await to_thread.run_sync(models)


def models() -> "ModuleType":
    """The driver's models."""
    from qdrant_client import models

    return models


def client_of(target: Target) -> Client:
    """A client of a server; nothing is sent yet."""
    import httpx
    from qdrant_client import AsyncQdrantClient

    client = AsyncQdrantClient(
        url=str(target),
        port=target.port,
        # As a header, since the client warns of a key on plain HTTP in its own way; pool.py does in the log.
        headers={"api-key": target.api_key} if target.api_key else None,
        prefer_grpc=target.prefer_grpc,
        grpc_port=target.grpc_port,
        timeout=math.ceil(target.timeout) + 1,
        check_compatibility=False,
        cloud_inference=target.server_inference,
        limits=httpx.Limits(max_connections=target.max_connections, max_keepalive_connections=target.max_connections),
        # Neither redirects nor the proxies of the environment may decide where a request goes (CVE-2026-26118).
        follow_redirects=False,
        trust_env=False,
    )
    return cast(Client, client)


def filter_of(json: Mapping[str, Any] | None) -> Any:
    """A checked filter as the driver's model."""
    return None if json is None else models().Filter.model_validate(json)


def vector_of(vector: Any) -> Any:
    """A checked vector as the driver takes it."""
    return models().SparseVector(**vector) if isinstance(vector, dict) else vector


def errors() -> tuple[type[Exception], ...]:
    """Everything the driver raises about a request."""
    import grpc
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ApiException

    from pegboard_qdrant.embedded import EngineError

    # The last four are what an answer that is not one of Qdrant's ends in.
    nonsense = (JSONDecodeError, UnicodeDecodeError, AssertionError, RecursionError)
    return (ApiException, QdrantException, grpc.RpcError, EngineError, *nonsense)
