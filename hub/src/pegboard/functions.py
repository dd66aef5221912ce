"""Calling what a plugin wrote: async functions as they are, sync ones in threads."""

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from pegboard.plugin import Function

SYNC_THREADS = 16
"""How many sync functions of one plugin run at once; the others wait, so that no plugin takes all threads."""


def awaitable(function: Function, threads: anyio.CapacityLimiter | None = None) -> Callable[..., Awaitable[Any]]:
    """The function to await: itself if it is async, else one that runs it in a thread, at most `threads` at once.

    A thread cannot be cancelled: at a deadline the call ends, and the thread runs out behind it.
    """
    if inspect.iscoroutinefunction(function):
        return function

    async def in_thread(**arguments: Any) -> Any:
        work = partial(function, **arguments)
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=threads)

    return in_thread
