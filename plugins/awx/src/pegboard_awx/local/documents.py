"""Documents: YAML as Ansible writes it, read without running or building anything."""

from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Reads data only. Tags like `!vault` stay words, and a merge key stays a key: unfolding one can take forever."""

    def flatten_mapping(self, node: Any) -> None: ...


class _Dumper(yaml.SafeDumper):
    """Writes lists inside of what they belong to, as ansible-lint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _word(_: _Loader, suffix: str, __: Any) -> str:
    return f"!{suffix}"


_Loader.add_multi_constructor("!", _word)  # pyright: ignore[reportUnknownMemberType] # yaml's stubs leave it open
_Loader.add_constructor("tag:yaml.org,2002:merge", lambda _, __: "<<")


def parse(data: bytes | str) -> Any:
    """The content of a document; raises `ValueError` that says what is wrong with it, and where."""
    try:
        return yaml.load(data, _Loader)  # noqa: S506 # a safe loader, with less
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(f"{error.problem}{where}") from error
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise ValueError("it is not YAML") from error


def dump(value: Any) -> str:
    """A document with that content."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, explicit_start=True)
