"""`pegboard keys`: make the keys that callers show, list them, end them, replace them."""

import re
import sys
import time
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
import tomlkit

from pegboard.cli.failures import Mistake
from pegboard.cli.options import config_option, debug_option, json_option
from pegboard.cli.starting import log_to_stderr, read_settings, run
from pegboard.cli.strangers import strange_scopes
from pegboard.cli.text import print_json, table
from pegboard.loading import Loaded, Loader
from pegboard.security.keyfile import NAME, Unwritable, changing, exposure, moment, read_keys
from pegboard.security.keys import Key
from pegboard.security.keystore import keys_of
from pegboard.security.scopes import Scopes
from pegboard.settings import HubSettings
from pegboard.shared.link import Away, Link
from pegboard.shared.revocations import Revocations
from pegboard.validation import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LINE = 'keys_file = "keys.json"'


@click.group(invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Make the keys that callers show, list them, end them, replace them.

    Keys are kept in the file of `[auth] keys_file`, as hashes: nobody can read a key from it. A running hub notices
    a change within a second, without a restart. A key in a client goes into the header `Authorization: Bearer KEY`.

    \b
    Examples:
      pegboard keys create alice --scope read --scope postgres:write@staging --expires 90d
      KEY=$(pegboard keys create ci --scope 'awx/jobs:*')
      pegboard keys rotate ci --keep 24h
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _options(function: F) -> F:
    file = click.option(
        "--file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Use this file instead of the one of `[auth] keys_file`.",
    )
    return file(config_option(debug_option(function)))


@command.command
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="SCOPE",
    help="What it allows: `*`, `read`, `postgres:*`, `awx/jobs:read`, a tool, each with `@ENVIRONMENT` or without; "
    "can be repeated.",
)
@click.option("--tenant", metavar="TENANT", help="Whose settings count for it: `[tenants.TENANT]`.")
@click.option("--expires", metavar="WHEN", help="When it ends: `12h`, `90d`, or `2027-01-31` (UTC).")
@click.option("--print", "only_print", is_flag=True, help="Store nothing; print a `[keys.NAME]` table to paste.")
@_options
def create(
    name: str,
    scopes: Sequence[str],
    tenant: str | None,
    expires: str | None,
    only_print: bool,
    file: Path | None,
    config: Path | None,
) -> None:
    """Make a key and print it, this one time.

    The key is alone on standard output; everything else goes to standard error. With --print the table to paste
    holds the key's hash only, and goes to standard error, too.

    \b
    Example:
      KEY=$(pegboard keys create ci --scope read --expires 90d)
    """
    if not re.fullmatch(NAME, name):
        raise click.UsageError(f"{name!r} is no name for a key; take letters, digits, `-`, `_` and `.`, 64 at most")
    ends = _moment(expires) if expires is not None else None
    settings = read_settings(config)
    key, text = Key.create(name, Scopes.of(scopes), tenant=tenant, expires_at=ends)
    if only_print:
        click.echo(f"paste this into the configuration:\n\n{_as_table(key)}", err=True)
    else:
        path = _path(file, settings)
        with changing(path) as keys:
            _refuse_taken(name, [*keys, *keys_of(settings.keys)])
            keys.append(key)
        _tell_stored(path, f"stored the key {name!r} ({key.id}) in", settings)
    _show_once(text)  # before anything else can fail
    _warn(key, settings)


@command.command(name="list")
@json_option("Print a JSON list of the keys.")
@_options
def list_keys(file: Path | None, config: Path | None, as_json: bool) -> None:
    """List the keys, also those that have ended; never the keys themselves, nor their hashes.

    \b
    Example:
      pegboard keys list --json
    """
    settings = read_settings(config)
    named = [] if file else keys_of(settings.keys)
    only_named = bool(named) and settings.auth.keys_file is None
    keys = [*([] if only_named else read_keys(_path(file, settings))), *named]
    gone = _revoked_elsewhere(settings)
    described = [_described(key, is_revoked=key.id in gone) for key in keys]
    if as_json:
        print_json(described)
    elif described:
        columns = ("id", "name", "state", "scopes", "tenant", "created", "expires")
        click.echo(table(columns, [_row(entry, columns) for entry in described]))
    else:
        click.echo("there are no keys; `pegboard keys create NAME --scope SCOPE` makes one", err=True)


