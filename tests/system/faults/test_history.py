"""The bench itself: a history sees what must never be, and a proxy does the harm it is told to."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketStream
from tests.system.faults.history import Entry, History, busy
from tests.system.faults.proxy import Fault, FaultProxy, proxying
from tests.system.faults.upstream import upstream


def history(folder: Path, entry: Entry, *, done: int = 1, records: int = 1) -> History:
    """One call, carried out and written down so many times."""
    (folder / "ledger").write_text(f"{entry.tag}\n" * done)
    record = {"event": "call", "plugin": "ledger", "arguments": {"tag": entry.tag}}
    (folder / "audit").write_text(f"{json.dumps(record)}\n" * records)
    made = History(folder / "ledger", folder / "audit")
    made.entries.append(entry)
    return made


def test_a_call_that_ended_well_is_fine(tmp_path: Path) -> None:
    assert history(tmp_path, Entry("a", "write", "a/1", ["ok"], "a/1...")).broken() == []


@pytest.mark.parametrize(
    ("entry", "done", "records", "broken"),
    [
        (Entry("a", "write", "a/1", []), 0, 0, "I1: a/1 ended as []"),
        (Entry("a", "write", "a/1", ["ok", "lost"], "a/1"), 1, 1, "I1: a/1 ended as ['ok', 'lost']"),
        (Entry("a", "write", "a/1", ["ok"], "b/2"), 1, 1, "I2: a/1 was answered with 'b/2'"),
        (Entry("a", "write", "a/1", ["lost"]), 2, 1, "I3: a/1 was carried out 2 times"),
        (Entry("a", "write", "a/1", ["ok"], "a/1"), 0, 1, "I3: a/1 was answered and never carried out"),
        (Entry("a", "write", "a/1", ["ok"], "a/1"), 1, 2, "I4: a/1 has 2 records"),
        (Entry("a", "read", "a/1", ["lost"]), 1, 0, "I4: a/1 has 0 records"),
    ],
)
def test_what_must_never_be_is_seen(tmp_path: Path, entry: Entry, done: int, records: int, broken: str) -> None:
    assert broken in history(tmp_path, entry, done=done, records=records).broken()


def test_a_record_that_went_down_with_the_hub_is_excused(tmp_path: Path) -> None:
    made = history(tmp_path, Entry("a", "read", "a/1", ["lost"]), records=0)
    assert made.broken(unwritten={"a/1"}) == []


def test_a_hub_at_rest_is_busy_with_nothing() -> None:
    assert busy("pegboard_sessions 0.0\npegboard_calls_running 2.0\nup 1") == {"pegboard_calls_running": 2.0}


@asynccontextmanager
async def asking(folder: Path) -> AsyncGenerator[tuple[FaultProxy, SocketStream]]:
    """A connection to an upstream through a proxy."""
    async with upstream(folder / "ledger") as port, proxying(port) as proxy:
        async with await anyio.connect_tcp("127.0.0.1", proxy.port) as stream:
            yield proxy, stream


async def answer(stream: SocketStream) -> bytes:
    await stream.send(b"GET /tag HTTP/1.1\r\n\r\n")
    return await stream.receive()


@pytest.mark.parametrize("fault", [Fault(), Fault(delay=0.001), Fault(rate=100_000)])
async def test_a_slow_line_passes_on_what_it_is_given(tmp_path: Path, fault: Fault) -> None:
    with anyio.fail_after(5):
        async with asking(tmp_path) as (proxy, stream):
            proxy.harm(fault)
            assert (await answer(stream)).startswith(b"HTTP/1.1 200 OK")


async def test_a_silent_line_holds_back_until_it_is_healed(tmp_path: Path) -> None:
    with anyio.fail_after(5):
        async with asking(tmp_path) as (proxy, stream):
            proxy.harm(Fault(silent=True), "down")
            with pytest.raises(TimeoutError), anyio.fail_after(0.05):
                await answer(stream)
            proxy.heal()
            assert (await stream.receive()).startswith(b"HTTP/1.1 200 OK")


async def test_a_cut_lets_so_many_bytes_pass(tmp_path: Path) -> None:
    with anyio.fail_after(5):
        async with asking(tmp_path) as (proxy, stream):
            proxy.harm(Fault(cut_after=5), "down")
            assert await answer(stream) == b"HTTP/"
            with pytest.raises(anyio.BrokenResourceError):
                await stream.receive()


async def test_who_is_away_turns_away(tmp_path: Path) -> None:
    with anyio.fail_after(5):
        async with asking(tmp_path) as (proxy, stream):
            assert await answer(stream)
            proxy.down()
            with pytest.raises(anyio.BrokenResourceError):
                await stream.receive()
            async with await anyio.connect_tcp("127.0.0.1", proxy.port) as late:
                with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
                    await answer(late)
            assert proxy.links == 0
