"""Testing: what an author's own tests stand on."""

from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pytest

import pegboard
from pegboard import Call, Plugin, PluginSettings, hookimpl
from pegboard.errors import PluginError
from pegboard.loading import Owner
from pegboard.testing import client_of, connect, entry_point, hub_of


class Settings(PluginSettings):
    greeting: str = "hello"


async def greet(call: Call[Settings]) -> str:
    return call.settings.greeting


PLUGIN = Plugin(name="hello", tools=[greet], settings=Settings)


class Hooks:
    @hookimpl
    def hub_plugin(self) -> Plugin:
        return PLUGIN


@pytest.mark.parametrize(
    ("implementation", "name"), [(PLUGIN, "hello"), (Hooks, "hello"), (Hooks(), "hello"), (object(), "broken")]
)
def test_an_entry_point_has_the_plugins_name(implementation: Any, name: str) -> None:
    point = entry_point(implementation)

    assert isinstance(point, EntryPoint)
    assert Owner.of(point) == Owner(name, f"pegboard-test-{name}", "1.0")


def test_an_entry_point_can_be_of_any_distribution() -> None:
    assert Owner.of(entry_point(PLUGIN, name="a_b", dist="My.Dist", version="2")) == Owner("a_b", "my-dist", "2")
    assert Owner.of(entry_point(PLUGIN, name="a_b")).distribution == "pegboard-test-a-b"


def test_a_distribution_that_is_not_installed_has_no_files() -> None:
    dist = entry_point(PLUGIN).dist

    assert dist is not None
    assert dist.read_text("RECORD") is None
    with pytest.raises(FileNotFoundError):
        dist.locate_file("x.py")


def test_a_function_stands_for_the_import() -> None:
    loaded: list[str] = []

    def module() -> Plugin:
        loaded.append("now")
        return PLUGIN

    point = entry_point(module, name="hello")

    assert loaded == []
    assert point.load() is PLUGIN
    assert loaded == ["now"]


async def test_connect_is_a_hub_and_a_client_at_once() -> None:
    module = ModuleType("hello")
    vars(module)["hub_plugin"] = hookimpl(lambda: PLUGIN)

    async with connect(module, settings={"plugins": {"hello": {"greeting": "salve"}}}, path="/hello") as client:
        result = await client.call_tool("hello_greet", {})

    assert result.content[0].model_dump()["text"] == "salve"


async def test_the_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGBOARD_HELLO_GREETING", "from outside")

    async with connect(PLUGIN) as client:
        assert (await client.call_tool("hello_greet", {})).content[0].model_dump()["text"] == "hello"


async def test_a_plugin_that_cannot_be_loaded_fails_its_test() -> None:
    with pytest.raises(PluginError, match=r"greting: unknown key; did you mean 'greeting'?"):
        async with connect(PLUGIN, settings={"plugins": {"hello": {"greting": "x"}}}):
            pytest.fail("the hub must not start")


async def test_clients_of_both_eras_can_share_a_hub() -> None:
    async with hub_of(PLUGIN) as hub, client_of(hub) as a, client_of(hub, "/hello", "stateless") as b:
        assert a.protocol_version < "2026"
        assert b.protocol_version == "2026-07-28"


@pytest.mark.parametrize("name", pegboard.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(pegboard, name) is not None
    assert getattr(pegboard, name).__module__.startswith("pegboard.") or name == "hookimpl"


def test_no_other_name_is_public() -> None:
    with pytest.raises(AttributeError, match="module 'pegboard' has no attribute 'Hub'"):
        _ = pegboard.Hub  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
