"""What goes wrong in a soak: lines, an upstream, hubs that freeze, and a second hub that is killed now and then."""

import random
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread
from tests.system.faults.bench import Bench, working
from tests.system.faults.history import records_of
from tests.system.faults.proxy import Direction, Fault, FaultProxy
from tests.system.installed import Installed
from tests.system.wire import Json

HARM = (
    Fault(delay=0.05),
    Fault(delay=0.3, rate=200_000),
    Fault(silent=True),
    Fault(cut_after=5_000),
    Fault(rate=20_000),
)
DIRECTIONS: tuple[tuple[Direction, ...], ...] = (("up",), ("down",), ("up", "down"))


@dataclass(slots=True)
class Replica:
    """A second hub with the same ledger, which may be killed and comes back at the same port."""

    probe: Installed
    folder: Path
    settings: Json
    unwritten: set[str] = field(default_factory=set[str])
    """Tags of calls it had carried out, and not yet written down when it was killed."""
    _running: AbstractContextManager[Bench] | None = None
    _bench: Bench | None = None

    @property
    def bench(self) -> Bench:
        """The hub as it runs now."""
        assert self._bench is not None
        return self._bench

    async def start(self) -> None:
        """Start it; whoever works meanwhile is not held up."""
        self._running = working(self.folder, self.probe, settings=self.settings)
        self._bench = await anyio.to_thread.run_sync(self._running.__enter__)

    async def kill(self) -> None:
        """Kill it, and remember what was under way."""
        self.bench.hub.signal(signal.SIGKILL)
        await self.bench.hub.ended()
        written = {record["arguments"]["tag"] for record in records_of(self.bench.audit) if "arguments" in record}
        ledger = Path(self.settings["plugins"]["ledger"]["ledger"])
        self.unwritten |= {tag for tag in ledger.read_text().splitlines() if tag.startswith("b-")} - written

    async def stop(self) -> None:
        """End it for good."""
        if self._running is not None:
            await anyio.to_thread.run_sync(self._running.__exit__, None, None, None)

    async def again(self) -> None:
        """Kill it and start it; this is not broken off in the middle."""
        with anyio.CancelScope(shield=True):
            port = self.bench.hub.port
            await self.kill()
            await self.stop()
            self.settings["server"]["port"] = port
            await self.start()


@asynccontextmanager
async def replicated(probe: Installed, folder: Path, settings: Json) -> AsyncGenerator[Replica]:
    """A second hub in a folder of its own."""
    folder.mkdir()
    replica = Replica(probe, folder, settings)
    await replica.start()
    try:
        yield replica
    finally:
        with anyio.CancelScope(shield=True):
            await replica.stop()


@dataclass(slots=True)
class Storm:
    """What goes wrong, one thing after the other, always the same for a seed."""

    bench: Bench
    fronts: tuple[FaultProxy, ...]
    chance: random.Random
    replica: Replica | None = None
    done: Counter[str] = field(default_factory=Counter[str])

    async def blow(self) -> None:
        """Do harm and heal it, until cancelled; what is harmed is healed then."""
        kinds: tuple[Callable[[FaultProxy], Awaitable[None]], ...] = (self._harm, self._harm, self._reset, self._down)
        try:
            while True:
                await anyio.sleep(self.chance.uniform(0.05, 0.5))
                if self.chance.random() < 0.1:
                    await self._freeze()
                elif self.chance.random() < 0.02:
                    await self._kill()
                else:
                    await self.chance.choice(kinds)(self.chance.choice(self.fronts))
        finally:
            self.bench.hub.signal(signal.SIGCONT)
            for front in self.fronts:
                front.heal()
                front.reset()  # idle connections of a pool are dropped when they are next used

    async def _harm(self, front: FaultProxy) -> None:
        fault = self.chance.choice(HARM)
        self.done["a bad line"] += 1
        front.harm(fault, *self.chance.choice(DIRECTIONS))
        await anyio.sleep(self.chance.uniform(0.1, 1.0))
        front.heal()

    async def _reset(self, front: FaultProxy) -> None:
        self.done["resets"] += 1
        front.reset()

    async def _down(self, front: FaultProxy) -> None:
        self.done["absences"] += 1
        front.down()
        await anyio.sleep(self.chance.uniform(0.05, 0.5))
        front.heal()

    async def _freeze(self) -> None:
        self.done["frozen hubs"] += 1
        self.bench.hub.signal(signal.SIGSTOP)
        await anyio.sleep(self.chance.uniform(0.05, 0.5))
        self.bench.hub.signal(signal.SIGCONT)

    async def _kill(self) -> None:
        if self.replica is not None:
            self.done["killed hubs"] += 1
            await self.replica.again()
