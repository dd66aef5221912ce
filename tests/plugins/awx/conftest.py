"""A double of AWX, served on loopback, and ways to it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from pegboard_awx import AWX, Target
from pegboard_awx.api import Api
from pegboard_awx.double import Double, serving
from pegboard_awx.double.seed import TOKEN

from pegboard.pools import Pools

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)


@pytest.fixture
def double() -> Double:
    """The company's AWX, with a clock that only the test moves."""
    return Double(speed=0, start=NOW)


@pytest.fixture
async def url(double: Double) -> AsyncGenerator[str]:
    async with serving(double) as url:
        yield url


@pytest.fixture
async def api(url: str) -> AsyncGenerator[Api]:
    """The administrator's way to the double."""
    async with reaching(url) as api:
        yield api


@asynccontextmanager
async def reaching(url: str, *, seconds: float = 20, token: str = TOKEN, **target: Any) -> AsyncGenerator[Api]:
    """A way to an AWX as a call has it that may last some seconds."""
    async with Pools() as pools:
        server = await pools.get(AWX, Target(url, token, **target))
        yield Api(server, anyio.current_time() + seconds)
