"""Traffic: what is in flight and what is open, so that stopping loses no answer."""

import logging

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.types import Message

from pegboard.serving.traffic import Gauge, Traffic

DISCONNECT: Message = {"type": "http.disconnect"}
REQUEST: Message = {"type": "http.request"}


async def never() -> Message:
    await anyio.sleep_forever()
    raise AssertionError


def test_a_gauge_counts_what_is_inside() -> None:
    gauge = Gauge()

    with gauge, gauge:
        assert gauge.value == 2

    assert gauge.value == 0


async def test_waiting_for_none_ends_when_the_last_one_goes() -> None:
    gauge = Gauge()
    await gauge.none()
    events: list[str] = []

    async def wait() -> None:
        await gauge.none()
        events.append("none")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            gauge.add()
            gauge.add()
            tasks.start_soon(wait)
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            gauge.remove()
            await anyio.wait_all_tasks_blocked()
            assert events == []
            gauge.remove()

    assert events == ["none", "none"]


async def test_nobody_is_missed_when_one_comes_as_the_last_goes() -> None:
    gauge = Gauge()
    gauge.add()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gauge.none)
            await anyio.wait_all_tasks_blocked()
            gauge.remove()
            gauge.add()
            await anyio.wait_all_tasks_blocked()
            assert tasks.cancel_scope.cancel_called is False
            gauge.remove()


async def test_draining_waits_for_answers_says_farewell_and_then_closes() -> None:
    traffic = Traffic()
    traffic.exchanges.add()
    traffic.subscriptions.add()
    farewells: list[str] = []

    def farewell() -> None:
        assert not traffic.closing.is_set()
        farewells.append("farewell")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(traffic.drain, 5.0, farewell)
            await anyio.wait_all_tasks_blocked()
            assert (traffic.draining, farewells) == (True, [])

            traffic.exchanges.remove()
            await anyio.wait_all_tasks_blocked()
            assert (farewells, traffic.closing.is_set()) == (["farewell"], False)

            traffic.subscriptions.remove()

    assert traffic.closing.is_set()


async def test_who_is_open_is_told_when_draining_begins() -> None:
    traffic = Traffic()
    told: list[str] = []

    with traffic.telling(lambda: told.append("gone")):
        assert told == []
    with traffic.telling(lambda: told.append(f"open {traffic.draining}")), anyio.fail_after(5):
        await traffic.drain(1)

    assert told == ["open True"]


async def test_leaving_turns_readiness_off_and_takes_new_work_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pegboard")
    traffic = Traffic()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(traffic.leave, 3600)
            await anyio.wait_all_tasks_blocked()
            assert (traffic.leaving, traffic.draining) == (True, False)
            tasks.cancel_scope.cancel()

    assert caplog.messages == ["leaving: not ready any more, and new work is taken for another 3600 s"]


async def test_nobody_waits_where_there_is_no_delay(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pegboard")
    traffic = Traffic()

    with anyio.fail_after(5):
        await traffic.leave(0)

    assert (traffic.leaving, traffic.draining, caplog.messages) == (True, False, [])


async def test_draining_ends_when_the_grace_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pegboard")
    traffic = Traffic()
    traffic.exchanges.add()
    traffic.streams.add()

    with anyio.fail_after(5):
        await traffic.drain(0.01)

    assert traffic.closing.is_set()
    assert caplog.messages == [
        "draining: 1 calls in flight, 1 streams open",
        "1 calls did not finish within 0.01 s and are cancelled",
    ]


async def test_a_stream_receives_until_it_is_closed() -> None:
    traffic = Traffic()

    async def request() -> Message:
        return REQUEST

    assert await traffic.until_closing(request)() == REQUEST
    traffic.closing.set()
    assert await traffic.until_closing(request)() == DISCONNECT


async def test_a_stream_that_waits_is_told_of_the_end() -> None:
    traffic = Traffic()
    received: list[Message] = []

    async def wait() -> None:
        received.append(await traffic.until_closing(never)())

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await checkpoint()
            traffic.closing.set()

    assert received == [DISCONNECT]
