"""`pegboard call`: a tool's parameters as options, its answer on standard output, its errors as a status."""

import json
import signal
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result
from mcp_types import Tool
from tests.hub.cli.conftest import Install, Run, Start

from pegboard.cli import call as call_module
from pegboard.cli.parameters import read_parameters
from pegboard.security.keyfile import changing
from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes


@pytest.fixture
def brewed(run: Run, tea: Path) -> Any:
    """Call `tea_brew` with these arguments and return what it was given."""

    def brewed(*arguments: str, **extra: Any) -> dict[str, Any]:
        assert tea.exists()
        result = run("call", "tea_brew", "--args", '{"json": ""}', *arguments, **extra)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return brewed


def test_parameters_are_options_and_are_converted_by_the_schema(brewed: Any) -> None:
    answer = brewed("--cups", "2", "--strong", "--guests", "Ann", "--guests", "42")

    assert answer == {"cups": 2, "kind": "green", "strong": True, "guests": ["Ann", "42"], "json": ""}


def test_a_boolean_may_be_written_out(brewed: Any) -> None:
    assert brewed("--cups", "1", "--strong", "false")["strong"] is False


def test_a_list_may_be_written_as_json(brewed: Any) -> None:
    assert brewed("--cups", "1", "--guests", '["Ann", "Bob"]')["guests"] == ["Ann", "Bob"]


def test_a_parameter_wins_over_an_option_of_the_same_name_behind_the_tool(brewed: Any) -> None:
    assert brewed("--cups", "1", "--json", "mine")["json"] == "mine"


def test_arguments_may_be_an_object_and_single_ones_win_over_it(run: Run, tea: Path) -> None:
    result = run("call", "--config", str(tea), "--args", '{"cups": 3, "strong": true}', "tea_brew", "--cups", "4")

    assert json.loads(result.stdout) == {"cups": 4, "kind": "green", "strong": True, "guests": [], "json": ""}


def test_arguments_may_come_from_standard_input(brewed: Any) -> None:
    assert brewed("--args", "-", input='{"cups": 5}')["cups"] == 5


@pytest.mark.parametrize(
    ("text", "message"), [("{", "--args is not valid JSON"), ("[1]", "--args must be a JSON object")]
)
def test_arguments_that_are_no_object_are_wrong_usage(run: Run, tea: Path, text: str, message: str) -> None:
    for line in (["--args", text, "tea_brew"], ["tea_brew", "--args", text]):
        result = run("call", "--config", str(tea), *line)
        assert result.exit_code == 2
        assert message in result.stderr


def test_people_get_json_on_lines_and_programs_in_one(run: Run, tea: Path) -> None:
    people = run("call", "tea_brew", "--cups", "1").stdout
    programs = run("call", "--json", "tea_brew", "--cups", "1").stdout

    assert people.startswith('{\n  "cups": 1,\n')
    assert len(programs.splitlines()) == 1
    assert json.loads(people) == json.loads(programs)
    assert tea.exists()


def test_the_help_of_a_tool_shows_its_description_and_parameters(run: Run, tea: Path) -> None:
    result = run("call", "tea_brew", "--help")

    assert result.exit_code == 0
    assert "Usage: pegboard call tea_brew [OPTIONS]" in result.stdout
    assert "Brew some tea. It takes a while." in result.stdout
    assert "--cups INTEGER" in result.stdout
    assert "How many.  [required]" in result.stdout
    assert "[default: false]" in result.stdout
    assert tea.exists()


def test_an_error_of_the_tool_is_on_standard_error_with_status_1(run: Run, tea: Path) -> None:
    result = run("call", "tea_spill", "--how", "at once")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: the tea is gone, at once\n"
    assert tea.exists()


def test_a_missing_or_wrong_argument_is_the_hubs_to_explain(run: Run, tea: Path) -> None:
    result = run("call", "tea_brew", "--strong", "perhaps")

    assert result.exit_code == 1
    assert "cups: required" in result.stderr
    assert 'strong: must be true or false, not "perhaps"' in result.stderr
    assert tea.exists()


def test_an_unknown_tool_is_answered_with_the_nearest(run: Run, tea: Path) -> None:
    near, far = run("call", "tea_bruw"), run("call", "xyzzy")

    assert (near.exit_code, far.exit_code) == (2, 2)
    assert near.stderr == "error: there is no tool 'tea_bruw'; did you mean 'tea_brew'?\n"
    assert "`pegboard plugins` says why" in far.stderr
    assert tea.exists()


def test_an_option_that_is_no_parameter_is_wrong_usage(run: Run, tea: Path) -> None:
    unknown = run("call", "tea_brew", "--cupz", "1")
    ours = run("call", "tea_brew", "--cups", "1", "--url", "http://127.0.0.1:1/mcp")

    assert (unknown.exit_code, ours.exit_code) == (2, 2)
    assert "--cupz" in unknown.stderr
    assert "--url is an option of pegboard and goes before tea_brew" in ours.stderr
    assert tea.exists()


EVERYTHING = """
from enum import Enum
from typing import Any, Literal

from mcp_types import ImageContent

from pegboard import Plugin, hookimpl, tool


@tool(read_only=True)
async def show(value: Any = None, size: Literal["s", "m"] = "s", table: dict[str, int] | None = None) -> str:
    return repr((value, size, table))


@tool(read_only=True)
async def draw() -> ImageContent:
    return ImageContent(type="image", data="AAAA", mimeType="image/png")


@tool(read_only=True)
async def nothing() -> None:
    pass


@tool(read_only=True)
async def name_(help: str, args: str, many: list[int] | None = None) -> str:
    return f"{help} {args} {many}"


@hookimpl
def hub_plugin() -> Plugin:
    return Plugin(name="all_sorts", tools=[show, draw, nothing, name_])
"""


