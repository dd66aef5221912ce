"""An endpoint: a path, a fixed list of tools, prompts and resources, and the one MCP server that answers for them."""

import secrets
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.runner import serve_dual_era_loop
from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ServerEvent,
    ToolsListChanged,
)
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from pegboard.call import Call
from pegboard.choices import Choices
from pegboard.environments import NOWHERE
from pegboard.errors import PegboardError
from pegboard.output import error_result, result, text_block
from pegboard.overflow import CALL_READ_TOOL, CALL_TOOL, SEARCH_TOOLS
from pegboard.plugin import PluginSettings
from pegboard.pools import Pools
from pegboard.prompts import BoundPrompt
from pegboard.resources import BoundResource
from pegboard.results import Results
from pegboard.security.principal import Principal
from pegboard.settings import CallSettings
from pegboard.tools import BoundTool, Runner, too_slow
from pegboard.validation import did_you_mean
from pegboard.view import Offer, View

T = TypeVar("T")
Context = ServerRequestContext[Any, Any]

DEADLINE_KEY = "pegboard/deadline"
"""In the `_meta` of a request: how many seconds this call may take."""

CACHE_FOR_MS = 300_000
"""How long clients of 2026-07-28 may keep a list; it changes only with the configuration, and that is announced."""

PRINCIPAL = "pegboard.principal"
"""In the scope of an HTTP request: who sent it."""

MAX_SUBSCRIPTIONS = 1000
ANNOUNCE_TIMEOUT = 1.0

MAX_PLACES = 20
"""How many other endpoints the instructions name, which every conversation pays for."""

MAX_VIEWS = 256
"""How many different sights of one endpoint are kept."""

NO_TENANTS: Mapping[str, Offer] = MappingProxyType({})
NOTHING: Mapping[str, Any] = MappingProxyType({"tools": (), "prompts": (), "resources": (), "more": None})

CHANGES: Mapping[str, tuple[ServerEvent, types.ServerNotification]] = {
    "tool_list": (ToolsListChanged(), types.ToolListChangedNotification()),
    "prompt_list": (PromptsListChanged(), types.PromptListChangedNotification()),
    "resource_list": (ResourcesListChanged(), types.ResourceListChangedNotification()),
}
"""What is announced when a list of a view is another one, on 2026-07-28 and before."""


