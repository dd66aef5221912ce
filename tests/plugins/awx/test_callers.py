"""Callers with a token of their own: AWX sees them, and nobody else's login."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from tests.hub.callers import client_as, somebody
from tests.plugins.awx.asking import Asking

import pegboard_awx
from pegboard.errors import PluginError
from pegboard.hub import Hub
from pegboard.security.principal import Principal
from pegboard.testing import hub_of
from pegboard_awx.double import Double
from pegboard_awx.double.seed import OPERATOR_TOKEN, TOKEN, VIEWER_TOKEN

ANN = somebody("*", id="ann")
NOBODY: dict[str, str] = {}


@asynccontextmanager
async def hub_at(url: str, **settings: Any) -> AsyncGenerator[Hub]:
    with anyio.fail_after(20):
        async with hub_of(pegboard_awx, settings={"plugins": {"awx": {"url": url, **settings}}}) as hub:
            yield hub


@asynccontextmanager
async def asking_as(hub: Hub, token: str | None = None, principal: Principal = ANN) -> AsyncGenerator[Asking]:
    headers = NOBODY if token is None else {"X-AWX-Token": token}
    async with client_as(hub, principal, "/awx", headers=headers) as client:
        yield Asking(client)


@pytest.mark.parametrize(
    ("token", "user"), [(None, "admin"), (OPERATOR_TOKEN, "nora"), (VIEWER_TOKEN, "vera"), ("a-wrong-token", None)]
)
async def test_awx_sees_whoever_the_token_is_of(url: str, token: str | None, user: str | None) -> None:
    async with hub_at(url, token=TOKEN) as hub, asking_as(hub, token) as ask:
        answer = await ask("test_environment")

    assert answer.get("user") == user
    assert (answer.get("failed_step") == "login") is (user is None)


async def test_a_token_comes_in_place_of_user_and_password(url: str) -> None:
    async with hub_at(url, username="admin", password="alpenkraft") as hub:
        async with asking_as(hub, VIEWER_TOKEN) as ask:
            assert (await ask("test_environment"))["user"] == "vera"
        async with asking_as(hub) as ask:
            assert (await ask("test_environment"))["user"] == "admin"


async def test_what_one_may_see_another_does_not_find_in_any_cache(url: str) -> None:
    """S-40: the same questions in the same session of the hub, with another right."""
    seen: list[list[str]] = []
    async with hub_at(url, token=TOKEN) as hub:
        for token in (TOKEN, VIEWER_TOKEN, TOKEN):
            async with asking_as(hub, token) as ask:
                users = await ask("list_users")
                seen.append([item["username"] for item in users["items"]])

    assert seen[0] == seen[2] != seen[1]
    assert len(seen[1]) < len(seen[0])


async def test_a_launch_of_one_is_no_repetition_of_anothers(url: str, double: Double) -> None:
    """What was launched lately is remembered for each login."""
    async with hub_at(url, token=TOKEN) as hub:
        async with asking_as(hub) as ask:
            first = await ask("launch_job_template", template_id=14)
            again = await ask("launch_job_template", template_id=14)
        async with asking_as(hub, OPERATOR_TOKEN) as ask:
            other = await ask("launch_job_template", template_id=14)

    assert first["job_id"] == again["job_id"] != other["job_id"]
    assert len(double.seen("POST", "/launch/")) == 2


async def test_a_job_that_one_may_not_see_is_not_found_by_its_number(url: str) -> None:
    """S-40: the number of a job that somebody else may watch."""
    async with hub_at(url, token=TOKEN) as hub:
        async with asking_as(hub) as ask:
            job = await ask("get_job", job_id=2)
        async with asking_as(hub, VIEWER_TOKEN) as ask:
            for tool in ("get_job", "wait_for_job", "get_job_output"):
                assert job["name"] not in await ask.refused(tool, job_id=2)


async def test_a_hub_may_leave_the_login_to_its_callers(url: str, double: Double) -> None:
    async with hub_at(url, callers_log_in=True) as hub:
        async with asking_as(hub) as ask:
            assert "send your token as X-AWX-Token" in await ask.refused("list_jobs")
            assert (await ask("list_environments"))["items"][0]["auth"] == "callers"
            assert double.requests == []
        async with asking_as(hub, VIEWER_TOKEN) as ask:
            assert (await ask("test_environment"))["user"] == "vera"


async def test_without_that_a_login_is_required() -> None:
    with pytest.raises(PluginError, match="needs a token, or a username and a password"):
        async with hub_at("https://awx.example.com"):
            pass


async def test_no_header_says_where_awx_is(url: str, double: Double) -> None:
    """S-11: nothing is asked but what the settings name."""
    headers = {"X-AWX-Url": "http://127.0.0.1:9", "X-AWX-Host": "127.0.0.1:9", "X-AWX-Token": VIEWER_TOKEN}
    async with hub_at(url, token=TOKEN) as hub, client_as(hub, ANN, "/awx", headers=headers) as client:
        answer = await Asking(client)("test_environment")

    assert (answer["url"], answer["user"]) == (url, "vera")
    assert double.requests != []


@pytest.mark.parametrize("tool", ["get_job", "cancel_job", "get_job_output"])
@pytest.mark.parametrize("id_", ["../../api/v2/users/", "1%2f..%2fusers", "1?x=", "1#x", "1/", ".."])
async def test_an_id_that_is_none_asks_nobody(url: str, double: Double, tool: str, id_: str) -> None:
    """S-12: it is refused by its schema."""
    async with hub_at(url, token=TOKEN) as hub, asking_as(hub) as ask:
        assert "invalid arguments\n- job_id: " in await ask.refused(tool, job_id=id_)

    assert double.requests == []
