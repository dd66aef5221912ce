"""A soak: work in all eras for a long time while everything goes wrong now and then, and then I1 to I5.

`make soak` runs it for half an hour; `PEGBOARD_SOAK_SECONDS` says otherwise. Each run of the suite has a few seconds
of it.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from tests.system.faults.bench import ERAS, Bench, Scene, scene, session, working
from tests.system.faults.proxy import Direction, Fault, FaultProxy, proxying
from tests.system.faults.upstream import upstream
from tests.system.installed import Installed
from tests.system.wire import Era, Json, Peer, call, connected, inside

CLIENTS = 4
"""Of each era."""

SECONDS = float(os.environ.get("PEGBOARD_SOAK_SECONDS", "1800"))
MIB = 1024 * 1024
ROOM = 30 * MIB
"""What the memory may have grown by, however long it takes."""

HARM = (
    Fault(delay=0.05),
    Fault(delay=0.3, rate=200_000),
    Fault(silent=True),
    Fault(cut_after=5_000),
    Fault(rate=20_000),
)
DIRECTIONS: tuple[tuple[Direction, ...], ...] = (("up",), ("down",), ("up", "down"))

QUICK: Json = {
    "pools": {"pause": 0.2},
    "calls": {"deadline": 3},
    "server": {"session_idle_timeout": 3},  # a client that is lost cannot end its session over `/mcp`
}


@dataclass(slots=True)
class Storm:
    """What goes wrong, one thing after the other, always the same for a seed."""

    bench: Bench
    fronts: tuple[FaultProxy, ...]
    chance: random.Random
    done: Counter[str]

    async def blow(self) -> None:
        """Do harm and heal it, until cancelled; what is harmed is healed then."""
        kinds: tuple[Callable[[FaultProxy], Awaitable[None]], ...] = (self._harm, self._harm, self._reset, self._down)
        try:
            while True:
                await anyio.sleep(self.chance.uniform(0.05, 0.5))
                if self.chance.random() < 0.1:
                    await self._freeze()
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


async def work(here: Scene, era: Era, name: str, chance: random.Random) -> None:
    """One client, until cancelled: it calls this and that, gives up now and then, and comes back when it is lost."""
    while True:
        try:
            async with session(here.history, era, here.proxy.url, name) as peer:
                for _ in range(chance.randint(1, 40)):
                    if (await one_call(here, peer, name, chance)) == "lost":
                        break
        except* Exception:  # noqa: BLE001 # no connection at this moment
            await anyio.sleep(0.05)


async def one_call(here: Scene, peer: Peer, name: str, chance: random.Random) -> str:
    """One call of some kind."""
    tool = chance.choice(("write", "write", "read", "fetch", "post"))
    more: Json = (
        {} if tool in ("fetch", "post") else {"seconds": chance.choice((0, 0, 0.05)), "size": chance.choice((0, 5_000))}
    )
    patience = chance.choice((5, 5, 5, 0.05))
    return (await here.history.call(peer, name, tool, patience=patience, **more)).end


@asynccontextmanager
async def stormy(probe: Installed, folder: Path) -> AsyncGenerator[tuple[Bench, FaultProxy]]:
    """A hub with an upstream behind a proxy, whose connections were all opened once."""
    async with upstream(folder / "ledger.txt") as port, proxying(port) as behind:
        settings = {**QUICK, "plugins": {"ledger": {"upstream": behind.url}}}
        with working(folder, probe, settings=settings) as bench:
            async with connected("modern", bench.hub.url) as peer, anyio.create_task_group() as tasks:
                for number in range(30):
                    tasks.start_soon(call, peer, "ledger_fetch", {"tag": f"first {number}"})
            yield bench, behind


async def soak(probe: Installed, folder: Path, seconds: float, seed: int) -> str:
    """Work for so many seconds in a storm; returns what happened."""
    async with stormy(probe, folder) as (bench, behind), scene(bench) as here:
        before = (await inside(here.watcher))["memory"]
        storm = Storm(bench, (here.proxy, behind), random.Random(seed), Counter())
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(storm.blow)
                for number in range(CLIENTS):
                    for era in ERAS:
                        chance = random.Random(f"{seed} {era} {number}")
                        tasks.start_soon(work, here, era, f"{era}-{number}", chance)
        ends = Counter(entry.end for entry in here.history.entries)
        after = (await inside(here.watcher))["memory"]
        assert ends["ok"] > 10 * seconds, ends
        assert after < before + ROOM, (before, after)
        return f"{dict(ends)} in {dict(storm.done)}; the memory grew by {(after - before) / MIB:.1f} MiB"
    raise AssertionError("the scene swallowed an error")


async def test_everything_holds_in_a_gust(probe: Installed, tmp_path: Path) -> None:
    """F-39, for some seconds."""
    await soak(probe, tmp_path, 5, seed=7)


@pytest.mark.soak
async def test_everything_holds_in_a_long_storm(probe: Installed, tmp_path: Path) -> None:
    """F-39."""
    seed = int(time.time())
    print(f"\n{SECONDS:g} s with seed {seed}: {await soak(probe, tmp_path, SECONDS, seed)}")
