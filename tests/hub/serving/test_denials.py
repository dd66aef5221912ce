"""Denials: requests that are not taken are counted, written down, and slowed down."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from tests.hub.serving.test_app import WEATHER, Browser, browser
from tests.hub.serving.test_cors import KEY, KEYS

from pegboard.serving import denials
from pegboard.serving.denials import address_of

WRONG = "peg_abcd_" + "y" * 43


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@asynccontextmanager
async def guarded(path: Path, **limits: Any) -> AsyncGenerator[Browser]:
    """A hub that asks for a key and writes down who has none."""
    async with browser(WEATHER, keys=KEYS, audit={"file": str(path)}, limits=limits) as page:
        yield page


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def count(path: Path) -> dict[str, int]:
    """How many denials there were by reason."""
    found: dict[str, int] = {}
    for record in records(path):
        found[record["reason"]] = found.get(record["reason"], 0) + record.get("times", 1)
    return found


async def show(page: Browser, credential: str | None, path: str = "/", **headers: str) -> httpx.Response:
    bearer = {"authorization": f"Bearer {credential}"} if credential is not None else {}
    return await page.http.get(path, headers={**bearer, **headers})


async def test_ten_wrong_keys_are_401_and_then_it_is_429_while_the_right_one_counts(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """S-29."""
    async with guarded(path) as page:
        wrong = [await show(page, WRONG) for _ in range(100)]
        right = await show(page, KEY)

    statuses = [answer.status_code for answer in wrong]
    assert statuses == [401] * 10 + [429] * 90
    assert right.status_code == 200
    assert 1 <= int(wrong[-1].headers["retry-after"]) <= 6
    assert "try again in" in wrong[-1].json()["detail"]
    assert "www-authenticate" not in wrong[-1].headers
    assert count(path) == {"credential": 10, "address": 90}
    assert len(records(path)) == 11
    assert [r.getMessage() for r in caplog.records if "wrong" in r.getMessage()] == [
        "too many wrong credentials from 127.0.0.1; they are answered with 429"
    ]
    assert WRONG not in path.read_text() + caplog.text


async def test_what_is_wrong_about_a_credential_does_not_matter(path: Path) -> None:
    """S-29: every kind of wrong credential counts, at every path."""
    async with guarded(path, failures_per_minute=4) as page:
        answers = [
            await show(page, "x"),
            await show(page, None, authorization="Basic !"),
            await show(page, None, "/mcp", authorization="Digest x"),
            await show(page, WRONG, "/sse", **{"x-internal-token": KEY}),
            await show(page, WRONG, "/nowhere"),
        ]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 401, 429]
    assert count(path) == {"credential": 1, "basic": 1, "scheme": 1, "several": 1, "address": 1}


async def test_whoever_shows_nothing_guesses_nothing(path: Path) -> None:
    async with guarded(path) as page:
        answers = [await show(page, None) for _ in range(50)]

    assert {answer.status_code for answer in answers} == {401}
    assert [(r["reason"], r["times"], r["address"]) for r in records(path)] == [("none", 50, "127.0.0.1")]


async def test_a_record_says_where_it_came_from_and_where_to(path: Path) -> None:
    async with guarded(path) as page:
        await show(page, WRONG, "/weather/mcp")

    (record,) = records(path)
    assert {**record, "time": ""} == {
        "time": "",
        "event": "denied",
        "outcome": "denied",
        "address": "127.0.0.1",
        "endpoint": "/weather/mcp",
        "reason": "credential",
    }


async def test_what_is_added_up_is_written_while_the_hub_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denials, "WRITE_EVERY", 0)
    async with guarded(path) as page:
        await show(page, None)
        with anyio.fail_after(5):
            while not path.exists() or not records(path):
                await anyio.sleep(0)
        assert count(path) == {"none": 1}


async def test_addresses_beyond_number_are_one_record_together(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denials, "MOST_KINDS", 3)
    async with guarded(path) as page:
        for number in range(9):
            transport = httpx.ASGITransport(page.app.asgi, client=(f"192.0.2.{number}", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                await http.get("/")

    assert sorted((r.get("address"), r["times"]) for r in records(path) if "address" in r) == [
        (f"192.0.2.{number}", 1) for number in range(3)
    ]
    assert [r["times"] for r in records(path) if "address" not in r] == [6]


async def test_one_address_takes_nothing_from_another(path: Path) -> None:
    async with guarded(path, failures_per_minute=1) as page:
        statuses = [(await show(page, WRONG)).status_code for _ in range(2)]
        transport = httpx.ASGITransport(page.app.asgi, client=("192.0.2.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            other = await http.get("/", headers={"authorization": f"Bearer {WRONG}"})

    assert (statuses, other.status_code) == ([401, 429], 401)


@pytest.mark.parametrize(("trusted", "statuses"), [([], {401, 429}), (["127.0.0.1"], {401})])
async def test_an_address_that_is_made_up_evades_nothing(path: Path, trusted: list[str], statuses: set[int]) -> None:
    """S-34: the header counts only where a proxy is trusted, which then has written the last address itself."""
    server = {"trusted_proxies": trusted}
    async with browser(WEATHER, keys=KEYS, audit={"file": str(path)}, server=server) as page:
        answers = [await show(page, WRONG, **{"x-forwarded-for": f"203.0.113.{number}"}) for number in range(30)]

    assert {answer.status_code for answer in answers} == statuses
    addresses = {record["address"] for record in records(path)}
    assert addresses == ({f"203.0.113.{number}" for number in range(30)} if trusted else {"127.0.0.1"})


async def test_what_stands_left_of_the_address_that_the_proxy_saw_evades_nothing(path: Path) -> None:
    """S-34."""
    server = {"trusted_proxies": ["127.0.0.0/8"]}
    async with browser(WEATHER, keys=KEYS, audit={"file": str(path)}, server=server) as page:
        told = [f"203.0.113.{number}, 198.51.100.1" for number in range(12)]
        answers = [await show(page, WRONG, **{"x-forwarded-for": addresses}) for addresses in told]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert {record["address"] for record in records(path)} == {"198.51.100.1"}


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_key_that_sends_too_many_requests_reads_when_to_go_on(path: Path, era: str) -> None:
    async with guarded(path, calls_per_minute=60, burst=3) as page:
        page.http.headers["authorization"] = f"Bearer {KEY}"
        ask = page.modern if era == "modern" else page.legacy
        session = {} if era == "modern" else {"session": await page.initialize()}
        answers = [await ask("tools/list", request_id=f"id-{number}", **session) for number in range(6)]
        notified = await page.http.post(
            "/mcp",
            json={"jsonrpc": "2.0", "method": "notifications/initialized"},
            headers={"accept": "application/json, text/event-stream"}
            | ({"mcp-session-id": session["session"]} if session else {"mcp-protocol-version": "2026-07-28"}),
        )

    through = 3 if era == "modern" else 2  # to initialize is a request, too
    assert [answer.status_code for answer in answers] == [200] * through + [429] * (6 - through)
    last = answers[-1]
    assert last.headers["retry-after"] == "1"
    assert last.json()["id"] == "id-5"
    assert last.json()["error"]["code"] == -32000
    assert last.json()["error"]["message"].endswith("3 of them at once; try again in 1 s")
    assert last.json()["error"]["data"] == {"retryAfter": 1}
    assert notified.status_code != 429
    assert [(r["reason"], r["principal"], r["times"]) for r in records(path)] == [("rate", "abcd", 6 - through)]


async def test_pages_and_refusals_cost_a_key_nothing(path: Path) -> None:
    async with guarded(path, calls_per_minute=1, burst=1) as page:
        page.http.headers["authorization"] = f"Bearer {KEY}"
        for _ in range(3):
            assert (await page.http.get("/")).status_code == 200
            assert (await page.http.post("/mcp", content=b"{")).status_code == 400
        assert (await page.modern("tools/list")).status_code == 200
        assert (await page.modern("tools/list")).status_code == 429


def test_an_address_may_be_unknown() -> None:
    assert address_of({"client": None}) == "unknown"
