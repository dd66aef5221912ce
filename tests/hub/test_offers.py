"""Offers: which endpoints there are, what they may hold, and what of the settings stands for nothing."""

from typing import Any

import pytest
from tests.plugins.many import many

from pegboard import Group, Plugin
from pegboard.budget import PROFILES, Budget
from pegboard.configuration import parse_settings
from pegboard.errors import BudgetError, ConfigError
from pegboard.offers import budget_of
from pegboard.plugin import RESERVED_NAMES
from pegboard.settings import BudgetSettings, HubSettings, sections
from pegboard.testing import client_of, hub_of


async def ping() -> str:
    """Answer."""
    return "pong"


async def pong() -> None: ...


SMALL = Plugin(name="x", tools=[ping], groups=[Group("net", tools=[pong])], instructions="Ping first.")


# Endpoints


async def test_the_endpoints_are_the_hub_the_plugins_their_groups_the_named_and_the_profiles() -> None:
    settings = {"endpoints": {"ops": {"tools": ["x_*"]}, "zone": {"tools": ["x_ping"]}}}

    async with hub_of(SMALL, Plugin(name="y"), settings=settings) as hub:
        assert list(hub.endpoints) == [
            *("", "/x", "/y", "/x/net", "/ops", "/zone"),
            *(f"/profiles/{name}" for name in PROFILES),
        ]


async def test_a_named_endpoint_has_the_tools_of_its_patterns_in_canonical_order() -> None:
    settings = {
        "endpoints": {"ops": {"tools": ["*_pong", "x_p[io]ng"], "title": "Operations", "instructions": "Take care."}}
    }

    async with hub_of(SMALL, settings=settings) as hub, client_of(hub, "/ops") as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["x_ping", "x_pong"]
        assert client.instructions == "Take care."
        assert client.server_info is not None
        assert client.server_info.title == "Operations"


async def test_a_profile_has_everything_the_hub_has() -> None:
    async with hub_of(SMALL) as hub:
        whole, small = hub.endpoints[""].offer, hub.endpoints["/profiles/small"].offer

    assert small.tools == whole.tools
    assert small.instructions == whole.instructions
    assert small.title == "pegboard, small"


async def test_a_named_endpoint_may_be_empty() -> None:
    async with hub_of(SMALL, settings={"endpoints": {"ops": {"tools": []}}}) as hub, client_of(hub, "/ops") as client:
        assert (await client.list_tools()).tools == []


@pytest.mark.parametrize("name", ["x", *sorted(RESERVED_NAMES), "all"])
async def test_a_named_endpoint_cannot_have_the_name_of_something_else(name: str) -> None:
    with pytest.raises(ConfigError) as error:
        async with hub_of(SMALL, settings={"endpoints": {name: {"tools": ["*"]}}}):
            pytest.fail("the hub must not start")

    owner = "plugin 'x' of pegboard-test-x 1.0" if name == "x" else "the hub itself"
    assert str(error.value) == f"[endpoints.{name}]: the name belongs to {owner}; choose another"


@pytest.mark.parametrize("name", ["", "Ops", "-ops", "a/b", "9", "a" * 33, "ö", ".."])
async def test_a_named_endpoint_has_a_name_for_urls(name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"the name is part of URLs; use 1 to 32 lower case letters, digits, '_' and '-'"
    ):
        async with hub_of(SMALL, settings={"endpoints": {name: {"tools": ["*"]}}}):
            pytest.fail("the hub must not start")


def test_no_plugin_has_the_name_of_a_section() -> None:
    # `PEGBOARD_BUDGET_TOOLS` would be a setting of both.
    assert set(sections()) <= RESERVED_NAMES


# Budgets


LAYERS: list[tuple[list[dict[str, Any]], Budget]] = [
    ([{}], Budget(40, 8000)),
    ([{"profile": "small"}], Budget(8, 1500)),
    ([{"profile": "unlimited"}], Budget()),
    ([{"tools": 5}], Budget(5, None)),
    ([{"tokens": 5}], Budget(None, 5)),
    ([{"tools": 5, "tokens": 6}], Budget(5, 6)),
    ([{"profile": "small", "tokens": 6}], Budget(8, 6)),
    ([{"profile": "small", "tools": 5}], Budget(5, 1500)),
    ([{}, {"profile": "small"}], Budget(8, 1500)),
    ([{"tools": 5}, {"profile": "small"}], Budget(5, None)),
    ([{"profile": "medium"}, {"tools": 5, "tokens": 6}], Budget(16, 3000)),
    ([{"overflow": "split"}, {"tools": 5, "overflow": "error"}], Budget(5, None, "split")),
    ([{"tools": 5}, {"overflow": "error"}], Budget(5, None, "error")),
    ([{}, {"pinned": ["a"]}], Budget(40, 8000, pinned=("a",))),
    ([{"pinned": ["b"]}, {"pinned": ["a"]}], Budget(40, 8000, pinned=("b",))),
]


@pytest.mark.parametrize(("layers", "budget"), LAYERS)
def test_a_budget_is_what_the_most_specific_layer_says(layers: list[dict[str, Any]], budget: Budget) -> None:
    assert budget_of(*(BudgetSettings.model_validate(layer) for layer in layers)) == budget