@pytest.fixture
def sorts(run: Run, install: Install) -> Any:
    install("acme-sorts", all_sorts=EVERYTHING)

    def sorts(*arguments: str) -> Result:
        return run("call", *arguments, env={"PEGBOARD_TRUST_ALLOW": "acme-sorts"})

    return sorts


def test_a_value_that_need_not_be_a_string_is_read_as_json_if_it_is_any(sorts: Any) -> None:
    assert sorts("all_sorts_show", "--value", "[1, null]").stdout == "([1, None], 's', None)\n"
    assert sorts("all_sorts_show", "--value", "[1", "--size", "m").stdout == "('[1', 'm', None)\n"
    assert sorts("all_sorts_show", "--table", '{"a": 1}').stdout == "(None, 's', {'a': 1})\n"
    assert "one of s, m" in sorts("all_sorts_show", "--help").stdout


def test_an_empty_string_is_a_value(sorts: Any) -> None:
    assert sorts("all_sorts_show", "--value", "").stdout == "('', 's', None)\n"


def test_parameters_may_be_called_like_our_own_options(sorts: Any) -> None:
    line = ["all_sorts_name_", "--help", "a", "--args", "b", "--many", "1", "--many", "2"]

    assert sorts(*line).stdout == "a b [1, 2]\n"


def test_what_is_no_text_is_named_and_complete_in_json(sorts: Any) -> None:
    assert sorts("all_sorts_draw").stdout == "[image: image/png]\n"
    assert json.loads(sorts("--json", "all_sorts_draw").stdout)["content"][0]["data"] == "AAAA"
    assert sorts("all_sorts_nothing").stdout == ""


def test_types_may_be_written_as_a_list_or_as_alternatives() -> None:
    alternatives = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    properties = {"x": {"type": ["integer", "null"]}, "y": {"type": ["string", "null"]}, "z": alternatives}
    tool = Tool(name="foreign", input_schema={"type": "object", "properties": properties})

    arguments, _ = read_parameters(tool, ("--x", "5", "--y", "5", "--z", "5"), click.Context(click.Command("call")))

    assert arguments == {"x": 5, "y": "5", "z": "5"}


def test_progress_is_told_on_a_terminal(run: Run, tea: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_module, "_is_terminal", lambda: True)

    result = run("call", "tea_brew", "--cups", "1")

    assert result.stderr == "1/2 the water boils\n"
    assert tea.exists()


@pytest.mark.parametrize("path", ["/tea/mcp", "/tea/sse"])
def test_a_running_hub_can_be_called_by_url(run: Run, start: Start, tea: Path, path: str) -> None:
    with start("serve", "--port", "0", "--json", PEGBOARD_TEA_KIND="black") as running:
        url = running.ready()["url"] + path
        result = run("call", "--url", url, "--timeout", "5", "tea_brew", "--cups", "1")
        failed = run("call", "--url", url, "tea_spill")
        unknown = run("call", "--url", url, "tea_spil")
        status, _, _ = running.ended(signal=signal.SIGTERM)

    assert json.loads(result.stdout)["kind"] == "black"
    assert (failed.exit_code, failed.stderr) == (1, "error: the tea is gone, slowly\n")
    assert unknown.exit_code == 2
    assert status == 0
    assert tea.exists()


@pytest.mark.parametrize("path", ["/profiles/unlimited/mcp", "/profiles/unlimited/sse"])
def test_a_hub_that_does_not_run_is_one_message(run: Run, path: str) -> None:
    result = run("call", "--url", f"http://127.0.0.1:9{path}", "tea_brew")

    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: no hub at http://127.0.0.1:9{path}: ")


DYING = """
import os
import signal

from pegboard import Plugin, hookimpl, tool


@tool(read_only=True)
async def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@hookimpl
def hub_plugin() -> Plugin:
    return Plugin(name="dying", tools=[die])
"""


@pytest.mark.parametrize("path", ["/profiles/unlimited/mcp", "/profiles/unlimited/sse"])
def test_a_hub_that_dies_in_a_call_is_one_message(run: Run, start: Start, install: Install, path: str) -> None:
    install("acme-dying", dying=DYING)

    with start("serve", "--port", "0", "--json", PEGBOARD_TRUST_ALLOW="acme-dying") as running:
        result = run("call", "--url", running.ready()["url"] + path, "dying_die")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_deadline_can_be_given(run: Run, tea: Path) -> None:
    result = run("call", "--timeout", "0", "tea_brew")

    assert result.exit_code == 2
    assert tea.exists()


@pytest.mark.parametrize("path", ["/tea/sse", "/tea/mcp"])
def test_a_hub_that_asks_is_shown_the_key_of_the_variable(run: Run, start: Start, tea: Path, path: str) -> None:
    key, text = Key.create("me", Scopes.of(["*"]))
    with changing(Path("keys.json")) as keys:
        keys.append(key)
    tea.write_text(tea.read_text() + '[auth]\nkeys_file = "keys.json"\n')

    with start("serve", "--port", "0", "--config", str(tea), "--json") as running:
        url = running.ready()["url"] + path
        right = run("call", "--url", url, "tea_brew", "--cups", "1", env={"PEGBOARD_KEY": text})
        none, wrong = run("call", "--url", url, "x"), run("call", "--url", url, "x", env={"PEGBOARD_KEY": "peg_no"})

    assert right.exit_code == 0, right.stderr
    assert none.stderr == f"error: the hub at {url} asks for a key; set the variable PEGBOARD_KEY to yours\n"
    assert wrong.stderr.startswith(f"error: the hub at {url} does not take the key in PEGBOARD_KEY")
