"""Closings: what ends a stream, and comes at most once."""

from collections.abc import Iterable

import anyio
from starlette.types import Message, Receive

DISCONNECT: Message = {"type": "http.disconnect"}


class Closing:
    """Comes once, and then calls off whoever waits for something else.

    Many streams wait for the same few. With an `anyio.Event` each would need a task for each of them, and a task with
    its scope takes 4 KiB: an eighth of a session.
    """

    def __init__(self) -> None:
        self._has_come = False
        self._waiting: set[anyio.CancelScope] = set()

    def set(self) -> None:
        """Let it come."""
        self._has_come = True
        for scope in self._waiting:
            scope.cancel()

    def is_set(self) -> bool:
        """Whether it has come."""
        return self._has_come

    def begin(self, scope: anyio.CancelScope) -> None:
        """Cancel the scope when the closing comes, until `end`."""
        self._waiting.add(scope)

    def end(self, scope: anyio.CancelScope) -> None:
        """Leave the scope alone again."""
        self._waiting.discard(scope)


def until(closings: Iterable[Closing], receive: Receive) -> Receive:
    """A `receive` that says the client is gone as soon as one of `closings` has come."""
    ends = tuple(closings)

    async def receive_or_end() -> Message:
        if any(closing.is_set() for closing in ends):
            return DISCONNECT
        with anyio.CancelScope() as waiting:
            for closing in ends:
                closing.begin(waiting)
            try:
                return await receive()
            finally:
                for closing in ends:
                    closing.end(waiting)
        return DISCONNECT

    return receive_or_end
