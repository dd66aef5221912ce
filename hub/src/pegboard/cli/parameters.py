"""Parameters: those of a tool, by its schema, as options of the command line."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import click
from mcp_types import Tool

from pegboard.cli.options import json_option

F = TypeVar("F", bound=Callable[..., Any])

OWN = frozenset({"--config", "--debug", "--timeout", "--url"})
"""Options of `pegboard call` that have to be known before the tool is, so they go before it."""


def read_parameters(tool: Tool, line: tuple[str, ...], ctx: click.Context) -> tuple[dict[str, Any], bool]:
    """Read what stands behind the tool's name: its arguments, and whether `--json` is among it.

    `--help` prints the tool's parameters and exits. Raises `click.UsageError` for what the tool does not take.
    """
    properties: dict[str, Any] = tool.input_schema.get("properties", {})
    # Options have names of ours, since a parameter may be called like anything; what is no word goes by --args.
    names = {f"parameter_{number}": name for number, name in enumerate(properties) if name.isidentifier()}
    parsed = _parse(_command(tool, names), line, ctx)
    arguments = read_object(parsed.get("json_args"), ctx)
    for key, name in names.items():
        if parsed[key] not in (None, ()):
            arguments[name] = _value(parsed[key], properties[name])
    return arguments, bool(parsed.get("as_json"))


def read_object(text: str | None, ctx: click.Context) -> dict[str, Any]:
    """The object of `--args`, `-` for the one on standard input. Raises `click.UsageError` for anything else."""
    if text is None:
        return {}
    try:
        value: Any = json.loads(sys.stdin.read() if text == "-" else text)
    except json.JSONDecodeError as error:
        raise click.UsageError(f"--args is not valid JSON: {error}", ctx) from None
    if not isinstance(value, dict):
        raise click.UsageError("--args must be a JSON object, like '{\"limit\": 5}'", ctx)
    return cast(dict[str, Any], value)


def args_option(function: F) -> F:
    """`--args JSON`."""
    text = "Arguments as a JSON object; `-` reads it from standard input. Single ones win over it."
    return click.option("--args", "json_args", metavar="JSON", help=text)(function)


@click.command
@args_option
@json_option("Print the structured result as one line of JSON.")
def _own() -> None:
    """Carries the options that may stand behind a tool's name, too."""


def _command(tool: Tool, names: Mapping[str, str]) -> click.Command:
    properties: dict[str, Any] = tool.input_schema.get("properties", {})
    return click.Command(
        tool.name,
        params=[_option(key, name, properties[name], tool) for key, name in names.items()]
        + [option for option in _own.params if option.opts[0].removeprefix("--") not in properties],
        help=tool.description,
        context_settings={"help_option_names": ["-h", "--help"]},
        add_help_option="help" not in properties,
    )


def _parse(command: click.Command, line: tuple[str, ...], ctx: click.Context) -> dict[str, Any]:
    try:
        with command.make_context(f"{ctx.command_path} {command.name}", list(line)) as own:
            return own.params
    except click.NoSuchOption as error:
        if error.option_name in OWN:
            message = f"{error.option_name} is an option of pegboard and goes before {command.name}"
            raise click.UsageError(message, error.ctx) from None
        raise


def _option(key: str, name: str, schema: Mapping[str, Any], tool: Tool) -> click.Option:
    required = name in tool.input_schema.get("required", ())
    types = _types(schema)
    # A flag alone means true, and the value can be given as well.
    flag: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if types == {"boolean"} else {}
    return click.Option(
        [*dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"]), key],
        help=_help(schema, required),
        metavar="|".join(sorted(types)).upper() or "JSON",
        multiple="array" in types,
        **flag,
    )


def _help(schema: Mapping[str, Any], required: bool) -> str:
    notes = ["required"] if required else []
    if "enum" in schema:
        notes.append(f"one of {', '.join(map(str, schema['enum']))}")
    if schema.get("default") is not None:
        notes.append(f"default: {json.dumps(schema['default'])}")
    description = schema.get("description", "")
    return f"{description}  [{'; '.join(notes)}]".strip() if notes else description


def _types(schema: Mapping[str, Any]) -> set[str]:
    """The JSON types a schema takes; an empty set for one that does not say."""
    if "anyOf" in schema:
        return {name for choice in schema["anyOf"] for name in _types(choice)} - {"null"}
    given: Any = schema.get("type", [])
    return {given} if isinstance(given, str) else set(given) - {"null"}


def _value(given: str | tuple[str, ...], schema: Mapping[str, Any]) -> Any:
    """A value for the hub, which checks it; what cannot be a string is read as JSON, if it is any."""
    if isinstance(given, tuple):
        first = given[0].lstrip()
        if len(given) == 1 and first.startswith("["):
            return _read(first)
        items = schema.get("items", {})
        return [text if "string" in _types(items) else _read(text) for text in given]
    return given if "string" in _types(schema) else _read(given)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
