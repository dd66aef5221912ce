"""Raw ASGI, the ceiling: decodes the request, encodes the answer, and knows nothing of MCP."""

import json
from typing import Any

from starlette.types import Receive, Scope, Send

from bench.catalogue import echo
from bench.servers.sdk import TOOLS
from bench.servers.serving import serve

LIST = json.dumps(
    {"tools": [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in TOOLS]}
).encode()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError("this server has no lifespan")
    request = json.loads((await receive())["body"])
    result = LIST if request["method"] == "tools/list" else await say(request["params"]["arguments"])
    body = b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (request["id"], result)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def say(arguments: dict[str, Any]) -> bytes:
    text = await echo(**arguments)
    return json.dumps({"content": [{"type": "text", "text": text}]}).encode()


if __name__ == "__main__":
    serve(app)
