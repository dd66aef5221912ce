"""Scopes: which tools somebody may call, and where; values, and pure.

    *                      everything
    read, write            the tools that only read; those that do not
    postgres:*             every tool of a plugin; postgres:read and postgres:write, too
    awx/jobs:*             every tool of a group; awx/jobs:read and awx/jobs:write, too
    postgres_query         one tool
    metrics                no tool: the pages for operators

Behind any of them `@prod` says: in that environment only. Several scopes allow what any of them allows.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from pegboard.errors import ConfigError

PLACE = r"[a-z][a-z0-9_]{0,31}"
SCOPE = re.compile(
    rf"(?:(?P<plugin>{PLACE})(?:/(?P<group>{PLACE}))?:)?(?P<what>\*|[A-Za-z0-9_.-]{{1,64}})"
    r"(?:@(?P<environment>[a-z][a-z0-9_-]{0,31}))?"
)
CLASSES = frozenset({"*", "read", "write"})
METRICS = "metrics"


class Scoped(Protocol):
    """What a scope is asked about: a tool."""

    @property
    def name(self) -> str: ...
    @property
    def plugin(self) -> str: ...
    @property
    def groups(self) -> Collection[str]: ...
    @property
    def writes(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope, read."""

    what: str
    plugin: str | None = None
    group: str | None = None
    environment: str | None = None

    @classmethod
    def of(cls, text: str) -> "Scope":
        """Read one. Raises `ConfigError` that says what there is."""
        match = SCOPE.fullmatch(text)
        if match is None or (match["plugin"] and match["what"] not in CLASSES):
            raise ConfigError(
                f"{text[:80]!r} is no scope; write *, read, write, PLUGIN:*, PLUGIN:read, PLUGIN/GROUP:*, the name of "
                f"a tool or metrics, each with @ENVIRONMENT behind it or without"
            )
        return cls(match["what"], match["plugin"], match["group"], match["environment"])

    def covers(self, tool: Scoped) -> bool:
        """Whether it is about this tool, in whatever environment."""
        if self.plugin is None and self.what not in CLASSES:
            return self.what == tool.name
        if self.plugin not in (None, tool.plugin) or (self.group is not None and self.group not in tool.groups):
            return False
        return self.what == "*" or (self.what == "write") == tool.writes

    def __str__(self) -> str:
        place = f"{self.plugin}{f'/{self.group}' if self.group else ''}:" if self.plugin else ""
        return f"{place}{self.what}{f'@{self.environment}' if self.environment else ''}"


@dataclass(frozen=True, slots=True)
class Scopes:
    """What somebody may do; equal ones see the same."""

    scopes: frozenset[Scope]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Scopes":
        """Read them. Raises `ConfigError` for the first that is none."""
        return cls(frozenset(map(Scope.of, texts)))

    @property
    def is_everything(self) -> bool:
        """Whether nothing is kept from them."""
        return EVERYTHING in self.scopes

    @property
    def may_operate(self) -> bool:
        """Whether they may see the pages for operators: metrics, and the details of health."""
        return self.is_everything or Scope(METRICS) in self.scopes

    def places(self, tool: Scoped, environments: Iterable[str]) -> list[str]:
        """The environments, of these, where they may call this tool."""
        about = [scope for scope in self.scopes if scope.covers(tool)]
        anywhere = any(scope.environment is None for scope in about)
        named = {scope.environment for scope in about}
        return [name for name in environments if anywhere or name in named]

    def allows_plugin(self, plugin: str) -> bool:
        """Whether they may read what belongs to a plugin as a whole: its prompts and resources.

        Scopes for one group or one environment do not allow that.
        """
        whole = [scope for scope in self.scopes if scope.group is None and scope.environment is None]
        return any(scope.what in ("*", "read") and scope.plugin in (None, plugin) for scope in whole)

    def __str__(self) -> str:
        return " ".join(sorted(map(str, self.scopes)))


EVERYTHING = Scope("*")
"""The scope that allows all, everywhere."""
