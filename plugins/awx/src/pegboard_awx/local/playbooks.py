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
LOOKUP = re.compile(r"\b(lookup|query|q)\b")
MOST_IMPORTS = 50
MOST_NODES = 20_000
LONGEST_NAME = 100
WHERE = (
    "in the head of a play or in an import, which Ansible runs to check it; "
    "ansible_playbook with check_mode does more than that"
)

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
        return [_name(play.get("name")) or _name(play.get("hosts")) or _name(_imported(play)) for play in self.plays]

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
    """Return if checking the syntax of a playbook runs nothing that stands in it; else raise `ToolError`.

    Ansible evaluates the head of a play and the names of what is imported while it only checks the syntax, and a
    lookup can be a command: `hosts: "{{ lookup('pipe', 'rm -r /') }}"`. What roles and files of variables bring along
    is not looked at.
    """
    waiting, seen = [path], set[Path]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if len(seen) > MOST_IMPORTS:
            raise ToolError(f"it imports more than {MOST_IMPORTS} playbooks; check one of those")
        waiting += _checked(roots, path)


def _checked(roots: Roots, path: Path) -> list[Path]:
    """Look at one playbook; returns those it imports."""
    text = roots.read(path)
    try:
        plays = Content.of(text).plays
    except ToolError:  # what is no playbook is for Ansible to tell, with the line, if it runs nothing of it
        plays = ()
    evaluated = [words for play in plays for words in _evaluated(play)] if plays else [text.decode(errors="replace")]
    templated = any("{{" in words or "{%" in words for words in evaluated)
    if templated and LOOKUP.search(text.decode(errors="replace")):
        raise ToolError(f"{roots.shown(path)} is not checked: it has lookups, and a template {WHERE}")
    if any("{" in text for play in plays for text in _texts(_imported(play))):
        raise ToolError(f"{roots.shown(path)} is not checked: which playbook it imports is a template {WHERE}")
    return list(_imports(roots, path, plays))


def _evaluated(play: Play) -> Iterator[str]:
    """The texts that Ansible evaluates when it reads a play."""
    for key, value in play.items():
        if key in LISTS:
            imported = (
                inner for task in _mappings(value) for name, inner in task.items() if IMPORT.fullmatch(str(name))
            )
            yield from (text for inner in imported for text in _texts(inner))
        elif key != "vars":
            yield from _texts(value)


def _mappings(tasks: Any) -> Iterator[Mapping[Any, Any]]:
    return (cast(dict[Any, Any], node) for node in _nodes(tasks) if isinstance(node, dict))


def _texts(value: Any) -> Iterator[str]:
    return (node for node in _nodes(value) if isinstance(node, str))


def _nodes(value: Any) -> Iterator[Any]:
    """Everything in a value; raises `ToolError` if that is very much, as a text of a few anchors can make it."""
    waiting, looked_at = [value], 0
    while waiting:
        looked_at += 1
        if looked_at > MOST_NODES:
            raise ToolError("it is too large, or repeats too much, to be looked at")
        node = waiting.pop()
        yield node
        if isinstance(node, dict):
            waiting += cast(dict[Any, Any], node).values()
        elif isinstance(node, list):
            waiting += cast(list[Any], node)


def _imports(roots: Roots, path: Path, plays: Sequence[Play]) -> Iterator[Path]:
    for play in plays:
        with suppress(ToolError):
            yield roots.file(_name(_imported(play), longest=None), within=path.parent)


def _imported(play: Play) -> Any:
    return next((value for key, value in play.items() if IMPORT.fullmatch(str(key))), None)


def _name(value: Any, longest: int | None = LONGEST_NAME) -> str:
    """A name, or the first of several; what else may stand there is of no use as one."""
    first = next(iter(cast(list[Any], value)), None) if isinstance(value, list) else value
    return first[:longest] if isinstance(first, str) else ""


def _are_plays(found: Any) -> bool:
    return (
        isinstance(found, list)
        and bool(cast(list[Any], found))
        and all(isinstance(play, dict) and _is_play(cast(Play, play)) for play in cast(list[Any], found))
    )


def _is_play(play: Play) -> bool:
    return "hosts" in play or _imported(play) is not None
