"""Loading: whatever is wrong with one plugin quarantines that plugin only, with a reason one can act on."""

import sys
from collections.abc import Callable, Generator
from functools import partial
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, model_validator

from pegboard import Group, Plugin, PluginSettings, hookimpl, tool
from pegboard.errors import PluginError
from pegboard.hub import Hub
from pegboard.loading import OWN_DISTRIBUTIONS, Loaded, Loader, Owner, Quarantined
from pegboard.settings import HubSettings
from pegboard.testing import entry_point, hub_of


@tool(read_only=True)
async def ping() -> str:
    """Answer."""
    return "pong"


@tool(read_only=True)
async def hosts() -> str:
    """Name the hosts."""
    return "none"


GOOD = Plugin(name="good", tools=[ping])
ALLOW = ["pegboard-test-good", "pegboard-test-bad"]


def load(*points: EntryPoint, environ: dict[str, str] | None = None, **settings: Any) -> list[Loaded | Quarantined]:
    given = {"trust": {"allow": ALLOW}, **settings}
    return Loader(HubSettings.model_validate(given), environ or {}).load(points)


def failure_of(implementation: Any, environ: dict[str, str] | None = None, **settings: Any) -> Quarantined:
    """Why `implementation`, the plugin `bad`, is not loaded, while a plugin beside it is."""
    bad = entry_point(implementation, name="bad")
    quarantined, loaded = load(bad, entry_point(GOOD), environ=environ, **settings)
    assert isinstance(quarantined, Quarantined)
    assert isinstance(loaded, Loaded)
    return quarantined


def declaring(answer: Any) -> Any:
    """A class of hooks whose `hub_plugin` answers, or does, this."""

    class Hooks:
        @hookimpl
        def hub_plugin(self) -> Any:
            return answer() if callable(answer) else answer

    return Hooks


def test_a_plugin_is_loaded_with_its_owner_settings_and_tools() -> None:
    (loaded,) = load(entry_point(GOOD, version="2.5"))

    assert isinstance(loaded, Loaded)
    assert str(loaded.owner) == "'good' of pegboard-test-good 2.5"
    assert (loaded.name, loaded.plugin, loaded.environments.settings) == ("good", GOOD, PluginSettings())
    assert [tool.name for tool in loaded.tools] == ["good_ping"]


def test_plugins_are_loaded_in_name_order() -> None:
    names = ["c", "a", "b"]
    points = [entry_point(Plugin(name=name), dist="pegboard") for name in names]

    assert [outcome.owner.name for outcome in load(*points)] == ["a", "b", "c"]


def test_an_entry_point_may_be_a_module_or_a_class() -> None:
    module = ModuleType("good")
    vars(module)["hub_plugin"] = hookimpl(lambda: GOOD)

    assert isinstance(load(entry_point(module))[0], Loaded)
    assert isinstance(load(entry_point(declaring(GOOD)))[0], Loaded)


def test_what_is_installed_is_found_by_itself() -> None:
    outcomes = Loader(HubSettings(), {}).load()

    assert "hub" in [outcome.name for outcome in outcomes if isinstance(outcome, Loaded)]


def test_the_names_of_a_group_are_in_its_order() -> None:
    @tool(read_only=True)
    async def pong() -> None: ...

    (loaded,) = load(entry_point(Plugin(name="good", tools=[ping], groups=[Group("net", tools=[pong, ping])])))

    assert isinstance(loaded, Loaded)
    assert loaded.tool_names("net") == ["good_pong", "good_ping"]
    assert [tool.group for tool in loaded.tools] == ["net", "net"]


class Folders(PluginSettings):
    folder: str = ""


OPT_IN = Plugin(name="good", tools=[ping], groups=[Group("net", tools=[hosts], needs="folder")], settings=Folders)


def loaded_with(**table: Any) -> Loaded:
    (loaded,) = load(entry_point(OPT_IN), plugins={"good": table})
    assert isinstance(loaded, Loaded)
    return loaded


def test_a_group_that_needs_a_setting_is_served_where_it_is_set() -> None:
    assert [tool.name for tool in loaded_with().tools] == ["good_ping"]
    assert [tool.name for tool in loaded_with(folder="/srv").tools] == ["good_ping", "good_hosts"]


