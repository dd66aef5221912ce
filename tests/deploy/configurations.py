"""Configurations of deploy/ as a hub here can read them: with secrets that are files of a test."""

import re
from collections.abc import Mapping
from pathlib import Path

from tests.system.processes import environment

from pegboard.cli.problems import find_problems
from pegboard.security.keyfile import changing
from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes

SECRETS = {
    "dsn": "postgresql://reader:secret@127.0.0.1:1/shop",
    "redis": "redis://127.0.0.1:1/0",
    "": "0123456789abcdef0123456789abcdef",
}
"""What a file holds whose name has that in it."""


def filled(text: str, folder: Path) -> Path:
    """The configuration in a folder, with the secrets it names, a file of keys, and the state."""
    for path in re.findall(r'"(?:file:)?(/(?:run|var)/[^"]+)"', text):
        here = folder / path.lstrip("/")
        here.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("keys.json"):
            _write_keys(here)
        elif path.startswith("/run/"):
            here.write_text(next(value for word, value in SECRETS.items() if word in path))
            here.chmod(0o440)
    file = folder / "pegboard.toml"
    file.write_text(re.sub(r'"(file:)?/(run|var)/', rf'"\1{folder}/\2/', text))
    return file


def checked(file: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    """What `pegboard check` says of it, but of plugins that it does not configure."""
    problems = find_problems(file, environment([], environ))
    text = file.read_text()
    named = re.compile(r"plugin '(\w+)' .* is not served: not configured")
    said = [(named.match(problem.message), problem.message) for problem in problems]
    return [message for match, message in said if match is None or f"[plugins.{match[1]}]" in text]


def _write_keys(file: Path) -> None:
    key, _ = Key.create("somebody", Scopes.of(["*"]))
    with changing(file) as keys:
        keys.append(key)
