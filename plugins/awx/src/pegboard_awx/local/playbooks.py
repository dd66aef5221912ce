"""Playbooks and roles in a folder: which there are, what is in them, and what Ansible runs by only looking at them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from typing_extensions import TypedDict

from pegboard import ToolError
from pegboard_awx.local.roots import Roots

SUFFIXES = (".yml", ".yaml")
SKIPPED = ("collections", "defaults", "files", "group_vars", "handlers", "host_vars", "meta", "node_modules")
NO_PLAYBOOKS = (*SKIPPED, "roles", "tasks", "templates", "vars")
ROLE_PARTS = ("tasks", "handlers", "defaults", "vars", "meta", "templates", "files")
ROLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")

TASKS = ("pre_tasks", "tasks", "post_tasks")
LISTS = (*TASKS, "handlers")
IMPORT = re.compile(r"(ansible\.(builtin|legacy)\.)?import_(playbook|tasks|role)")
LOOKUP = re.compile(r"\b(lookup|query|q)\s*\(")
MOST_IMPORTS = 50

Play = Mapping[str, Any]


class Playbook(TypedDict):
    """A playbook and what its plays are called."""

    path: str
    plays: list[str]


class Role(TypedDict):
    """A role and where it is."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Content:
    """A text that is a playbook, and its plays."""

    text: bytes
    plays: Sequence[Play]

    @classmethod
    def of(cls, text: bytes) -> "Content":
        """Read a playbook; raises `ToolError` that says why a text is none."""
        from pegboard_awx.local.documents import parse  # only who has local_roots needs YAML at once

        try:
            found = parse(text)
        except ValueError as error:
            raise ToolError(f"this is no playbook: {error}") from error
        if not _are_plays(found):
            raise ToolError("this is no playbook: it is a list of plays, each with hosts or import_playbook")
        return cls(text, cast(list[Play], found))

    @property
    def names(self) -> list[str]:
        """What each play is called, or else what it is for."""
        return [str(play.get("name") or play.get("hosts") or _imported(play) or "?") for play in self.plays]

    @property
    def tasks(self) -> int:
        """How many tasks stand in the plays themselves."""
        lists = [play.get(key) for play in self.plays for key in TASKS]
        return sum(len(cast(list[Any], tasks)) for tasks in lists if isinstance(tasks, list))


def playbooks_in(roots: Roots, folder: Path) -> list[Playbook]:
    """Every playbook below a folder."""
    found: list[Playbook] = []
    for path in roots.files(folder, SUFFIXES, skip=NO_PLAYBOOKS):
        with suppress(ToolError):
            content = Content.of(roots.read(path))
            found.append({"path": roots.shown(path), "plays": content.names})
    return found


def roles_in(roots: Roots, folder: Path) -> list[Role]:
    """Every role below a folder: what stands in a folder `roles` and has one of a role's parts."""
    return [
        {"name": path.name, "path": roots.shown(path)}
        for path in roots.folders_in(folder)
        if path.parent.name == "roles" and any((path / part).is_dir() for part in ROLE_PARTS)
    ]


def role_folder(roots: Roots, name: str, workspace: Path) -> Path:
    """The folder of a role in a workspace, or in a root; raises `ToolError` with the roles there are."""
    if not ROLE.fullmatch(name):
        raise ToolError(f"{name!r} is no name of a role: use letters, digits, '_', '-' and '.'")
    with suppress(ToolError):
        return roots.folder(f"roles/{name}", within=workspace)
    there = ", ".join(role["name"] for role in roles_in(roots, workspace)) or "none"
    raise ToolError(f"there is no role {name!r} in {roots.shown(workspace)}; there are {there}")


def check_inert(roots: Roots, path: Path) -> None:
    """Return if checking the syntax of a playbook runs nothing; raises `ToolError` if a lookup might be run.

    Ansible evaluates the head of a play and the names of what is imported while it only checks the syntax, and a
    lookup can be a command: `hosts: "{{ lookup('pipe', 'rm -r /') }}"`.
    """
    waiting, seen = [path], set[Path]()
    while waiting and len(seen) < MOST_IMPORTS:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        content = _content(roots, path)
        if content is not None:
            _check_heads(roots, path, content)
            waiting += _imports(roots, path, content)


def _content(roots: Roots, path: Path) -> Content | None:
    """What is no playbook is for Ansible to tell, with the line."""
    with suppress(ToolError):
        return Content.of(roots.read(path))
    return None


def _check_heads(roots: Roots, path: Path, content: Content) -> None:
    templated = any("{{" in text or "{%" in text for play in content.plays for text in _evaluated(play))
    if templated and LOOKUP.search(content.text.decode(errors="replace")):
        raise ToolError(
            f"{roots.shown(path)} is not checked: it has lookups, and a template in the head of a play or in an "
            "import, which Ansible runs to check it; ansible_playbook with check_mode does more than that"
        )


def _evaluated(play: Play) -> Iterator[str]:
    """The texts that Ansible evaluates when it reads a play."""
    for key, value in play.items():
        if key in LISTS:
            yield from (str(name) for name in _static_imports(value))
        elif key != "vars":
            yield str(value)


def _static_imports(value: Any) -> Iterator[Any]:
    """What tasks import by name, in blocks, too."""
    waiting, looked_at = [value], 0
    while waiting and looked_at < 20_000:  # a text of few anchors can be a tree of very many nodes
        looked_at += 1
        node = waiting.pop()
        if isinstance(node, list):
            waiting += cast(list[Any], node)
        elif isinstance(node, dict):
            tasks = cast(dict[Any, Any], node)
            yield from (inner for key, inner in tasks.items() if IMPORT.fullmatch(str(key)))
            waiting += [tasks[key] for key in ("block", "rescue", "always") if key in tasks]


def _imports(roots: Roots, path: Path, content: Content) -> Iterator[Path]:
    for play in content.plays:
        with suppress(ToolError):
            yield roots.file(str(_imported(play) or ""), within=path.parent)


def _imported(play: Play) -> Any:
    return next((value for key, value in play.items() if IMPORT.fullmatch(str(key))), None)


def _are_plays(found: Any) -> bool:
    return (
        isinstance(found, list)
        and bool(cast(list[Any], found))
        and all(isinstance(play, dict) and _is_play(cast(Play, play)) for play in cast(list[Any], found))
    )


def _is_play(play: Play) -> bool:
    return "hosts" in play or _imported(play) is not None
