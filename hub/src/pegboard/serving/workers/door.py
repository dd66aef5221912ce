"""A door: where a worker answers what the others hand to it, for nobody but them."""

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.types import ASGIApp, Message, Scope

from pegboard.serving.workers.frames import LEFT, Frames

log = logging.getLogger(__name__)

DONE = "pegboard.done"
"""The message behind an answer after which the stream can be used for another request."""


async def answer_at(path: Path, app: ASGIApp, opened: Callable[[], None]) -> None:
    """Answer at the Unix socket `path` until cancelled; `opened` hears when others can come.

    What comes in is believed, the address of the client too: only the owner of this process can open the socket, and
    its folder lets nobody else in.
    """

    async with anyio.create_task_group() as tasks:

        def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.start_soon(_serve, app, Frames(reader, writer))

        async with await asyncio.start_unix_server(arrived, path):
            path.chmod(0o600)
            opened()
            await anyio.sleep_forever()


async def _serve(app: ASGIApp, frames: Frames) -> None:
    try:
        while await _answer(app, frames):
            pass
    except LEFT:
        log.debug("another worker has left")
    finally:
        frames.close()


async def _answer(app: ASGIApp, frames: Frames) -> bool:
    """Answer one request; returns whether the stream can be used for another."""
    scope: Scope = await frames.receive()
    scope.pop("body")
    body = _Incoming(frames)

    async def send(message: Message) -> None:
        try:
            await frames.send(message)
        except LEFT:  # as of a client that has left: `receive` says so, and nobody else
            log.debug("an answer reached nobody")

    with body:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(body.take_in)
            try:
                await app(scope, body.receive, send)
            except Exception:  # one request must not close the door to all others
                log.exception("a request that was handed over failed")
                body.is_broken = True
            tasks.cancel_scope.cancel()
    is_done = body.is_whole and not body.is_broken
    if is_done:
        await frames.send({"type": DONE})
    return is_done


class _Incoming:
    """What comes behind the head of a request. A task takes it in, since those who wait for it may be cancelled, and
    half a message would be lost with them."""

    def __init__(self, frames: Frames) -> None:
        self.is_whole = False
        """Whether the body has come to its end."""
        self.is_broken = False
        """Whether there will be no whole answer."""
        self._frames = frames
        channel: tuple[MemoryObjectSendStream[Message], MemoryObjectReceiveStream[Message]]
        channel = anyio.create_memory_object_stream[Message](0)
        self._put, self._taken = channel

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        self._put.close()
        self._taken.close()

    async def take_in(self) -> None:
        """Take in messages until the other worker ends the stream, or this one does."""
        async with self._put:
            try:
                while True:
                    message = await self._frames.receive()
                    self.is_whole = self.is_whole or not message.get("more_body")
                    await self._put.send(message)
            except (*LEFT, json.JSONDecodeError):
                self.is_whole = False

    async def receive(self) -> Message:
        """The next message, as ASGI wants it."""
        try:
            return await self._taken.receive()
        except anyio.EndOfStream:
            return {"type": "http.disconnect"}
