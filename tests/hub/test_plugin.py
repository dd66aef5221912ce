"""Plugins, groups and tool marks are values that check themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegboard.errors import PluginError
from pegboard.plugin import RESERVED_NAMES, Group, Plugin, PluginSettings, ToolMark, mark_of, tool


async def ping() -> str:
    """Answer."""
    return "pong"


async def pong() -> str:
    """Answer, too."""
    return "ping"


def test_tool_returns_the_function_itself() -> None:
    async def list_rows() -> str:
        return ""

    assert tool(list_rows) is list_rows
    assert tool(read_only=True)(list_rows) is list_rows
    assert mark_of(list_rows) == ToolMark(read_only=True)


def test_a_function_without_a_mark_has_the_defaults() -> None:
    assert mark_of(ping) == ToolMark()


@pytest.mark.parametrize("seconds", [0, -1.0])
def test_a_timeout_must_be_positive(seconds: float) -> None:
    with pytest.raises(PluginError, match="positive number of seconds"):
        tool(timeout=seconds)(lambda: None)


@given(st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True).filter(lambda name: name not in RESERVED_NAMES))
def test_lower_case_words_are_plugin_names(name: str) -> None:
    assert Plugin(name=name).name == name


@pytest.mark.parametrize("name", ["", "Weather", "1st", "_x", "a-b", "a b", "ä", "a" * 33, "a\n"])
def test_a_name_that_is_no_url_segment_is_refused(name: str) -> None:
    with pytest.raises(PluginError, match="cannot be the name of a plugin"):
        Plugin(name=name)
    with pytest.raises(PluginError, match="cannot be the name of a group"):
        Group(name)


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_a_path_or_section_of_the_hub_is_no_plugin_name(name: str) -> None:
    with pytest.raises(PluginError, match="a path or a section of the hub itself"):
        Plugin(name=name)


def test_a_tool_in_two_groups_counts_once_and_belongs_to_the_first() -> None:
    plugin = Plugin(name="x", tools=[ping], groups=[Group("a", tools=[pong, ping]), Group("b", tools=[pong])])

    assert plugin.functions() == [(ping, "a"), (pong, "a")]


def test_two_groups_cannot_have_one_name() -> None:
    with pytest.raises(PluginError, match="has two groups called 'a'"):
        Plugin(name="x", groups=[Group("a"), Group("b"), Group("a")])


def test_a_tool_is_called_by_plugin_and_function() -> None:
    assert Plugin(name="net").tool_name(ping) == "net_ping"


def test_a_prefix_that_is_there_already_is_not_doubled() -> None:
    async def net_ping() -> None: ...

    assert Plugin(name="net").tool_name(net_ping) == "net_ping"


def test_an_explicit_name_is_used_as_it_stands() -> None:
    @tool(name="test.simple-text")
    async def simple() -> None: ...

    assert Plugin(name="net").tool_name(simple) == "test.simple-text"


def test_a_tool_name_may_have_sixty_four_characters_and_no_more() -> None:
    @tool(name="n" * 64)
    async def longest() -> None: ...

    @tool(name="n" * 65)
    async def longer() -> None: ...

    plugin = Plugin(name="net")

    assert plugin.tool_name(longest) == "n" * 64
    with pytest.raises(PluginError, match=r"has 65 characters and clients accept 64; .* @tool\(name="):
        plugin.tool_name(longer)


@pytest.mark.parametrize("name", ["a b", "a/b", "grüße", "a\n"])
def test_a_tool_name_clients_cannot_spell_is_refused(name: str) -> None:
    @tool(name=name)
    async def strange() -> None: ...

    with pytest.raises(PluginError, match="may only have letters, digits"):
        Plugin(name="net").tool_name(strange)


def test_settings_are_frozen_and_know_their_keys() -> None:
    class Settings(PluginSettings):
        url: str = "x"

    with pytest.raises(ValueError, match="frozen"):
        setattr(Settings(), "url", "y")  # noqa: B010 # pyright knows that it is frozen
    with pytest.raises(ValueError, match="extra_forbidden"):
        Settings.model_validate({"uri": "y"})


def test_an_alias_stands_for_a_tool_with_or_without_the_prefix() -> None:
    plugin = Plugin(name="x", tools=[ping, pong], aliases={"beep": "ping", "x_boop": "x_ping"})

    assert plugin.aliases_of("x_ping") == ("beep", "x_boop", "x_beep")
    assert plugin.aliases_of("x_pong") == ()


def test_a_tool_may_be_called_without_the_prefix_if_the_plugin_says_so() -> None:
    assert Plugin(name="x", tools=[ping], aliases={"ping": "ping"}).aliases_of("x_ping") == ("ping",)


def test_an_alias_of_nothing_is_refused() -> None:
    with pytest.raises(PluginError, match="the alias 'beep' stands for 'gone', which is no tool of the plugin"):
        Plugin(name="x", tools=[ping], aliases={"beep": "gone"})


def test_a_group_cannot_need_a_setting_that_is_not_there() -> None:
    with pytest.raises(PluginError, match="group 'a' needs 'folder', which is no key of the plugin's settings"):
        Plugin(name="x", groups=[Group("a", tools=[ping], needs="folder")])
