"""What a plugin is: a name, some functions, a settings model. Values only; nothing here does I/O."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args, overload

from pydantic import BaseModel, ConfigDict, SecretStr

from pegboard.errors import PluginError

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)

MAX_TOOL_NAME = 64
"""Claude clients refuse longer tool names."""

Writes = Literal["deny", "confirm", "allow"]
"""What an operator says about the tools of a plugin that do not only read."""

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
PLACE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
"""What an endpoint or an environment may be called: operators like dashes, and nothing has to be named after it."""

TOOL_NAME = re.compile(r"[A-Za-z0-9_.-]+")
MARK = "__pegboard_tool__"

PATHS = frozenset({"docs", "health", "mcp", "messages", "metrics", "profiles", "ready", "sse"})
SECTIONS = frozenset({
    "audit", "auth", "budget", "calls", "keys", "limits", "loading", "log", "oauth", "pools", "results", "server",
    "telemetry", "tenants", "trust",
})  # fmt: skip
RESERVED_NAMES = PATHS | SECTIONS
"""Names a plugin cannot have, since they are paths or sections of the hub itself."""
HUB = "hub"
"""The name of the hub's own plugin."""

HEADER = re.compile(r"X(-[A-Za-z0-9]{1,32}){1,4}")
RESERVED_HEADERS = ("x-forwarded-", "x-http-", "x-internal-", "x-original-", "x-real-", "x-request-")
"""How headers begin that the hub or a proxy reads, so that none of them can carry a credential for a plugin."""

RESERVED_TOOLS = frozenset({"call_read_tool", "call_tool", "fetch_more", "search_tools"})
"""Names a tool cannot have, since the hub's own stand beside it."""


