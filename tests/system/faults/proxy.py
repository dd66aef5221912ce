"""A TCP proxy that does harm: what a network does to connections, switched on and off while they are open.

Nothing of the kind can be installed here, and a hundred lines do: latency, a slow line, silence, a cut in the middle of
a message, resets, and a server that is away.
"""

import math
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import anyio
import anyio.abc
from anyio.abc import SocketAttribute

Direction = Literal["up", "down"]
"""`up` is from the client to the server."""

PIECE = 64 * 1024
LINGER = struct.pack("ii", 1, 0)
"""Closing sends a reset, and what was not sent yet is thrown away."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the bytes of one direction."""

    delay: float = 0.0
    """Seconds that each piece is late."""
    rate: float = math.inf
    """Bytes a second."""
    silent: bool = False
    """Nothing passes and nobody is told; what was held back follows when this is over."""
    cut_after: float = math.inf
    """So many bytes pass, then both sides are reset."""


NONE = Fault()


class Link:
    """One connection through the proxy."""

    def __init__(self, client: anyio.abc.SocketStream, server: anyio.abc.SocketStream) -> None:
        self.client = client
        self.server = server
        self.is_forgotten = False
        """Whether the next word of the client is answered with a reset."""
        self.scope = anyio.CancelScope()

    def reset(self) -> None:
        """Break it off, so that both sides get a reset and not an orderly end."""
        for stream in (self.client, self.server):
            _close_hard(stream)
        self.scope.cancel()


class FaultProxy:
    """Passes on what comes to `port`; `proxying` makes and ends it."""

    def __init__(self, host: str, target: int) -> None:
        self.port = 0
        self.accepted = 0
        """Connections that came, those turned away included."""
        self._host = host
        self._target = target
        self._faults: dict[Direction, Fault] = {"up": NONE, "down": NONE}
        self._changed = anyio.Event()
        self._links: set[Link] = set()
        self._is_down = False

    @property
    def url(self) -> str:
        """Where an HTTP client finds it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def links(self) -> int:
        """How many connections are open."""
        return len(self._links)

    def harm(self, fault: Fault, *directions: Direction) -> None:
        """Do this to what comes from now on, in both directions unless told otherwise."""
        for direction in directions or ("up", "down"):
            self._faults[direction] = fault
        self._tell()

    def heal(self) -> None:
        """Do no more harm, and let through what was held back."""
        self._is_down = False
        self.harm(NONE)

    def reset(self) -> None:
        """Break off every open connection."""
        for link in list(self._links):
            link.reset()

    def forget(self) -> None:
        """Know nothing of the open connections, as a server that took over an address: who speaks is told so."""
        for link in self._links:
            link.is_forgotten = True

    def down(self) -> None:
        """Be away: break off what is open, and turn away what comes."""
        self._is_down = True
        self.reset()

    async def take(self, client: anyio.abc.SocketStream) -> None:
        """Serve one connection."""
        self.accepted += 1
        async with client:
            if self._is_down:
                _close_hard(client)
                return
            try:
                server = await anyio.connect_tcp(self._host, self._target)
            except OSError:
                return
            async with server:
                await self._join(Link(client, server))

    async def _join(self, link: Link) -> None:
        self._links.add(link)
        try:
            with link.scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._pass, link, link.client, link.server, "up")
                    tasks.start_soon(self._pass, link, link.server, link.client, "down")
        finally:
            self._links.discard(link)

    async def _pass(
        self, link: Link, source: anyio.abc.SocketStream, target: anyio.abc.SocketStream, direction: Direction
    ) -> None:
        try:
            async for data in source:
                if link.is_forgotten:
                    link.reset()
                    return
                await self._send(link, target, direction, data)
            await self._spoken(direction)
            await target.send_eof()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            link.reset()  # one side is gone; the other one hears of it

    async def _send(self, link: Link, target: anyio.abc.SocketStream, direction: Direction, data: bytes) -> None:
        while data:
            await self._spoken(direction)
            fault = self._faults[direction]
            piece = data[: int(min(PIECE, fault.cut_after, max(1, fault.rate / 10)))]
            await anyio.sleep(fault.delay + len(piece) / fault.rate)
            await self._spoken(direction)
            await target.send(piece)
            data = data[len(piece) :]
            if self._is_cut(direction, fault, len(piece)):
                link.reset()
                return

    def _is_cut(self, direction: Direction, fault: Fault, sent: int) -> bool:
        if fault.cut_after == math.inf or self._faults[direction] is not fault:
            return False
        left = fault.cut_after - sent
        self._faults[direction] = Fault(fault.delay, fault.rate, fault.silent, left) if left > 0 else NONE
        return left <= 0

    async def _spoken(self, direction: Direction) -> None:
        """Wait until it is not silent."""
        while self._faults[direction].silent:
            await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _close_hard(stream: anyio.abc.SocketStream) -> None:
    """Have this side get a reset when it is closed."""
    with suppress(OSError):  # it is closed already
        stream.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)


@asynccontextmanager
async def proxying(target: int, host: str = "127.0.0.1") -> AsyncGenerator[FaultProxy]:
    """A proxy in front of a port of this machine, healthy at first."""
    proxy = FaultProxy(host, target)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        proxy.port = listener.extra(SocketAttribute.local_port)
        tasks.start_soon(listener.serve, proxy.take)
        yield proxy
        tasks.cancel_scope.cancel()
