"""Tenants: the same tools with other settings, and nobody works with what is another's."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, cast, get_args

import anyio
import pytest
from mcp import Client, MCPError
from mcp.shared.subscriptions import ToolsListChanged
from mcp_types import TextResourceContents
from pydantic import SecretStr
from tests.hub.callers import client_as, somebody

from pegboard import Call, Group, Plugin, PluginSettings, PoolKind, Reading, Rows, tool
from pegboard.environments import Environments, Tenancy, environments_of
from pegboard.errors import ConfigError, PluginError
from pegboard.hub import Hub
from pegboard.offers import offers_of, offers_to
from pegboard.security.redaction import secrets_in
from pegboard.settings import HubSettings
from pegboard.testing import hub_of
from pegboard.testing.connect import Era

ERAS: tuple[Era, ...] = get_args(Era)
each_era = pytest.mark.parametrize("era", ERAS)


class Settings(PluginSettings):
    url: str
    token: SecretStr = SecretStr("")
    user: str = ""
    retries: int = 1
    extra: bool = False


@tool(read_only=True)
async def where(call: Call[Settings]) -> list[str]:
    """Tell where a call goes."""
    return [call.environment, call.settings.url, call.settings.token.get_secret_value(), call.writes]


@tool
async def change(call: Call[Settings]) -> str:
    """Change something."""
    return f"changed {call.settings.url}"


@tool(read_only=True)
async def more(call: Call[Settings]) -> str:
    """Do more."""
    return call.settings.url


@tool(read_only=True)
async def count(call: Call[Settings], limit: int = 1, cursor: str | None = None) -> Rows:
    """Count."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Reading]:
        numbers = iter([{"n": number, "of": call.settings.url} for number in range(3)])

        async def read(most: int) -> list[Any]:
            return list(islice(numbers, most))

        yield Reading(read)

    return Rows.more(cursor) if cursor else Rows(opened, limit=limit)


async def whose(call: Call[Settings]) -> str:
    """Whose it is."""
    return call.settings.url


PLUGIN = Plugin(
    name="db",
    tools=[where, count],
    groups=[Group("writing", tools=[change]), Group("more", tools=[more], needs="extra")],
    settings=Settings,
    prompts=[whose],
    resources={"db://whose": whose},
    login=("token", "user"),
)
BASE: dict[str, Any] = {"url": "base", "token": "base-token", "writes": "deny"}
ACME: dict[str, Any] = {"plugins": {"db": {"url": "acme", "token": "acme-token"}}}


def configured(tenants: dict[str, Any] | None = None, **given: Any) -> dict[str, Any]:
    return {"plugins": {"db": BASE}, "tenants": {"acme": ACME} if tenants is None else tenants, **given}


@asynccontextmanager
async def hub_with(tenants: dict[str, Any] | None = None, **given: Any) -> AsyncGenerator[Hub]:
    with anyio.fail_after(10):
        async with hub_of(PLUGIN, settings=configured(tenants, **given)) as hub:
            yield hub


def of(tenant: str | None, *scopes: str, key: str = "ann") -> Any:
    return somebody(*(scopes or ("*",)), id=key, tenant=tenant)


