"""The link to Redis, without one: what cannot be, and one that is away."""

import sys

import anyio
import pytest
from pydantic import SecretStr
from tests.hub.security.test_buckets import Clock

from pegboard.errors import ConfigError
from pegboard.shared.link import PAUSE, Away, Link


def link(url: str = "redis://:hunter2@127.0.0.1:1/0", clock: Clock | None = None) -> Link:
    return Link(SecretStr(url), clock or Clock())


@pytest.mark.parametrize("url", ["http://me:hunter2@localhost", "redis://localhost:hunter2"])
def test_what_is_no_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match=r"\[server\] redis: not a URL of Redis") as raised:
        link(url)

    assert "hunter2" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_it_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)

    with pytest.raises(ConfigError, match=r"pip install 'pegboard\[redis\]'"):
        link()


async def test_a_question_that_nobody_waits_for_is_asked_all_the_same() -> None:
    """F-35: an answer that was too late for a request must not keep a revoked key alive."""

    async def late() -> int:
        await anyio.sleep_forever()
        return 0

    async def answered() -> int:
        return 7

    async with link(clock=Clock()) as some:
        with pytest.raises(Away):
            await some.ask(late, 0.01)
        with pytest.raises(Away):
            await some.ask(answered)
        assert await some.ask(answered, 1) == 7
        assert some.is_there


async def test_one_that_is_too_slow_for_requests_stays_away_for_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """F-35: it would come and go in the log with each look at what was revoked."""
    monkeypatch.setattr("pegboard.shared.link.DEADLINE", -1.0)
    clock = Clock()

    async def answered() -> int:
        return 7

    async with link(clock=clock) as some:
        for _ in range(3):
            clock.now += PAUSE
            assert await some.ask(answered, 1) == 7
            with pytest.raises(Away):
                await some.ask(lambda: anyio.sleep(0))
        assert not some.is_there
    assert len(caplog.records) == 1


async def test_one_that_is_away_is_asked_seldom_and_the_log_says_it_once(caplog: pytest.LogCaptureFixture) -> None:
    """F-35."""
    clock, asked = Clock(), list[int]()

    async def question() -> int:
        asked.append(1)
        if len(asked) < 3:
            raise OSError("redis://:hunter2@h")
        return 7

    async with link(clock=clock) as some:
        for _ in range(9):
            with pytest.raises(Away):
                await some.ask(question)
        assert (some.is_there, len(asked)) == (False, 1)
        clock.now += PAUSE
        for _ in range(9):
            with pytest.raises(Away):
                await some.ask(question)
        assert len(asked) == 2
        clock.now += PAUSE
        assert await some.ask(question) == 7
        assert some.is_there

    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "Redis does not answer (OSError); this process goes on by itself",
        "Redis answers again; replicas share what they did before",
    ]
