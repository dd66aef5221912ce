"""Confirmations: how a user agrees through a client that cannot ask them, with a token in a second call."""

import hashlib
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pegboard.errors import ToolError
from pegboard.seal import Seal

LIFETIME = 300
"""Seconds a token can be used, which a user has to read and agree."""

MOST_USED = 10_000
"""How many used tokens are remembered."""

TOKEN = re.compile(r"([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{16})")


class Confirmations:
    """Gives out tokens, each good for one call, soon, that would do what was asked about.

    A question is any values that JSON can carry: who calls which tool with which arguments, and what it would do. No
    token is kept that was not used, so asking costs no memory. `is_first` says of a name, for as many seconds, whether
    no other replica has used it.
    """

    def __init__(
        self,
        seal: Seal,
        clock: Callable[[], float] = time.time,
        is_first: Callable[[str, int], Awaitable[bool]] | None = None,
    ) -> None:
        self._seal = seal
        self._clock = clock
        self._is_first = is_first
        self._used: dict[str, int] = {}
        self._floor = 0

    def ask(self, *question: object) -> str:
        """A token for this question."""
        expires, name = int(self._clock()) + LIFETIME, secrets.token_hex(4)
        return f"{expires:08x}-{name}-{self._seal.sign(expires, name, *question)}"

    async def problem_with(self, token: str, *question: object) -> str | None:
        """Why a token does not count for this question; `None` for one that does, and is used up by this."""
        match = TOKEN.fullmatch(token.strip())
        expires, name, signature = (int(match[1], 16), match[2], match[3]) if match else (0, "", "")
        if not self._seal.fits(signature, expires, name, *question):
            return "it was given for other arguments, for another state of things, or by nobody"
        # A clock that was set back must not make a token live longer.
        if not self._clock() < expires <= self._clock() + LIFETIME or expires <= self._floor:
            return "it has expired"
        if name in self._used:
            return "it was used already"
        self._use(name, expires)  # before anybody else is asked, so that of two calls at once one is the first
        if self._is_first is not None and not await self._is_first(f"{expires:08x}-{name}", LIFETIME):
            return "it was used already"
        return None

    def _use(self, name: str, expires: int) -> None:
        """Remember a token until it expires; where there is no room, those of its age and older end early."""
        now = self._clock()
        self._used = {used: end for used, end in self._used.items() if end > now} if self._is_full else self._used
        self._used[name] = expires
        if self._is_full:
            self._floor = max(self._floor, min(self._used.values()))
            self._used = {used: end for used, end in self._used.items() if end > self._floor}

    @property
    def _is_full(self) -> bool:
        return len(self._used) >= MOST_USED


class Unconfirmed(ToolError):  # noqa: N818 # read as what it says
    """A call that nobody has agreed to yet; its message says how to."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a user agrees to, and how a second call can show that they do."""

    arguments: str
    """What stands for the arguments of this call."""
    confirmations: Confirmations | None = None
    """Who knows the tokens; `None` where only the client may ask."""
    token: str = ""
    """What the caller has brought along; empty in a first call."""

    async def require(self, tool: str, message: str, *question: object) -> None:
        """Return if the call has a token for this question; else raise `Unconfirmed`, which brings one if it may."""
        if self.confirmations is None:
            raise Unconfirmed(f"{tool} needs the user's confirmation and this client cannot ask for it (elicitation)")
        problem = await self.confirmations.problem_with(self.token, *question) if self.token else ""
        if problem is None:
            return
        raise Unconfirmed(
            f"{f'this confirmation does not count: {problem}. ' if problem else ''}{tool} needs the agreement of your "
            f"user and has done nothing yet. Show them what stands below; only if they agree, call {tool} again with "
            f'the same arguments and confirmation="{self.confirmations.ask(*question)}", within '
            f"{LIFETIME // 60} minutes.\n\n{message}"
        )


def digest(arguments: Mapping[str, Any]) -> str:
    """The same for the same arguments, whatever their order."""
    return hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()
