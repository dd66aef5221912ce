"""Limits: how much one caller may take of the hub."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pegboard.security.principal import Principal
from pegboard.settings import LimitSettings


@dataclass(frozen=True, slots=True)
class TooMuch(Exception):  # noqa: N818 # an answer, not a failure
    """A limit was met: which one, a sentence with the remedy, and in how many seconds to try again."""

    limit: str
    message: str
    retry_after: float


class Limits:
    """Keeps every caller within their share; an async context manager."""

    def __init__(self, settings: LimitSettings) -> None:
        self._settings = settings

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def change(self, settings: LimitSettings) -> None:
        """Go on by other settings."""
        self._settings = settings

    async def admit(self, principal: Principal | None) -> None:
        """Count one request of a key. Raises `TooMuch` when it has sent too many."""

    @asynccontextmanager
    async def running(self, principal_id: str | None, plugin: str) -> AsyncGenerator[None]:
        """Count one call of a key and of a plugin while it runs. Raises `TooMuch`, after waiting for the plugin."""
        yield

    async def failed(self, address: str) -> float | None:
        """Count a wrong credential from an address; returns in how many seconds to try again if there were too many."""
        return None
