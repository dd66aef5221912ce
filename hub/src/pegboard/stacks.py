"""Where a thread or a task is, in one line: the innermost calls first, with no value of anybody."""

import asyncio
import traceback
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import PurePath
from types import FrameType
from typing import Any

FRAMES = 12
"""How many calls of a stack are told, the innermost ones."""

DEEPEST = 1000
"""How many are looked at: what a generator waits in is guessed, and may lead back to itself."""

WAITS = ("cr", "gi", "ag")
"""What the attributes of coroutines, generators and async generators begin with."""


def place_of(frame: FrameType | None) -> str:
    """Where a thread is, by its innermost frame."""
    stack = traceback.extract_stack(frame)[-FRAMES:] if frame is not None else []
    return _line((call.name, call.filename, call.lineno) for call in reversed(stack)) or "a thread that is gone"


def place_of_task(task: "asyncio.Task[Any]") -> str:
    """Where a task waits."""
    frames = list(islice(_frames(task.get_coro()), DEEPEST))[-FRAMES:]
    told = ((frame.f_code.co_name, frame.f_code.co_filename, frame.f_lineno) for frame in reversed(frames))
    return _line(told) or "a task that is gone"


def _line(calls: Iterable[tuple[str, str, int | None]]) -> str:
    return " < ".join(f"{name} ({PurePath(file).name}:{line})" for name, file, line in calls)


def _frames(waiting: Any) -> Iterator[FrameType]:
    """The frames of what a coroutine waits in, the outermost first; `Task.get_stack` has the first only."""
    while waiting is not None:
        frame, waiting = _step(waiting)
        if frame is not None:
            yield frame


def _step(waiting: Any) -> tuple[FrameType | None, Any]:
    for kind in WAITS:
        frame: FrameType | None = getattr(waiting, f"{kind}_frame", None)
        if frame is not None:
            inner = getattr(waiting, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
            return frame, _generator_in(frame) if _is_step_of_generator(inner) else inner
    return None, None


def _is_step_of_generator(waiting: Any) -> bool:
    return type(waiting).__name__.startswith("async_generator_")


def _generator_in(frame: FrameType) -> Any:
    """The generator behind a context manager of `contextlib`: what waits for its next step does not say whose it is."""
    return getattr(frame.f_locals.get("self"), "gen", None)