def test_a_group_that_needs_a_setting_has_only_the_environments_that_set_it() -> None:
    table = {"environments": {"a": {}, "b": {"folder": "/srv"}, "c": {"folder": "/srv"}}}

    _, tool = loaded_with(**table).tools

    schema = tool.input_schema
    assert schema["properties"]["environment"] == {"type": "string", "enum": ["b", "c"]}
    assert schema["required"] == ["environment"]


async def test_a_group_whose_setting_is_not_set_has_no_endpoint() -> None:
    async with hub_of(OPT_IN) as hub:
        assert [path for path in hub.endpoints if path.startswith("/good")] == ["/good"]


# Trust


def test_a_plugin_nobody_trusts_is_not_imported() -> None:
    imported: list[str] = []

    def module() -> Plugin:
        imported.append("side effect")
        return GOOD

    point = entry_point(module, name="weather", dist="Pegboard_Weather", version="0.3")
    (quarantined,) = load(point, trust={"allow": ["other >= 1"]})

    assert imported == []
    assert str(quarantined) == (
        "plugin 'weather' of pegboard-weather 0.3 is not served: not trusted: it was not imported; "
        'if you trust it, write under [trust]: allow = ["other>=1", "pegboard-weather"]'
    )


@pytest.mark.parametrize("name", sorted(OWN_DISTRIBUTIONS))
def test_the_projects_own_distributions_need_no_line(name: str) -> None:
    (outcome,) = load(entry_point(GOOD, dist=name), trust={})

    assert isinstance(outcome, Loaded)


@pytest.mark.parametrize("name", ["pegboard-postgres-extra", "pegboard-post", "pegboards", "xpegboard", "peg-board"])
def test_a_name_like_the_projects_own_is_not_its_own(name: str) -> None:
    (outcome,) = load(entry_point(GOOD, dist=name), trust={})

    assert isinstance(outcome, Quarantined)
    assert outcome.phase == "trusted"


@given(st.integers(0, 9), st.integers(0, 9), st.sampled_from(["", "rc1", ".dev3", "+local"]))
def test_a_version_is_trusted_within_its_range_only(major: int, minor: int, suffix: str) -> None:
    version = f"{major}.{minor}{suffix}"
    (outcome,) = load(
        entry_point(GOOD, dist="weather", version=version), trust={"allow": ["Weather>=1", "weather<0.5.dev0"]}
    )

    pre = suffix in ("rc1", ".dev3")
    inside = (major, minor, not pre) >= (1, 0, True) or (major == 0 and minor < 5)
    assert isinstance(outcome, Loaded) is inside


def test_a_version_outside_the_range_is_told_with_the_range() -> None:
    (outcome,) = load(entry_point(GOOD, version="2.0"), trust={"allow": ["pegboard-test-good<2"]})

    assert isinstance(outcome, Quarantined)
    assert outcome.why == "not trusted: [trust] allows pegboard-test-good<2, and installed is 2.0"


def test_a_version_that_is_none_is_not_trusted() -> None:
    failure = failure_of(lambda: GOOD, trust={"allow": [*ALLOW, "pegboard-test-bad>1"]})
    (outcome, other) = load(entry_point(GOOD, name="bad", version="not a version"), entry_point(GOOD))

    assert failure.phase == "declared"
    assert isinstance(outcome, Quarantined)
    assert outcome.phase == "trusted"
    assert isinstance(other, Loaded)


def test_an_entry_point_of_a_broken_installation_is_not_trusted() -> None:
    broken = EntryPoint("broken", "json", "pegboard")

    outcome, other = load(broken, entry_point(GOOD))

    assert isinstance(outcome, Quarantined)
    assert (outcome.phase, outcome.owner) == ("trusted", Owner("broken", "unknown", "0"))
    assert isinstance(other, Loaded)


# Import


