"""Denials: what becomes of the requests that are not taken: counted, written down, and slowed down."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import NamedTuple

import anyio
from starlette.types import Scope

from pegboard.endpoint import PRINCIPAL
from pegboard.metrics import Metrics
from pegboard.security.audit import Audit
from pegboard.security.limits import Limits, TooMuch
from pegboard.security.principal import Principal
from pegboard.serving.auth import Denied

log = logging.getLogger(__name__)

WRITE_EVERY = 10.0
"""Seconds for which those denials are added up that would fill the audit log one by one."""

MOST_KINDS = 1000
NOWHERE = "unknown"


class _Kind(NamedTuple):
    """What has to be the same about denials that are one record together."""

    reason: str
    address: str | None = None
    principal: str | None = None


class Denials:
    """Keeps who guesses keys from going on, and who floods the hub from flooding its records as well.

    A wrong credential is one audit record, until there were too many from an address: then 429, and one record in ten
    seconds that says how many. So are requests over a key's rate, those without a credential, and those nobody could
    check. A right credential always counts, wherever it comes from.
    """

    def __init__(self, limits: Limits, audit: Audit, metrics: Metrics) -> None:
        self.met = limits.met
        self._limits = limits
        self._audit = audit
        self._metrics = metrics
        self._added_up: dict[_Kind, int] = {}

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Write down now and then what is added up; leaving writes the rest."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write_on)
            try:
                yield
            finally:
                self.write()
                tasks.cancel_scope.cancel()

    async def credential(self, denied: Denied, scope: Scope) -> Denied:
        """Somebody was not recognized; returns what to answer, 429 for one wrong credential too many."""
        self._metrics.denied(denied.reason)
        address = address_of(scope)
        # Who guesses shows something, and nothing that was right once. A client without a credential, or with a token
        # that has expired, learns from the 401 where to get one.
        if denied.status != 401 or denied.reason in ("none", "expired"):
            self._add(_Kind(denied.reason, address))
            return denied
        wait = await self._limits.failed(address)
        if wait is None:
            self._audit.denied(denied.reason, address=address, endpoint=scope["path"])
            return denied
        if self._add(_Kind("address", address)) == 1:
            log.warning("too many wrong credentials from %s; they are answered with 429", address)
        detail = f"too many wrong keys or tokens from your address; try again in {wait} s, or with one that counts"
        return Denied(429, "address", detail, wait)

    def endpoint(self, scope: Scope) -> None:
        """Somebody was recognized, and may call nothing at the endpoint, or where there is none."""
        principal: Principal = scope[PRINCIPAL]
        self._metrics.denied("endpoint")
        self._add(_Kind("endpoint", address_of(scope), principal.id))

    def revoked(self, scope: Scope) -> None:
        """The key of somebody was taken back while a request of theirs was answered, which has ended by that."""
        principal: Principal = scope[PRINCIPAL]
        self._metrics.denied("revoked")
        self._add(_Kind("revoked", address_of(scope), principal.id))

    async def admit(self, scope: Scope) -> TooMuch | None:
        """Count one request of whoever sent it; returns why it is not taken."""
        try:
            await self._limits.admit(scope.get(PRINCIPAL))
        except TooMuch as limit:
            return self._limited(scope, limit)
        return None

    def seat(self, scope: Scope, taken: int) -> TooMuch | None:
        """Let somebody who has so many sessions open one more; returns why not."""
        try:
            self._limits.seat(scope.get(PRINCIPAL), taken)
        except TooMuch as limit:
            return self._limited(scope, limit)
        return None

    def write(self) -> None:
        """Write down what is added up."""
        added_up, self._added_up = self._added_up, {}
        for (reason, address, principal), times in added_up.items():
            self._audit.denied(reason, address=address, principal=principal, times=times)

    def _limited(self, scope: Scope, limit: TooMuch) -> TooMuch:
        principal: Principal | None = scope.get(PRINCIPAL)
        self._add(_Kind(limit.limit, address_of(scope), principal.id if principal is not None else None))
        return limit

    def _add(self, kind: _Kind) -> int:
        if kind not in self._added_up and len(self._added_up) >= MOST_KINDS:
            kind = _Kind(kind.reason)
        self._added_up[kind] = self._added_up.get(kind, 0) + 1
        return self._added_up[kind]

    async def _write_on(self) -> None:
        while True:
            await anyio.sleep(WRITE_EVERY)
            self.write()


def address_of(scope: Scope) -> str:
    """Where a request comes from, as far as the hub can trust what it was told."""
    client = scope.get("client")
    return client[0] if client else NOWHERE