@command.command
@click.argument("key", metavar="ID|NAME")
@_options
def revoke(key: str, file: Path | None, config: Path | None) -> None:
    """End a key, or all keys of a name, within a second; what they have opened ends within five.

    With `[server] redis` every replica hears of it, whatever file it has. So a key in the configuration can be ended,
    too, or one in a file that cannot be written, such as a Secret that is mounted.

    \b
    Example:
      pegboard keys revoke alice
    """
    settings = read_settings(config)
    if settings.server.redis is not None:
        _revoke_everywhere(key, file, settings)
        return
    path = _path(file, settings)
    ended = _revoke_in(path, key, settings)
    _tell_stored(path, f"revoked {_ids(ended)} in", settings)


@command.command
@click.argument("key", metavar="ID|NAME")
@click.option("--keep", metavar="TIME", help="Let the old key count for this long: `24h`, `7d`; else it ends at once.")
@click.option("--expires", metavar="WHEN", help="When the new key ends, if not as long after now as the old one had.")
@_options
def rotate(key: str, keep: str | None, expires: str | None, file: Path | None, config: Path | None) -> None:
    """Replace a key by a new one with the same name, scopes and tenant, and print that, this one time.

    \b
    Example:
      KEY=$(pegboard keys rotate ci --keep 24h)
    """
    until = _moment(keep) if keep is not None else None
    ends = _moment(expires) if expires is not None else None
    settings = read_settings(config)
    path = _path(file, settings)
    with changing(path) as keys:
        old = _find(key, keys, settings)
        newest = old[-1]
        new, text = Key.create(newest.name, newest.scopes, tenant=newest.tenant, expires_at=ends or _as_long_as(newest))
        keys[:] = [one if one not in old else one.ending(until) if until else one.revoked() for one in keys]
        keys.append(new)
    end = f"until {moment(until)}" if until else "no more"
    _tell_stored(path, f"stored a new key {new.name!r} ({new.id}); {_ids(old)} counts {end}, in", settings)
    _show_once(text)
    if settings.server.redis is not None and until is None:
        _tell_replicas(old, settings)


def _revoke_in(path: Path, wanted: str, settings: HubSettings) -> list[Key]:
    """Revoke keys in a file; returns which."""
    with changing(path) as keys:
        ended = _find(wanted, keys, settings)
        keys[:] = [one.revoked() if one in ended else one for one in keys]
    return ended


def _revoke_everywhere(wanted: str, file: Path | None, settings: HubSettings) -> None:
    """Write it down where that can be, and tell all replicas, also of keys that have been revoked here before."""
    path = file or settings.auth.keys_file
    stored = read_keys(path) if path is not None and path.exists() else []
    named, ended = _called(wanted, keys_of(settings.keys)), _called(wanted, stored)
    if not named and not ended:
        _find(wanted, stored, settings)  # says what there is
    left = [f"remove [keys.{key.name}] from the configuration" for key in named]
    if path is not None and any(key.is_live for key in ended):
        try:
            _revoke_in(path, wanted, settings)
            _tell_stored(path, f"revoked {_ids(ended)} in", settings)
        except Unwritable as error:
            left.append(f"{error}; revoke {_ids(ended)} where that file comes from")
    _tell_replicas([*ended, *named], settings)
    for line in left:
        _say_warning(f"{line}, too, for when Redis is away or was emptied")


def _called(wanted: str, keys: Iterable[Key]) -> list[Key]:
    """The keys of this id or name that have not expired."""
    return [key for key in keys if wanted in (key.id, key.name) and key.state != "expired"]


def _tell_replicas(ended: Sequence[Key], settings: HubSettings) -> None:
    """Have all replicas refuse these keys. Raises `Mistake` when they could not be told."""
    try:
        _ask(settings, lambda revocations: revocations.add({key.id: key.expires_at for key in ended}))
    except Away:
        again = " and ".join(f"`pegboard keys revoke {key.id}`" for key in ended)
        raise Mistake(
            f"Redis does not answer: replicas with another file do not know yet that {_ids(ended)} counts no more; "
            f"{again} tells them when it does"
        ) from None
    click.echo(f"told all replicas that {_ids(ended)} counts no more", err=True)


def _revoked_elsewhere(settings: HubSettings) -> Container[str]:
    """The ids that replicas have heard of, whatever the files say."""
    if settings.server.redis is None:
        return ()
    try:
        return _ask(settings, Revocations.learn)
    except Away:
        _say_warning("Redis does not answer; a key that was revoked there may be shown as live")
        return ()


def _ask(settings: HubSettings, question: Callable[[Revocations], Awaitable[None]]) -> Revocations:
    """Ask or tell Redis something; returns what is known then."""
    redis = settings.server.redis
    assert redis is not None

    async def ask() -> Revocations:
        async with Link(redis) as link:
            revocations = Revocations(link)
            await question(revocations)
            return revocations

    log_to_stderr("critical")  # what is wrong is said in words of our own
    return run(ask)


