"""A soak: work in all eras for a long time while everything goes wrong now and then, and then I1 to I5.

`make soak` runs it for half an hour; `PEGBOARD_SOAK_SECONDS` says otherwise, and `PEGBOARD_SOAK_SEED` repeats what went
wrong in another one. Each run of the suite has a few seconds of it.
"""

import os
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from tests.system.faults.bench import ERAS, Bench, Scene, scene, session, working
from tests.system.faults.history import Entry, History
from tests.system.faults.proxy import FaultProxy, proxying
from tests.system.faults.storm import Replica, Storm, replicated
from tests.system.faults.upstream import upstream
from tests.system.installed import Installed
from tests.system.wire import Era, Json, Peer, call, connected, inside

CLIENTS = 4
"""Of each era."""

SECONDS = float(os.environ.get("PEGBOARD_SOAK_SECONDS", "1800"))
SEED = int(os.environ.get("PEGBOARD_SOAK_SEED", time.time()))
MIB = 1024 * 1024
ROOM = 30 * MIB
"""What the memory may have grown by, however long it takes."""


def settings_of(upstream_url: str, **ledger: str) -> Json:
    return {
        "pools": {"pause": 0.2},
        "calls": {"deadline": 3},
        "server": {"session_idle_timeout": 3},  # a client that is lost cannot end its session over `/mcp`
        "plugins": {"ledger": {"upstream": upstream_url, **ledger}},
    }


@dataclass(slots=True)
class Tally:
    """What happened in a soak; its text is the table at the end."""

    seed: int
    history: History
    storm: Storm
    unwritten: set[str]
    file: Path
    """Where the history goes when something is broken."""
    rest: str = "not seen"
    """What is to be said of I5, which is looked at when all is over."""
    memory: list[int] = field(default_factory=list[int])
    began: float = field(default_factory=time.monotonic)

    async def note(self, here: Scene) -> None:
        """How much memory the hub has now."""
        self.memory.append((await inside(here.watcher))["memory"])

    async def watch(self, here: Scene) -> None:
        """Say every minute how it goes, until cancelled."""
        while True:
            await anyio.sleep(60)
            await self.note(here)
            print(f"{self.seconds:5.0f} s: {self.calls}; {self.memory[-1] / MIB:.0f} MiB", flush=True)

    def leave(self, _: object, error: BaseException | None, __: object) -> None:
        """When it ends with an error, say all that is known, and keep the history."""
        if error is not None:
            self.history.write_to(self.file)
            print(f"{self}\n  {error!r}\n  the history is in {self.file}", flush=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def calls(self) -> str:
        """How many calls there were, and how they ended."""
        ends = Counter(entry.ends[0] for entry in self.history.entries if entry.ends)
        return f"{len(self.history.entries)} calls, " + ", ".join(
            f"{ends[end]} {end}" for end in ("ok", "error", "lost")
        )

    def __str__(self) -> str:
        failed = Counter(map(kind_of, self.history.ended("error", "lost")))
        broken = Counter(line[:2] for line in self.history.broken(unwritten=self.unwritten))
        start, mid, end = (self.memory[at] / MIB for at in (0, len(self.memory) // 2, -1))
        return "\n".join([
            f"seed {self.seed}, {self.seconds:.0f} s",
            f"  {self.calls}",
            *(f"  {count:8} failed: {kind}" for kind, count in failed.most_common()),
            *(f"  {count:8} {fault}" for fault, count in self.storm.done.most_common()),
            f"  {len(self.unwritten):8} records that killed hubs took along",
            *(f"  {name}: {broken[name] or 'holds'}" for name in ("I1", "I2", "I3", "I4")),
            f"  I5: {self.rest}",
            f"  memory {start:.0f} MiB at the start, {mid:.0f} in the middle, {end:.0f} at the end",
        ])  # fmt: skip


def kind_of(entry: Entry) -> str:
    """What a failure is, without what differs from call to call."""
    return f"{entry.end}: {entry.text.partition('(')[0][:40]}" if entry.end == "lost" else f"error: {entry.text[:40]}"


async def work(here: Scene, url: str, era: Era, name: str, chance: random.Random) -> None:
    """One client, until cancelled: it calls this and that, gives up now and then, and comes back when it is lost."""
    while True:
        try:
            async with session(here.history, era, url, name) as peer:
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
        with working(folder, probe, settings=settings_of(behind.url)) as bench:
            async with connected("modern", bench.hub.url) as peer, anyio.create_task_group() as tasks:
                for number in range(30):
                    tasks.start_soon(call, peer, "ledger_fetch", {"tag": f"first {number}"})
            yield bench, behind


async def soak(probe: Installed, folder: Path, seconds: float, seed: int, *, kills: bool = False) -> Tally:
    """Work for so many seconds in a storm, on two hubs where one is killed now and then; returns what happened."""
    unwritten: set[str] = set()
    async with stormy(probe, folder) as (bench, behind), AsyncExitStack() as stack:
        replica = await stack.enter_async_context(second(probe, folder, bench, behind, unwritten)) if kills else None
        audits = [replica.bench.audit] if replica else []
        async with scene(bench, *audits, unwritten=unwritten) as here, AsyncExitStack() as proxies:
            fronts = {"a": here.proxy}
            if replica:
                fronts["b"] = await proxies.enter_async_context(proxying(replica.bench.hub.port))
            storm = Storm(bench, (*fronts.values(), behind), random.Random(seed), replica)
            tally = Tally(seed, here.history, storm, unwritten, folder / "history.jsonl")
            stack.push(tally.leave)
            await tally.note(here)
            with anyio.move_on_after(seconds):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(storm.blow)
                    tasks.start_soon(tally.watch, here)
                    for number in range(CLIENTS):
                        for era in ERAS:
                            hub = "ab"[number % len(fronts)]
                            name = f"{hub}-{era}-{number}"
                            chance = random.Random(f"{seed} {name}")
                            tasks.start_soon(work, here, fronts[hub].url, era, name, chance)
            await tally.note(here)
        tally.rest = "holds"
        return tally
    raise AssertionError("the scene swallowed an error")


@asynccontextmanager
async def second(
    probe: Installed, folder: Path, bench: Bench, behind: FaultProxy, unwritten: set[str]
) -> AsyncGenerator[Replica]:
    """Another hub with the ledger of the first."""
    settings = settings_of(behind.url, ledger=str(bench.ledger))
    async with replicated(probe, folder / "replica", settings) as replica:
        replica.unwritten = unwritten
        yield replica


def held(tally: Tally) -> None:
    """The rest of what a soak must show, after I1 to I5."""
    assert len(tally.history.ended("ok")) > 10 * tally.seconds / 2, tally
    assert tally.memory[-1] < tally.memory[0] + ROOM, tally


async def test_everything_holds_in_a_gust(probe: Installed, tmp_path: Path) -> None:
    """F-39, for some seconds."""
    held(await soak(probe, tmp_path, 5, seed=7))


@pytest.mark.soak
async def test_everything_holds_in_a_long_storm(probe: Installed, tmp_path: Path) -> None:
    """F-39."""
    print(f"\n{SECONDS:g} s with seed {SEED}", flush=True)
    tally = await soak(probe, tmp_path, SECONDS, SEED, kills=True)
    print(tally)
    held(tally)
