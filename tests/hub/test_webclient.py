"""The hub's HTTP client: what a connection that breaks looks like to a plugin."""

import httpx
import pytest

from pegboard.webclient import Client


class Reset(httpx.AsyncBaseTransport):
    """What httpcore does on uvloop when a connection is reset as it opens, or any bug of the same type."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 # its interface
        raise AttributeError(f"'NoneType' object has no attribute {self.name!r}", name=self.name, obj=None)


async def asked(name: str) -> list[bool]:
    noted: list[bool] = []
    async with Client("http://upstream") as client:
        client._transport = Reset(name)  # pyright: ignore[reportPrivateUsage] # it takes none, so that nobody gives it one
        client.note = noted.append
        with pytest.raises(httpx.ConnectError if name == "getpeername" else AttributeError):
            await client.get("/")
    return noted


async def test_a_connection_that_is_reset_as_it_opens_is_a_failure_of_the_network() -> None:
    """F-02: found by the soak; a plugin expects `httpx.TransportError` and nothing else."""
    assert await asked("getpeername") == [False]


async def test_a_bug_stays_a_bug() -> None:
    assert await asked("anything") == []
