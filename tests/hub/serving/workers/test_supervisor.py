"""The supervisor, with workers that do nothing but what they are told over their line."""

import errno
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from pegboard.errors import ConfigError
from pegboard.serving.workers import spare
from pegboard.serving.workers import supervisor as module
from pegboard.serving.workers.assignment import Assignment, Configuration
from pegboard.serving.workers.spare import Started
from pegboard.serving.workers.supervisor import Patience, Supervisor, supervise
from pegboard.settings import HubSettings, ServerSettings

WORKER = """
import json, os, socket, sys, time

# Two files: to write to one forgets what was read ahead from it.
stream = socket.socket(fileno=int(sys.argv[-1]))
heard, line = stream.makefile("r"), stream.makefile("w")
first = heard.readline()
if not first:
    sys.exit()
told = json.loads(first)
me, text = told["assignment"]["number"], told["configuration"]["text"]
notes = open(os.path.join(told["assignment"]["folder"], f"notes-{me}"), "a")


def say(said):
    line.write(json.dumps(said) + "\\n")
    line.flush()


def note(said):
    notes.write(json.dumps(said) + "\\n")
    notes.flush()


note(told["configuration"])
if text == "wrong" or (text == "mortal" and me == 1):
    sys.exit(2)
if text == "late" and me == 1:
    open(os.path.join(told["assignment"]["folder"], "gate")).read()
say({"number": me, "pid": os.getpid()})
for message in heard:
    said = json.loads(message)
    if "ask" in said and text == "frozen":
        time.sleep(60 if me == 1 else 0.5)
    if "ask" in said:
        say({"answer": "still here"})
        continue
    note(said)
    if "reload" in said and said["reload"]["text"] == "endless":
        time.sleep(60)
    if "reload" in said:
        say({"problem": "nobody can serve that" if said["reload"]["text"] == "wrong" else None})
"""

COMMAND = (sys.executable, "-S", "-c", WORKER)


