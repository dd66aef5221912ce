"""`pegboard connect`: the configuration of a client, printed or written."""

import json
import os
from pathlib import Path
from typing import Any

import click

from pegboard.cli.client_file import put_server
from pegboard.cli.clients import CLIENTS, KEY_VARIABLE, NO_KEY, Client, asks_for_keys, pegboard_command
from pegboard.cli.endpoints import path_of
from pegboard.cli.options import config_option, debug_option
from pegboard.cli.starting import read_settings
from pegboard.configuration import find_file
from pegboard.settings import ServerSettings


@click.command
@click.argument("client", type=click.Choice(list(CLIENTS)))
@click.option(
    "--url", metavar="URL", help="Where the hub is, if not where [server] says; one that ends in /sse or /mcp is kept."
)
@click.option("--endpoint", default="all", metavar="NAME", help="`postgres`, or `awx/inventory`; else everything.")
@click.option("--stdio", is_flag=True, help="Let the client start `pegboard stdio` itself; needs no running hub.")
@click.option("--key", is_flag=True, help="The hub asks for a key; it does anyway if [auth] or [keys] says so.")
@click.option("--write", is_flag=True, help="Put it into the client's file and keep what else is there.")
@config_option
@debug_option
def command(
    client: str, url: str | None, endpoint: str, stdio: bool, key: bool, write: bool, config: Path | None
) -> None:
    """Print the configuration of a client, or write it.

    `claude` is Claude Desktop, which reaches the hub through `npx mcp-remote` (Node.js); `vscode` is for this folder;
    `cursor` for the user. The JSON goes to standard output, its place to standard error. With --write a backup stays
    beside a file that is changed, and one that is not valid JSON is left alone. Where the hub asks for a key, VS Code
    and Cursor read it from the variable PEGBOARD_KEY; into Claude Desktop's file --write puts what that holds now.

    \b
    Examples:
      pegboard connect claude --write
      pegboard connect vscode --endpoint postgres
      pegboard connect cursor --stdio --config pegboard.toml
    """
    if url and stdio:
        raise click.UsageError("--stdio starts a hub of its own, so it takes no --url", click.get_current_context())
    chosen = CLIENTS[client]
    if stdio:
        entry = _local(chosen, endpoint, config)
    else:
        entry = chosen.remote(_url(chosen, url, endpoint, config), _key(config, asked=key, real=write))
    name = "-".join(["pegboard", *path_of(endpoint).split("/")[1:]])
    if write:
        changed = put_server(chosen.file(), chosen.key, name, entry)
        unchanged = f"{chosen.file()} has the server {name!r} already; nothing was changed"
        click.echo(f"{changed}; now {chosen.next_step}" if changed else unchanged, err=True)
    else:
        click.echo(f"{chosen.title} reads {chosen.file()}; put this in there, or use --write", err=True)
        click.echo(json.dumps({chosen.key: {name: entry}}, indent=2, ensure_ascii=False))


def _local(client: Client, endpoint: str, config: Path | None) -> dict[str, Any]:
    file = find_file(config, os.environ)
    program, *arguments = pegboard_command()
    arguments.append("stdio")
    if path_of(endpoint):
        arguments += ["--endpoint", path_of(endpoint).strip("/")]
    if file is not None:
        # Clients start it in a folder of their own choice.
        arguments += ["--config", str(file.absolute())]
    return client.local(program, arguments)


def _key(config: Path | None, *, asked: bool, real: bool) -> str | None:
    """The key to configure, if the hub asks for one; what is printed has none in it."""
    if not asked and not asks_for_keys(read_settings(config)):
        return None
    key = os.environ.get(KEY_VARIABLE) if real else None
    if key is None:
        click.echo(f"the hub asks for a key: put yours where {NO_KEY} or {KEY_VARIABLE} stands", err=True)
    return key or NO_KEY


def _url(client: Client, url: str | None, endpoint: str, config: Path | None) -> str:
    url = (url or _base(read_settings(config).server)).rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"--url must begin with http:// or https://, not {url!r}", click.get_current_context())
    if not url.endswith(("/sse", "/mcp")):
        return f"{url}{path_of(endpoint)}/{client.transport}"
    if path_of(endpoint):
        raise click.UsageError(f"{url} names an endpoint already; leave out --endpoint", click.get_current_context())
    return url


def _base(server: ServerSettings) -> str:
    if server.port == 0:
        raise click.UsageError("[server] port is 0, so only --url can tell the port", click.get_current_context())
    host = "127.0.0.1" if server.host in ("", "0.0.0.0", "::") else server.host  # noqa: S104 # compared, not bound
    scheme = "https" if server.tls_certificate is not None else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port}"
