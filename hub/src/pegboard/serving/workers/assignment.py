"""An assignment: what one worker is told by the process that has started it."""

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from pegboard.settings import HubSettings

LONGEST = 2**24
"""Bytes of one line between the supervisor and a worker: a report names every tool."""


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

    def line(self, options: Mapping[str, Any]) -> bytes:
        """The assignment as it is told, with the options of the command line."""
        return json.dumps({"assignment": asdict(self), "options": dict(options)}).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> tuple[Self, dict[str, Any]]:
        """What `line` has written."""
        told = json.loads(line)
        given: dict[str, Any] = told["assignment"]
        given["names"] = tuple(given["names"])
        return cls(**given), told["options"]


async def line_of(stream: socket.socket) -> bytes:
    """Wait for the next line from the other side, the only one on its way; empty when that has ended."""
    reader, writer = await asyncio.open_unix_connection(sock=stream.dup(), limit=LONGEST)
    try:
        return await reader.readline()
    finally:
        writer.close()