def _path(file: Path | None, settings: HubSettings) -> Path:
    path = file or settings.auth.keys_file
    if path is None:
        raise Mistake(f"no file of keys is configured; write `[auth]` and `{LINE}`, or name one with --file")
    return path


def _refuse_taken(name: str, keys: Iterable[Key]) -> None:
    for key in keys:
        if key.is_live and name in (key.name, key.id):
            raise Mistake(f"there is a key {name!r} already ({key.id}); `pegboard keys rotate {name}` replaces it")


def _find(wanted: str, keys: Sequence[Key], settings: HubSettings) -> list[Key]:
    """The live keys of this id or name. Raises `Mistake` that says what there is."""
    found = [key for key in keys if key.is_live and wanted in (key.id, key.name)]
    if found:
        return found
    if any(wanted in (key.id, key.name) for key in keys):
        raise Mistake(f"the key {wanted!r} has ended already")
    if any(wanted in (key.id, key.name) for key in keys_of(settings.keys)):
        raise Mistake(f"the key {wanted!r} stands in the configuration; remove it there, then `pegboard reload`")
    live = [key for key in keys if key.is_live]
    hint = did_you_mean(wanted, [name for key in live for name in (key.id, key.name)])
    raise Mistake(f"there is no key {wanted!r}; {hint or '`pegboard keys list` shows them'}")


def _as_long_as(key: Key) -> float | None:
    if key.expires_at is None:
        return None
    return time.time() + key.expires_at - (key.created_at or time.time())


def _moment(when: str) -> float:
    """A time to come; raises `click.UsageError` for what is none, or is over."""
    ahead = re.fullmatch(r"(\d{1,6})([mhdw])", when)
    try:
        if ahead is not None:
            found = datetime.now(UTC) + timedelta(**{UNITS[ahead[2]]: int(ahead[1])})
        else:
            found = datetime.fromisoformat(when)
            found = found.replace(tzinfo=found.tzinfo or UTC)
    except (ValueError, OverflowError):
        raise click.UsageError(f"{when!r} is no time; write 12h, 90d, 2027-01-31 or 2027-01-31T12:00") from None
    if found <= datetime.now(UTC):
        raise click.UsageError(f"{when!r} is over already")
    return found.timestamp()


def _as_table(key: Key) -> str:
    """The key for the configuration file."""
    entry: dict[str, Any] = {"id": key.id, "sha256": key.sha256, "scopes": str(key.scopes).split()}
    if key.tenant is not None:
        entry["tenant"] = key.tenant
    if key.expires_at is not None:
        entry["expires"] = datetime.fromtimestamp(key.expires_at, UTC).replace(microsecond=0)
    return tomlkit.dumps({"keys": {key.name: entry}})  # pyright: ignore[reportUnknownMemberType] # half typed


def _tell_stored(path: Path, what: str, settings: HubSettings) -> None:
    click.echo(f"{what} {path}", err=True)
    used = settings.auth.keys_file
    if used is None or used.absolute() != path.absolute():
        click.echo(f'a hub uses it when its configuration says so: keys_file = "{path}" under [auth]', err=True)
    problem = exposure(path)
    if problem is not None:
        _say_warning(problem)


def _warn(key: Key, settings: HubSettings) -> None:
    """Say what will not be as its maker may think: a tenant or a scope that nothing here has."""
    if key.tenant is not None and key.tenant not in settings.tenants:
        _say_warning(f"there is no [tenants.{key.tenant}] in the configuration, so that this key may call nothing yet")
    log_to_stderr("critical")
    plugins = [plugin for plugin in Loader(settings).load() if isinstance(plugin, Loaded)]
    for line in strange_scopes(key.scopes, plugins):
        _say_warning(line)


def _say_warning(text: str) -> None:
    click.echo(f"{click.style('warning:', fg='yellow', bold=True)} {text}", err=True)


def _show_once(text: str) -> None:
    if _is_terminal():
        click.echo("this is the key; it is not shown again:", err=True)
    click.echo(text)


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _ids(keys: Sequence[Key]) -> str:
    return ", ".join(f"{key.name} ({key.id})" for key in keys)


def _described(key: Key, *, is_revoked: bool) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "state": "revoked" if is_revoked and key.is_live else key.state,
        "scopes": str(key.scopes).split(),
        "tenant": key.tenant,
        "created": moment(key.created_at),
        "expires": moment(key.expires_at),
        "revoked": moment(key.revoked_at),
    }


def _row(entry: dict[str, Any], columns: Sequence[str]) -> list[str]:
    return [" ".join(entry[name]) if name == "scopes" else entry[name] or "-" for name in columns]
