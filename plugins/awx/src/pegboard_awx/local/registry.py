"""The registry: projects by name, in a file of the first root, so that all sessions and replicas see the same."""

import json
import re
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from typing_extensions import TypedDict

from pegboard import ToolError
from pegboard_awx.local.roots import Roots
from pegboard_awx.shapes import brief

FILE = ".pegboard-projects.json"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,63}")
MOST_PROJECTS = 200
TRIES, PAUSE = 40, 0.05
"""How often, and how long apart, a change asks whether another one is done."""


class Project(TypedDict, total=False):
    """A project somebody registered."""

    name: str
    path: str
    scm_url: str
    scm_branch: str
    inventory: str
    default_playbook: str
    description: str
    default: bool


@dataclass(frozen=True, slots=True)
class Book:
    """All projects by name, and which of them is meant when none is named."""

    projects: dict[str, Project] = field(default_factory=dict[str, Project])
    default: str | None = None

    def with_project(self, name: str, project: Project, *, default: bool) -> "Book":
        projects = {**self.projects, name: project}
        if len(projects) > MOST_PROJECTS:
            raise ToolError(f"there are {MOST_PROJECTS} projects already; awx_unregister_project removes one")
        return replace(self, projects=projects, default=name if default else self.default)

    def without(self, name: str) -> "Book":
        self.named(name)
        projects = {key: value for key, value in self.projects.items() if key != name}
        return Book(projects, None if self.default == name else self.default)

    def listed(self) -> list[Project]:
        return [self.shown(name) for name in sorted(self.projects)]

    def shown(self, name: str) -> Project:
        kept = {**self.projects[name], "name": name, "default": name == self.default}
        return cast(Project, brief(**kept))

    def named(self, name: str | None) -> Project:
        """The project of that name, or the default, or the only one; raises `ToolError` with those there are."""
        only = next(iter(self.projects)) if len(self.projects) == 1 else None
        chosen = name or self.default or only
        if chosen in self.projects:
            return self.shown(chosen)
        there = ", ".join(sorted(self.projects)) or "none: awx_register_project adds one"
        raise ToolError(f"{f'there is no project {name!r}' if name else 'name a project'}; there are {there}")


@dataclass(frozen=True, slots=True)
class Registry:
    """The file with the book."""

    roots: Roots

    def read(self) -> Book:
        """What is registered; raises `ToolError` for a file that is broken."""
        if not self._path.is_symlink() and not self._path.exists():
            return Book()
        try:
            data = json.loads(self.roots.read(self._path))
            return Book(dict(data["projects"]), data["default"])
        except (ValueError, KeyError, TypeError) as error:
            raise ToolError(f"{self._path} cannot be understood; repair or remove it") from error

    def change(self, how: Callable[[Book], Book]) -> None:
        """Write the book that `how` makes of the one there is; nobody else changes it meanwhile."""
        with self._locked():
            book = how(self.read())
            data: dict[str, Any] = {"projects": book.projects, "default": book.default}
            self.roots.write(self._path, json.dumps(data, indent=1).encode(), overwrite=True)

    @property
    def _path(self) -> Path:
        return self.roots.folders[0] / FILE

    @contextmanager
    def _locked(self) -> Generator[None]:
        import fcntl  # not on Windows, where Ansible does not run either
        import os

        folder = os.open(self.roots.folders[0], os.O_RDONLY | os.O_DIRECTORY)
        try:
            for _ in range(TRIES):
                try:
                    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(PAUSE)
                else:
                    break
            else:
                raise ToolError("somebody else is changing the projects; try again")
            yield
        finally:
            os.close(folder)  # and with it the lock


def check_name(name: str) -> str:
    """A name a project can have; raises `ToolError` for others."""
    if not NAME.fullmatch(name):
        raise ToolError(f"{name!r} is no name of a project: 1 to 64 letters, digits, '_', '.', '-' and blanks")
    return name
