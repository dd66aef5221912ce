"""Configuration: from `pegboard.toml` and the environment to settings, or to errors one can act on."""

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError

from pegboard.errors import ConfigError
from pegboard.settings import HubSettings, sections
from pegboard.validation import did_you_mean, location, message

FILE_NAME = "pegboard.toml"
PREFIX = "PEGBOARD_"

MOVED = {("limits", "redis"): ("server", "redis")}
"""Settings that have another place now."""

OWN_VARIABLES = frozenset({"PEGBOARD_CONFIG", "PEGBOARD_KEY"})

BESIDE = (("auth", "keys_file"), ("server", "tls_certificate"), ("server", "tls_key"))
"""Paths that count from the folder of the configuration file, since whoever uses them may work in another one."""

M = TypeVar("M", bound=BaseModel)
Table = Mapping[str, Any]


def find_file(given: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The configuration file: the given one, `PEGBOARD_CONFIG`, or `pegboard.toml` here if there is one.

    Raises `ConfigError` when one that was named is not there, or its folder lets nobody look.
    """
    named = given or (Path(environ["PEGBOARD_CONFIG"]) if environ.get("PEGBOARD_CONFIG") else None)
    if named is not None:
        if not _is_file(named):
            raise ConfigError(f"{named}: there is no such file; `pegboard init` writes one")
        return named
    return Path(FILE_NAME) if _is_file(Path(FILE_NAME)) else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # a folder that may not be looked into
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def load_settings(
    path: Path | None = None, environ: Mapping[str, str] = os.environ, *, text: str | None = None
) -> HubSettings:
    """Read the file, if any, and the environment, which wins. With `text` the file says that, whatever is in it now.

    Raises `ConfigError` that lists everything that is wrong, one line each, with no values in it.
    """
    table: Table = {}
    if path is not None:
        written = read_file(path) if text is None else tables_in(text, path)
        table = beside(resolve(written, path.parent, str(path)), path.parent)
    return parse_settings(table, str(path or "the environment"), environ)


def beside(table: Table, folder: Path) -> Table:
    """The tables of a file in `folder`, with the paths that count from there."""
    moved = {**table}
    for section, key in BESIDE:
        given: object = moved.get(section)
        found = cast(dict[str, Any], given) if isinstance(given, dict) else {}
        if isinstance(found.get(key), str):
            moved[section] = {**found, key: str(folder / Path(found[key]).expanduser())}
    return moved


def parse_settings(table: Table, source: str, environ: Mapping[str, str]) -> HubSettings:
    """The settings of a file's tables, references resolved, and the environment. Raises `ConfigError`, see above."""
    _refuse_moved(table, source, environ)
    given = {**table}
    for name, model in sections().items():
        variables = variables_of(name, model, environ)
        if variables and isinstance(given.get(name, {}), dict):
            given[name] = {**given.get(name, {}), **variables}
    return validate(HubSettings, given, source, lambda loc: _variable_or_key(loc, environ))


def _refuse_moved(table: Table, source: str, environ: Mapping[str, str]) -> None:
    for (old, was), (new, now) in MOVED.items():
        section: object = table.get(old)
        if isinstance(section, dict) and was in section:
            raise ConfigError(f"{source}: {old}.{was}: has moved; write `{now}` under [{new}]")
        variable = f"{PREFIX}{old}_{was}".upper()
        if variable in environ:
            raise ConfigError(f"{variable}: has moved; set {PREFIX}{new.upper()}_{now.upper()} in its place")


def read_file(path: Path) -> dict[str, Any]:
    """The file's tables as they are written. Raises `ConfigError` for what is no TOML or cannot be read."""
    return tables_in(read_text(path), path)


def read_text(path: Path) -> str:
    """The file's text. Raises `ConfigError` when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def tables_in(text: str, path: Path) -> dict[str, Any]:
    """The tables of a file that says `text`. Raises `ConfigError` for what is no TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def variables_of(section: str, model: type[BaseModel], environ: Mapping[str, str]) -> dict[str, Any]:
    """What the environment says about a section: `PEGBOARD_POSTGRES_DSN` is `dsn` of `postgres`."""
    prefix = f"{PREFIX}{section}_".upper()
    names = {field: prefix + field.upper() for field in model.model_fields}
    given = {field: environ[name] for field, name in names.items() if name in environ}
    return {field: resolve(value, Path(), names[field]) for field, value in given.items()}


def unknown_variables(
    environ: Mapping[str, str], plugins: Mapping[str, type[BaseModel]], others: Iterable[str] = ()
) -> list[str]:
    """One line for each `PEGBOARD_` variable nobody reads. Kubernetes sets some of its own, so they are no error.

    `others` are the names that are known beside those of the models' fields.
    """
    models = {**sections(), **plugins}
    known = {f"{PREFIX}{name}_{field}".upper() for name, model in models.items() for field in model.model_fields}
    known.update(others)
    strange = sorted(name for name in environ if name.startswith(PREFIX) and name not in known | OWN_VARIABLES)
    return [f"{name}: no setting has this name; {did_you_mean(name, known)}".rstrip("; ") for name in strange]


def resolve(value: Any, folder: Path, source: str) -> Any:
    """Replace `env:NAME` and `file:PATH` by what they point to, anywhere in `value`.

    A relative path counts from `folder`. Raises `ConfigError` that names the reference when it leads nowhere.
    """
    if isinstance(value, dict):
        items = cast(dict[str, Any], value).items()
        return {key: resolve(inner, folder, f"{source}: {key}") for key, inner in items}
    if isinstance(value, list):
        return [resolve(inner, folder, source) for inner in cast(list[Any], value)]
    if isinstance(value, str) and value.startswith("env:"):
        return _from_variable(value.removeprefix("env:"), source)
    if isinstance(value, str) and value.startswith("file:"):
        return _from_file(folder / value.removeprefix("file:"), source)
    return value


def validate(model: type[M], given: Table, source: str, remedy: Callable[[tuple[Any, ...]], str]) -> M:
    """Check `given` against `model`; raises `ConfigError` with one line for each problem, without the values."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        lines: list[str] = []
        for detail in error.errors(include_url=False):
            where = location(detail, given)
            if detail["type"] == "extra_forbidden":
                known = _known_keys(model, detail["loc"][:-1])
                lines.append(f"{where}: unknown key; {_nearest(str(detail['loc'][-1]), known)}")
            else:
                lines.append(f"{where}: {message(detail)}{remedy(detail['loc'])}")
        raise ConfigError("\n".join(f"{source}: {line}" for line in lines)) from None


def _nearest(name: str, known: Iterable[str]) -> str:
    # A key glued from two words is nearest to its parts, which the plain measure misses.
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"


def _known_keys(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    for part in path:
        field = model.model_fields.get(str(part))
        model = (_model_in(field.annotation) if field is not None else None) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first model inside an annotation: `Target` of `dict[str, Target] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _variable_or_key(loc: tuple[Any, ...], environ: Mapping[str, str]) -> str:
    name = PREFIX + "_".join(str(part) for part in loc[:2]).upper()
    return f" (set by the variable {name})" if name in environ else ""


def _from_variable(name: str, source: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise ConfigError(f"{source}: refers to the variable {name}, which is not set") from None


def _from_file(path: Path, source: str) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source}: refers to the file {path}, which cannot be read") from error
