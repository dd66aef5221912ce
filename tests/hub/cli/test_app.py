"""The application: help, errors and exit statuses that all commands share."""

import os
import signal
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from tests.hub.cli.conftest import Install, Run, Start

from pegboard.cli.app import COMMANDS, EXIT_STATUS
from pegboard.cli.failures import expected
from pegboard.cli.starting import lone
from pegboard.cli.text import first_sentence
from pegboard.errors import ConfigError, PoolError


def test_pegboard_alone_prints_the_commands_and_what_the_exit_statuses_mean(run: Run) -> None:
    result = run()

    assert result.exit_code == 0
    assert result.stdout == run("--help").stdout == run("-h").stdout
    assert all(name in result.stdout for name in COMMANDS)
    assert all(str(status) in result.stdout for status in EXIT_STATUS)


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").stdout == f"pegboard {version('pegboard')}\n"


IMPORTED = """
import sys
from pegboard.cli import main
try:
    main()
except SystemExit:
    print(sorted({"anyio", "mcp", "pluggy", "pydantic", "starlette", "uvicorn"} & set(sys.modules)))
"""


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(argument: str) -> None:
    command = [sys.executable, "-c", IMPORTED, argument]

    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    assert output.endswith("\n[]\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_that_begins_like_its_line_in_the_list(run: Run, name: str) -> None:
    result = run(name, "--help")

    assert result.exit_code == 0
    assert "Example" in result.stdout
    command: click.Command = import_module(f"pegboard.cli.{name}").command
    assert first_sentence(command.help) == COMMANDS[name]


def test_an_unknown_command_is_answered_with_the_nearest_one(run: Run) -> None:
    result = run("serv")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "error: there is no command 'serv'; did you mean 'serve'?" in result.stderr


def test_an_unknown_command_near_to_none_is_answered_with_all(run: Run) -> None:
    result = run("xyzzy")

    assert result.exit_code == 2
    assert "there are serve, stdio, demo" in result.stderr


def test_an_unknown_option_is_wrong_usage(run: Run) -> None:
    assert run("--prot").exit_code == run("serve", "--prot").exit_code == 2
    assert "`pegboard serve --help`" in run("serve", "--prot").stderr


def test_a_wrong_configuration_is_one_message_and_status_2(run: Run) -> None:
    result = run("tools", "--config", "nowhere.toml")

    assert result.exit_code == 2
    assert result.stderr == "error: nowhere.toml: there is no such file; `pegboard init` writes one\n"


def test_debug_shows_where_an_error_comes_from(run: Run) -> None:
    with pytest.raises(ConfigError):
        run("tools", "--debug", "--config", "nowhere.toml")


def test_a_crash_is_not_called_an_expected_failure() -> None:
    assert expected(ValueError("a bug")) is None
    failures = [expected(PoolError("gone")), expected(ConfigError("wrong"))]
    assert [failure and failure.exit_code for failure in failures] == [1, 2]


def test_an_error_alone_in_its_groups_is_taken_out_of_them() -> None:
    error = ValueError()
    several = ExceptionGroup("several", [error, TypeError()])

    assert lone(ExceptionGroup("outer", [ExceptionGroup("inner", [error])])) is error
    assert lone(several) is several


def test_colour_is_for_terminals_that_want_it(run: Run) -> None:
    assert "\x1b" not in run("serv").stderr
    assert "\x1b[31m" in run("plugins", "--strict", color=True).stdout or "\x1b[1m" in run("plugins", color=True).stdout
    assert "\x1b" not in run("plugins", color=True, env={"NO_COLOR": "1"}).stdout


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = [sys.executable, "-m", "pegboard.cli", "connect", "claude"]
    reading, writing = os.pipe()
    os.close(reading)

    process = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=30)

    os.close(writing)
    assert "Traceback" not in process.stderr
    assert "Broken" not in process.stderr


SLOW = """
from pathlib import Path

import anyio

from pegboard import Plugin, hookimpl, tool


@tool(read_only=True)
async def wait() -> None:
    Path("waiting").touch()
    await anyio.sleep_forever()


@hookimpl
def hub_plugin() -> Plugin:
    return Plugin(name="slow", tools=[wait])
"""


def test_ctrl_c_is_quiet_and_130(start: Start, install: Install) -> None:
    install("acme-slow", slow=SLOW)

    with start("call", "slow_wait", PEGBOARD_TRUST_ALLOW="acme-slow") as running:
        running.wait_for(Path("waiting"))
        status, output, errors = running.ended(signal=signal.SIGINT)

    assert (status, output, errors) == (130, "", "")


def test_ctrl_c_before_a_command_runs_is_quiet_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("pegboard.cli.app.version", interrupted)

    result = run("--version")

    assert (result.exit_code, result.output.strip()) == (130, "")
