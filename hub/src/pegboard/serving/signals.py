"""Signals: the first SIGTERM or SIGINT stops gently, the second at once; SIGHUP reloads."""

import logging
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import anyio

log = logging.getLogger(__name__)


async def stop_on_signal(stop: Callable[[], Coroutine[Any, Any, None]], *, once: bool = False) -> None:
    """Run `stop` at the first signal; at a second one end the process at once, with status 128 + signal.

    With `once` a second one changes nothing.
    """
    stopping = False
    async with anyio.create_task_group() as tasks:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for received in signals:
                if stopping and once:
                    continue
                if stopping:
                    log.warning("stopped at once by a second signal")
                    logging.shutdown()
                    os._exit(128 + received)
                stopping = True
                tasks.start_soon(stop)


async def reload_on_hangup(reload: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `reload` at every SIGHUP, one after the other."""
    with anyio.open_signal_receiver(signal.SIGHUP) as signals:
        async for _ in signals:
            await reload()