class PluginSettings(BaseModel):
    """Base of a plugin's settings: frozen, unknown keys are errors, every value checked, defaults too."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


@dataclass(frozen=True, slots=True)
class ToolMark:
    """What `tool()` writes down about a function. `None` means: the hub decides."""

    name: str | None = None
    title: str | None = None
    read_only: bool = False
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None
    timeout: float | None = None
    priority: int = 0
    confirms: bool = False
    everywhere: bool = False

    def __post_init__(self) -> None:
        if self.timeout is not None and self.timeout <= 0:
            raise PluginError(f"timeout must be a positive number of seconds, not {self.timeout}")


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    *,
    name: str | None = None,
    title: str | None = None,
    read_only: bool = False,
    destructive: bool | None = None,
    idempotent: bool | None = None,
    open_world: bool | None = None,
    timeout: float | None = None,
    priority: int = 0,
    confirms: bool = False,
    everywhere: bool = False,
) -> Callable[[F], F]: ...
def tool(function: Function | None = None, /, **mark: Any) -> Any:
    """Mark a function as a tool; the function itself is returned unchanged.

    The signature is the input schema (describe a parameter with `Annotated[int, Field(description=...)]`), the
    docstring is what the model reads, the return annotation is the output schema. A parameter annotated `Call`
    receives the call and never reaches the schema. A sync function is run in a thread.

    The tool is called `<plugin>_<function>`; an explicit `name` is used as it stands. `read_only`, `destructive`,
    `idempotent` and `open_world` become the annotations of the same names in MCP; say the truth, since clients ask
    their users by them. `timeout` is this tool's deadline in seconds, in place of the hub's. Where a budget cannot
    list every tool, those of higher `priority` are listed first.

    A tool that is not `read_only` is served only where the operator lets the plugin write (`writes` in its section).
    Where that says "confirm" the hub asks the user before it runs; a tool that `confirms` itself, because it has more
    to show than its arguments, reads that from `Call.writes`.

    A tool that is `everywhere` is about the environments themselves: it has no `environment` argument, finds all of
    them in `Call.environments`, and is always served, so it must not write in any.
    """

    def marked(function: Function) -> Function:
        setattr(function, MARK, ToolMark(**mark))
        return function

    return marked if function is None else marked(function)


def mark_of(function: Function) -> ToolMark:
    """The mark of a function; one never marked counts as marked with the defaults."""
    return getattr(function, MARK, ToolMark())


@dataclass(frozen=True, slots=True)
class Group:
    """Some tools of a plugin that belong together, five to eight of them; they get an endpoint of their own.

    `Group("inventory", tools=[...])` of plugin `awx` is served at `/awx/inventory/sse` and `/awx/inventory/mcp`.
    `needs` is a key of the plugin's settings: the group's tools are served only in environments where it is set, so
    that an operator opts in to what a plugin does not offer by itself.
    """

    name: str
    title: str | None = None
    tools: Sequence[Function] = ()
    needs: str | None = None

    def __post_init__(self) -> None:
        _check_name("group", self.name)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin, as `hub_plugin()` returns it.

    `name` is lower case letters, digits and underscores, at most 32, and is everything at once: the entry point, the
    URL segment, the prefix of the tools and the section of the configuration. `tools` come first, then those of
    `groups`, in the order written; a tool may stand in both and counts once. `prompts` is a list of functions, or a
    mapping when the name shall not carry the plugin's prefix; a prompt's parameters are its arguments and it returns
    a string or MCP prompt messages. `resources` maps a URI, or a URI template like `notes://{id}`, to a function
    that returns a string, bytes, or anything JSON can carry. Both may take a `Call`, as tools do. `aliases` maps other
    names, such as those of an older server, to those of tools, with or without the prefix; nothing lists them, and
    `call_tool` and `search_tools` understand them.

    `login` are the keys of its settings that say as whom it logs in at its backend; a tenant that has one of them of
    its own takes none from the operator's section. `credentials` maps headers to such keys: with
    `{"X-Notes-Token": "token"}` a caller who has shown a key may send the token to use for a request, which then
    stands in `Call.settings` in place of the whole login. The key must hold a `SecretStr`. Where a call goes is never
    up to a header.

    Raises `PluginError` for a name that cannot be used.
    """

    name: str
    tools: Sequence[Function] = ()
    groups: Sequence[Group] = ()
    settings: type[PluginSettings] = PluginSettings
    instructions: str | None = None
    prompts: Sequence[Function] | Mapping[str, Function] = ()
    resources: Mapping[str, Function] = field(default_factory=lambda: MappingProxyType({}))
    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    credentials: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    login: Sequence[str] = ()

    def __post_init__(self) -> None:
        _check_name("plugin", self.name)
        if self.name in RESERVED_NAMES:
            raise PluginError(f"{self.name!r} is a path or a section of the hub itself; choose another plugin name")
        names = [group.name for group in self.groups]
        for name in names:
            if names.count(name) > 1:
                raise PluginError(f"plugin {self.name!r} has two groups called {name!r}; each needs a path of its own")
        self._check_needs()
        self._check_aliases()
        self._check_login()

    def functions(self) -> list[tuple[Function, str | None]]:
        """Every tool function once, in canonical order, with the name of its (first) group or `None`."""
        groups = {function: group.name for group in reversed(self.groups) for function in group.tools}
        ordered = [*self.tools, *(function for group in self.groups for function in group.tools)]
        return [(function, groups.get(function)) for function in dict.fromkeys(ordered)]

    def tool_name(self, function: Function) -> str:
        """The name clients call the function by; raises `PluginError` for one they cannot use."""
        name = mark_of(function).name or self.prefixed(function.__name__)
        if len(name) > MAX_TOOL_NAME:
            raise PluginError(
                f"the tool name {name!r} has {len(name)} characters and clients accept {MAX_TOOL_NAME}; "
                f"give it a shorter one with @tool(name=...)"
            )
        if not TOOL_NAME.fullmatch(name):
            raise PluginError(f"the tool name {name!r} may only have letters, digits, '_', '-' and '.'")
        if name in RESERVED_TOOLS and self.name != HUB:
            raise PluginError(f"the tool name {name!r} is one of the hub's own; give it another with @tool(name=...)")
        return name

    def aliases_of(self, name: str) -> tuple[str, ...]:
        """The other names of the tool of that name, as they are written and behind the plugin's prefix."""
        found = [alias for alias, target in self.aliases.items() if self.prefixed(target) == name or target == name]
        return tuple(alias for alias in dict.fromkeys([*found, *map(self.prefixed, found)]) if alias != name)

    def prefixed(self, name: str) -> str:
        """The name behind the plugin's prefix; one that carries it already stays as it is."""
        return name if name.startswith(f"{self.name}_") else f"{self.name}_{name}"

    def _check_needs(self) -> None:
        for group in self.groups:
            if group.needs is not None and group.needs not in self.settings.model_fields:
                raise PluginError(
                    f"group {group.name!r} needs {group.needs!r}, which is no key of the plugin's settings"
                )

    @property
    def login_keys(self) -> frozenset[str]:
        """The keys of the settings that say as whom it logs in."""
        return frozenset((*self.login, *self.credentials.values()))

    def _check_login(self) -> None:
        if not self.login_keys:
            return
        fields = self.settings.model_fields
        for key in sorted(self.login_keys):
            if key not in fields:
                raise PluginError(f"it logs in with {key!r}, which is no key of the plugin's settings")
        if len({header.lower() for header in self.credentials}) < len(self.credentials):
            raise PluginError("one header cannot carry two credentials")
        for header, key in self.credentials.items():
            if not HEADER.fullmatch(header) or header.lower().startswith(RESERVED_HEADERS):
                raise PluginError(f"{header!r} cannot carry a credential; call it X-{self.name.title()}-Token, say")
            if SecretStr not in (fields[key].annotation, *get_args(fields[key].annotation)):
                raise PluginError(f"{header} is for {key!r}, which must be a SecretStr: nobody may read it in a log")

    def _check_aliases(self) -> None:
        if not self.aliases:
            return
        names = {self.tool_name(function) for function, _ in self.functions()}
        for alias, target in self.aliases.items():
            if not {target, self.prefixed(target)} & names:
                raise PluginError(f"the alias {alias!r} stands for {target!r}, which is no tool of the plugin")


def _check_name(what: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise PluginError(
            f"{name!r} cannot be the name of a {what}: it is part of URLs and variables, "
            f"so use 1 to 32 lower case letters, digits and underscores, a letter first"
        )
