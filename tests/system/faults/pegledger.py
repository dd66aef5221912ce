"""A plugin that keeps a ledger: a line in a file for each call that was carried out, whatever becomes of its answer."""

import os
from pathlib import Path

import anyio
import httpx

from pegboard import HTTP, BackendError, Call, Plugin, PluginSettings, hookimpl, tool


class Settings(PluginSettings):
    ledger: Path
    upstream: str = "http://127.0.0.1:1"


def _enter(call: Call[Settings], tag: str) -> None:
    """One line by one write, so that no crash leaves half of it."""
    number = os.open(call.settings.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(number, f"{tag}\n".encode())
    finally:
        os.close(number)


@tool(read_only=False, timeout=60)
async def write(tag: str, call: Call[Settings], seconds: float = 0, size: int = 0) -> str:
    """Carry out the call with this tag, which must not happen twice."""
    _enter(call, tag)
    await anyio.sleep(seconds)
    return tag + "." * size


@tool(read_only=True, timeout=60)
async def read(tag: str, call: Call[Settings], seconds: float = 0, size: int = 0) -> str:
    """Answer with the tag after some seconds."""
    _enter(call, tag)
    await anyio.sleep(seconds)
    return tag + "." * size


@tool(read_only=True, timeout=60)
async def fetch(tag: str, call: Call[Settings]) -> str:
    """Ask the upstream, which answers with the tag; may be asked once more."""
    return await _asked("GET", tag, call)


@tool(read_only=False, timeout=60)
async def post(tag: str, call: Call[Settings]) -> str:
    """Have the upstream carry out the call with this tag."""
    return await _asked("POST", tag, call)


async def _asked(method: str, tag: str, call: Call[Settings]) -> str:
    http = await call.pool(HTTP, call.settings.upstream)
    try:
        response = await http.request(method, f"/{tag}")
    except httpx.TransportError as error:
        raise BackendError(f"the upstream did not answer: {type(error).__name__}; try again later") from error
    return response.raise_for_status().text


class Ledger:
    @hookimpl
    def hub_plugin(self) -> Plugin:
        return Plugin(name="ledger", settings=Settings, tools=[write, read, fetch, post])