def raises(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


class FailsWhenMade:
    def __init__(self) -> None:
        raise RuntimeError("no licence file")


@pytest.mark.parametrize(
    ("implementation", "reason"),
    [
        (raises(ImportError("no module named 'psycopg'")), "ImportError: no module named 'psycopg'"),
        (raises(SystemExit(3)), "SystemExit: 3"),
        (raises(KeyboardInterrupt()), "KeyboardInterrupt: "),
        (raises(PluginError("install pegboard-postgres[demo]")), "install pegboard-postgres[demo]"),
        (FailsWhenMade, "RuntimeError: no licence file"),
    ],
)
def test_a_failing_import_is_told_by_its_error(implementation: Any, reason: str) -> None:
    assert failure_of(implementation).why == f"not imported: {reason}"


def test_an_entry_point_to_nowhere_is_told_by_its_error() -> None:
    point = EntryPoint("bad", "pegboard_nowhere", "pegboard")
    vars(point)["dist"] = entry_point(GOOD).dist

    (outcome,) = load(point)

    assert isinstance(outcome, Quarantined)
    assert outcome.why == "not imported: ModuleNotFoundError: No module named 'pegboard_nowhere'"


@pytest.fixture
def hang() -> Generator[Callable[[], Any]]:
    """Something that waits until the test is over."""
    from threading import Event

    over = Event()
    yield over.wait
    over.set()


def test_a_hung_import_is_left_behind(hang: Callable[[], Any]) -> None:
    failure = failure_of(hang, loading={"timeout": 0.05})

    assert failure.why == "not imported: the import took longer than 0.05 s and was left behind"


def test_a_class_that_hangs_while_it_is_made_is_left_behind(hang: Callable[[], Any]) -> None:
    class Hooks:
        def __init__(self) -> None:
            hang()

    point = entry_point(lambda: None, name="bad")
    vars(point)["implementation"] = Hooks
    outcome, _ = load(point, entry_point(GOOD), loading={"timeout": 0.05})

    assert isinstance(outcome, Quarantined)
    assert outcome.why == "not imported: the import took longer than 0.05 s and was left behind"


# Declaration


class MisspeltHook:
    @hookimpl
    def hub_plugin(self) -> Plugin:
        return Plugin(name="bad")

    @hookimpl
    def hub_lifspan(self) -> None: ...


class StrangeParameter:
    @hookimpl
    def hub_plugin(self, config: Any) -> Plugin:  # noqa: ARG002
        return Plugin(name="bad")


class Unmarked:
    def hub_plugin(self) -> Plugin:
        return Plugin(name="bad")


@tool(name="n" * 65)
async def long_name() -> None: ...


@tool(name="good_ping")
async def taken() -> None: ...


@tool(name="bad_ping")
async def twice() -> None: ...


class Opaque: ...


async def opaque(value: Opaque) -> None: ...


async def lost(value: "Nowhere") -> None: ...  # type: ignore[name-defined] # noqa: F821 # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]


def bad(**given: Any) -> Plugin:
    return Plugin(name="bad", **given)


@pytest.mark.parametrize(
    ("implementation", "reason"),
    [
        (lambda: None, "it has no hub_plugin(); write one and mark it with @hookimpl"),
        (Unmarked, "it has no hub_plugin(); write one and mark it with @hookimpl"),
        (MisspeltHook, "pegboard has no hook 'hub_lifspan'; see pegboard.hookspecs"),
        (declaring(5), "hub_plugin() returned int, not a Plugin"),
        (declaring(None), "hub_plugin() returned NoneType, not a Plugin"),
        (declaring(Plugin(name="other")), "its entry point is called 'bad' and its plugin 'other'"),
        (declaring(raises(ValueError("x"))), "ValueError: x"),
        (declaring(lambda: Plugin(name="Bad")), "'Bad' cannot be the name of a plugin"),
        (declaring(bad(tools=[long_name])), f"the tool name '{'n' * 65}' has 65 characters"),
        (declaring(bad(tools=[ping, twice])), "its tool 'bad_ping' has the name of a tool of 'bad' of"),
        (declaring(bad(tools=[opaque])), "the parameters of opaque have no JSON schema"),
        (declaring(bad(tools=[lost])), "the annotations of lost cannot be read: name 'Nowhere' is not defined"),
        (declaring(bad(tools=[5])), "AttributeError: 'int' object has no attribute '__name__'"),
        (declaring(bad(tools=[partial(ping)])), "AttributeError: 'functools.partial' object has no attribute"),
        (declaring(bad(tools=5)), "TypeError: "),
    ],
)
def test_a_bad_declaration_is_told_by_what_is_wrong_with_it(implementation: Any, reason: str) -> None:
    failure = failure_of(implementation)

    assert failure.phase == "declared"
    assert failure.reason.startswith(reason)


def test_a_hook_with_parameters_it_does_not_have_is_refused() -> None:
    point = entry_point(lambda: StrangeParameter(), name="bad")

    (outcome,) = load(point)

    assert isinstance(outcome, Quarantined)
    assert outcome.why.startswith("not declared: its hooks do not fit pegboard's: ")
    assert "config" in outcome.why


def test_a_hung_declaration_is_left_behind(hang: Callable[[], Any]) -> None:
    class Hooks:
        @hookimpl
        def hub_plugin(self) -> Any:
            hang()

    point = entry_point(lambda: Hooks(), name="bad")
    (outcome,) = load(point, loading={"timeout": 0.05})

    assert isinstance(outcome, Quarantined)
    assert outcome.why == "not declared: hub_plugin() took longer than 0.05 s and was left behind"


def test_of_two_plugins_with_one_name_the_projects_own_is_served() -> None:
    foreign = entry_point(GOOD, dist="a-good")
    own = entry_point(GOOD, dist="pegboard")

    first, second = load(foreign, own, trust={"allow": ["a-good"]})

    assert isinstance(first, Loaded)
    assert first.owner.distribution == "pegboard"
    assert isinstance(second, Quarantined)
    assert second.why == "not found: the name belongs to 'good' of pegboard 1.0 already; uninstall one of the two"


def test_of_two_foreign_plugins_with_one_name_the_first_by_distribution_is_served() -> None:
    points = [entry_point(GOOD, dist=name) for name in ("b-good", "a-good")]

    first, second = load(*points, trust={"allow": ["a-good", "b-good"]})

    assert isinstance(first, Loaded)
    assert first.owner.distribution == "a-good"
    assert second.owner.distribution == "b-good"


def test_a_plugin_that_failed_does_not_keep_its_name_from_another() -> None:
    untrusted, trusted = entry_point(GOOD, dist="a-good"), entry_point(GOOD, dist="b-good")

    first, second = load(untrusted, trusted, trust={"allow": ["b-good"]})

    assert isinstance(first, Quarantined)
    assert isinstance(second, Loaded)


def test_of_two_tools_with_one_name_the_first_plugins_is_served() -> None:
    """S-26: no plugin can take the place of another's tool."""
    later = entry_point(Plugin(name="later", tools=[taken]), dist="pegboard-awx")

    first, second = load(later, entry_point(GOOD))

    assert isinstance(first, Loaded)
    assert isinstance(second, Quarantined)
    assert second.why == (
        "not declared: its tool 'good_ping' has the name of a tool of 'good' of pegboard-test-good 1.0"
    )


def broken(*names: str, id: str = "") -> str:  # noqa: A002
    return str(names) + id


def whole(id: str) -> str:  # noqa: A002
    return id


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ({"prompts": [broken]}, "the parameter 'names' of broken has no name a client could use"),
        ({"resources": {"x://{id}": broken}}, "the parameter 'names' of broken has no name a client could use"),
        ({"resources": {"x://{id}/{id}": whole}}, "error: redefinition of group name 'id'"),
        ({"prompts": {"good_hello": whole}}, "its prompt 'good_hello' has the name of a prompt of 'aaa' of pegboard"),
        ({"resources": {"x://": whole}}, "its resource 'x://' has the name of a resource of 'aaa' of pegboard"),
    ],
)
def test_a_bad_prompt_or_resource_quarantines_its_plugin_only(declared: dict[str, Any], reason: str) -> None:
    first = Plugin(name="aaa", prompts={"good_hello": whole}, resources={"x://": whole})

    points = [entry_point(plugin, dist="pegboard") for plugin in (first, Plugin(name="bad", **declared), GOOD)]
    aaa, failure, good = load(*points)

    assert isinstance(aaa, Loaded)
    assert isinstance(failure, Quarantined)
    assert (failure.phase, failure.reason.startswith(reason)) == ("declared", True)
    assert isinstance(good, Loaded)


