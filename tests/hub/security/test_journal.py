"""A journal: lines handed over without waiting, and one thread that writes them to a file."""

import json
import logging
import os
import shutil
import threading
from collections import deque
from collections.abc import Generator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from pegboard.security.journal import Journal
from pegboard.security.jsonlines import JsonLines

pytestmark = pytest.mark.anyio

FAST = 0.01
"""Seconds between two tries, in place of one second."""


@pytest.fixture(autouse=True)
def no_thread_outlives_its_test() -> Generator[None]:
    yield
    assert "pegboard journal" not in [thread.name for thread in threading.enumerate()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def put(journal: Journal, *numbers: int) -> None:
    for number in numbers:
        journal.put(b'{"n": %d}\n' % number)


def numbers_in(*files: Path) -> list[int]:
    """The numbers in the files; half a line at the end of one is left out: who copied it was faster than its writer."""
    lines = [line for file in files for line in file.read_text().splitlines(keepends=True)]
    return [json.loads(line)["n"] for line in lines if line.endswith("\n")]


async def test_lines_are_in_the_file_in_their_order(path: Path) -> None:
    with anyio.fail_after(10):
        async with Journal(path) as journal:
            put(journal, *range(5000))
            assert await journal.flush()
            assert numbers_in(path) == list(range(5000))
            assert (journal.waiting, journal.lost, journal.problem) == (0, 0, None)


async def test_leaving_writes_what_waits(path: Path) -> None:
    with anyio.fail_after(10):
        async with Journal(path) as journal:
            put(journal, *range(5000))

    assert numbers_in(path) == list(range(5000))


async def test_a_cancelled_owner_loses_nothing(path: Path) -> None:
    with anyio.CancelScope() as scope:
        async with Journal(path) as journal:
            put(journal, *range(5000))
            scope.cancel()
            await anyio.lowlevel.checkpoint()

    assert numbers_in(path) == list(range(5000))


async def test_no_file_needs_no_thread() -> None:
    async with Journal(None):
        assert "pegboard journal" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("way", ["rename", "copytruncate"])
async def test_a_hundred_thousand_lines_survive_rotations_without_loss_or_double(path: Path, way: str) -> None:
    """F-29: the rotations happen while the lines are being written, at moments nobody agreed on."""
    total, rotated = 100_000, list[Path]()

    def rotate() -> None:
        target = path.with_name(f"audit.jsonl.{len(rotated)}")
        rotated.append(target)
        if way == "rename":
            path.rename(target)
            path.touch(mode=0o600)  # as logrotate's `create` does, unless the journal was faster
        else:
            shutil.copyfile(path, target)
            os.truncate(path, 0)

    with anyio.fail_after(60):
        async with Journal(path) as journal:
            for start in range(0, total, 100):
                put(journal, *range(start, start + 100))
                await anyio.lowlevel.checkpoint()
                if start % 5000 == 100:  # it has seen the last rotation, and is amidst of writing at the next
                    await journal.flush()
                if start % 5000 == 4900:
                    await anyio.to_thread.run_sync(rotate)
            assert await journal.flush(30)
            put(journal, total)  # the last cut is noticed with the next line

    assert len(rotated) == 20
    assert sorted(numbers_in(*rotated, path)) == list(range(total + 1))
    assert journal.lost == 0


async def test_another_path_is_written_from_then_on(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    with anyio.fail_after(10):
        async with Journal(path) as journal:
            put(journal, 1)
            await journal.flush()
            await journal.move(other)
            put(journal, 2)
            await journal.move(None)
            put(journal, 3)

    assert (numbers_in(path), numbers_in(other)) == ([1], [2])


async def test_lines_wait_until_the_file_can_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "later"
    with anyio.fail_after(10):
        async with Journal(folder / "audit.jsonl", retry=FAST) as journal:
            assert journal.problem == "No such file or directory"
            put(journal, 1, 2)
            folder.mkdir()
            assert await journal.flush()
            assert journal.problem is None

    assert numbers_in(folder / "audit.jsonl") == [1, 2]
    failed, again = [record.message for record in caplog.records]
    assert "cannot be written: No such file or directory" in failed
    assert "is written again; 0 lines were lost" in again


@pytest.mark.parametrize("path", [Path("/dev/full"), Path("/proc/audit.jsonl"), Path("zero\0byte")])
async def test_a_file_that_never_works_is_told_and_blocks_nobody(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with anyio.fail_after(10):
        async with Journal(path, retry=FAST) as journal:
            put(journal, 1)
            if path == Path("/dev/full"):  # it can be opened
                assert not await journal.flush(5 * FAST)
            assert journal.problem

    warned, lost = caplog.records
    assert (warned.levelno, lost.levelno) == (logging.WARNING, logging.ERROR)
    assert "what waited is lost: 9 bytes" in lost.message


async def test_more_lines_than_there_is_room_for_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "later"
    with anyio.fail_after(10):
        async with Journal(folder / "audit.jsonl", retry=FAST, room=20) as journal:
            put(journal, *range(1, 9))
            assert journal.lost == 5
            folder.mkdir()
            assert await journal.flush()
            put(journal, 9)

    assert numbers_in(folder / "audit.jsonl") == [1, 2, 3, 9]
    assert len(caplog.records) == 2


async def test_a_failure_is_told_once_a_minute(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with anyio.fail_after(10):
        async with Journal(Path("/dev/full"), retry=FAST) as journal:
            for place in ("one", "two", "three"):
                put(journal, 1)
                assert not await journal.flush(2 * FAST)
                await journal.move(tmp_path / place)
                assert journal.problem is None
                await journal.move(Path("/dev/full"))

    assert ["cannot" in record.message for record in caplog.records] == [True, False]


async def test_a_file_that_can_be_opened_again_is_noticed_without_a_line(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    with anyio.fail_after(10):
        async with Journal(folder / "audit.jsonl", retry=FAST) as journal:
            assert journal.problem
            folder.mkdir()
            while journal.problem:
                assert await journal.flush()


async def test_a_disk_that_hangs_holds_up_neither_the_loop_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stuck = threading.Event()

    def hang(_: JsonLines, lines: deque[bytes]) -> None:
        if lines:
            stuck.wait(10)

    monkeypatch.setattr("pegboard.security.journal.CLOSE_TIMEOUT", 0.05)
    monkeypatch.setattr(JsonLines, "append", hang)
    with anyio.fail_after(5):
        async with Journal(tmp_path / "audit.jsonl", room=20) as journal:
            put(journal, *range(1, 9))
            assert journal.problem == "more lines wait than there is room for"
    stuck.set()

    assert "takes no lines" in caplog.text
    for thread in [thread for thread in threading.enumerate() if thread.name == "pegboard journal"]:
        thread.join(5)
