"""Environments: one plugin in several places, each with its settings, its pools and its word on writing."""

from typing import Any, get_args

import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult
from pydantic import SecretStr

from pegboard import Call, Group, Plugin, PluginSettings, tool
from pegboard.choices import MOST_SESSIONS, Choices
from pegboard.environments import environments_of, variable_names
from pegboard.errors import ConfigError, PluginError
from pegboard.testing import client_of, connect, hub_of
from pegboard.testing.connect import Era

ERAS: tuple[Era, ...] = get_args(Era)


class Settings(PluginSettings):
    url: str
    password: SecretStr = SecretStr("")
    retries: int = 1


@tool(read_only=True)
async def where(call: Call[Settings]) -> list[str]:
    return [call.environment, call.settings.url, call.writes]


@tool
async def change(call: Call[Settings], name: str = "x") -> str:
    return f"changed {name} in {call.environment}"


@tool(confirms=True)
async def careful(call: Call[Settings]) -> str:
    return f"{call.writes} is for the tool to see to"


@tool(everywhere=True, destructive=False)
async def go(call: Call[Settings], name: str) -> str:
    call.choose(name)
    return name


@tool(everywhere=True, read_only=True)
async def places(call: Call[Settings]) -> list[list[str]]:
    known = call.environments
    inside = [call.within(name) for name in known.by_name]
    return [[one.environment, one.settings.url, one.writes] for one in inside] + [
        [known.default or "", str(call.chosen)]
    ]


PLUGIN = Plugin(name="db", tools=[where], groups=[Group("writing", tools=[change, careful])], settings=Settings)
TWO: dict[str, Any] = {
    "retries": 3,
    "writes": "deny",
    "environments": {"prod": {"url": "p"}, "staging": {"url": "s", "writes": "allow"}},
}


CHOOSING = Plugin(name="db", tools=[where, change, go, places], settings=Settings)


def configured(**table: Any) -> dict[str, Any]:
    return {"plugins": {"db": table}}