def test_a_plugin_that_failed_does_not_keep_the_names_of_its_tools_from_another() -> None:
    first = Plugin(name="aaa", tools=[taken], prompts={"p": broken})

    failed, loaded = load(entry_point(first, dist="pegboard"), entry_point(GOOD))

    assert isinstance(failed, Quarantined)
    assert isinstance(loaded, Loaded)


def test_a_plugin_that_failed_late_does_not_keep_the_names_of_its_tools_from_another() -> None:
    first, clash = Plugin(name="aaa", prompts={"p": whole}), Plugin(name="aab", tools=[taken], prompts={"p": whole})
    points = [entry_point(plugin, dist="pegboard") for plugin in (first, clash, GOOD)]

    assert [type(outcome) for outcome in load(*points)] == [Loaded, Quarantined, Loaded]


# Configuration


class Strict(PluginSettings):
    dsn: SecretStr
    limit: int = 5


class Crashes(PluginSettings):
    @model_validator(mode="after")
    def fail(self) -> "Crashes":
        raise LookupError("no such region")


def configured(settings: type[PluginSettings]) -> Any:
    return declaring(Plugin(name="bad", settings=settings))


def test_settings_come_from_the_file_and_the_environment() -> None:
    plugin = Plugin(name="good", settings=Strict)

    (loaded,) = load(
        entry_point(plugin), plugins={"good": {"dsn": "x", "limit": 6}}, environ={"PEGBOARD_GOOD_LIMIT": "7"}
    )

    assert isinstance(loaded, Loaded)
    assert loaded.environments.settings == Strict(dsn=SecretStr("x"), limit=7)


