"""The bare SDK: its low-level `Server`, no validation, no hooks. The one to compare with.

It is given `get_tool_input_schema`; without, the SDK lists all tools once more for each call, and loses by a factor.
"""

from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.mcpserver.tools import Tool as FunctionTool
from mcp.server.sse import SseServerTransport
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from bench import catalogue
from bench.servers.serving import by_path, serve


def tool_of(function: catalogue.Function) -> Tool:
    made = FunctionTool.from_function(function)
    return Tool(name=made.name, description=made.description, input_schema=made.parameters)


TOOLS = [tool_of(function) for function in catalogue.TOOLS]
SCHEMAS = {tool.name: tool.input_schema for tool in TOOLS}


async def list_tools(_: ServerRequestContext[Any], __: PaginatedRequestParams | None) -> ListToolsResult:
    return ListToolsResult(tools=TOOLS)


async def call_tool(_: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
    text = await catalogue.echo(**(params.arguments or {}))
    return CallToolResult(content=[TextContent(text=text)])


def sse_app(server: Server[Any]) -> Starlette:
    """HTTP+SSE as the SDK documents it, with the checks it turns on by itself for `/mcp`."""
    local = ["127.0.0.1:*", "localhost:*"]
    sse = SseServerTransport("/messages/", TransportSecuritySettings(allowed_hosts=local))

    class Stream:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            async with sse.connect_sse(scope, receive, send) as (read, write):
                await server.run(read, write, server.create_initialization_options())

    return Starlette(routes=[Route("/sse", Stream()), Mount("/messages/", sse.handle_post_message)])


if __name__ == "__main__":
    server = Server("bench", get_tool_input_schema=SCHEMAS.get, on_list_tools=list_tools, on_call_tool=call_tool)
    serve(by_path(server.streamable_http_app(), sse_app(server)))
