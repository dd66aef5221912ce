"""What clients asked for and what became of it, and the five things that must hold whatever went wrong in between.

I1 every request has exactly one end for its client: an answer, an error, or the loss of the connection. I2 no answer
reaches another session. I3 a write is carried out once at most. I4 the audit log has one record for each call that was
carried out. I5 when all is quiet, nothing is left.
"""

import itertools
import json
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx
from tests.system.wire import Json, Peer, SseSession, inside

End = Literal["ok", "error", "lost"]

_NUMBERS = itertools.count(1)


@dataclass(eq=False, slots=True)
class Entry:
    """One request of one session: what it asked, and how that ended."""

    session: str
    tool: str
    tag: str
    ends: list[End] = field(default_factory=list[End])
    text: str = ""

    @property
    def end(self) -> End:
        """How it ended, which must have happened once."""
        (end,) = self.ends
        return end


class History:
    """Every call of some clients; `broken` is what must never be."""

    def __init__(self, ledger: Path, *audit: Path) -> None:
        self.entries: list[Entry] = []
        self.audit = audit
        """The audit log, in as many files as it was rotated into; not looked at if there is none."""
        self._ledger = ledger
        self._stray: list[str] = []

    async def call(
        self,
        peer: Peer,
        session: str,
        tool: str,
        *,
        patience: float = 15,
        deadline: float | None = None,
        **arguments: Any,
    ) -> Entry:
        """Call a tool of the ledger with a tag of its own, and write down how it ends; raises nothing of that.

        The client gives up after `patience` seconds; `deadline` is what it asks of the hub.
        """
        entry = Entry(session, tool, f"{session}/{next(_NUMBERS)}")
        self.entries.append(entry)
        params: Json = {"name": f"ledger_{tool}", "arguments": {"tag": entry.tag, **arguments}}
        if deadline is not None:
            params["_meta"] = {"pegboard/deadline": deadline}
        try:
            with anyio.fail_after(patience):
                answer = await peer.request("tools/call", params)
        except (httpx.HTTPError, AssertionError, TimeoutError, json.JSONDecodeError) as error:
            entry.ends.append("lost")
            entry.text = repr(error)
        except BaseException:
            entry.ends.append("lost")  # the client itself has left
            raise
        else:
            self._answered(entry, answer)
        return entry

    def left(self, peer: Peer, session: str) -> None:
        """A client has left; answers nobody waited for are strays, unless it gave up waiting for them itself."""
        given_up = {entry.tag for entry in self.ended("lost") if entry.session == session}
        if isinstance(peer, SseSession):
            strays = [answer for answer in peer.unclaimed() if _text_of(answer).rstrip(".") not in given_up]
            self._stray += [
                f"{session} got {answer}" for answer in strays if not answer.get("result", {}).get("isError")
            ]

    def ended(self, *ends: End) -> list[Entry]:
        """The calls that ended in one of these ways."""
        return [entry for entry in self.entries if entry.ends and entry.ends[0] in ends]

    def last(self, *sessions: str) -> list[Entry]:
        """The latest calls of these sessions, for whoever has to find out what went wrong."""
        return [entry for entry in self.entries if entry.session in sessions][-5:]

    def write_to(self, file: Path) -> None:
        """Write down all calls, a line each."""
        lines = (json.dumps([entry.tag, entry.tool, entry.ends, entry.text[:200]]) for entry in self.entries)
        file.write_text("".join(f"{line}\n" for line in lines))

    def broken(self, *, unwritten: Collection[str] = ()) -> list[str]:
        """What of I1 to I4 does not hold. `unwritten` are tags whose records a killed process may have taken along."""
        return [*self._ends(), *self._answers(), *self._writes(), *self._records(unwritten)]

    def _answered(self, entry: Entry, answer: Json) -> None:
        result = answer.get("result", {})
        entry.ends.append("error" if "error" in answer or result.get("isError") else "ok")
        entry.text = _text_of(answer)

    def _ends(self) -> Iterable[str]:
        return (f"I1: {entry.tag} ended as {entry.ends}" for entry in self.entries if len(entry.ends) != 1)

    def _answers(self) -> Iterable[str]:
        yield from (f"I2: {stray}" for stray in self._stray)
        for entry in self.ended("ok"):
            if entry.text.rstrip(".") != entry.tag:
                yield f"I2: {entry.tag} was answered with {entry.text[:100]!r}"

    def _writes(self) -> Iterable[str]:
        done = Counter(lines_of(self._ledger))
        for entry in self.entries:
            if entry.tool in ("write", "post") and done[entry.tag] > 1:
                yield f"I3: {entry.tag} was carried out {done[entry.tag]} times"
            if "ok" in entry.ends and not done[entry.tag]:
                yield f"I3: {entry.tag} was answered and never carried out"

    def _records(self, unwritten: Collection[str]) -> Iterable[str]:
        if not self.audit:
            return
        written = Counter(record["arguments"]["tag"] for record in records_of(*self.audit) if is_call(record))
        done = set(lines_of(self._ledger))
        for entry in self.entries:
            count = written[entry.tag]
            if count > 1 or (count == 0 and entry.tag in done and entry.tag not in unwritten):
                yield f"I4: {entry.tag} has {count} records"


def _text_of(answer: Json) -> str:
    """The text of an answer, or all of it where there is none."""
    content: list[Json] = answer.get("result", {}).get("content") or [{}]
    return content[0].get("text", json.dumps(answer))


def lines_of(file: Path) -> list[str]:
    """The lines of a file that may not be there yet."""
    return file.read_text().splitlines() if file.exists() else []


def records_of(*files: Path) -> list[Json]:
    """The records of an audit log; fails on a line that is none."""
    return [json.loads(line) for file in files for line in lines_of(file)]


def is_call(record: Json) -> bool:
    """Whether this is the record of a call of the ledger's that was run."""
    return record.get("event") == "call" and record.get("plugin") == "ledger"


def busy(metrics: str) -> dict[str, float]:
    """What a hub is busy with, by its metrics; the streams of whoever asks are not in it."""
    names = ("pegboard_calls_in_flight", "pegboard_calls_running", "pegboard_sessions", "pegboard_pool_connections_in")
    lines = [line.rpartition(" ") for line in metrics.splitlines() if line.startswith(names)]
    return {name: float(value) for name, _, value in lines if float(value)}


@dataclass(slots=True)
class Baseline:
    """What a hub holds when it is quiet."""

    tasks: int
    descriptors: int

    async def regained(self, http: httpx.AsyncClient, watcher: Peer, *, within: float = 10) -> None:
        """Wait until the hub holds no more than this; fails with what is left (I5)."""
        left: Any = None
        with anyio.move_on_after(within):
            while left := await self._left(http, watcher):
                await anyio.sleep(0.1)  # there is no event for what is not there any more
        assert not left, f"I5: {left}"

    async def _left(self, http: httpx.AsyncClient, watcher: Peer) -> Any:
        now, metrics = await inside(watcher), (await http.get("/metrics")).text
        grown = [now[name] - most for name, most in (("tasks", self.tasks), ("descriptors", self.descriptors))]
        working = busy(metrics)
        return (grown, working) if working or any(number > 0 for number in grown) else None


@asynccontextmanager
async def quiet(http: httpx.AsyncClient, watcher: Peer) -> AsyncGenerator[None]:
    """What is inside a hub after the block must be what was inside before (I5)."""
    await http.get("/metrics")
    before = await inside(watcher)
    yield
    await Baseline(before["tasks"], before["descriptors"]).regained(http, watcher)
