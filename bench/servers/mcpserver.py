"""The SDK's high-level `MCPServer`."""

from mcp.server.mcpserver import MCPServer

from bench.catalogue import TOOLS
from bench.servers.serving import by_path, serve

if __name__ == "__main__":
    server = MCPServer("bench", log_level="WARNING")
    for function in TOOLS:
        server.add_tool(function)
    serve(by_path(server.streamable_http_app(), server.sse_app()))
