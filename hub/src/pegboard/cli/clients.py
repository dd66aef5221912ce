"""Clients: where each keeps its configuration, and what it wants in there to reach a hub."""

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pegboard.settings import HubSettings

Entry = dict[str, Any]

KEY_VARIABLE = "PEGBOARD_KEY"
"""Where the key of a caller is expected: of this command line, and of the clients it configures."""
NO_KEY = "peg_..."
"""What stands for the key in a configuration that is to be filled in."""


@dataclass(frozen=True, slots=True)
class Client:
    """One client: the key its servers stand under, its file, and the entries it understands."""

    title: str
    key: str
    transport: str
    """What it connects to unless the URL says: `sse` or `mcp`."""
    file: Callable[[], Path]
    remote: Callable[[str, str | None], Entry]
    """From the URL, and the key if the hub asks for one."""
    local: Callable[[str, Sequence[str]], Entry]
    next_step: str

    def configuration(self, name: str, url: str) -> Entry:
        """What the file holds if this is the only server in it, and the hub asks for no keys."""
        return {self.key: {name: self.remote(url, None)}}


def asks_for_keys(settings: HubSettings) -> bool:
    """Whether clients have to send a key; where only tokens count, they get one themselves."""
    return settings.auth.keys_file is not None or bool(settings.keys)


def bearer(key: str) -> str:
    """The value of the header that shows a key."""
    return f"Bearer {key}"


def mcp_remote(url: str, *, key: bool = False) -> list[str]:
    """The arguments of `npx` for a client that speaks only stdio; mcp-remote itself puts the variable in."""
    transport = "http-only" if url.endswith("/mcp") else "sse-only"
    allow = ["--allow-http"] if url.startswith("http://") else []
    header = ["--header", f"Authorization: {bearer(f'${{{KEY_VARIABLE}}}')}"] if key else []
    return ["mcp-remote", url, "--transport", transport, *allow, *header]


def mcp_remote_line(base: str, *, key: bool = False) -> str:
    """The line to type, for the whole hub over SSE. Quoted so that no shell puts the key among the arguments."""
    return shlex.join(["npx", *mcp_remote(f"{base}/sse", key=key)])


def pegboard_command() -> list[str]:
    """How another program starts this pegboard, by absolute path."""
    beside = Path(sys.executable).with_name("pegboard")
    found = str(beside) if beside.exists() else shutil.which("pegboard")
    return [str(Path(found).absolute())] if found else [sys.executable, "-m", "pegboard.cli"]


def claude_file(platform: str = sys.platform, environ: Mapping[str, str] = os.environ) -> Path:
    """Where Claude Desktop keeps its configuration."""
    if platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    elif platform == "win32":
        folder = Path(environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    else:
        folder = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "Claude" / "claude_desktop_config.json"


def _through_npx(url: str, key: str | None) -> Entry:
    entry: Entry = {"command": "npx", "args": ["-y", *mcp_remote(url, key=key is not None)]}
    return entry if key is None else {**entry, "env": {KEY_VARIABLE: key}}


def _typed_url(url: str, key: str | None) -> Entry:
    return {"type": "sse" if url.endswith("/sse") else "http", **_plain_url(url, key)}


def _plain_url(url: str, key: str | None) -> Entry:
    if key is None:
        return {"url": url}
    # The editor reads the variable, so that no key is in a file of a project.
    return {"url": url, "headers": {"Authorization": bearer(f"${{env:{KEY_VARIABLE}}}")}}


def _command(command: str, arguments: Sequence[str]) -> Entry:
    return {"command": command, "args": list(arguments)}


def _typed_command(command: str, arguments: Sequence[str]) -> Entry:
    return {"type": "stdio", **_command(command, arguments)}


CLIENTS = {
    "claude": Client(
        title="Claude Desktop",
        key="mcpServers",
        transport="sse",
        file=claude_file,
        remote=_through_npx,
        local=_command,
        next_step="quit Claude Desktop and start it again",
    ),
    "vscode": Client(
        title="VS Code",
        key="servers",
        transport="mcp",
        file=lambda: Path(".vscode", "mcp.json").absolute(),
        remote=_typed_url,
        local=_typed_command,
        next_step="open this folder in VS Code and start the server there",
    ),
    "cursor": Client(
        title="Cursor",
        key="mcpServers",
        transport="mcp",
        file=lambda: Path.home() / ".cursor" / "mcp.json",
        remote=_plain_url,
        local=_command,
        next_step="enable the server in the settings of Cursor",
    ),
}
