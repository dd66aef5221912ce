"""A worker's end of its line, and how it hears that the supervisor has ended."""

import os
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from pegboard.hub import Hub
from pegboard.serving.workers.assignment import Assignment, Configuration
from pegboard.serving.workers.line import Line, opened
from pegboard.serving.workers.worker import AT_ONCE, Worker
from pegboard.testing import hub_of


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError


@dataclass
class Scene:
    hub: Hub
    worker: Worker
    line: Line
    tried: list[str | None] = field(default_factory=list[str | None])

    async def reload(self) -> None:
        text = self.worker.configuration.text
        self.tried.append(text)
        self.hub.reload_attempts += 1
        self.hub.reload_problem = "it is wrong" if text == "wrong" else None
        if text != "wrong":
            self.hub.generation += 1


@asynccontextmanager
async def scene(folder: Path, configuration: Configuration) -> AsyncGenerator[Scene]:
    ours, theirs = socket.socketpair()
    worker = Worker(Assignment(0, ("w0", "w1"), 8000, str(folder), "s" * 43), configuration, theirs)
    worker.before(nothing)
    with anyio.fail_after(10):
        async with hub_of() as hub:
            here = Scene(hub, worker, await opened(ours))
            async with worker.run(hub, here.reload):
                yield here
            here.line.close()


async def test_a_worker_that_comes_later_counts_as_the_others_do(tmp_path: Path) -> None:
    configuration = Configuration("p.toml", "fine", generation=3, attempts=5, problem="a comma is missing")
    async with scene(tmp_path, configuration) as here:
        here.worker.ready({"text": "here"})
        assert await here.line.hear() == {"text": "here"}
        assert (here.hub.generation, here.hub.reload_attempts, here.hub.reload_problem) == (3, 5, "a comma is missing")


async def test_it_tries_what_it_is_told_and_says_what_is_wrong(tmp_path: Path) -> None:
    async with scene(tmp_path, Configuration("p.toml", "fine")) as here:
        for text, problem in (("wrong", "it is wrong"), ("finer", None)):
            here.line.tell({"reload": asdict(Configuration("p.toml", text, generation=7, attempts=9))})
            assert await here.line.hear() == {"problem": problem}
    assert here.tried == ["wrong", "finer"]
    assert (here.hub.generation, here.hub.reload_attempts) == (7, 9)


async def test_it_answers_whenever_it_is_asked_whether_it_is_there(tmp_path: Path) -> None:
    """The supervisor kills those that do not; and asking changes nothing."""
    configuration = Configuration("p.toml", "fine", generation=3, attempts=5, problem="a comma is missing")
    async with scene(tmp_path, configuration) as here:
        for _ in range(2):
            here.line.tell({"ask": "still there?"})
            assert await here.line.hear() == {"answer": "still here"}
        assert (here.hub.generation, here.hub.reload_problem, here.tried) == (3, "a comma is missing", [])


async def test_what_another_has_refused_is_noted_and_not_tried(tmp_path: Path) -> None:
    async with scene(tmp_path, Configuration("p.toml", "fine")) as here:
        here.line.tell({"note": asdict(Configuration("p.toml", "fine", attempts=1, problem="it is wrong"))})
        while here.hub.reload_problem != "it is wrong":
            await anyio.sleep(0)
    assert (here.tried, here.hub.generation, here.hub.reload_attempts) == ([], 1, 1)


async def test_it_drains_when_the_supervisor_has_ended_and_takes_nobody_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised = anyio.Event()

    def hear(number: int) -> None:
        assert number == signal.SIGTERM
        raised.set()

    monkeypatch.setattr(signal, "raise_signal", hear)
    async with scene(tmp_path, Configuration()) as here:
        assert not here.worker.is_alone
        here.line.close()
        await raised.wait()
        assert here.worker.is_alone
        assert here.worker.leaves(5) == 0
        await here.worker.drained(5)


async def test_it_ends_at_once_when_the_supervisor_does_while_it_drains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = anyio.Event()

    def end(status: int) -> None:
        assert status == AT_ONCE
        ended.set()

    def go_on(_: int) -> None:
        """Since the process has not ended in truth."""

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(signal, "raise_signal", go_on)
    async with scene(tmp_path, Configuration()) as here:
        assert here.worker.leaves(5) == 5
        here.line.close()
        await ended.wait()


async def test_a_line_whose_other_end_was_reset_has_ended() -> None:
    """As when it ended with something unread."""
    ours, theirs = socket.socketpair()
    line = await opened(ours)
    line.tell({"unread": True})
    theirs.close()
    with anyio.fail_after(5):
        assert await line.hear() is None
    line.tell({"to": "nobody"})
    line.close()
