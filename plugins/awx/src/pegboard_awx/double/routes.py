"""Routes: which handler answers which method of which path."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pegboard_awx.double.fields import model_of
from pegboard_awx.double.naming import named
from pegboard_awx.double.refusals import missing, no_page
from pegboard_awx.double.store import Store
from pegboard_awx.double.visits import Reply

Handler = Callable[..., Reply]
Table = Mapping[tuple[str, str], Handler]
"""Handlers by method and pattern: `("POST", "jobs/{id}/cancel/")`; `{id}` is a number or a named URL."""

ORDER = ("GET", "PUT", "PATCH", "POST", "DELETE")


@dataclass(frozen=True, slots=True)
class Found:
    """The handlers of a path by method, and what its placeholders stand for."""

    handlers: Mapping[str, Handler]
    arguments: tuple[Any, ...]

    @property
    def allow(self) -> str:
        """The header `Allow`."""
        methods = [method for method in ORDER if method in self.handlers]
        return ", ".join([*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"])


class Routes:
    """All routes, found by path."""

    def __init__(self, table: Table) -> None:
        self._patterns: dict[str, dict[str, Handler]] = {}
        for (method, pattern), handler in table.items():
            self._patterns.setdefault(pattern, {})[method] = handler

    def find(self, store: Store, path: str) -> Found:
        """What answers a path below the prefix; refuses one that is not there."""
        for pattern, handlers in self._patterns.items():
            match = _expression(pattern).fullmatch(path)
            if match is not None:
                arguments = [
                    _number(store, pattern, text) if name == "id" else text for name, text in match.groupdict().items()
                ]
                return Found(handlers, tuple(arguments))
        raise no_page()


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern))


def _number(store: Store, pattern: str, text: str) -> int:
    if text.isascii() and text.isdecimal():
        return int(text)
    collection = pattern.split("/")[0]
    found = named(store, collection, text)
    if isinstance(found, bool):
        raise no_page()
    if found is None:
        raise missing(model_of(collection))
    return int(found["id"])
