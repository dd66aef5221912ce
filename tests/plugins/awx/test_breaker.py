"""An AWX that is away: asked within the budget of retries, then left alone, then found again."""

import socket
import time
from functools import partial
from typing import Any

import anyio
import pytest
from tests.plugins.awx.asking import asking
from tests.plugins.awx.conftest import company, reaching

from pegboard import Plugin
from pegboard.backends import Trail
from pegboard.pools import Pools
from pegboard.settings import PoolSettings
from pegboard.testing import client_of, hub_of
from pegboard_awx import AWX, Settings, Target
from pegboard_awx.api import ATTEMPTS, Api
from pegboard_awx.double import Double, serving
from pegboard_awx.double.faults import Fault
from pegboard_awx.double.seed import TOKEN
from pegboard_awx.failures import AwxError
from pegboard_awx.groups.environments import GROUP as ENVIRONMENTS
from pegboard_awx.groups.inventory import GROUP as INVENTORY

PAUSED = "is not asked now, since it did not answer several times in a row"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def settings_for(url: str, **pools: Any) -> dict[str, Any]:
    return {"plugins": {"awx": {"url": url, "token": TOKEN}}, "pools": pools}


async def test_an_awx_that_is_away_is_left_alone_and_found_again() -> None:
    """F-01, F-32: refused at once while nothing listens, and used again soon after something does."""
    port = free_port()
    settings = settings_for(f"http://127.0.0.1:{port}", failures=2, pause=0.5)
    plugin = Plugin(name="awx", groups=[INVENTORY], settings=Settings)
    async with hub_of(plugin, settings=settings) as hub, client_of(hub) as client:

        async def ask() -> str | None:
            answer = await client.call_tool("awx_list_hosts", {})
            return answer.content[0].model_dump()["text"] if answer.is_error else None

        away = [await ask() or "" for _ in range(2)]
        began = time.perf_counter()
        refusal = await ask()
        took = time.perf_counter() - began
        state = hub.pools.states()[0]

        async with serving(company(), port):
            with anyio.fail_after(10):
                while await ask() is not None:
                    await anyio.sleep(0.05)
            assert hub.pools.paused() == []

    assert all("nothing listens there" in message for message in away)
    assert PAUSED in (refusal or "")
    assert took < 0.05
    assert (state.breaker, state.failures, state.trips, state.limit) == ("open", 2, 1, 20)


async def test_a_proxy_that_finds_no_awx_opens_the_breaker_and_a_refusal_closes_it(url: str, double: Double) -> None:
    double.faults.add(Fault("status", "GET", "hosts/", times=2, status=502))
    async with Pools(PoolSettings(failures=2, retries=0)) as pools:
        api = Api(await pools.get(AWX, Target(url, TOKEN)), take_retry=lambda: False)
        for _ in range(2):
            with pytest.raises(AwxError):
                await api.page("hosts")
        assert pools.paused() == [f"the awx pool for {url}"]

        with pytest.raises(AwxError, match="refuses"):
            await api.get("hosts", 999_999)
        assert pools.paused() == []


async def test_an_awx_that_is_busy_or_slow_is_not_away(url: str, double: Double) -> None:
    double.faults.add(Fault("status", "GET", "hosts/", status=429, retry_after=3600))
    double.faults.add(Fault("status", "GET", "hosts/", status=504, retry_after=3600))
    double.faults.add(Fault("slow", "GET", "hosts/"))
    async with Pools(PoolSettings(failures=1)) as pools:
        api = Api(await pools.get(AWX, Target(url, TOKEN, read_timeout=0.3)))
        for _ in range(3):
            with pytest.raises(AwxError):
                await api.page("hosts")
        assert pools.paused() == []


async def test_reads_are_repeated_within_the_budget_of_the_hub(url: str, double: Double) -> None:
    """F-31: no storm of retries, whoever makes them."""
    double.faults.add(Fault("status", "GET", "hosts/", times=1000, status=503, retry_after=0))
    async with Pools(PoolSettings(failures=1000, retries=0.001)) as pools:
        trail, target = Trail(), Target(url, TOKEN)
        api = Api(await pools.get(AWX, target, trail), take_retry=partial(trail.take_retry, target))
        for _ in range(20):
            with pytest.raises(AwxError):
                await api.page("hosts")
        state = pools.states()[0]

    assert state.retries == 10
    assert len(double.seen("GET", "/hosts/")) == 20 + 10


async def test_the_hub_does_not_repeat_what_the_plugin_has_repeated(url: str, double: Double) -> None:
    double.faults.add(Fault("drop", "GET", "hosts/", times=1000))
    async with asking(url, INVENTORY) as ask:
        assert "broke off" in await ask.refused("list_hosts")

    assert len(double.seen("GET", "/hosts/")) == ATTEMPTS


async def test_a_write_whose_answer_is_lost_counts_and_is_sent_once(url: str, double: Double) -> None:
    """F-33: exactly one POST."""
    double.faults.add(Fault("drop_after", "POST"))
    async with Pools(PoolSettings(failures=1)) as pools:
        api = Api(await pools.get(AWX, Target(url, TOKEN)))
        await api.place()
        with pytest.raises(AwxError, match="broke off"):
            await api.post("inventories", json={"name": "lost", "organization": 1})
        assert pools.paused() == [f"the awx pool for {url}"]

    assert len(double.seen("POST", "/inventories/")) == 1


async def test_a_way_without_a_call_repeats_as_it_sees_fit(url: str, double: Double) -> None:
    double.faults.add(Fault("status", "GET", "hosts/", times=3, status=503, retry_after=0))
    async with reaching(url) as api:
        assert (await api.page("hosts")).total == 23


async def test_trying_an_environment_says_that_it_is_left_alone() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with asking(url, ENVIRONMENTS, hub={"pools": {"failures": 1, "retries": 0, "pause": 3600}}) as ask:
        first = await ask("test_environment")
        second = await ask("test_environment")

    assert (first["reachable"], first["failed_step"]) == (False, "connect")
    assert (second["reachable"], second["failed_step"]) == (False, "connect")
    assert PAUSED in second["error"]
