"""Revoked keys: what one replica is told, all of them know, also those that have another file of keys."""

import logging
import math
import re
import time
from collections.abc import Callable, Mapping
from functools import partial

from pegboard.shared.link import PATIENCE, Link

log = logging.getLogger(__name__)

SET = "pegboard:revoked"
"""The ids, with the time as score until which they are kept."""

CHANNEL = "pegboard:revocations"
"""A message here says that there are more; what it holds does not matter."""

KEPT_FOR = 7 * 86_400
"""Seconds an id is kept beyond the end of its key, for clocks that differ and files that come late."""

MOST = 100_000
"""Ids that are read: whoever fills the set does not fill the hub."""

ID = re.compile(rb"[a-z0-9]{4,32}")


class Revocations:
    """The ids of revoked keys, as far as this process has learnt of them: `"hd2gyd0dox7r" in revocations`.

    What was learnt counts until the key would have ended, whatever becomes of Redis; and where Redis has forgotten it,
    it is told again.
    """

    def __init__(self, link: Link, clock: Callable[[], float] = time.time) -> None:
        self._link = link
        self._clock = clock
        self._until: dict[str, float] = {}
        self._told_that_full = False

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._until

    async def add(self, keys: Mapping[str, float | None]) -> None:
        """Revoke these keys everywhere: each id with the time its key ends, if it does. Raises `Away`."""
        until = {key_id: math.inf if ends is None else ends + KEPT_FOR for key_id, ends in keys.items()}
        await self._link.ask(partial(self._store, until), PATIENCE)
        self._until.update(until)
        await self._link.ask(partial(self._link.client.publish, CHANNEL, ""), PATIENCE)

    async def learn(self) -> None:
        """Read what all have revoked, and tell what is missing there. Raises `Away`."""
        found = await self._link.ask(self._read, PATIENCE)
        now = self._clock()
        self._until = {key_id: until for key_id, until in self._until.items() if until > now}
        missing = {key_id: until for key_id, until in self._until.items() if key_id not in found}
        self._take(found)
        if missing:
            await self._link.ask(partial(self._store, missing), PATIENCE)

    def _take(self, found: Mapping[str, float]) -> None:
        for key_id, until in found.items():
            if len(self._until) >= MOST and key_id not in self._until:
                self._complain()
                return
            self._until[key_id] = until

    async def _read(self) -> dict[str, float]:
        pairs = await self._link.client.zrange(
            SET, "+inf", self._clock(), desc=True, byscore=True, offset=0, num=MOST, withscores=True
        )
        return {key_id.decode(): float(until) for key_id, until in pairs if ID.fullmatch(key_id)}

    async def _store(self, until: Mapping[str, float]) -> None:
        async with self._link.client.pipeline(transaction=True) as steps:
            steps.zadd(SET, dict(until), gt=True)
            steps.zremrangebyscore(SET, "-inf", self._clock())
            await steps.execute()

    def _complain(self) -> None:
        if not self._told_that_full:
            log.error("there are more than %d revoked keys in Redis; those beyond are not known here", MOST)
        self._told_that_full = True
