"""Where a backend sends a request next is not its decision: nothing the hub brings follows a redirect."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
from tests.security.upstream import Reply, Upstream, upstream

import pegboard_awx
import pegboard_qdrant
from pegboard import HTTP, Call, Plugin, tool
from pegboard.testing import connect

SECRET = "redirect-canary-7f31"


@tool(read_only=True, name="fetcher_fetch")
async def fetch(url: str, call: Call[Any]) -> str:
    """Fetch a page by the hub's own HTTP client."""
    http = await call.pool(HTTP, url)
    response = await http.get("/", headers={"Authorization": SECRET})
    return f"{response.status_code} {len(response.history)}"


def ok(_: Any) -> Reply:
    return 200, {"Content-Type": "application/json"}, b'{"result": "stolen"}'


@contextmanager
def sending(status: int, location: str) -> Generator[tuple[Upstream, Upstream]]:
    """A backend that sends everybody elsewhere, and the place of the attacker, `{attacker}` in `location`."""
    with upstream(ok) as attacker:
        target = location.format(attacker=attacker.url)
        with upstream(lambda _: (status, {"Location": target}, b"")) as backend:
            yield backend, attacker


async def text_of(plugin: Any, settings: dict[str, Any], name: str, **arguments: Any) -> str:
    with anyio.fail_after(20):
        async with connect(plugin, settings={"plugins": settings}) as client:
            answer = await client.call_tool(name, arguments)
    return "".join(getattr(part, "text", "") for part in answer.content)


ELSEWHERE = ["{attacker}/stolen", "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "//{attacker}/x"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ELSEWHERE)
async def test_the_hubs_own_http_client_stays_where_it_is(status: int, location: str) -> None:
    """S-13: and the credentials of the request stay with it."""
    with sending(status, location) as (backend, attacker):
        told = await text_of(Plugin(name="fetcher", tools=[fetch]), {}, "fetcher_fetch", url=backend.url)
    assert told == f"{status} 0"
    assert (len(backend.asked), attacker.asked) == (1, [])


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("location", ELSEWHERE)
async def test_the_client_of_awx_stays_where_it_is(status: int, location: str) -> None:
    """S-13: the token is not carried elsewhere, and no answer of elsewhere is believed."""
    with sending(status, location) as (backend, attacker):
        settings = {"awx": {"url": backend.url, "token": SECRET}}
        told = await text_of(pegboard_awx, settings, "awx_list_job_templates")
    assert "root:" not in told
    assert "stolen" not in told.replace(f"{attacker.url}/stolen", "")
    assert SECRET not in told
    assert backend.asked != []
    assert attacker.asked == []


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("location", ELSEWHERE)
async def test_the_client_of_qdrant_stays_where_it_is(status: int, location: str) -> None:
    """S-13."""
    with sending(status, location) as (backend, attacker):
        settings = {"qdrant": {"url": backend.url, "api_key": SECRET}}
        told = await text_of(pegboard_qdrant, settings, "qdrant_list_collections")
    assert "elsewhere" in told
    assert SECRET not in told
    assert backend.asked != []
    assert attacker.asked == []
