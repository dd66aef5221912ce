"""A session's requests in flight: none twice, not too many, and each counted until its answer is out."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from pegboard.security.limits import TooMuch
from pegboard.serving.closing import Closing
from pegboard.serving.session import Session
from pegboard.serving.traffic import Traffic

Id = str | int


class Wire:
    """Both ends of a session: what the client sends and gets, and what the endpoint reads and writes."""

    def __init__(
        self,
        session: Session,
        traffic: Traffic,
        to_hub: MemoryObjectSendStream[SessionMessage | Exception],
        to_client: MemoryObjectReceiveStream[SessionMessage],
    ) -> None:
        self.session = session
        self.traffic = traffic
        self.to_hub = to_hub
        self.to_client = to_client

    @property
    def in_flight(self) -> int:
        return self.traffic.exchanges.value

    async def ask(self, request_id: Id) -> SessionMessage | None:
        """Send a request; returns the refusal, or `None` when the endpoint has it."""
        await self.to_hub.send(SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=request_id, method="ping")))
        await self.notify("end-of-test")
        taken = await self.session.read.receive()
        assert isinstance(taken, SessionMessage)
        if isinstance(taken.message, JSONRPCRequest):
            assert taken.message.id == request_id
            await self.session.read.receive()
            return None
        return self.to_client.receive_nowait()

    async def notify(self, method: str, params: dict[str, Any] | None = None) -> None:
        await self.to_hub.send(SessionMessage(JSONRPCNotification(jsonrpc="2.0", method=method, params=params)))

    async def cancel(self, request_id: Any) -> None:
        await self.notify("notifications/cancelled", {"requestId": request_id})
        await self.session.read.receive()

    async def answer(self, request_id: Id) -> None:
        await self.session.write.send(SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=request_id, result={})))
        await self.to_client.receive()


@asynccontextmanager
async def wire(limit: int = 32, **session: Any) -> AsyncGenerator[Wire]:
    to_hub, read = anyio.create_memory_object_stream[SessionMessage | Exception](100)
    write, to_client = anyio.create_memory_object_stream[SessionMessage](100)
    traffic = Traffic()
    with to_hub, read, write, to_client, anyio.fail_after(5):
        yield Wire(Session(read, write, traffic, limit, **session), traffic, to_hub, to_client)


def problem(refusal: SessionMessage | None) -> ErrorData:
    assert refusal is not None
    assert isinstance(refusal.message, JSONRPCError)
    return refusal.message.error


async def test_a_request_is_in_flight_until_its_answer_has_left() -> None:
    async with wire() as line:
        assert await line.ask(1) is None
        assert line.in_flight == 1

        await line.answer(1)
        assert line.in_flight == 1

        line.session.sent()
        assert line.in_flight == 0
        assert await line.ask(1) is None


async def test_while_the_hub_drains_it_is_over_as_soon_as_everything_is_answered() -> None:
    """F-25: refusals too, so that its client goes elsewhere after one failed call at most."""
    async with wire() as line:
        line.session.over = over = Closing()
        line.session.end_if_idle()
        assert not over.is_set()

        await line.ask(1)
        with line.traffic.telling(line.session.end_if_idle):
            await line.traffic.drain(0.01)
        assert "shutting down" in problem(await line.ask(2)).message
        await line.answer(1)
        line.session.sent()
        assert not over.is_set()
        line.session.sent()
        assert over.is_set()


async def test_while_the_hub_drains_it_is_over_when_the_last_call_was_given_up() -> None:
    async with wire() as line:
        line.session.over = over = Closing()
        await line.ask(1)
        line.traffic.draining = True
        await line.cancel(1)
        assert over.is_set()


async def test_a_session_without_a_stream_of_its_own_does_not_end_before_the_hub() -> None:
    async with wire() as line:
        await line.ask(1)
        line.traffic.draining = True
        await line.answer(1)
        line.session.sent()
        assert line.session.over is None


@pytest.mark.parametrize(("first", "second"), [(1, 1), ("a", "a"), (7, "7"), ("7", 7)])
async def test_an_id_that_is_in_flight_is_refused(first: Id, second: Id) -> None:
    async with wire() as line:
        await line.ask(first)
        refusal = await line.ask(second)

        assert problem(refusal).code == -32600
        assert problem(refusal).message == f"a request with the id {second!r} is still in flight"
        assert line.in_flight == 1


async def test_a_refusal_does_not_answer_the_request_with_the_same_id() -> None:
    async with wire() as line:
        await line.ask(1)
        await line.ask(1)
        line.session.sent()
        assert line.in_flight == 1

        await line.answer(1)
        line.session.sent()
        assert line.in_flight == 0


async def test_no_more_than_the_limit_are_taken() -> None:
    async with wire(limit=2) as line:
        await line.ask(1)
        await line.ask(2)
        refusal = await line.ask(3)

        assert (problem(refusal).code, line.in_flight) == (-32000, 2)
        await line.answer(1)
        assert problem(await line.ask(3)).code == -32000  # its answer was not read yet
        for _ in range(3):  # the refusals stand before it
            line.session.sent()
        assert await line.ask(3) is None


async def test_nothing_new_is_taken_while_the_hub_drains() -> None:
    async with wire() as line:
        line.traffic.draining = True

        assert "shutting down" in problem(await line.ask(1)).message


async def test_a_request_the_client_gave_up_is_not_waited_for() -> None:
    async with wire() as line:
        await line.ask(1)
        await line.cancel("1")
        assert line.in_flight == 0

        await line.answer(1)  # it was on its way already
        line.session.sent()
        assert line.in_flight == 0
        assert await line.ask(1) is None


@pytest.mark.parametrize("request_id", [2, None, "x", [], {}])
async def test_giving_up_what_is_not_in_flight_changes_nothing(request_id: Any) -> None:
    async with wire() as line:
        await line.ask(1)
        await line.cancel(request_id)

        assert line.in_flight == 1


@given(st.text() | st.integers() | st.just("9" * 5000))
async def test_any_id_can_be_in_flight(request_id: Id) -> None:
    async with wire() as line:
        assert await line.ask(request_id) is None
        assert await line.ask(request_id) is not None
        await line.answer(request_id)
        assert await line.ask(request_id) is None


async def test_messages_that_are_no_answers_are_passed_and_counted_for_nothing() -> None:
    async with wire() as line:
        await line.ask(1)
        await line.session.write.send(SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="progress")))
        line.session.sent()
        line.session.sent()
        assert line.in_flight == 1

        await line.to_hub.send(ValueError("not JSON"))
        assert isinstance(await line.session.read.receive(), ValueError)


async def test_a_session_that_ends_has_nothing_in_flight() -> None:
    async with wire() as line:
        for request_id in range(3):
            await line.ask(request_id)
        await line.answer(0)
        assert line.in_flight == 3

        line.session.close()
        assert line.in_flight == 0

        line.session.sent()
        assert line.in_flight == 0


async def test_the_read_stream_ends_with_the_clients() -> None:
    async with wire() as line:
        await line.notify("a")
        await line.to_hub.aclose()

        async with line.session.read as read:
            items = [item async for item in read]

        assert len(items) == 1


async def test_the_read_stream_may_wait_for_the_answers_before_it_ends() -> None:
    ended: list[int] = []

    async with wire(answer_before_end=True) as line:
        await line.ask(1)
        await line.to_hub.aclose()

        async def read() -> None:
            assert [item async for item in line.session.read] == []
            ended.append(line.in_flight)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            await line.answer(1)
            await anyio.wait_all_tasks_blocked()
            assert ended == []
            line.session.sent()

    assert ended == [0]


async def test_the_write_stream_says_when_a_message_has_left() -> None:
    async with wire() as line:
        line.session.write.after_send = line.session.sent

        await line.ask(1)
        await line.answer(1)
        assert line.in_flight == 0

        async with line.session.write:
            pass
        with pytest.raises(anyio.ClosedResourceError):
            await line.session.write.send(SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="x")))


async def test_the_context_of_the_sender_travels_with_the_stream() -> None:
    async with wire() as line:
        assert line.session.read.last_context is None


async def test_what_is_not_admitted_is_refused_with_the_seconds_to_wait_and_not_in_flight() -> None:
    answers: list[TooMuch | None] = [None, TooMuch("rate", "too many requests", 2.5)]

    async def admit() -> TooMuch | None:
        return answers.pop(0)

    async with wire(admit=admit) as line:
        assert await line.ask(1) is None
        refusal = problem(await line.ask(2))

        assert (refusal.code, refusal.message, refusal.data) == (-32000, "too many requests", {"retryAfter": 3})
        assert line.in_flight == 1


async def test_one_request_of_a_session_too_many_is_counted() -> None:
    met: list[str] = []
    async with wire(limit=1, met=met.append) as line:
        assert await line.ask(1) is None
        assert "in flight already" in problem(await line.ask(2)).message

    assert met == ["session"]


# What is counted


async def test_each_request_is_counted_by_how_it_ended() -> None:
    async with wire(limit=2, transport="stdio") as line:
        await line.ask(1)
        await line.ask(2)
        await line.ask(3)
        await line.answer(1)
        error = JSONRPCError(jsonrpc="2.0", id=2, error=ErrorData(code=-32603, message="no"))
        await line.session.write.send(SessionMessage(error))
        await line.to_client.receive()
        for _ in range(3):
            line.session.sent()
        await line.ask(4)
        await line.ask(5)
        await line.cancel(4)
        line.session.close()

        assert line.traffic.metrics.requests == {
            ("ping", "stdio", "refused"): 1,
            ("ping", "stdio", "ok"): 1,
            ("ping", "stdio", "error"): 1,
            ("ping", "stdio", "cancelled"): 2,
        }
