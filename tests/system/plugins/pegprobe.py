"""A plugin for the system tests: calls one can hold, watch and count, and a look inside the process."""

import asyncio
import os
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import psutil
from typing_extensions import TypedDict

from pegboard import Call, Plugin, ToolError, hookimpl, tool

State = Literal["started", "finished", "cancelled"]


class Inside(TypedDict):
    pid: int
    tasks: int
    descriptors: int
    memory: int
    lifespans: int
    states: dict[str, list[State]]


class Probe:
    """One per hub: remembers what happened to every call that has a tag."""

    def __init__(self) -> None:
        self._lifespans = 0
        self._states: dict[str, list[State]] = defaultdict(list)
        self._reached: dict[tuple[str, State], anyio.Event] = defaultdict(anyio.Event)
        self._released: dict[str, anyio.Event] = defaultdict(anyio.Event)

    @hookimpl
    def hub_plugin(self) -> Plugin:
        return Plugin(
            name="probe",
            tools=[
                self.echo,
                self.typed,
                self.long,
                self.wait,
                self.hold,
                self.release,
                self.until,
                self.count_to,
                self.shout,
                self.crash,
                self.refuse,
                self.inside,
            ],
        )

    @hookimpl
    @asynccontextmanager
    async def hub_lifespan(self) -> AsyncGenerator[None]:
        self._lifespans += 1
        yield

    @tool(read_only=True)
    async def echo(self, payload: str) -> str:
        """Say the payload back."""
        return payload

    @tool(read_only=True)
    async def typed(self, count: int, names: list[str]) -> str:
        """Say back what arrived, with its types."""
        return f"{count!r} {names!r}"

    @tool(read_only=True)
    async def long(self, size: int) -> str:
        """Answer with so many characters."""
        return "x" * size

    @tool(read_only=True, timeout=60)
    async def wait(self, tag: str, seconds: float) -> str:
        """Answer with the tag after some seconds."""
        return await self._watched(tag, anyio.sleep(seconds))

    @tool(read_only=True, timeout=60)
    async def hold(self, tag: str) -> str:
        """Answer with the tag when it is released."""
        return await self._watched(tag, self._released[tag].wait())

    @tool(read_only=True)
    async def release(self, tag: str) -> str:
        """Let the call go that holds a tag."""
        self._released[tag].set()
        return tag

    @tool(read_only=True)
    async def until(self, tag: str, state: State) -> str:
        """Answer when a call with this tag has reached a state."""
        await self._reached[tag, state].wait()
        return tag

    @tool(read_only=True)
    async def count_to(self, total: int, call: Call[Any]) -> str:
        """Report progress for each step."""
        for step in range(1, total + 1):
            await call.progress(step, total, f"step {step}")
        return f"counted to {total}"

    @tool(read_only=True)
    async def shout(self, text: str) -> str:
        """Print to standard output, in the three ways a plugin may."""
        print(text, flush=True)
        sys.stdout.buffer.write(f"{text}\n".encode())
        sys.stdout.buffer.flush()
        os.write(1, f"{text}\n".encode())
        return "printed"

    @tool(read_only=True)
    async def crash(self, kind: Literal["error", "group", "exit", "recursion"]) -> str:
        """Raise what no caller can help."""
        if kind == "exit":
            raise SystemExit("password=hunter2")
        if kind == "group":
            raise ExceptionGroup("password=hunter2", [ValueError("password=hunter2")])
        if kind == "recursion":
            return await self.crash(kind)
        raise RuntimeError("password=hunter2")

    @tool(read_only=True)
    async def refuse(self) -> str:
        """Raise what a caller can help."""
        raise ToolError("there is no such thing; probe_echo lists none")

    @tool(read_only=True)
    async def inside(self) -> Inside:
        """Look inside the process."""
        return {
            "pid": os.getpid(),
            "tasks": len(asyncio.all_tasks()),
            "descriptors": len(list(Path("/proc/self/fd").iterdir())) if Path("/proc").is_dir() else 0,
            "memory": psutil.Process().memory_info().rss,
            "lifespans": self._lifespans,
            "states": dict(self._states),
        }

    async def _watched(self, tag: str, work: Any) -> str:
        self._note(tag, "started")
        try:
            await work
        except anyio.get_cancelled_exc_class():
            self._note(tag, "cancelled")
            raise
        self._note(tag, "finished")
        return tag

    def _note(self, tag: str, state: State) -> None:
        self._states[tag].append(state)
        self._reached[tag, state].set()
