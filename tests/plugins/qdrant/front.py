"""Qdrant's REST interface in front of the engine that qdrant-client brings, for a real connection without a server.

Speaks what qdrant-client 1.20 sends, answers and refuses in the server's shapes. `python front.py` listens on a free
port of 127.0.0.1 and prints it. No server can be had from a package registry; README.md says where we looked.
"""

import json
import socket
import sys
import warnings
from collections.abc import Awaitable, Callable
from threading import Lock
from typing import Any, TypeVar

import uvicorn
from pydantic import BaseModel, TypeAdapter, ValidationError
from qdrant_client import QdrantClient, models
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pegboard_qdrant.embedded import Failures, open_engine, text_indexes

T = TypeVar("T")
Answer = Callable[[Request], Awaitable[Response]]

VERSION = {"title": "qdrant - vector search engine", "version": "1.20.0", "commit": "front"}
DONE = {"operation_id": 0, "status": "completed"}


class RefusedError(Exception):
    """A request the server would refuse."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Front:
    """One engine behind one lock, and the handlers of its routes."""

    def __init__(self, engine: QdrantClient, api_key: str | None) -> None:
        self.engine = engine
        self.api_key = api_key
        self.lock = Lock()

    def app(self) -> Starlette:
        one, points = "/collections/{name}", "/collections/{name}/points"
        return Starlette(
            routes=[
                Route("/", self.version),
                self.route("GET", "/collections", self.collections),
                self.route("GET", "/aliases", self.aliases),
                self.route("POST", "/collections/aliases", self.change_aliases),
                self.route("GET", one, self.collection),
                self.route("GET", f"{one}/exists", self.exists),
                self.route("PUT", one, self.create),
                self.route("DELETE", one, self.drop),
                self.route("PUT", f"{one}/index", self.index),
                self.route("POST", f"{one}/facet", self.facet),
                self.route("POST", f"{points}/query", self.query),
                self.route("POST", f"{points}/query/groups", self.groups),
                self.route("POST", f"{points}/scroll", self.scroll),
                self.route("POST", f"{points}/count", self.count),
                self.route("POST", f"{points}/delete", self.delete),
                self.route("POST", points, self.retrieve),
                self.route("PUT", points, self.upsert),
            ]
        )

    def route(self, method: str, path: str, answer: Callable[[Request, bytes], Any]) -> Route:
        async def handle(request: Request) -> Response:
            body = await request.body()
            try:
                self.admit(request)
                return result(await run_in_threadpool(self.locked, answer, request, body))
            except RefusedError as refused:
                return error(refused.status, str(refused))

        return Route(path, handle, methods=[method])

    async def version(self, _request: Request) -> Response:
        return Response(json.dumps(VERSION), media_type="application/json")

    def admit(self, request: Request) -> None:
        given = request.headers.get("api-key")
        if self.api_key is not None and given != self.api_key:
            words = "Invalid API key or JWT" if given else "Must provide an API key or an Authorization bearer token"
            raise RefusedError(401, words)

    def locked(self, answer: Callable[[Request, bytes], Any], request: Request, body: bytes) -> Any:
        with self.lock:
            try:
                return answer(request, body)
            except ImportError as problem:  # it is asked for a vector of a text
                raise RefusedError(500, "Service internal error: InferenceService is not initialized") from problem
            except Failures as problem:
                raise self.refusal(problem, request) from problem

    def refusal(self, problem: Exception, request: Request) -> RefusedError:
        words = str(problem)
        if words == f"Collection {request.path_params.get('name')} not found":
            return RefusedError(404, f"Not found: Collection `{name_of(request)}` doesn't exist!")
        if "not found" in words.lower():
            return RefusedError(404, f"Not found: {words}")
        return RefusedError(400, f"Wrong input: {words}")

    def collections(self, _request: Request, _body: bytes) -> Any:
        return self.engine.get_collections()

    def aliases(self, _request: Request, _body: bytes) -> Any:
        return self.engine.get_aliases()

    def drop(self, request: Request, _body: bytes) -> Any:
        return self.engine.delete_collection(name_of(request))

    def collection(self, request: Request, _body: bytes) -> Any:
        info = self.engine.get_collection(name_of(request))
        info.payload_schema.update(text_indexes(self.engine, name_of(request)))
        return info

    def exists(self, request: Request, _body: bytes) -> Any:
        return {"exists": self.engine.collection_exists(name_of(request))}

    def create(self, request: Request, body: bytes) -> Any:
        asked = read(models.CreateCollection, body)
        return self.engine.create_collection(
            name_of(request), vectors_config=asked.vectors or {}, sparse_vectors_config=asked.sparse_vectors
        )

    def index(self, request: Request, body: bytes) -> Any:
        asked = read(models.CreateFieldIndex, body)
        assert asked.field_schema is not None
        self.engine.create_payload_index(name_of(request), asked.field_name, asked.field_schema)
        return DONE

    def change_aliases(self, _request: Request, body: bytes) -> Any:
        return self.engine.update_collection_aliases(read(models.ChangeAliasesOperation, body).actions)

    def query(self, request: Request, body: bytes) -> Any:
        return self.engine.query_points(name_of(request), **query_arguments(read(models.QueryRequest, body)))

    def groups(self, request: Request, body: bytes) -> Any:
        asked = read(models.QueryGroupsRequest, body)
        return self.engine.query_points_groups(
            name_of(request), group_by=asked.group_by, group_size=asked.group_size or 3, **query_arguments(asked)
        )

    def scroll(self, request: Request, body: bytes) -> Any:
        asked = read(models.ScrollRequest, body)
        records, following = self.engine.scroll(
            name_of(request),
            scroll_filter=asked.filter,
            limit=asked.limit or 10,
            order_by=asked.order_by,
            offset=asked.offset,
            with_payload=True if asked.with_payload is None else asked.with_payload,
            with_vectors=asked.with_vector or False,
        )
        return {"points": records, "next_page_offset": following}

    def count(self, request: Request, body: bytes) -> Any:
        return self.engine.count(name_of(request), count_filter=read(models.CountRequest, body).filter)

    def facet(self, request: Request, body: bytes) -> Any:
        asked = read(models.FacetRequest, body)
        return self.engine.facet(name_of(request), asked.key, facet_filter=asked.filter, limit=asked.limit or 10)

    def retrieve(self, request: Request, body: bytes) -> Any:
        asked = read(models.PointRequest, body)
        return self.engine.retrieve(
            name_of(request),
            asked.ids,
            with_payload=True if asked.with_payload is None else asked.with_payload,
            with_vectors=asked.with_vector or False,
        )

    def upsert(self, request: Request, body: bytes) -> Any:
        self.engine.upsert(name_of(request), read(models.PointsList, body).points)
        return DONE

    def delete(self, request: Request, body: bytes) -> Any:
        self.engine.delete(name_of(request), TypeAdapter[Any](models.PointsSelector).validate_json(body))
        return DONE


def name_of(request: Request) -> str:
    return request.path_params["name"]


def read(kind: type[T], body: bytes) -> T:
    try:
        return TypeAdapter(kind).validate_json(body)
    except ValidationError as problem:
        raise RefusedError(400, f"Format error in JSON body: {problem.errors()[0]['msg']}") from problem


def query_arguments(asked: models.QueryRequest | models.QueryGroupsRequest) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "query": asked.query,
        "using": asked.using,
        "prefetch": asked.prefetch,
        "query_filter": asked.filter,
        "search_params": asked.params,
        "limit": asked.limit or 10,
        "with_payload": asked.with_payload or False,
        "with_vectors": asked.with_vector or False,
        "score_threshold": asked.score_threshold,
    }
    return arguments | ({"offset": asked.offset} if isinstance(asked, models.QueryRequest) else {})


def result(value: Any) -> Response:
    body = {"result": json_of(value), "status": "ok", "time": 0.0}
    return Response(json.dumps(body), media_type="application/json")


def error(status: int, words: str) -> Response:
    body = {"status": {"error": words}, "time": 0.0}
    return Response(json.dumps(body), status, media_type="application/json")


def json_of(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(value, dict):
        return {key: json_of(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return [json_of(item) for item in value] if isinstance(value, list) else value  # pyright: ignore


def main(api_key: str = "", folder: str = ":memory:", port: str = "0") -> None:
    warnings.filterwarnings("ignore", category=UserWarning)
    listener = socket.create_server(("127.0.0.1", int(port)))
    print(listener.getsockname()[1], flush=True)
    app = Front(open_engine(folder), api_key or None).app()
    uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).run([listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