def test_a_missing_setting_shows_the_line_to_write() -> None:
    assert failure_of(configured(Strict)).why == (
        'not configured: [plugins.bad]: dsn: required; write `dsn = "..."` under [plugins.bad], or set PEGBOARD_BAD_DSN'
    )


def test_bad_settings_are_told_without_their_values() -> None:
    table = {"dsn": ["hunter2"], "limit": "hunter2", "limits": "hunter2"}

    failure = failure_of(configured(Strict), plugins={"bad": table})

    assert sorted(failure.reason.splitlines()) == [
        "[plugins.bad]: dsn: must be a string",
        "[plugins.bad]: limit: must be a whole number",
        "[plugins.bad]: limits: unknown key; did you mean 'limit'?",
    ]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (Crashes, "LookupError: no such region"),
        (5, "AttributeError: 'int' object has no attribute 'model_fields'"),
    ],
)
def test_settings_that_crash_are_told_by_their_error(settings: Any, reason: str) -> None:
    assert failure_of(configured(settings)).why == f"not configured: {reason}"


def test_a_reference_to_nothing_is_told_by_its_variable() -> None:
    failure = failure_of(configured(Strict), environ={"PEGBOARD_BAD_DSN": "env:PEGBOARD_TEST_NOWHERE"})

    assert failure.why == (
        "not configured: PEGBOARD_BAD_DSN: refers to the variable PEGBOARD_TEST_NOWHERE, which is not set"
    )


# The hub


async def test_what_fails_is_quarantined_and_said_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    bad = entry_point(raises(ImportError("no psycopg")), name="bad", version="0.2")
    settings = HubSettings.model_validate({"trust": {"allow": ALLOW}})

    with anyio.fail_after(5):
        async with Hub(settings, environ={}, found=[bad, entry_point(GOOD)]) as hub:
            assert [plugin.name for plugin in hub.plugins] == ["good"]
            assert [plugin.owner.name for plugin in hub.quarantined] == ["bad"]

    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert lines == ["plugin 'bad' of pegboard-test-bad 0.2 is not served: not imported: ImportError: no psycopg"]


async def test_strict_makes_it_fatal() -> None:
    bad = entry_point(raises(ImportError("no psycopg")), name="bad")
    settings = HubSettings.model_validate({"trust": {"allow": ALLOW}, "loading": {"strict": True}})

    with anyio.fail_after(5), pytest.raises(PluginError, match=r"'bad' of pegboard-test-bad 1\.0 is not served"):
        async with Hub(settings, environ={}, found=[bad, entry_point(GOOD)]):
            pytest.fail("the hub must not start")


async def test_strict_does_not_mind_a_plugin_that_is_only_not_trusted() -> None:
    settings = HubSettings.model_validate({"trust": {"allow": ALLOW}, "loading": {"strict": True}})

    async with Hub(settings, environ={}, found=[entry_point(GOOD), entry_point(Plugin(name="foreign"))]) as hub:
        assert hub.failed == []
        assert [plugin.phase for plugin in hub.quarantined] == ["trusted"]


def test_a_plugin_is_imported_at_most_once_per_process() -> None:
    assert "pegboard_nowhere" not in sys.modules


def test_a_plugin_that_only_wants_settings_and_nobody_speaks_of_is_no_failure() -> None:
    plugin = Plugin(name="bad", settings=Strict)

    (idle,) = load(entry_point(plugin))
    (by_section,) = load(entry_point(plugin), plugins={"bad": {}})
    (by_variable,) = load(entry_point(plugin), environ={"PEGBOARD_BAD_LIMIT": "7"})

    assert isinstance(idle, Quarantined)
    assert isinstance(by_section, Quarantined)
    assert isinstance(by_variable, Quarantined)
    assert (idle.is_failure, by_section.is_failure, by_variable.is_failure) == (False, True, True)