async def test_the_budget_of_the_hub_is_that_of_every_endpoint_without_its_own() -> None:
    own = {"tools": 30, "overflow": "split"}
    settings = {
        "budget": {"profile": "medium", "pinned": ["x_pong"]},
        "endpoints": {"ops": {"tools": ["*"]}, "own": {"tools": ["*"], "budget": own}},
    }

    async with hub_of(SMALL, settings=settings) as hub:
        budgets = {path: endpoint.offer.budget for path, endpoint in hub.endpoints.items()}

    medium = Budget(16, 3000, pinned=("x_pong",))
    assert budgets[""] == budgets["/x"] == budgets["/ops"] == medium
    assert budgets["/x/net"] == Budget(16, 3000, "error", ("x_pong",))
    assert budgets["/own"] == Budget(30, None, "split", ("x_pong",))
    assert budgets["/profiles/small"] == Budget(8, 1500, pinned=("x_pong",))


@pytest.mark.parametrize("overflow", ["search", "split"])
async def test_a_group_is_never_cut_whatever_the_budget_says_about_overflow(overflow: str) -> None:
    settings = {"budget": {"tools": 4, "overflow": overflow}}

    async with hub_of(SMALL, many(5), settings=settings, strict=False) as hub:
        (quarantined,) = hub.failed

    assert quarantined.why.startswith("not opened: group many/jobs: 5 tools of")


def test_the_environment_sets_the_budget() -> None:
    environ = {"PEGBOARD_BUDGET_PROFILE": "small", "PEGBOARD_BUDGET_PINNED": "a, b", "PEGBOARD_BUDGET_TOOLS": "5"}

    settings = parse_settings({}, "the environment", environ)

    assert budget_of(settings.budget) == Budget(5, 1500, pinned=("a", "b"))


@pytest.mark.parametrize(
    ("budget", "problem"),
    [
        ({"tools": 0}, "tools"),
        ({"tokens": -1}, "tokens"),
        ({"profile": "huge"}, "profile"),
        ({"overflow": "hide"}, "overflow"),
        ({"pinnned": []}, "did you mean 'pinned'"),
        ({"tokenizer": "cl100k"}, "tokenizer"),
    ],
)
def test_a_budget_that_is_none_is_told(budget: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_settings({"budget": budget}, "pegboard.toml", {})
    with pytest.raises(ConfigError, match=problem):
        parse_settings({"endpoints": {"x": {"tools": [], "budget": budget}}}, "pegboard.toml", {})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"budget": {"tools": 1}}, "endpoint all: a budget of 1 tools / any number of tokens has no room for search_"),
        ({"budget": {"tools": 1, "overflow": "error"}}, "endpoint all: 2 tools of "),
        ({"budget": {"tokens": 60}}, "endpoint all: a budget of any number of tools / 60 tokens has no room"),
        ({"endpoints": {"ops": {"tools": ["*"], "budget": {"tools": 1}}}}, "endpoint ops: a budget of 1 tools"),
    ],
)
async def test_a_budget_that_cannot_be_kept_stops_the_hub_and_names_the_endpoint(
    settings: dict[str, Any], problem: str
) -> None:
    plugin = Plugin(name="x", tools=[ping, pong]) if "tokens" not in settings.get("budget", {}) else LONG
    with pytest.raises(BudgetError, match=problem):
        async with hub_of(plugin, settings=settings):
            pytest.fail("the hub must not start")


async def wordy(one: str, two: str, three: str, four: str, five: str, six: str, seven: str) -> None: ...


async def wordier(one: str, two: str, three: str, four: str, five: str, six: str, seven: str) -> None: ...


LONG = Plugin(name="x", tools=[wordy, wordier])


async def test_pins_over_the_budget_stop_the_hub() -> None:
    pins = [f"many_list_{kind}" for kind in ("jobs", "job_templates", "workflows", "schedules", "inventories", "hosts")]
    settings = {"endpoints": {"ops": {"tools": ["*"], "budget": {"tools": 7, "pinned": pins}}}}

    with pytest.raises(BudgetError, match=r"^endpoint ops: 6 pinned tools need \d+ tokens at least, and 5 tools / any"):
        async with hub_of(many(60), settings=settings):
            pytest.fail("the hub must not start")


async def test_pins_over_a_profile_nobody_asked_for_take_away_that_profile_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pins = [f"many_list_{kind}" for kind in ("jobs", "job_templates", "workflows", "schedules", "inventories", "hosts")]
    more = ["many_get_jobs", "many_get_hosts"]

    async with hub_of(many(60), settings={"budget": {"pinned": [*pins, *more]}}) as hub:
        assert "/profiles/small" not in hub.endpoints
        assert "/profiles/medium" in hub.endpoints
        kept = {line.name for line in hub.endpoints[""].view.fit.kept}

    assert {*pins, *more} <= kept
    assert [m for m in caplog.messages if "/profiles/small is not served: 8 pinned tools need" in m]


# What stands for nothing


async def test_pins_and_patterns_that_stand_for_no_tool_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    settings = {
        "budget": {"pinned": ["x_ping", "x_pingg"]},
        "endpoints": {"ops": {"tools": ["x_ping", "awx_*"], "budget": {"pinned": ["x_ping", "x_pong"]}}},
    }

    async with hub_of(SMALL, settings=settings):
        pass

    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "[budget] pinned: there is no tool 'x_pingg'; did you mean 'x_ping'?",
        "[endpoints.ops] tools: no tool has the name 'awx_*'",
        "[endpoints.ops.budget] pinned: 'x_pong' is none of its tools",
    ]


async def test_settings_that_stand_for_something_are_not_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    settings = {"budget": {"pinned": ["x_ping"]}, "endpoints": {"ops": {"tools": ["x_*"]}}}

    async with hub_of(SMALL, settings=settings):
        pass

    assert not caplog.records


def test_the_default_is_the_large_profile() -> None:
    assert budget_of(HubSettings().budget) == PROFILES["large"]
