"""Everything a client could ever list from the hub and its own plugins; as a program, the hash of it."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import anyio

import pegboard_awx
import pegboard_neo4j
import pegboard_postgres
import pegboard_qdrant
from pegboard.builtin import HubPlugin
from pegboard.testing import hub_of

Catalog = Mapping[str, Any]

AWAY = "127.0.0.1:9"
SETTINGS: Mapping[str, Any] = {
    "plugins": {
        "awx": {"url": f"http://{AWAY}", "token": "t", "local_roots": ["/srv/ansible"], "local_bin": "/nowhere"},
        "neo4j": {"url": f"bolt://{AWAY}"},
        "postgres": {"dsn": f"postgresql://reader@{AWAY}/shop"},
        "qdrant": {"memory": True},
    }
}
"""Every plugin with all its tools, the opt-in ones included; no backend is asked for a list."""


async def catalog() -> Catalog:
    """By endpoint, what it lists and what its server says of itself; under `tools`, all there are, listed or not."""
    plugins = (HubPlugin, pegboard_awx, pegboard_neo4j, pegboard_postgres, pegboard_qdrant)
    async with hub_of(*plugins, settings=SETTINGS) as hub:
        views = {path: endpoint.view for path, endpoint in hub.endpoints.items()}
        lists = {
            path: [
                view.offer.title,
                endpoint_says(hub.endpoints[path]),
                *(plain(each) for each in (view.tool_list, view.prompt_list, view.resource_list, view.template_list)),
            ]
            for path, view in views.items()
        }
        return {**lists, "tools": {tool.name: plain(tool.definition) for tool in views[""].offer.tools}}


def endpoint_says(endpoint: Any) -> str | None:
    return endpoint.server.instructions


def plain(value: Any) -> Any:
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


def hash_of(found: Catalog) -> str:
    """The SHA-256 of a catalog, as it is ordered."""
    return hashlib.sha256(json.dumps(found, ensure_ascii=False).encode()).hexdigest()


if __name__ == "__main__":
    print(hash_of(anyio.run(catalog)))
