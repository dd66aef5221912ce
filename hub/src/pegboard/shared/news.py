"""News: which lists have changed at one replica, for the clients that listen at another."""

import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import Annotated

import anyio
from pydantic import BaseModel, Field, ValidationError

from pegboard.shared.link import PATIENCE, Away, Link

log = logging.getLogger(__name__)

CHANNEL = "pegboard:news"
GATHER = 0.5
"""Seconds that news are gathered for: replicas reload all at once, and a client need not hear it from each."""

AT_ONCE = 100
"""Endpoints in one message."""

LONGEST = 64 * 1024

Word = Annotated[str, Field(max_length=200)]
Changed = Mapping[str, Collection[str]]
"""Which lists have changed, by the path of their endpoint."""


class _Message(BaseModel):
    source: Word
    changed: Annotated[dict[Word, Annotated[list[Word], Field(max_length=8)]], Field(max_length=AT_ONCE)]


class News:
    """Tells the other replicas what has changed here, and `heard` what has changed there.

    What comes is checked as if a stranger had sent it: paths and lists that `known` does not know are nothing, and
    nobody can make a client hear of one more often than twice a second.
    """

    def __init__(
        self, link: Link, heard: Callable[[Changed], Awaitable[None]], known: Callable[[str, str], bool]
    ) -> None:
        self._link = link
        self._heard = heard
        self._known = known
        self._source = secrets.token_hex(8)
        self._gathered: dict[str, set[str]] = {}
        self._arrived = anyio.Event()
        self._told_that_strange = False

    async def tell(self, changed: Changed) -> None:
        """Say that lists have changed here, and that clients here know; without Redis nobody hears it."""
        for path, kinds in changed.items():
            self._gathered.get(path, set[str]()).difference_update(kinds)
        told = [(path, [*kinds]) for path, kinds in changed.items() if kinds]
        with suppress(Away):
            for start in range(0, len(told), AT_ONCE):
                text = json.dumps({"source": self._source, "changed": dict(told[start : start + AT_ONCE])})
                await self._link.ask(partial(self._link.client.publish, CHANNEL, text), PATIENCE)

    def take(self, text: bytes) -> None:
        """Take in one message of another replica."""
        try:
            if len(text) > LONGEST:
                raise ValueError
            message = _Message.model_validate_json(text)
        except (ValidationError, ValueError):
            self._complain()
            return
        if message.source == self._source:
            return
        for path, kinds in message.changed.items():
            known = {kind for kind in kinds if self._known(path, kind)}
            if known:
                self._gathered.setdefault(path, set()).update(known)
                self._arrived.set()

    async def pass_on(self) -> None:
        """Tell `heard` what was gathered, twice a second at most, until cancelled."""
        while True:
            await self._arrived.wait()
            await anyio.sleep(GATHER)
            gathered, self._gathered, self._arrived = self._gathered, {}, anyio.Event()
            try:
                await self._heard(gathered)
            except Exception:  # one client that cannot be told must not end it for the others
                log.exception("what has changed at another replica was not passed on")

    def _complain(self) -> None:
        if not self._told_that_strange:
            log.warning("a message in Redis was none of a replica; this and others like it count for nothing")
        self._told_that_strange = True