class Running:
    """A supervisor at work, and what was heard of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "pegboard.toml"
        self.reports: list[Mapping[str, Any]] = []
        self.is_ready = anyio.Event()
        assignments = [Assignment(number, ("w0", "w1"), 8000, str(folder), "s" * 43) for number in range(2)]
        self.supervisor = Supervisor(assignments, {}, self.read, COMMAND)

    def read(self) -> Configuration:
        if not self.file.exists():
            raise ConfigError("the file is gone")
        return Configuration(str(self.file), self.file.read_text())

    def ready(self, report: Mapping[str, Any]) -> None:
        self.reports.append(report)
        self.is_ready.set()

    async def notes(self, number: int, count: int) -> list[Any]:
        """What a worker has noted, when that are `count` messages."""
        while len(lines := self._lines(number)) < count:
            await anyio.sleep(0.01)
        return [json.loads(line) for line in lines]

    def _lines(self, number: int) -> list[str]:
        file = self.folder / f"notes-{number}"
        return (
            [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
            if file.exists()
            else []
        )


@asynccontextmanager
async def running(folder: Path, text: str = "fine") -> AsyncGenerator[Running]:
    (folder / "pegboard.toml").write_text(text)
    hub = Running(folder)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hub.supervisor.run, hub.ready)
            try:
                yield hub
            finally:
                await hub.supervisor.stop()
    assert children() == []


def children() -> list[int]:
    return [child.pid for child in psutil.Process().children() if "makefile" in " ".join(cmdline(child))]


def cmdline(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []


async def test_all_workers_are_told_what_to_serve_by_and_one_more_waits(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        await hub.is_ready.wait()
        for number in range(2):
            assert (await hub.notes(number, 1))[0]["text"] == "fine"
        while len(children()) < 3:
            await anyio.sleep(0.01)
    assert [report["number"] for report in hub.reports] == [0]


async def test_one_that_does_not_answer_is_killed_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(module, "MOST_WAITS", 20)
    async with running(tmp_path, "frozen") as hub:
        await hub.notes(1, 2)

        assert "has not answered for 2 s and is killed" in caplog.text
        assert "worker w1 ended by signal 9; it is started again" in caplog.text
        assert "worker w0 ended" not in caplog.text


async def test_one_that_does_not_come_back_from_a_reload_is_killed_and_the_others_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RELOADING", 0.1)
    async with running(tmp_path) as hub:
        await hub.is_ready.wait()
        hub.file.write_text("endless")
        await hub.supervisor.reload()
        assert (await hub.notes(1, 2))[1]["note"]["problem"] == "a worker that tried it did not answer for 0.1 s"
        assert (await hub.notes(0, 3))[2]["text"] == "fine"
    assert "has not reloaded within 0.1 s and is killed" in caplog.text


async def test_a_worker_that_cannot_be_started_at_the_moment_does_not_end_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path) as hub:
        await hub.is_ready.wait()
        while len(before := children()) < 3:
            await anyio.sleep(0.01)

        async def no_memory(_: object) -> Started:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")

        monkeypatch.setattr(spare, "start", no_memory)
        os.kill(hub.reports[0]["pid"], signal.SIGKILL)
        while "no process waits to take the place of a worker" not in caplog.text:
            await anyio.sleep(0.01)
        running_now = hub.supervisor._running  # pyright: ignore[reportPrivateUsage] # nobody else knows the process
        os.kill(running_now[0].process.pid, signal.SIGKILL)
        while "worker w0 cannot be started: Cannot allocate memory" not in caplog.text:
            await anyio.sleep(0.01)
        monkeypatch.undo()
        await hub.notes(0, 3)
        assert len(set(before) & set(children())) == 1  # the other worker
    assert hub.supervisor.status == 0


async def test_a_process_that_waited_takes_the_place_of_one_that_died(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        await hub.is_ready.wait()
        while len(before := set(children())) < 3:
            await anyio.sleep(0.01)
        os.kill(hub.reports[0]["pid"], signal.SIGKILL)
        await hub.notes(0, 2)
        while len(after := set(children())) < 3:
            await anyio.sleep(0.01)
    assert len(before & after) == 2  # the other worker, and the one that waited
    assert hub.supervisor.status == 0


async def test_one_that_died_while_it_waited_is_not_asked(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        await hub.is_ready.wait()
        while len(there := children()) < 3:
            await anyio.sleep(0.01)
        spare = max(there, key=lambda pid: psutil.Process(pid).create_time())
        os.kill(spare, signal.SIGKILL)
        while spare in children():
            await anyio.sleep(0.01)
        os.kill(hub.reports[0]["pid"], signal.SIGKILL)
        await hub.notes(0, 2)


async def test_what_is_wrong_is_refused_by_one_and_noted_by_all(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        await hub.is_ready.wait()
        hub.file.write_text("wrong")
        await hub.supervisor.reload()
        judge, other = (await hub.notes(0, 2))[1], (await hub.notes(1, 2))[1]
    assert judge["reload"]["text"] == "wrong"
    assert (other["note"]["text"], other["note"]["attempts"], other["note"]["generation"]) == ("fine", 1, 1)
    assert other["note"]["problem"] == "nobody can serve that"


async def test_what_is_right_reaches_all(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        await hub.is_ready.wait()
        hub.file.write_text("finer")
        await hub.supervisor.reload()
        for number in range(2):
            taken = (await hub.notes(number, 2))[1]["reload"]
            assert (taken["text"], taken["generation"], taken["attempts"]) == ("finer", 2, 1)


async def test_a_file_that_cannot_be_read_changes_nothing_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path) as hub:
        await hub.is_ready.wait()
        hub.file.unlink()
        await hub.supervisor.reload()
        for number in range(2):
            assert (await hub.notes(number, 2))[1]["note"]["problem"] == "the file is gone"
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 1


async def test_a_worker_that_comes_back_serves_what_the_others_do_whatever_the_file_says(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        await hub.is_ready.wait()
        hub.file.write_text("wrong")
        os.kill(hub.reports[0]["pid"], signal.SIGKILL)
        assert (await hub.notes(0, 2))[1]["text"] == "fine"
    assert hub.supervisor.status == 0


async def test_a_worker_that_was_starting_at_a_reload_hears_of_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    async with running(tmp_path, "late") as hub:
        await hub.notes(1, 1)
        hub.file.write_text("finer")
        await hub.supervisor.reload()
        assert not hub.is_ready.is_set()
        await anyio.to_thread.run_sync((tmp_path / "gate").write_text, "")
        await hub.is_ready.wait()
        assert (await hub.notes(1, 2))[1]["reload"]["text"] == "finer"


async def test_a_reload_when_nobody_is_there_is_for_those_to_come(tmp_path: Path) -> None:
    (tmp_path / "pegboard.toml").write_text("fine")
    hub = Running(tmp_path)
    hub.file.write_text("finer")
    await hub.supervisor.reload()
    hub.file.write_text("wrong")
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hub.supervisor.run, hub.ready)
            assert (await hub.notes(1, 1))[0]["text"] == "finer"
            await hub.supervisor.stop()


async def test_nothing_is_taken_while_nobody_can_try_it(tmp_path: Path) -> None:
    async with running(tmp_path) as hub:
        await hub.is_ready.wait()
        await hub.notes(1, 1)
        while len(children()) < 3:
            await anyio.sleep(0.01)
        ready = hub.supervisor._ready()  # pyright: ignore[reportPrivateUsage]
        for worker in ready:
            worker.is_ready = False
        hub.file.write_text("wrong")
        await hub.supervisor.reload()
        for worker in ready:
            worker.is_ready = True
        os.kill(hub.reports[0]["pid"], signal.SIGKILL)
        last = (await hub.notes(0, 2))[1]
        assert (last["text"], last["attempts"]) == ("fine", 1)
        assert last["problem"] == "no worker is ready that could try it; reload again in a moment"


async def test_what_no_worker_can_start_with_ends_the_hub_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, "wrong") as hub:
        while hub.supervisor.status == 0:
            await anyio.sleep(0.01)
    assert (hub.supervisor.status, hub.reports) == (2, [])
    assert not (tmp_path / "notes-1").exists()


async def test_a_worker_that_dies_again_and_again_ends_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "Patience", partial(Patience, first=0.001))
    async with running(tmp_path) as hub:
        await hub.is_ready.wait()
        for life in range(1, 6):
            await hub.notes(0, life)
            while not (alive := [w for w in hub.supervisor._running.items() if w[0] == 0 and w[1].is_ready]):  # pyright: ignore[reportPrivateUsage] # nobody else knows its process
                await anyio.sleep(0.01)
            os.kill(alive[0][1].process.pid, signal.SIGKILL)
        while hub.supervisor.status == 0:
            await anyio.sleep(0.01)
    assert "again and again" in caplog.text


async def test_a_stop_while_they_start_ends_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    async with running(tmp_path, "late") as hub:
        await hub.notes(1, 1)
    assert hub.reports == []


async def test_a_hub_of_workers_holds_its_port_and_has_a_folder_for_nobody_else(tmp_path: Path) -> None:
    settings = HubSettings(server=ServerSettings(workers=2, port=0))

    def ready(_: Mapping[str, Any]) -> None:
        signal.raise_signal(signal.SIGTERM)

    with anyio.fail_after(10):
        assert await supervise(settings, {}, Configuration, ready, COMMAND) == 0


async def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = HubSettings(server=ServerSettings(workers=2, port=taken.getsockname()[1]))
        with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1:.*--port"):
            await supervise(settings, {}, Configuration, lambda _: None, COMMAND)
