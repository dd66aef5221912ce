"""A double of AWX, served on loopback, and ways to it."""

import json
import pickle
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator
from pegboard_awx import AWX, Target
from pegboard_awx.api import Api
from pegboard_awx.double import Double, serving
from pegboard_awx.double.seed import TOKEN

from pegboard import tools
from pegboard.pools import Pools

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)


@pytest.fixture(scope="session", autouse=True)
def schemas_are_made_once() -> Generator[None]:
    """Make and check the schemas of each tool once: with a hub for every test they would take most of the time."""

    @cache
    def check(schema: str) -> None:
        checked(json.loads(schema))

    checked = Draft202012Validator.check_schema
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tools, "Arguments", cache(tools.Arguments))
        patch.setattr(tools, "Output", cache(tools.Output))
        patch.setattr(Draft202012Validator, "check_schema", lambda schema: check(json.dumps(schema)))
        yield


@pytest.fixture
def double() -> Double:
    """The company's AWX, with a clock that only the test moves."""
    return company()


@pytest.fixture
async def url(double: Double) -> AsyncGenerator[str]:
    async with serving(double) as url:
        yield url


@pytest.fixture
async def api(url: str) -> AsyncGenerator[Api]:
    """The administrator's way to the double."""
    async with reaching(url) as api:
        yield api


def company(**how: Any) -> Double:
    """A fresh double of the company's AWX at NOW, as a platform or below a path if that is said."""
    double = Double(speed=0, start=NOW, seed=lambda *empty: None, **how)
    double.world, double.life = pickle.loads(_sown())
    double.clock = double.world.clock
    return double


@cache
def _sown() -> bytes:
    """The company, sown once and taken out of here for each test, which takes a tenth of the time."""
    sown = Double(speed=0, start=NOW)
    return pickle.dumps((sown.world, sown.life))


@asynccontextmanager
async def reaching(url: str, *, seconds: float = 20, token: str = TOKEN, **target: Any) -> AsyncGenerator[Api]:
    """A way to an AWX as a call has it that may last some seconds."""
    async with Pools() as pools:
        server = await pools.get(AWX, Target(url, token, **target))
        yield Api(server, anyio.current_time() + seconds)
