"""Turns: so many at once, the others in a queue that has an end."""

import anyio
import pytest

from pegboard.security.turns import Busy, Turns


async def entered(turns: Turns, who: object, *, queue: int = 10, timeout: float = 60) -> None:
    with anyio.fail_after(5):
        await turns.enter(who, queue=queue, timeout=timeout)


async def test_whoever_comes_first_has_the_next_turn() -> None:
    turns, order = Turns(1), list[int]()
    await entered(turns, "first")

    async def wait(number: int) -> None:
        await entered(turns, number)
        order.append(number)
        turns.leave(number)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(wait, number)
            await anyio.wait_all_tasks_blocked()
        assert (turns.running, turns.waiting) == (1, 5)
        turns.leave("first")

    assert order == [0, 1, 2, 3, 4]
    assert (turns.running, turns.waiting) == (0, 0)


async def test_a_newcomer_does_not_push_past_those_who_wait() -> None:
    turns, order = Turns(1), list[str]()
    await entered(turns, "first")

    async def wait(name: str) -> None:
        await entered(turns, name)
        order.append(name)
        turns.leave(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, "waiter")
        await anyio.wait_all_tasks_blocked()
        turns.leave("first")
        await wait("newcomer")

    assert order == ["waiter", "newcomer"]


async def test_a_full_queue_is_busy_at_once() -> None:
    turns = Turns(1)
    await entered(turns, "first")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(entered, turns, "second")
        await anyio.wait_all_tasks_blocked()

        with pytest.raises(Busy):
            await entered(turns, "third", queue=1)

        tasks.cancel_scope.cancel()
    assert turns.waiting == 0


async def test_who_has_waited_long_enough_is_told_and_leaves_nothing_behind() -> None:
    turns = Turns(1)
    await entered(turns, "first")

    with pytest.raises(Busy):
        await entered(turns, "second", timeout=0)
    with pytest.raises(Busy):
        await turns.enter("third", queue=1, timeout=60, deadline=anyio.current_time())

    assert (turns.running, turns.waiting) == (1, 0)
    turns.leave("first")
    assert turns.running == 0


async def test_a_waiter_that_is_cancelled_leaves_no_turn_behind() -> None:
    turns = Turns(1)
    await entered(turns, "first")

    async def wait_and_leave() -> None:
        await entered(turns, "second")
        turns.leave("second")

    for given_the_turn in (False, True):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_and_leave)
            await anyio.wait_all_tasks_blocked()
            if given_the_turn:
                turns.leave("first")
            tasks.cancel_scope.cancel()

        assert (turns.running, turns.waiting) == (0 if given_the_turn else 1, 0)
    await entered(turns, "third")


async def test_another_number_counts_for_those_who_wait_already() -> None:
    turns = Turns(1)
    await entered(turns, 1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(entered, turns, 2)
        await anyio.wait_all_tasks_blocked()
        turns.change(2)

    assert turns.running == 2
    turns.change(1)
    turns.leave(1)
    with pytest.raises(Busy):
        await entered(turns, 3, timeout=0)
