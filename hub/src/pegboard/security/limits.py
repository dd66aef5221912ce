"""Limits: how much one caller may take of the hub."""

import math
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, ip_address
from typing import Literal

from pegboard.security.buckets import Buckets, Rate
from pegboard.security.principal import Principal
from pegboard.security.turns import Busy, Turn, Turns
from pegboard.settings import LimitSettings
from pegboard.shared.buckets import SharedBuckets

Limit = Literal["rate", "key", "plugin", "session", "sessions", "key_sessions", "address"]
"""What there are limits on: requests and calls of a key, calls of a plugin, a session, sessions, those of a key, wrong
credentials."""

LONGEST_ADDRESS = 64
BUSY_FOR = 1
"""Seconds after which a call may be tried again that found no place; nobody knows when there will be one."""

SEAT_AFTER = 5
"""Seconds after which another session may be opened, perhaps."""


class TooMuch(Exception):  # noqa: N818 # an answer, not a failure
    """A limit was met: which one, a sentence with the remedy, and in how many whole seconds to try again."""

    def __init__(self, limit: Limit, message: str, retry_after: float = BUSY_FOR) -> None:
        super().__init__(message)
        self.limit: Limit = limit
        self.message = message
        self.retry_after = max(1, math.ceil(retry_after))


class Limits:
    """Keeps every caller within their share.

    Rates are counted by monotonic time, in `shared` while that can be; what runs at once is counted here. `met` hears
    of every limit that was met.
    """

    def __init__(
        self,
        settings: LimitSettings,
        met: Callable[[Limit], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        shared: SharedBuckets | None = None,
    ) -> None:
        self._settings: LimitSettings = settings
        self.met = met
        """Says that a limit was met; for those that others keep."""
        self._requests, self._failures = Buckets(clock), Buckets(clock)
        self._shared = shared
        self._calls: dict[str, int] = {}
        self._turns: dict[str, Turns] = {}

    def change(self, settings: LimitSettings) -> None:
        """Go on by other settings; what is counted stays."""
        self._settings = settings
        for turns in self._turns.values():
            turns.change(settings.calls_per_plugin)

    @property
    def is_shared(self) -> bool | None:
        """Whether rates are counted in Redis now; `None` where there is none."""
        return None if self._shared is None else self._shared.is_there

    @property
    def in_turn(self) -> dict[str, tuple[int, int]]:
        """How many calls of each plugin run, and how many wait."""
        return {plugin: (turns.running, turns.waiting) for plugin, turns in self._turns.items()}

    async def admit(self, principal: Principal | None) -> None:
        """Count one request of a key. Raises `TooMuch` when it has sent too many. Without a key nothing is counted."""
        per_minute = self._settings.calls_per_minute
        if per_minute is None or principal is None:
            return
        rate = Rate(per_minute, self._settings.burst or _burst(per_minute))
        wait = await self._take(self._requests, "rate", principal.id, rate)
        if wait:
            at_once = f"{rate.burst} of them at once"
            message = f"too many requests: this key may send {rate.per_minute} a minute, {at_once}; try again in "
            raise self._too_much("rate", f"{message}{math.ceil(wait)} s", wait)

    def seat(self, principal: Principal | None, taken: int) -> None:
        """Let a key that has so many sessions open one more. Raises `TooMuch` when it has its share."""
        most = self._settings.sessions_per_key
        if principal is not None and taken >= most:
            message = f"this key has {most} sessions open, as many as it may; close some of them"
            raise self._too_much("key_sessions", message, SEAT_AFTER)

    async def failed(self, address: str) -> int | None:
        """Count a wrong credential from an address; returns in how many seconds to try again if there were too many."""
        rate = Rate(self._settings.failures_per_minute, self._settings.failures_per_minute)
        wait = await self._take(self._failures, "address", network_of(address), rate)
        if not wait:
            return None
        self.met("address")
        return max(1, math.ceil(wait))

    @asynccontextmanager
    async def running(self, principal_id: str | None, plugin: str, deadline: float = math.inf) -> AsyncGenerator[Turn]:
        """Count one call of a key and of a plugin while it runs, the plugin's turn as long as that is kept.

        Entering raises `TooMuch`: at once for a key that has its share running, and after it has waited for a turn of
        the plugin in vain, at most until the deadline. Without a key only the plugin's calls are counted.
        """
        turn = Turn(self._turns_of(plugin))
        self._count_in(principal_id)
        try:
            await self._wait_for(turn, plugin, deadline)
            try:
                yield turn
            finally:
                if not turn.is_kept:
                    turn.end()
        finally:
            self._count_out(principal_id)

    def _too_much(self, limit: Limit, message: str, retry_after: float = BUSY_FOR) -> TooMuch:
        self.met(limit)
        return TooMuch(limit, message, retry_after)

    async def _take(self, local: Buckets, kind: Limit, name: str, rate: Rate) -> float:
        wait = None if self._shared is None else await self._shared.take(f"{kind}:{name}", rate)
        return local.take(name, rate) if wait is None else wait

    def _count_in(self, principal_id: str | None) -> None:
        if principal_id is None:
            return
        running, most = self._calls.get(principal_id, 0), self._settings.calls_per_key
        if running >= most:
            raise self._too_much(
                "key", f"this key has {most} calls running, as many as it may; wait until one has ended"
            )
        self._calls[principal_id] = running + 1

    def _count_out(self, principal_id: str | None) -> None:
        if principal_id is None:
            return
        self._calls[principal_id] -= 1
        if not self._calls[principal_id]:
            del self._calls[principal_id]

    def _turns_of(self, plugin: str) -> Turns:
        turns = self._turns.get(plugin)
        if turns is None:
            turns = self._turns[plugin] = Turns(self._settings.calls_per_plugin)
        return turns

    async def _wait_for(self, turn: Turn, plugin: str, deadline: float) -> None:
        settings = self._settings
        try:
            await turn.turns.enter(turn, queue=settings.queue, timeout=settings.queue_timeout, deadline=deadline)
        except Busy:
            most = settings.calls_per_plugin
            message = f"{plugin} is busy: {most} calls of it run already, and others wait; try again in a moment"
            raise self._too_much("plugin", message) from None


def network_of(address: str) -> str:
    """What counts as one address: for IPv6 the /64, of which everybody has all addresses."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:LONGEST_ADDRESS]
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"


def _burst(per_minute: int) -> int:
    """A tenth, but enough for what a client asks when it connects."""
    return min(per_minute, max(10, per_minute // 10))