class Endpoint:
    """Serves one offer in every protocol revision; it holds no connection and can serve any number of them."""

    def __init__(self, view: View, version: str, *, pools: Pools, results: Results, tracing: bool = True) -> None:
        self.view = view
        self.bus = InMemorySubscriptionBus()
        self.listen = ListenHandler(self.bus, max_subscriptions=MAX_SUBSCRIPTIONS)
        self._pools = pools
        self._results = results
        self._runner = Runner(results)
        self._calls = CallSettings()
        self._tenants: Mapping[str, Offer] = NO_TENANTS
        self._views: dict[Hashable, View] = {}
        self._building = anyio.Lock()
        self._sessions: dict[object, ServerSession] = {}
        self._choices = Choices()
        self.server = self._build_server(version)
        if not tracing:
            # The SDK's span for every message costs 5 % of a call even when it goes nowhere. Provisional API.
            self.server.middleware.clear()

    @property
    def offer(self) -> Offer:
        """What it serves now."""
        return self.view.offer

    def show(
        self, view: View, runner: Runner, calls: CallSettings, tenants: Mapping[str, Offer] = NO_TENANTS
    ) -> list[str]:
        """Serve this view from now on, to open sessions too; returns which lists are others now, to be announced.

        `tenants` is what is served to the callers of each tenant in place of the view's offer.
        """
        changed = [kind for kind in CHANGES if getattr(view, kind) != getattr(self.view, kind)]
        self.view, self._runner, self._calls = view, runner, calls
        self._tenants, self._views = tenants, {}
        self.server.title, self.server.instructions = view.offer.title, _instructions(view)
        if view.prompts:
            self.server.add_request_handler("prompts/list", types.PaginatedRequestParams, self._list_prompts)
            self.server.add_request_handler("prompts/get", types.GetPromptRequestParams, self._get_prompt)
        return changed

    async def view_of(self, principal: Principal | None) -> View:
        """What somebody sees here: the whole view without authentication, else what their scopes and tenant leave.

        Built when it is first asked for, in a thread, and kept for everybody with the same scopes and tenant.
        """
        if principal is None or (principal.scopes.is_everything and principal.tenant is None):
            return self.view
        view = self._views.get(principal.sight)
        if view is None:
            async with self._building:
                view = self._views.get(principal.sight) or await self._build_view(principal)
        return view

    async def _build_view(self, principal: Principal) -> View:
        tenant, views = principal.tenant, self._views
        offer = self.offer if tenant is None else self._tenants.get(tenant, replace(self.offer, **NOTHING))
        view = await anyio.to_thread.run_sync(View.of, offer.seen_by(principal.scopes))
        while len(views) >= MAX_VIEWS:
            del views[next(iter(views))]
        views[principal.sight] = view
        return view

    async def announce(self, changed: Iterable[str]) -> None:
        """Tell who listens which lists are others now; a client that does not read holds up nobody."""
        async with anyio.create_task_group() as tasks:
            for event, notification in [CHANGES[kind] for kind in changed]:
                await self.bus.publish(event)
                for session in self._sessions.values():
                    tasks.start_soon(_notify, session, notification)

    async def forget(self, session_id: str) -> None:
        """A session over `/mcp` has ended."""
        self._sessions.pop(session_id, None)
        self._choices.leave(session_id)
        await self._results.leave(session_id)

    async def serve(self, read: ReadStream[SessionMessage | Exception], write: WriteStream[SessionMessage]) -> None:
        """Serve one session over a pair of streams until the read side ends; cancels its calls then.

        Not `Server.run`, which would enter a lifespan for each session.
        """
        changes = NotificationOptions(tools_changed=True, prompts_changed=True, resources_changed=True)
        options = self.server.create_initialization_options(changes)
        key = secrets.token_hex(16)
        try:
            await serve_dual_era_loop(self.server, read, write, lifespan_state={"key": key}, init_options=options)
        finally:
            self._sessions.pop(key, None)
            self._choices.leave(key)
            await self._results.leave(key)

    async def _remember(self, context: Context, _: types.NotificationParams) -> None:
        """Keep the way to a session, to tell it of changes; the oldest of too many is forgotten."""
        key = _session_of(context)
        if key is not None:
            self._sessions[key] = context.session
            if len(self._sessions) > MAX_SUBSCRIPTIONS:
                del self._sessions[next(iter(self._sessions))]

    def _build_server(self, version: str) -> Server[dict[str, Any]]:
        hint = CacheHint(ttl_ms=CACHE_FOR_MS, scope="private")
        server: Server[dict[str, Any]] = Server(
            f"pegboard {self.offer.name}",
            version=version,
            cache_hints={"tools/list": hint, "prompts/list": hint, "resources/list": hint, "server/discover": hint},
            # Without it the SDK runs the whole tools/list before each call (2026-07-28).
            get_tool_input_schema=self._input_schema,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,  # pyright: ignore[reportArgumentType] # a dict is a HandlerResult, too
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_subscriptions_listen=self.listen,
        )
        server.add_notification_handler("notifications/initialized", types.NotificationParams, self._remember)
        return server

    def _input_schema(self, name: str) -> Mapping[str, Any] | None:
        tool = self.view.tools.get(name)
        return tool.definition.input_schema if tool is not None else None

    async def _list_tools(self, context: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        _only_page(params)
        return (await self._view(context)).tool_list

    async def _list_prompts(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        _only_page(params)
        return (await self._view(context)).prompt_list

    async def _list_resources(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        _only_page(params)
        return (await self._view(context)).resource_list

    async def _list_templates(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        _only_page(params)
        return (await self._view(context)).template_list

    async def _view(self, context: Context) -> View:
        return await self.view_of(principal_of(context))

    async def _call_tool(self, context: Context, params: types.CallToolRequestParams) -> Any:
        view, name, arguments = await self._view(context), params.name, params.arguments
        reads = name == CALL_READ_TOOL and view.offer.budget.read_twin
        if view.overflow is not None and (name == CALL_TOOL or reads):
            # From here on it is a call of the inner tool: its deadline, its hooks, its errors.
            name, arguments = view.overflow.read(arguments)
            if name not in (*view.tools, SEARCH_TOOLS):
                self._deny(name, context)
                return error_result(view.overflow.nearest(name))
            if reads and name in view.tools and not view.tools[name].mark.read_only:
                return error_result(f"{name} does not only read; run it with {CALL_TOOL}")
        if view.overflow is not None and name == SEARCH_TOOLS:
            return result([text_block(view.overflow.search(arguments))])
        tool = view.tools.get(name)
        if tool is None:
            self._deny(name, context)
            raise MCPError(types.INVALID_PARAMS, _unknown("tool", name, view.tools))
        call = self._call(context, tool, tool.mark.timeout, params)
        return await self._runner(tool, arguments, call)

    def _deny(self, name: str, context: Context) -> None:
        """Write down that somebody asked for a tool that is here, and not for them."""
        tool, principal = self.view.tools.get(name), principal_of(context)
        if tool is not None and principal is not None:
            self._runner.denied("scope", self._call(context, tool))

    async def _get_prompt(self, context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        view = await self._view(context)
        prompt = view.prompts.get(params.name)
        if prompt is None:
            raise MCPError(types.INVALID_PARAMS, _unknown("prompt", params.name, view.prompts))
        call = self._call(context, prompt)
        messages = await self._answer(prompt.name, call, partial(prompt.render, params.arguments, call))
        return types.GetPromptResult(description=prompt.definition.description, messages=messages)

    async def _read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        for resource in (await self._view(context)).offer.resources:
            values = resource.match(params.uri)
            if values is not None:
                call = self._call(context, resource)
                contents = await self._answer(resource.name, call, partial(resource.read, params.uri, values, call))
                return types.ReadResourceResult(contents=[contents])
        raise MCPError(types.INVALID_PARAMS, f"there is no resource {params.uri!r} here", {"uri": params.uri})

    async def _answer(self, name: str, call: Call[Any], work: Callable[[], Awaitable[T]]) -> T:
        """Run what has no error result of its own under the same rules as a tool: deadline, masking, reference."""
        try:
            with anyio.CancelScope(deadline=call.deadline):
                return await work()
        except PegboardError as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from None
        except (MCPError, anyio.get_cancelled_exc_class()):
            raise
        except BaseException:  # noqa: BLE001 # what a plugin raises must not reach the client with its text
            raise MCPError(types.INTERNAL_ERROR, self._runner.crashed(call.plugin, name, "a crash")) from None
        raise MCPError(types.INTERNAL_ERROR, too_slow(name, call))

    def _call(
        self,
        context: Context,
        bound: BoundTool | BoundPrompt | BoundResource,
        timeout: float | None = None,
        params: types.CallToolRequestParams | None = None,
    ) -> Call[PluginSettings]:
        seconds = self._seconds(context, timeout)
        principal = principal_of(context)
        return Call(
            settings=bound.environments.settings if isinstance(bound, BoundTool) else bound.settings,
            plugin=bound.plugin,
            tool=bound.name,
            endpoint=self.offer.name,
            timeout=seconds,
            deadline=anyio.current_time() + seconds,
            pools=self._pools,
            request=context,
            limits=self._results.limits,
            principal=principal.id if principal is not None else None,
            tenant=principal.tenant if principal is not None else None,
            scopes=principal.scopes if principal is not None else None,
            environments=bound.environments if isinstance(bound, BoundTool) else NOWHERE,
            session=_session_of(context),
            choices=None if context.protocol_version in MODERN_PROTOCOL_VERSIONS else self._choices,
            answers=(params.input_responses if params is not None else None) or {},
            state=(params.request_state if params is not None else None) or "",
            seal=self._results.seal,
        )

    def _seconds(self, context: Context, timeout: float | None) -> float:
        wanted: Any = (context.meta or {}).get(DEADLINE_KEY)
        if isinstance(wanted, int | float) and wanted > 0:
            return min(wanted, self._calls.max_deadline)
        return timeout or self._calls.deadline


def principal_of(context: Context) -> Principal | None:
    """Who sent this very request; `None` where the hub asks for no keys, and on standard input."""
    scope = getattr(context.request, "scope", None)
    return scope.get(PRINCIPAL) if scope is not None else None


def _session_of(context: Context) -> Hashable | None:
    """What stands for the session: made by `serve`, or the client's header over `/mcp`; none on 2026-07-28."""
    key: Hashable | None = context.lifespan_context.get("key")
    return key or getattr(context.request, "headers", {}).get("mcp-session-id")


async def _notify(session: ServerSession, notification: types.ServerNotification) -> None:
    with anyio.move_on_after(ANNOUNCE_TIMEOUT):
        await session.send_notification(notification)


def _instructions(view: View) -> str | None:
    """A few words for the model, and how to reach what is not listed."""
    lines = [view.offer.instructions]
    hidden = [view.tools[line.name] for line in view.fit.dropped]
    if view.overflow is not None:
        lines.append(f"{len(hidden)} more tools are not listed: {SEARCH_TOOLS} finds them, {CALL_TOOL} runs them.")
    elif hidden:
        places = list(dict.fromkeys(_place(tool, view.offer.path) for tool in hidden))
        more = f" and {len(places) - MAX_PLACES} more" if len(places) > MAX_PLACES else ""
        lines.append(f"{len(hidden)} more tools are listed at {', '.join(places[:MAX_PLACES])}{more}.")
    return "\n".join(filter(None, lines)) or None


def _place(tool: BoundTool, path: str) -> str:
    """Where a tool is listed that is not at `path`."""
    if tool.group:
        return f"/{tool.plugin}/{tool.group}"
    return f"/{tool.plugin}" if path != f"/{tool.plugin}" else "/profiles/unlimited"


def _only_page(params: types.PaginatedRequestParams | None) -> None:
    if params is not None and params.cursor is not None:
        raise MCPError(types.INVALID_PARAMS, "unknown cursor; this list has one page")


def _unknown(what: str, name: str, known: Mapping[str, Any]) -> str:
    hint = did_you_mean(name, known) or "the list has all there are"
    return f"Unknown {what}: {name[:100]!r}; {hint}"
