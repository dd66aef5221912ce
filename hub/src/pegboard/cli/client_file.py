"""A client's JSON file: one server is put into it, and everything else in it stays as it is."""

import json
import os
import re
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from pegboard.errors import PegboardError


class ClientFileError(PegboardError):
    """The file of a client cannot be changed safely; it is as it was."""


def put_server(file: Path, key: str, name: str, entry: dict[str, Any]) -> str | None:
    """Make `entry` the server `name` under `key`; returns in words what has changed, `None` if it was so already.

    An existing file is copied to a backup beside it first, and the new one takes its place in one step. Raises
    `ClientFileError` for one that is not the JSON it should be, or cannot be read or written.
    """
    file = file.resolve()
    try:
        return _put_server(file, key, name, entry)
    except (OSError, UnicodeDecodeError) as error:
        raise ClientFileError(f"{file}: cannot be changed: {error}") from error


def _put_server(file: Path, key: str, name: str, entry: dict[str, Any]) -> str | None:
    text = file.read_text(encoding="utf-8-sig") if file.exists() else ""
    content = _content(file, text)
    servers = _object(file, content.setdefault(key, {}), f'"{key}"')
    if servers.get(name) == entry:
        return None
    done = "replaced" if name in servers else "added"
    servers[name] = entry
    backup = _back_up(file) if file.exists() else None
    _write(file, json.dumps(content, indent=_indent(text), ensure_ascii=False) + "\n")
    return f"{done} the server {name!r} in {file}" + (f"; as it was before: {backup}" if backup else "")


def _content(file: Path, text: str) -> dict[str, Any]:
    try:
        return _object(file, json.loads(text) if text.strip() else {}, "it")
    except json.JSONDecodeError as error:
        raise ClientFileError(
            f"{file}: not valid JSON, or JSON with comments: {error}; it was not changed. "
            f"Without --write pegboard prints what to put in there"
        ) from error


def _object(file: Path, value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ClientFileError(f"{file}: {what} should be an object; the file was not changed")
    return cast(dict[str, Any], value)


def _back_up(file: Path) -> Path:
    # Local time, for the person who looks for it; microseconds, so that no backup replaces another.
    backup = file.with_name(f"{file.name}.{datetime.now().astimezone():%Y%m%d-%H%M%S-%f}.bak")
    shutil.copy2(file, backup)
    return backup


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as output:
            output.write(text)
        if file.exists():
            shutil.copymode(file, temporary)
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink()
        raise


def _indent(text: str) -> str | int:
    found = re.search(r"\{\r?\n([ \t]+)", text)
    return found.group(1) if found else 2