async def result_of(client: Client, name: str, /, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    return result.structured_content["result"] if result.structured_content else text_of(result)


def text_of(result: CallToolResult) -> str:
    return result.content[0].model_dump()["text"]


async def schemas_of(client: Client) -> dict[str, dict[str, Any]]:
    return {one.name: one.input_schema for one in (await client.list_tools()).tools}


# Reading the section


def read(environ: dict[str, str] | None = None, **table: Any) -> Any:
    return environments_of("db", Settings, table, environ or {})


def test_a_table_is_laid_over_the_section() -> None:
    found = read(**TWO)

    assert found.default == "prod"
    assert [(one.settings.url, one.settings.retries, one.writes) for one in found.by_name.values()] == [
        ("p", 3, "deny"),
        ("s", 3, "allow"),
    ]


def test_without_tables_there_is_one() -> None:
    found = read(url="u", writes="confirm")

    assert list(found.by_name) == ["default"]
    assert (found.settings.url, found.by_name["default"].writes) == ("u", "confirm")


def test_the_default_is_the_first_or_the_one_named() -> None:
    assert read(**TWO, environment="staging").default == "staging"


def test_variables_win_over_the_file_those_of_an_environment_too() -> None:
    environ = {
        "PEGBOARD_DB_RETRIES": "5",
        "PEGBOARD_DB_STAGING_URL": "from a variable",
        "PEGBOARD_DB_STAGING_WRITES": "confirm",
    }

    found = read(environ, **TWO)

    assert found.by_name["staging"].settings == Settings(url="from a variable", retries=5)
    assert found.by_name["staging"].writes == "confirm"
    assert found.by_name["prod"].settings.retries == 5
    assert set(environ) <= {*variable_names("db", Settings, ["prod", "staging"]), "PEGBOARD_DB_RETRIES"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"environments": {"prod": {}}},
            r"\[plugins.db.environments.prod\]: url: required.* under \[plugins.db.env.*prod\]",
        ),
        (
            {"environments": {"prod": {"url": "p", "retrys": 1}}},
            r"environments.prod\]: retrys: unknown key; did you mean",
        ),
        ({"environments": {"Prod": {"url": "p"}}}, r"environments.Prod\]: use 1 to 32 lower case letters"),
        ({"url": "u", "environment": "prod"}, r"there is no environment 'prod'; there are none"),
        ({**TWO, "environment": "prd"}, r"there is no environment 'prd'; there are prod, staging"),
        ({"url": "u", "writes": "yes"}, r"\[plugins.db\]: writes: .*'deny', 'confirm' or 'allow'"),
        ({"environments": {"prod": {"url": "p", "writes": "no"}}}, r"environments.prod\]: writes: .*'deny'"),
        ({"environments": "prod"}, r"\[plugins.db\]: environments: "),
    ],
)
def test_what_is_wrong_is_named_with_its_place(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(**table)


def test_settings_cannot_have_a_key_of_the_hubs() -> None:
    class Clash(PluginSettings):
        writes: bool = True

    with pytest.raises(PluginError, match="its settings have the key 'writes', which the hub itself reads"):
        environments_of("db", Clash, {}, {})


# What clients see


async def test_with_one_environment_nothing_shows() -> None:
    async with connect(PLUGIN, settings=configured(environments={"prod": {"url": "p"}})) as client:
        assert (await schemas_of(client))["db_where"]["properties"] == {}
        assert await result_of(client, "db_where") == ["prod", "p", "allow"]


@pytest.mark.parametrize("era", ERAS)
async def test_with_several_each_tool_has_an_argument_with_the_default_named(era: Era) -> None:
    async with connect(PLUGIN, settings=configured(**TWO), era=era) as client:
        schemas = await schemas_of(client)
        assert schemas["db_where"]["properties"]["environment"] == {
            "type": "string",
            "enum": ["prod", "staging"],
            "default": "prod",
        }
        assert await result_of(client, "db_where") == ["prod", "p", "deny"]
        assert await result_of(client, "db_where", environment="staging") == ["staging", "s", "allow"]
        assert (
            await result_of(client, "db_where", environment="prd")
            == 'invalid arguments\n- environment: db_where cannot be used in "prd"; there are prod, staging'
        )


async def test_an_endpoint_of_one_environment_has_no_such_argument() -> None:
    endpoints = {"staging-db": {"tools": ["db_*"], "environment": "staging"}}
    async with connect(PLUGIN, settings={**configured(**TWO), "endpoints": endpoints}, path="/staging-db") as client:
        assert (await schemas_of(client))["db_where"]["properties"] == {}
        assert await result_of(client, "db_where") == ["staging", "s", "allow"]
        assert "environment: unknown argument" in await result_of(client, "db_where", environment="prod")


async def test_an_endpoint_of_an_environment_nobody_has_is_an_error() -> None:
    endpoints = {"test": {"tools": ["db_*"], "environment": "test"}}
    with pytest.raises(ConfigError, match=r"\[endpoints.test\] environment: none of its tools .* prod, staging"):
        async with hub_of(PLUGIN, settings={**configured(**TWO), "endpoints": endpoints}):
            pytest.fail("the hub must not start")


async def test_a_parameter_of_the_tools_own_is_left_to_it() -> None:
    @tool(read_only=True)
    async def probe(environment: str, call: Call[Settings]) -> list[str]:
        return [environment, call.environment]

    plugin = Plugin(name="db", tools=[probe], settings=Settings)
    async with connect(plugin, settings=configured(**TWO)) as client:
        assert await result_of(client, "db_probe", environment="anything") == ["anything", "prod"]


# Tools about the environments themselves, and the choice of a session


async def test_a_tool_about_the_environments_knows_them_all_and_takes_none() -> None:
    async with connect(CHOOSING, settings=configured(**TWO)) as client:
        assert (await schemas_of(client))["db_places"]["properties"] == {}
        assert await result_of(client, "db_places") == [
            ["prod", "p", "deny"],
            ["staging", "s", "allow"],
            ["prod", "None"],
        ]


async def test_it_is_served_and_runs_without_a_question_where_nothing_may_be_written() -> None:
    tables = {"prod": {"url": "p"}, "staging": {"url": "s"}}
    for writes in ("deny", "confirm"):
        async with connect(CHOOSING, settings=configured(writes=writes, environments=tables)) as client:
            assert await result_of(client, "db_go", name="staging") == "staging"
            assert ("db_change" in await schemas_of(client)) == (writes == "confirm")


async def test_on_an_endpoint_of_one_environment_it_knows_that_one_only() -> None:
    endpoints = {"staging-db": {"tools": ["db_*"], "environment": "staging"}}
    settings = {**configured(**TWO), "endpoints": endpoints}
    async with connect(CHOOSING, settings=settings, path="/staging-db") as client:
        assert await result_of(client, "db_places") == [["staging", "s", "allow"], ["staging", "None"]]
        assert (
            await result_of(client, "db_go", name="prod")
            == "db_go cannot be used in an environment 'prod'; there are staging"
        )


async def test_a_session_may_choose_where_its_calls_go_that_name_no_environment() -> None:
    async with connect(CHOOSING, settings=configured(**TWO)) as client:
        await result_of(client, "db_go", name="staging")

        assert await result_of(client, "db_where") == ["staging", "s", "allow"]
        assert await result_of(client, "db_where", environment="prod") == ["prod", "p", "deny"]
        assert await result_of(client, "db_change") == "changed x in staging"
        assert (await result_of(client, "db_places"))[-1] == ["prod", "staging"]


async def test_the_choice_of_one_session_is_nothing_to_another() -> None:
    async with hub_of(CHOOSING, settings=configured(**TWO)) as hub, client_of(hub) as one, client_of(hub) as other:
        await result_of(one, "db_go", name="staging")

        assert (await result_of(one, "db_where"))[0] == "staging"
        assert (await result_of(other, "db_where"))[0] == "prod"


async def test_a_write_goes_nowhere_else_when_the_session_has_chosen_a_place_for_reading() -> None:
    async with connect(CHOOSING, settings=configured(**TWO, environment="staging")) as client:
        assert await result_of(client, "db_change") == "changed x in staging"
        await result_of(client, "db_go", name="prod")

        assert await result_of(client, "db_change") == (
            'invalid arguments\n- environment: db_change cannot be used in "prod", which this session has chosen; '
            "there are staging"
        )
        assert await result_of(client, "db_change", environment="staging") == "changed x in staging"


async def test_a_choice_that_a_reload_takes_away_is_an_error_until_there_is_another() -> None:
    async with hub_of(CHOOSING, settings=configured(**TWO)) as hub, client_of(hub) as client:
        await result_of(client, "db_go", name="staging")
        tables = {"prod": {"url": "p"}, "test": {"url": "t"}}
        section = {**hub.settings.plugins["db"], "environments": tables}
        await hub.reload(hub.settings.model_copy(update={"plugins": {"db": section}}))

        assert '"staging", which this session has chosen; there are prod, test' in await result_of(client, "db_where")
        await result_of(client, "db_go", name="test")
        assert (await result_of(client, "db_where"))[0] == "test"


async def test_the_stateless_protocol_has_nothing_to_remember_a_choice_in() -> None:
    async with connect(CHOOSING, settings=configured(**TWO), era="stateless") as client:
        assert await result_of(client, "db_go", name="staging") == (
            "this protocol has no session that could remember an environment; "
            'give environment="staging" with each call, or use an endpoint of that environment'
        )
        assert (await result_of(client, "db_where"))[0] == "prod"


def test_a_choice_goes_with_its_session() -> None:
    choices = Choices()
    choices.choose("one", "db", "prod")
    choices.choose("one", "awx", "lab")
    choices.choose("two", "db", "prod")
    choices.leave("one")

    assert [choices.of("one", "db"), choices.of("two", "db"), choices.of("two", "awx")] == [None, "prod", None]


def test_of_too_many_sessions_the_one_that_called_longest_ago_is_forgotten() -> None:
    choices = Choices()
    for session in range(MOST_SESSIONS):
        choices.choose(session, "db", "prod")
    choices.of(0, "db")
    choices.choose("one more", "db", "prod")

    assert [choices.of(session, "db") for session in (0, 1, 2)] == ["prod", None, "prod"]


# Writing


async def test_tools_that_write_are_absent_unless_the_operator_lets_them() -> None:
    async with hub_of(PLUGIN, settings=configured(url="u", writes="deny")) as hub:
        assert hub.plugins[0].withheld == ("db_change", "db_careful")
        assert "/db/writing" not in hub.endpoints
        async with client_of(hub) as client:
            assert list(await schemas_of(client)) == ["db_where", "fetch_more"]


async def test_deny_is_the_default() -> None:
    assert read(url="u").by_name["default"].writes == "deny"


async def test_a_tool_that_writes_takes_only_environments_that_let_it() -> None:
    async with connect(PLUGIN, settings=configured(**TWO)) as client:
        schema = (await schemas_of(client))["db_change"]
        # The default is one for reading only, so there is none: nothing shall be changed in a place nobody named.
        assert schema["properties"]["environment"] == {"type": "string", "enum": ["staging"]}
        assert schema["required"] == ["environment"]
        assert "environment: required; there are staging" in await result_of(client, "db_change")
        assert "cannot be used in" in await result_of(client, "db_change", environment="prod")
        assert await result_of(client, "db_change", environment="staging") == "changed x in staging"


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("action", "answer"), [("accept", "changed y in default"), ("decline", "the user did not")])
async def test_where_writes_are_to_be_confirmed_the_hub_asks_first(era: Era, action: Any, answer: str) -> None:
    asked: list[str] = []

    async def elicit(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action=action)

    settings = configured(url="u", writes="confirm")
    async with connect(PLUGIN, settings=settings, era=era, elicitation_callback=elicit) as client:
        assert (await result_of(client, "db_change", name="y")).startswith(answer)
        assert await result_of(client, "db_careful") == "confirm is for the tool to see to"

    assert asked == ['Run db_change with name: "y"?']


async def test_a_client_that_cannot_ask_does_not_write() -> None:
    settings = {**configured(url="u", writes="confirm"), "calls": {"confirm_by_token": False}}
    async with connect(PLUGIN, settings=settings) as client:
        assert "cannot ask for it (elicitation)" in await result_of(client, "db_change")
