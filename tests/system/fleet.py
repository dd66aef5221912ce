"""Three hubs side by side, at ports that stay theirs while they are replaced."""

import socket
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.system.installed import Installed
from tests.system.processes import HubProcess, serving

NUMBERS = (1, 2, 3)


class Fleet:
    """Hubs 1, 2 and 3, named as in `deploy/proxies`."""

    def __init__(self, folder: Path, plugins: tuple[Installed, ...], settings: Mapping[str, Any]) -> None:
        self.hubs: dict[int, HubProcess] = {}
        self.ports: list[int] = []
        self.folder = folder
        self._plugins = plugins
        self._settings = settings
        self._started_with: dict[int, Mapping[str, Any]] = {}
        self._stack = ExitStack()
        for _ in NUMBERS:
            self._hold_port()

    @property
    def audits(self) -> list[Path]:
        """Their audit logs, which outlive them."""
        return [self.folder / f"hub-{number}" / "audit.jsonl" for number in NUMBERS]

    def start(self, *numbers: int, **server: Any) -> None:
        """Start some, side by side, with these settings of `[server]`; they are ready when this returns."""
        with ThreadPoolExecutor() as pool:
            self.hubs |= zip(numbers, pool.map(partial(self._started, server), numbers), strict=True)
        self._started_with |= dict.fromkeys(numbers, server)

    def have(self, **server: Any) -> None:
        """Start those anew that run with other settings, or not at all."""
        others = [number for number in NUMBERS if not self._runs(number, server)]
        for number in others:
            if number in self.hubs:
                self.hubs[number].process.kill()
                self.hubs[number].process.wait()
        self.start(*others, **server)

    def _runs(self, number: int, server: Mapping[str, Any]) -> bool:
        is_alive = number in self.hubs and self.hubs[number].process.poll() is None
        return is_alive and self._started_with[number] == server

    def close(self) -> None:
        """End them all."""
        for hub in self.hubs.values():
            if hub.process.poll() is None:
                hub.process.terminate()  # side by side; what does not hear it is killed below
        self._stack.close()

    def _started(self, server: Mapping[str, Any], number: int) -> HubProcess:
        folder = self.folder / f"hub-{number}"
        folder.mkdir(exist_ok=True)
        named = {"replica": f"hub-{number}", "port": self.ports[number - 1]}
        given = {"server": {**named, **self._settings.get("server", {}), **server}}
        audit = {"audit": {"file": str(folder / "audit.jsonl")}}
        return self._stack.enter_context(serving(folder, *self._plugins, settings={**audit, **self._settings, **given}))

    def _hold_port(self) -> None:
        """Bound, but not listened at: no outgoing connection can have it while a hub is away."""
        held = self._stack.enter_context(socket.socket())
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        self.ports.append(held.getsockname()[1])


@contextmanager
def fleet_of(folder: Path, *plugins: Installed, settings: Mapping[str, Any]) -> Generator[Fleet]:
    """A fleet, of which nothing runs yet; all of it is gone after the block."""
    fleet = Fleet(folder, plugins, settings)
    try:
        yield fleet
    finally:
        fleet.close()
