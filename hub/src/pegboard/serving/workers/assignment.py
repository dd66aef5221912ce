"""An assignment: what one worker is told by the process that has started it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from pegboard.serving.workers.line import Said
from pegboard.settings import HubSettings


@dataclass(frozen=True, slots=True)
class Configuration:
    """What all workers serve by: a file and its text as it was when they took it, and how often it was read.

    A worker that is started anew gets the same, so that it serves what the others do while somebody edits the file.
    """

    file: str | None = None
    text: str | None = None
    generation: int = 1
    attempts: int = 0
    problem: str | None = None

    @property
    def path(self) -> Path | None:
        """The file, if there is one."""
        return None if self.file is None else Path(self.file)

    def taken(self, new: Self) -> Self:
        """The `new` one, after this one."""
        return replace(new, generation=self.generation + 1, attempts=self.attempts + 1)

    def refused(self, problem: str) -> Self:
        """This one, when another was not taken."""
        return replace(self, attempts=self.attempts + 1, problem=problem)


def names_of(settings: HubSettings) -> tuple[str, ...]:
    """The names of all workers: `w0`, `w1`, and `hub-1-w0` where the hub has a name among replicas."""
    prefix = f"{settings.server.replica}-" if settings.server.replica else ""
    return tuple(f"{prefix}w{number}" for number in range(settings.server.workers))


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which of the workers a process is, the names of all, the port they share, and the folder they meet in."""

    number: int
    names: tuple[str, ...]
    port: int
    folder: str
    secret: str

    @property
    def name(self) -> str:
        """The worker's own name."""
        return self.names[self.number]

    @property
    def others(self) -> tuple[str, ...]:
        """The names of the others."""
        return tuple(name for name in self.names if name != self.name)

    def door_of(self, name: str) -> Path:
        """The Unix socket a worker answers the others at; its name is short, since a path of one may be no longer."""
        return Path(self.folder, str(self.names.index(name)))

    def applied(self, settings: HubSettings) -> HubSettings:
        """The settings this worker serves by: its own name and audit log, and the port and secret of all."""
        given = settings.server
        secret = given.secret or SecretStr(self.secret)
        server = given.model_copy(update={"replica": self.name, "port": self.port, "secret": secret})
        audit, file = settings.audit, settings.audit.file
        if file is not None:
            audit = audit.model_copy(update={"file": file.with_name(f"{file.name}-w{self.number}")})
        return settings.model_copy(update={"server": server, "audit": audit})

    def told(self, options: Mapping[str, Any], configuration: Configuration) -> Said:
        """The assignment as it is told, with the options of the command line and what to serve by."""
        return {"assignment": asdict(self), "options": dict(options), "configuration": asdict(configuration)}

    @classmethod
    def read(cls, line: bytes) -> tuple[Self, Said, Configuration]:
        """What `told` has said."""
        told = json.loads(line)
        given: dict[str, Any] = told["assignment"]
        given["names"] = tuple(given["names"])
        return cls(**given), told["options"], Configuration(**told["configuration"])
