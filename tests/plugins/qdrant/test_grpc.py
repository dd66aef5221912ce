"""gRPC: the plugin asks the way it was told to, and refusals read the same as over HTTP."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from qdrant_client import grpc as qdrant_grpc
from tests.plugins.qdrant.conftest import tools_of

SECRET = "hunter2-s3cret"


class Collections(qdrant_grpc.CollectionsServicer):
    """Says how it was asked, and refuses with one status, or has no collections."""

    def __init__(self, status: grpc.StatusCode | None = None) -> None:
        self.status = status
        self.keys: list[Any] = []

    async def List(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802 # gRPC's names
        self.keys += [value for key, value in context.invocation_metadata() if key == "api-key"]
        if self.status is not None:
            await context.abort(self.status, "words of the server")
        return qdrant_grpc.ListCollectionsResponse()

    async def ListAliases(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802 # gRPC's names
        return qdrant_grpc.ListAliasesResponse()


@asynccontextmanager
async def serving(collections: Collections) -> AsyncGenerator[dict[str, Any]]:
    """The settings for a gRPC server on loopback; its REST address leads nowhere."""
    server = grpc.aio.server()
    qdrant_grpc.add_CollectionsServicer_to_server(collections, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield {"url": "http://127.0.0.1:1", "prefer_grpc": True, "grpc_port": port, "api_key": SECRET}
    finally:
        await server.stop(0)


async def test_a_server_is_asked_over_grpc_with_its_key() -> None:
    collections = Collections()
    async with serving(collections) as settings, tools_of(settings) as tools:
        assert (await tools("list_collections"))["items"] == []
    assert collections.keys == [SECRET]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "refuses the API key"),
        (grpc.StatusCode.PERMISSION_DENIED, "may not do this"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "ran out of time"),
        (grpc.StatusCode.INVALID_ARGUMENT, "says: words of the server"),
        (grpc.StatusCode.UNAVAILABLE, "is not there; start the server"),
    ],
)
async def test_a_refusal_reads_as_over_http(status: grpc.StatusCode, says: str) -> None:
    async with serving(Collections(status)) as settings, tools_of(settings) as tools:
        told = await tools.refusal("list_collections")
    assert says in told
    assert SECRET not in told
