"""FastMCP, as its documentation sets it up; not named `fastmcp`, since that is what it imports."""

from fastmcp import FastMCP

from bench.catalogue import TOOLS
from bench.servers.serving import by_path, serve

if __name__ == "__main__":
    server = FastMCP("bench")
    for function in TOOLS:
        server.add_tool(function)
    serve(by_path(server.http_app(), server.http_app(transport="sse")))
