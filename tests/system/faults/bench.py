"""A hub with a ledger and an audit log, and scenes in which things go wrong around it."""

from collections.abc import AsyncGenerator, Collection, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
from tests.system.faults.history import History, lines_of, quiet, records_of
from tests.system.faults.proxy import FaultProxy, proxying
from tests.system.installed import Installed, install
from tests.system.processes import HubProcess, serving
from tests.system.wire import OPENERS, Era, Json, Peer, call, client, connected

ERAS: tuple[Era, ...] = tuple(OPENERS)


def install_ledger(folder: Path) -> Installed:
    """The plugin `ledger`: calls that are counted where they are carried out."""
    source = Path(__file__).with_name("pegledger.py").read_text()
    return install(folder, "pegledger", {"pegledger": source}, {"ledger": "pegledger:Ledger"})


@dataclass(slots=True)
class Bench:
    """A hub that runs, the file its ledger is in, and its audit log."""

    hub: HubProcess
    ledger: Path
    audit: Path
    eras: tuple[Era, ...] = ERAS
    is_warm: bool = False

    def history(self) -> History:
        """A history to be held against the ledger and the audit log."""
        return History(self.ledger, self.audit)

    @property
    def carried_out(self) -> list[str]:
        """The tags of all calls so far, as often as they were carried out."""
        return lines_of(self.ledger)

    async def begun(self, count: int) -> None:
        """Wait until so many calls have been carried out; the file tells nobody."""
        with anyio.fail_after(5):
            while len(self.carried_out) < count:
                await anyio.sleep(0.02)

    async def record_of(self, tag: str) -> Json:
        """The record of a call, waited for."""
        with anyio.fail_after(5):
            while True:
                records = records_of(self.audit)
                for record in records:
                    if record.get("arguments", {}).get("tag") == tag:
                        return record
                await anyio.sleep(0.02)

    async def warm(self) -> None:
        """Have one client of each era come and go: the first ones start what stays."""
        if not self.is_warm:
            for era in self.eras:
                async with connected(era, self.hub.url) as peer:
                    await call(peer, "probe_echo", {"payload": "first"})
        self.is_warm = True


@contextmanager
def working(
    folder: Path,
    probe: Installed,
    *plugins: Installed,
    settings: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Generator[Bench]:
    """A hub whose plugins `probe` and `ledger` may write; `settings` are laid over the usual ones, table by table."""
    ledger, audit = folder / "ledger.txt", folder / "audit.jsonl"
    site = folder / "installed" / "pegledger"
    installed = Installed("pegledger", site) if site.exists() else install_ledger(folder / "installed")
    usual: dict[str, Any] = {
        "audit": {"file": str(audit)},
        "log": {"calls": False},
        "budget": {"profile": "unlimited"},
        "plugins": {"ledger": {"ledger": str(ledger), "writes": "allow"}},
    }
    given = dict(settings or {})
    merged = {name: {**usual.get(name, {}), **given.get(name, {})} for name in {**usual, **given}}
    merged["plugins"]["ledger"] = {**usual["plugins"]["ledger"], **merged["plugins"]["ledger"]}
    with serving(
        folder, probe, installed, *plugins, settings=merged, trust=["pegprobe", "pegledger"], environ=environ
    ) as hub:
        is_stateless = merged.get("server", {}).get("stateless", False)
        yield Bench(hub, ledger, audit, tuple(era for era in ERAS if era != "legacy" or not is_stateless))


@dataclass(slots=True)
class Scene:
    """What a scene has: a proxy before the hub, a history, and a client that nothing happens to."""

    history: History
    proxy: FaultProxy
    http: httpx.AsyncClient
    watcher: Peer


@asynccontextmanager
async def scene(bench: Bench, *more: Path, unwritten: Collection[str] = ()) -> AsyncGenerator[Scene]:
    """A scene; when it is over, I1 to I5 must hold.

    `more` are the audit logs of other hubs, `unwritten` the tags of calls whose records a killed one took along.
    """
    await bench.warm()
    history = bench.history()
    history.audit = (*history.audit, *more)
    async with client(bench.hub.url) as http, OPENERS["modern"](http) as watcher:
        async with quiet(http, watcher):
            async with proxying(bench.hub.port) as proxy:
                yield Scene(history, proxy, http, watcher)
        await holds(history, unwritten=unwritten)
    _, crash, told = bench.hub.log.text.partition("Traceback")
    assert not crash, told[-4000:]


async def holds(history: History, **given: Any) -> None:
    """I1 to I4, once the audit log has what it was handed over; the log is written in a thread."""
    with anyio.move_on_after(3):
        while history.broken(**given):
            await anyio.sleep(0.05)  # nobody tells when a line is in a file
    broken = history.broken(**given)
    assert not broken, "\n".join(broken[:20])


@asynccontextmanager
async def session(history: History, era: Era, url: str, name: str) -> AsyncGenerator[Peer]:
    """A client of this era whose strays go to the history; it begins with a handshake in every era."""
    async with connected(era, url) as peer:
        if era == "modern":
            await peer.request("server/discover")
        try:
            yield peer
        finally:
            history.left(peer, name)