async def result_of(client: Client, name: str, /, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    return result.structured_content["result"] if result.structured_content else text_of(result)


async def page_of(client: Client, name: str, /, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(name, arguments)
    assert result.structured_content is not None, text_of(result)
    return result.structured_content


def text_of(result: Any) -> str:
    return result.content[0].model_dump()["text"]


async def names_of(client: Client) -> list[str]:
    return [one.name for one in (await client.list_tools()).tools]


# What a tenant's table says


def read(
    over: dict[str, Any], environ: dict[str, str] | None = None, *, shared: bool = True, **base: Any
) -> Environments:
    tenancy = Tenancy("acme", over, ("token", "user"), shared)
    return environments_of("db", Settings, {"url": "base", **base}, environ or {}, tenancy)


def told(found: Environments) -> list[tuple[str, str, str, str]]:
    settings = [(one, cast(Settings, one.settings)) for one in found.by_name.values()]
    return [(one.name, said.url, said.token.get_secret_value(), one.writes) for one, said in settings]


PLACES: dict[str, Any] = {"prod": {"url": "p", "token": "base-p", "writes": "allow"}, "lab": {"url": "l"}}


def test_a_tenant_is_laid_over_the_section() -> None:
    found = read({"token": "t"}, retries=3, writes="confirm")

    assert told(found) == [("default", "base", "t", "confirm")]
    assert cast(Settings, found.settings).retries == 3


def test_what_a_tenant_says_comes_before_what_an_environment_of_all_says() -> None:
    found = read({"token": "t", "writes": "deny"}, environments=PLACES)

    assert told(found) == [("prod", "p", "t", "deny"), ("lab", "l", "t", "deny")]


def test_an_environment_of_a_tenant_comes_first_of_all() -> None:
    over = {"token": "t", "environments": {"lab": {"token": "lab", "writes": "allow"}, "own": {"url": "o"}}}

    found = read(over, environments=PLACES, environment="lab")

    assert told(found) == [("prod", "p", "t", "allow"), ("lab", "l", "lab", "allow"), ("own", "o", "t", "deny")]
    assert (found.default, found.has_choice) == ("lab", True)


def test_a_tenant_chooses_a_default_of_its_own() -> None:
    assert read({"environment": "lab"}, environments=PLACES).default == "lab"


def test_a_variable_for_all_does_not_come_before_a_tenant() -> None:
    environ = {"PEGBOARD_DB_TOKEN": "all", "PEGBOARD_DB_PROD_TOKEN": "all-prod", "PEGBOARD_DB_RETRIES": "7"}

    found = read({"token": "t"}, environ, environments=PLACES)

    assert [token for _, _, token, _ in told(found)] == ["t", "t"]
    assert cast(Settings, found.settings).retries == 7


@pytest.mark.parametrize("over", [{"user": "u"}, {"environments": {"prod": {"user": "u"}}}])
def test_nobody_logs_in_with_half_of_somebody_elses_login(over: dict[str, Any]) -> None:
    found = read(over, {"PEGBOARD_DB_TOKEN": "all"}, environments={"prod": {"token": "base-p"}})

    assert told(found) == [("prod", "base", "", "deny")]


def test_who_is_not_shared_has_the_environments_it_names() -> None:
    found = read({"environments": {"lab": {"token": "t"}}}, shared=False, environments=PLACES, environment="prod")

    assert told(found) == [("lab", "l", "t", "deny")]
    assert found.default == "lab"


def test_who_names_no_environments_has_those_of_all() -> None:
    assert list(read({"token": "t"}, shared=False, environments=PLACES).by_name) == ["prod", "lab"]


@pytest.mark.parametrize(
    ("over", "problem"),
    [
        (
            {"tokn": "s3cret"},
            "[tenants.acme.plugins.db.environments.prod]: tokn: unknown key; did you mean 'token'?",
        ),
        ({"writes": "yes"}, "[tenants.acme.plugins.db]: writes: "),
        (
            {"environment": "x"},
            "[tenants.acme.plugins.db]: environment: there is no environment 'x'; there are prod, lab",
        ),
        (
            {"environments": {"own": {"retries": "s3cret"}}},
            "[tenants.acme.plugins.db.environments.own]: retries: ",
        ),
        ({"environments": {"O": {}}}, "[tenants.acme.plugins.db.environments.O]: use 1 to 32 lower case letters"),
    ],
)
def test_what_is_wrong_is_told_with_section_and_key_and_without_values(over: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(over, environments=PLACES)

    assert str(raised.value).startswith(problem)
    assert "s3cret" not in str(raised.value)


def test_what_a_tenant_lacks_is_to_be_written_in_its_own_section() -> None:
    with pytest.raises(ConfigError, match=r'url: required; write `url = "..."` under \[tenants.acme.plugins.db\]$'):
        environments_of("db", Settings, {}, {}, Tenancy("acme", {"token": "t"}))


# What a tenant's callers get


@each_era
@pytest.mark.parametrize("path", ["", "/db", "/mine", "/profiles/small"])
async def test_a_call_goes_where_its_tenant_belongs(path: str, era: Era) -> None:
    async with hub_with(endpoints={"mine": {"tools": ["db_*"]}}) as hub:
        for tenant, expected in ((None, "base"), ("acme", "acme")):
            async with client_as(hub, of(tenant), path, era) as client:
                assert await result_of(client, "db_where") == ["default", expected, f"{expected}-token", "deny"]


async def test_prompts_and_resources_are_the_tenants_own_too() -> None:
    async with hub_with() as hub, client_as(hub, of("acme")) as client:
        prompt = await client.session.get_prompt("db_whose")
        (contents,) = (await client.session.read_resource("db://whose")).contents

        assert prompt.messages[0].content.model_dump()["text"] == "acme"
        listed = [str(one.uri) for one in (await client.list_resources()).resources]
        assert listed == ["pegboard://budget", "db://whose"]
        assert isinstance(contents, TextResourceContents)
        assert contents.text == "acme"


@each_era
async def test_a_tenant_nobody_has_configured_gets_nothing(era: Era) -> None:
    async with hub_with() as hub, client_as(hub, of("other"), era=era) as client:
        assert await names_of(client) == []
        assert (await client.list_resources()).resources == []
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("db_where", {})


async def test_a_tenant_without_a_table_works_as_everybody_does() -> None:
    async with hub_with({"plain": {}}) as hub, client_as(hub, of("plain")) as client:
        assert (await result_of(client, "db_where"))[1] == "base"


async def test_who_is_not_shared_gets_only_plugins_with_a_table() -> None:
    other = Plugin(name="other", tools=[more])
    settings = configured({"acme": {**ACME, "shared": False}, "none": {"shared": False}})

    async with hub_of(PLUGIN, other, settings=settings) as hub:
        async with client_as(hub, of("acme")) as client:
            assert await names_of(client) == ["db_where", "db_count", "fetch_more"]
        async with client_as(hub, of("none")) as client:
            assert await names_of(client) == []
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool("db_where", {})


async def test_a_tenant_may_write_where_others_may_not() -> None:
    acme = {"plugins": {"db": {"url": "acme", "writes": "allow"}}}

    async with hub_with({"acme": acme}) as hub:
        async with client_as(hub, of(None)) as client:
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool("db_change", {})
        async with client_as(hub, of("acme"), "/db/writing") as client:
            assert await result_of(client, "db_change") == "changed acme"
        async with client_as(hub, of(None), "/db/writing") as client:
            assert await names_of(client) == []


async def test_a_tenant_may_be_kept_from_writing_where_others_may() -> None:
    settings = configured(
        {"acme": {"plugins": {"db": {"writes": "deny"}}}}, plugins={"db": {**BASE, "writes": "allow"}}
    )

    async with hub_of(PLUGIN, settings=settings) as hub, client_as(hub, of("acme"), "/db") as client:
        assert "db_change" not in await names_of(client)
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("db_change", {})


async def test_a_group_that_needs_a_setting_is_served_to_the_tenant_that_sets_it() -> None:
    async with hub_with({"acme": {"plugins": {"db": {"extra": True}}}}) as hub:
        async with client_as(hub, of("acme"), "/db/more") as client:
            assert await names_of(client) == ["db_more"]
        async with client_as(hub, of(None), "/db/more") as client:
            assert await names_of(client) == []


@each_era
async def test_scopes_count_within_a_tenant(era: Era) -> None:
    acme = {"plugins": {"db": {"environments": {"a": {"url": "a"}, "b": {"url": "b"}}}}}

    async with hub_with({"acme": acme}) as hub, client_as(hub, of("acme", "db:*@b"), era=era) as client:
        assert await result_of(client, "db_where", environment="b") == ["b", "b", "base-token", "deny"]
        refused = await client.call_tool("db_where", {"environment": "a"})
        assert refused.is_error


async def test_an_endpoint_of_an_environment_leads_no_tenant_elsewhere() -> None:
    plugins: dict[str, Any] = {"db": {**BASE, "environments": {"prod": {}, "lab": {}}}}
    tenants = {"acme": {"shared": False, "plugins": {"db": {"environments": {"lab": {"url": "acme"}}}}}}
    endpoints = {"production": {"tools": ["*"], "environment": "prod"}}

    async with hub_of(PLUGIN, settings={"plugins": plugins, "tenants": tenants, "endpoints": endpoints}) as hub:
        async with client_as(hub, of("acme"), "/production") as client:
            assert await names_of(client) == []
        async with client_as(hub, of(None), "/production") as client:
            assert (await result_of(client, "db_where"))[0] == "prod"


# A plugin that only tenants have


async def test_what_only_a_tenants_settings_complete_is_served_to_tenants_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = configured({"acme": {"plugins": {"db": {"url": "acme"}}}, "other": {}}, plugins={"db": {"token": "t"}})

    with caplog.at_level(logging.WARNING):
        async with hub_of(PLUGIN, settings=settings) as hub:
            async with client_as(hub, of("acme"), "/db") as client:
                assert (await result_of(client, "db_where"))[1:3] == ["acme", "t"]
            for tenant in (None, "other"):
                async with client_as(hub, of(tenant), "/db") as client:
                    assert await names_of(client) == []

    assert "plugin 'db' of pegboard-test-db 1.0 is served to tenants only: [plugins.db]: url: required" in caplog.text


# Mistakes


async def test_a_tenants_mistake_stops_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    tenants = {"acme": ACME, "bad": {"plugins": {"db": {"tokn": "s3cret"}}}}

    async with hub_of(PLUGIN, settings=configured(tenants), strict=False) as hub:
        for tenant, names in ((None, True), ("acme", True), ("bad", False)):
            async with client_as(hub, of(tenant)) as client:
                assert ("db_where" in await names_of(client)) is names
        assert [(failed.tenant, failed.phase) for failed in hub.failed] == [("bad", "configured")]

    said = "plugin 'db' of pegboard-test-db 1.0 is not served to tenant 'bad': not configured: [tenants.bad.plugins.db]"
    assert f"{said}: tokn: unknown key" in caplog.text
    assert "s3cret" not in caplog.text


async def test_with_strict_it_is_an_error() -> None:
    with pytest.raises(PluginError, match=r"not served to tenant 'bad'.*\[tenants.bad.plugins.db\]: tokn"):
        async with hub_with({"acme": ACME, "bad": {"plugins": {"db": {"tokn": 1}}}}):
            pass


async def test_where_nobody_can_be_served_all_of_it_is_told() -> None:
    settings = {"plugins": {"db": {"retries": 2}}, "tenants": {"bad": {"plugins": {"db": {"token": "t"}}}}}

    async with hub_of(PLUGIN, settings=settings, strict=False) as hub:
        assert [(failed.tenant, failed.phase) for failed in hub.failed] == [(None, "configured"), ("bad", "configured")]


async def test_a_group_over_its_budget_is_not_served_to_the_tenant_it_is_too_large_for() -> None:
    tenants = {"acme": {"plugins": {"db": {"environments": {f"place-{n}": {"url": "x"} for n in range(200)}}}}}
    settings = configured(tenants, budget={"tools": 40, "tokens": 600})
    plugin = Plugin(name="db", groups=[Group("all", tools=[where, more])], settings=Settings)

    async with hub_of(plugin, settings=settings, strict=False) as hub:
        async with client_as(hub, of("acme")) as client:
            assert await names_of(client) == []
        async with client_as(hub, of(None), "/db/all") as client:
            assert await names_of(client) == ["db_where", "db_more", "fetch_more"]
        assert [(failed.tenant, failed.reason.split(":")[0]) for failed in hub.failed] == [("acme", "group db/all")]


async def test_an_endpoint_over_its_budget_is_empty_for_that_tenant(caplog: pytest.LogCaptureFixture) -> None:
    tenants = {"acme": {"plugins": {"db": {"environments": {f"place-{n}": {"url": "x"} for n in range(200)}}}}}
    mine = {"tools": ["db_where"], "budget": {"tokens": 300, "overflow": "error"}}

    async with hub_with(tenants, endpoints={"mine": mine}) as hub:
        async with client_as(hub, of("acme"), "/mine") as client:
            assert await names_of(client) == []
        async with client_as(hub, of("acme"), "/db") as client:
            assert "db_where" in await names_of(client)

    assert "/mine is not served to tenant acme" in caplog.text


# Nothing crosses


async def test_the_secrets_of_tenants_are_masked_too() -> None:
    async with hub_with() as hub:
        assert hub.audit.redactor.text("acme-token and base-token") == "[redacted] and [redacted]"
        assert "acme-token" not in repr(hub.plugins) + repr(hub.settings)
        assert "acme-token" in list(secrets_in(hub.plugins[0].tenants["acme"]))


async def test_callers_of_two_tenants_never_share_a_pool() -> None:
    opened: list[Any] = []

    @asynccontextmanager
    async def open_(target: Any) -> AsyncGenerator[str]:
        opened.append(target)
        yield f"pool {len(opened)}"

    kind = PoolKind("tested", open_)

    @tool(read_only=True)
    async def ask(call: Call[Settings]) -> str:
        return await call.pool(kind, (call.settings.url, call.settings.token.get_secret_value()))

    tenants = {name: {"plugins": {"db": {"token": name}}} for name in ("a", "b")}
    async with hub_of(Plugin(name="db", tools=[ask], settings=Settings), settings=configured(tenants)) as hub:
        answers: list[str] = []
        for tenant in ("a", "b", "a", None):
            async with client_as(hub, of(tenant)) as client:
                answers.append(await result_of(client, "db_ask"))

    assert answers == ["pool 1", "pool 2", "pool 1", "pool 3"]
    assert opened == [("base", "a"), ("base", "b"), ("base", "base-token")]


@each_era
@pytest.mark.parametrize("other", [of("acme", key="bob"), of(None, key="ann"), of("acme", "db:*", key="ann"), None])
async def test_a_cursor_is_nobody_elses(other: Any, era: Era) -> None:
    """S-40: another key of the same tenant, the same id elsewhere or with other scopes, and nobody."""
    async with hub_with() as hub:
        async with client_as(hub, of("acme", key="ann"), era=era) as client:
            cursor = (await page_of(client, "db_count"))["cursor"]
        async with client_as(hub, other, era=era) as client:
            for name, arguments in (("db_count", {"cursor": cursor}), ("fetch_more", {"cursor": cursor})):
                refused = await client.call_tool(name, arguments)
                assert refused.is_error
                assert "there is no such cursor" in text_of(refused)
        async with client_as(hub, of("acme", key="ann"), era=era) as client:
            assert "1" in str(await page_of(client, "fetch_more", cursor=cursor))


# Reload


def reloaded(hub: Hub, tenants: dict[str, Any]) -> HubSettings:
    return HubSettings.model_validate({**hub.settings.model_dump(), "tenants": tenants})


async def test_open_sessions_follow_a_tenant_that_changes() -> None:
    async with hub_with() as hub, client_as(hub, of("acme")) as client:
        assert "db_change" not in await names_of(client)

        await hub.reload(reloaded(hub, {"acme": {"plugins": {"db": {"url": "moved", "writes": "allow"}}}}))

        assert "db_change" in await names_of(client)
        assert (await result_of(client, "db_where"))[1] == "moved"
        await hub.reload(reloaded(hub, {}))
        assert await names_of(client) == []
        await hub.reload(reloaded(hub, {"acme": ACME}))
        assert (await result_of(client, "db_where"))[1] == "acme"


async def test_sessions_hear_of_it() -> None:
    heard: list[str] = []

    async def hear(message: Any) -> None:
        heard.append(message.method)

    async with hub_with() as hub, client_as(hub, of("acme"), message_handler=hear) as client:
        await names_of(client)
        await hub.reload(reloaded(hub, {"acme": {"plugins": {"db": {"writes": "allow"}}}}))
        await anyio.wait_all_tasks_blocked()

    assert heard == ["notifications/tools/list_changed"]


async def test_subscriptions_hear_of_it() -> None:
    async with hub_with() as hub, client_as(hub, of("acme"), era="stateless") as client:
        async with client.listen(tools_list_changed=True) as subscription:
            await hub.reload(reloaded(hub, {"acme": {"plugins": {"db": {"writes": "allow"}}}}))
            assert isinstance(await anext(aiter(subscription)), ToolsListChanged)


# Offers


def test_a_tenant_that_differs_in_nothing_is_offered_the_very_same() -> None:
    hub = hub_of(PLUGIN, settings=configured({"plain": {}, "acme": ACME}))

    async def look() -> None:
        async with hub:
            offers = offers_of(hub.plugins, hub.settings)
            assert all(
                mine is offer
                for mine, offer in zip(
                    offers_to("plain", hub.plugins, hub.settings, offers).values(), offers, strict=True
                )
            )
            others = offers_to("acme", hub.plugins, hub.settings, offers)
            assert list(others) == [offer.path for offer in offers]
            assert others[""] != offers[0]

    anyio.run(look)


def test_two_plugins_cannot_take_one_header() -> None:
    one = Plugin(name="one", settings=Settings, credentials={"X-Shared-Token": "token"})
    two = Plugin(name="two", settings=Settings, credentials={"x-shared-token".title(): "token"})
    settings = {"plugins": {"one": {"url": "x"}, "two": {"url": "x"}}}

    async def start() -> None:
        async with hub_of(one, two, settings=settings):
            pass

    with pytest.raises(PluginError, match="its credential header 'x-shared-token' has the name of a credential header"):
        anyio.run(start)
