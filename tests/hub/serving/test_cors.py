"""CORS: pages of which sites may call."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from tests.hub.serving.test_app import WEATHER, browser

from pegboard.security.keys import hash_of

APP = "https://app.example"
ASKED = "authorization, content-type, mcp-protocol-version, mcp-session-id, x-awx-token"
KEY = "peg_abcd_" + "x" * 43
KEYS = {"ci": {"id": "abcd", "sha256": hash_of(KEY), "scopes": ["*"]}}


def preflight(origin: str) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": ASKED,
    }


def cors_of(answer: httpx.Response) -> Mapping[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


async def asked(origin: str, **settings: Any) -> tuple[httpx.Response, httpx.Response]:
    """The answers to a preflight, and to a request."""
    async with browser(WEATHER, **settings) as page:
        return (
            await page.http.options("/mcp", headers=preflight(origin)),
            await page.http.get("/", headers={"origin": origin}),
        )


@pytest.mark.parametrize("allowed", [(), (APP,)])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.evil.example"])
async def test_a_foreign_page_is_told_nothing(origin: str, allowed: tuple[str, ...]) -> None:
    """S-32."""
    before, answer = await asked(origin, server={"allowed_origins": allowed})

    assert (before.status_code, answer.status_code) == (403, 403)
    assert "access-control-allow-origin" not in {**before.headers, **answer.headers}


@pytest.mark.parametrize("allowed", [(), (APP,)])
async def test_a_page_of_this_machine_may_call_and_read_nothing_unless_it_is_named(allowed: tuple[str, ...]) -> None:
    """S-32."""
    before, answer = await asked("http://localhost:6274", server={"allowed_origins": allowed})

    assert answer.status_code == 200
    assert "access-control-allow-origin" not in {**before.headers, **answer.headers}


async def test_without_allowed_origins_there_is_no_cors_at_all() -> None:
    before, answer = await asked("http://localhost:6274")

    assert (cors_of(before), cors_of(answer)) == ({}, {})


@pytest.mark.parametrize("written", [APP, "https://App.example/"])
async def test_a_page_that_is_named_may_call_and_read(written: str) -> None:
    """S-32."""
    before, answer = await asked(APP, server={"allowed_origins": (written,)})

    assert before.status_code == answer.status_code == 200
    assert before.headers["access-control-allow-origin"] == answer.headers["access-control-allow-origin"] == APP
    assert before.headers["access-control-allow-headers"] == ASKED
    assert before.headers["access-control-allow-methods"] == "GET, POST, DELETE"
    assert "Origin" in before.headers["vary"]
    assert "Origin" in answer.headers["vary"]
    assert answer.headers["access-control-expose-headers"] == "Mcp-Session-Id, WWW-Authenticate, Retry-After"
    assert "*" not in str({**cors_of(before), **cors_of(answer)})
    assert "access-control-allow-credentials" not in {**before.headers, **answer.headers}


async def test_a_preflight_needs_no_key_and_the_page_may_read_why_it_was_refused() -> None:
    server = {"allowed_origins": (APP,)}
    async with browser(WEATHER, keys=KEYS, server=server) as page:
        before = await page.http.options("/mcp", headers=preflight(APP))
        refused = await page.http.post("/mcp", headers={"origin": APP}, json={})
        page.http.headers["authorization"] = f"Bearer {KEY}"
        page.http.headers["origin"] = APP
        lists = [await page.modern("tools/list"), await page.modern("tools/list")]

    assert (before.status_code, refused.status_code) == (200, 401)
    assert refused.headers["access-control-allow-origin"] == APP
    assert "www-authenticate" in refused.headers
    for answer in lists:
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, APP)


async def test_an_answer_that_is_kept_is_kept_without_the_page_it_was_for() -> None:
    async with browser(WEATHER, server={"allowed_origins": (APP,)}) as page:
        page.http.headers["origin"] = APP
        await page.modern("tools/list")
        page.http.headers["origin"] = "http://localhost"
        answer = await page.modern("tools/list")

    assert "access-control-allow-origin" not in answer.headers
