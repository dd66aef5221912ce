"""Scopes that fit nothing here: a word too short, a plugin that is not served, an environment nobody has."""

from collections.abc import Iterable, Iterator, Sequence

from pegboard.loading import Loaded
from pegboard.security.scopes import CLASSES, METRICS, Scope, Scopes
from pegboard.tools import BoundTool
from pegboard.validation import did_you_mean


def strange_scopes(scopes: Scopes, plugins: Sequence[Loaded]) -> list[str]:
    """One line for each of these scopes that no tool of these plugins fits."""
    tools = [tool for plugin in plugins for tool in plugin.tools]
    found = sorted(scopes.scopes, key=str)
    return [f"the scope {str(scope)!r} fits nothing: {why}" for scope in found for why in _why(scope, tools)]


def _why(scope: Scope, tools: Sequence[BoundTool]) -> Iterator[str]:
    if scope == Scope(METRICS):
        return
    covered = [tool for tool in tools if scope.covers(tool)]
    places = {name for tool in covered for name in tool.environments.by_name}
    if scope.plugin is not None and scope.plugin not in {tool.plugin for tool in tools}:
        yield f"no plugin {scope.plugin!r} is served; {_hint(scope.plugin, (tool.plugin for tool in tools))}"
    elif scope.plugin is None and scope.what not in CLASSES and not covered:
        words = (*(name for tool in tools for name in (tool.name, f"{tool.plugin}:*")), *CLASSES, METRICS)
        yield f"there is no tool {scope.what!r}; {_hint(scope.what, words)}"
    elif not covered and scope.what != "write":
        groups = {group for tool in tools if tool.plugin == scope.plugin for group in tool.groups}
        yield f"{scope.plugin!r} has no tools there; {_hint(scope.group or '', groups)}"
    elif covered and scope.environment is not None and scope.environment not in places:
        yield f"there is no environment {scope.environment!r}; {_hint(scope.environment, places)}"


def _hint(name: str, known: Iterable[str]) -> str:
    names = sorted(set(known))
    return did_you_mean(name, names) or "`pegboard tools` lists what there is"
