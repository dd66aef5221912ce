"""The group environments: several AWX for one plugin."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from tests.plugins.awx.asking import asking
from tests.plugins.awx.conftest import NOW

from pegboard import Plugin
from pegboard.testing import connect
from pegboard_awx import Settings
from pegboard_awx.double import Double, serving
from pegboard_awx.double.seed import READ_TOKEN, TOKEN, VIEWER_TOKEN
from pegboard_awx.groups.environments import ALIASES, GROUP
from pegboard_awx.groups.infrastructure import GROUP as INFRASTRUCTURE
from pegboard_awx.groups.platform import GROUP as PLATFORM


@pytest.fixture
async def lab() -> AsyncGenerator[str]:
    """Another AWX, that of a platform."""
    async with serving(Double(speed=0, start=NOW, platform=True)) as url:
        yield url


@pytest.fixture
def places(url: str, lab: str) -> dict[str, Any]:
    """Production, where writing is denied, and a lab, where it is not."""
    return {
        "prod": {"url": url, "writes": "deny", "allow_templates": ["Deploy*"], "token": VIEWER_TOKEN},
        "lab": {"url": lab, "writes": "allow", "token": "", "username": "admin", "password": "alpenkraft"},
    }


async def test_the_group_costs_little_and_takes_no_environment_argument(url: str, places: dict[str, Any]) -> None:
    async with asking(url, GROUP, INFRASTRUCTURE, environments=places) as ask:
        tokens = await ask.tokens()
        schemas = {tool.name: tool.input_schema for tool in (await ask.client.list_tools()).tools}

    own = [f"awx_{function.__name__}" for function in GROUP.tools]
    assert sum(tokens[name] for name in own) <= 600, tokens
    assert [name for name in own if "environment" in schemas[name]["properties"]] == []
    assert schemas["awx_ping_awx"]["properties"]["environment"]["enum"] == ["prod", "lab"]
    assert {f"awx_{name}" for name in ALIASES.values()} <= set(own)


async def test_the_tools_say_what_they_do(url: str) -> None:
    async with asking(url, GROUP) as ask:
        tools = {tool.name: tool.annotations for tool in (await ask.client.list_tools()).tools}

    hints = {name: (h.read_only_hint, h.destructive_hint, h.idempotent_hint) for name, h in tools.items() if h}
    assert hints.pop("awx_set_active_environment") == (None, False, True)
    assert set(hints.values()) == {(True, False, None)}


async def test_environments_are_listed_without_secrets(url: str, lab: str, places: dict[str, Any]) -> None:
    async with asking(url, GROUP, environments=places, environment="lab") as ask:
        told = await ask("list_environments")

    assert told == {
        "total": 2,
        "items": [
            {
                "name": "prod",
                "url": url,
                "writes": "deny",
                "read_only": True,
                "verify_tls": True,
                "auth": "token",
            },
            {
                "name": "lab",
                "url": lab,
                "default": True,
                "active": True,
                "writes": "allow",
                "read_only": False,
                "verify_tls": True,
                "auth": "basic",
            },
        ],
    }
    assert not {VIEWER_TOKEN, "alpenkraft"} & set(str(told).replace("'", " ").split())


async def test_a_plugin_in_one_place_has_one_environment(url: str) -> None:
    async with asking(url, GROUP, writes="deny") as ask:
        (item,) = (await ask("list_environments"))["items"]
        active = await ask("get_active_environment")

    assert (item["name"], item["default"], item["read_only"]) == ("default", True, True)
    assert active == {"name": "default", "url": url, "source": "default"}


async def test_the_choice_of_a_session_decides_where_its_calls_go(url: str, lab: str, places: dict[str, Any]) -> None:
    async with asking(url, GROUP, INFRASTRUCTURE, environments=places) as ask:
        before = await ask("get_active_environment")
        refused = await ask.refused("get_settings", category="jobs")
        chosen = await ask("set_active_environment", name="lab")
        after = await ask("get_active_environment")
        listed = await ask("list_environments")
        settings = await ask("get_settings", category="jobs")
        argument = await ask.refused("get_settings", category="jobs", environment="prod")
        tried = await ask("test_environment")

    assert before == {"name": "prod", "url": url, "source": "default"}
    assert after == {"name": "lab", "url": lab, "source": "session"}
    assert (chosen["active"], chosen["writes"]) == ("lab", "allow")
    assert [item.get("active", False) for item in listed["items"]] == [False, True]
    assert settings["settings"]["MAX_FORKS"] == 200
    assert "403" in refused
    assert "403" in argument
    assert tried["environment"] == "lab"


async def test_a_write_does_not_go_elsewhere_when_the_chosen_place_is_for_reading(
    url: str, places: dict[str, Any]
) -> None:
    async with asking(url, GROUP, PLATFORM, environments=places, environment="lab") as ask:
        await ask("set_active_environment", name="prod")
        reason = await ask.refused("create_instance_group", name="edge")

    assert 'cannot be used in "prod", which this session has chosen; there are lab' in reason


async def test_an_environment_that_is_not_there_is_refused_with_those_that_are(
    url: str, places: dict[str, Any]
) -> None:
    async with asking(url, GROUP, environments=places) as ask:
        for tool in ("set_active_environment", "test_environment", "describe_environment"):
            assert "'staging'; there are prod, lab" in await ask.refused(tool, name="staging")
        assert (await ask("get_active_environment"))["source"] == "default"


async def test_where_the_protocol_is_stateless_the_tool_says_so(url: str, places: dict[str, Any]) -> None:
    plugin = Plugin(name="awx", groups=[GROUP], settings=Settings)
    settings = {"plugins": {"awx": {"url": url, "token": TOKEN, "environments": places}}}
    async with connect(plugin, settings=settings, era="stateless") as client:
        result = await client.call_tool("awx_set_active_environment", {"name": "lab"})
        active = await client.call_tool("awx_get_active_environment", {})

    assert result.is_error
    assert 'give environment="lab" with each call' in result.content[0].model_dump()["text"]
    assert active.structured_content is not None
    assert active.structured_content["source"] == "default"


async def test_an_endpoint_of_one_environment_knows_no_other(url: str, places: dict[str, Any]) -> None:
    plugin = Plugin(name="awx", groups=[GROUP], settings=Settings)
    settings = {
        "plugins": {"awx": {"url": url, "token": TOKEN, "environments": places}},
        "endpoints": {"awx-lab": {"tools": ["awx_*"], "environment": "lab"}},
    }
    async with connect(plugin, settings=settings, path="/awx-lab") as client:
        listed = await client.call_tool("awx_list_environments", {})
        other = await client.call_tool("awx_test_environment", {"name": "prod"})

    assert listed.structured_content is not None
    assert [item["name"] for item in listed.structured_content["items"]] == ["lab"]
    assert other.is_error


# Trying and describing


@pytest.mark.parametrize(
    ("settings", "step"),
    [
        ({"url": "http://no-such-host.invalid"}, "dns"),
        ({"url": "http://127.0.0.1:9"}, "connect"),
        ({"url": "https://{host}"}, "tls"),
        ({"url": "https://{host}", "ca_file": "/nowhere/ca.pem"}, "tls"),
        ({"url": "http://{host}/elsewhere"}, "prefix"),
        ({"token": "wrong"}, "login"),
    ],
)
async def test_an_environment_that_fails_names_the_step(
    url: str, double: Double, places: dict[str, Any], settings: dict[str, Any], step: str
) -> None:
    places["broken"] = {"url": url, **settings}
    places["broken"]["url"] = places["broken"]["url"].format(host=url.removeprefix("http://"))
    async with asking(url, GROUP, environments=places) as ask:
        broken = await ask("test_environment", name="broken")
        prod = await ask("test_environment", name="prod")

    assert (broken["environment"], broken["failed_step"]) == ("broken", step)
    assert broken["error"]
    assert (prod["reachable"], prod["user"], prod["platform"]) == (True, "vera", "aap" if double.platform else "awx")
    assert TOKEN not in str(broken)


async def test_an_environment_is_described_with_what_the_operator_allows(
    url: str, double: Double, places: dict[str, Any]
) -> None:
    async with asking(url, GROUP, environments=places) as ask:
        prod = await ask("describe_environment")
        lab = await ask("describe_environment", name="lab")

    assert prod == {
        "environment": "prod",
        "url": url,
        "platform": "aap" if double.platform else "awx",
        "version": "24.6.1",
        "api_prefix": double.prefix.removeprefix(double.root),
        "features": {"tokens_api": not double.platform, "bulk": True, "role_definitions": True, "approvals": True},
        "policy": {"writes": "deny", "read_only": True, "allowed_templates": ["Deploy*"]},
    }
    assert (lab["platform"], lab["api_prefix"]) == ("aap", "/api/controller/v2/")
    assert lab["policy"] == {"writes": "allow", "read_only": False}


async def test_an_environment_that_cannot_be_reached_is_not_described(url: str, places: dict[str, Any]) -> None:
    places["gone"] = {"url": "http://127.0.0.1:9", "token": READ_TOKEN}
    async with asking(url, GROUP, environments=places) as ask:
        reason = await ask.refused("describe_environment", name="gone")

    assert "cannot be reached" in reason
    assert READ_TOKEN not in reason
