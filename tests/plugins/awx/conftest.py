"""A double of AWX, served on loopback, and ways to it."""

import gc
import json
import pickle
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator

from pegboard.arguments import Arguments
from pegboard.output import Output
from pegboard.pools import Pools
from pegboard_awx import AWX, Target
from pegboard_awx.api import Api
from pegboard_awx.double import Double, serving
from pegboard_awx.double.life import Life
from pegboard_awx.double.seed import TOKEN
from pegboard_awx.double.world import World

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_made_twice() -> Generator[None]:
    """Make and check the schemas of each tool once: with a hub for every test they would take most of the time."""
    checked = Draft202012Validator.check_schema

    @cache
    def check(schema: str) -> None:
        checked(json.loads(schema))

    def check_once(schema: Any) -> None:
        check(json.dumps(schema))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pegboard.tools.Arguments", cache(Arguments))
        patch.setattr("pegboard.tools.Output", cache(Output))
        patch.setattr(Draft202012Validator, "check_schema", check_once)
        patch.setitem(sys.modules, "sniffio", None)  # httpcore looks for it at every request, all along the path
        gc.collect()
        gc.freeze()  # what the tests themselves are made of need not be looked through again and again
        yield
        gc.unfreeze()


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for an AWX that is in this process only as long as that needs."""
    for pause in ("api.FIRST_PAUSE", "launching.PAUSE", "waiting.POLL", "waiting.SETTLING"):
        monkeypatch.setattr(f"pegboard_awx.{pause}", 0.02)


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
    return restored(_sown(), **how)


def restored(pickled: bytes, **how: Any) -> Double:
    """A double with a world, and the life in it, that were put away before."""
    double = Double(speed=0, start=NOW, seed=_leave_empty, **how)
    double.world, double.life = pickle.loads(pickled)
    double.clock = double.world.clock
    return double


def _leave_empty(world: World, life: Life) -> None:
    pass


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
