"""An endpoint: a path, a fixed list of tools, prompts and resources, and the one MCP server that answers for them."""

import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import anyio
import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
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
from pegboard.overdue import Abandoned
from pegboard.overflow import CALL_READ_TOOL, CALL_TOOL, SEARCH_TOOLS
from pegboard.plugin import PluginSettings
from pegboard.pools import Pools
from pegboard.prompts import BoundPrompt
from pegboard.resources import BoundResource
from pegboard.results import Results
from pegboard.security.credentials import Sent
from pegboard.security.limits import TooMuch
from pegboard.security.principal import Principal, id_of
from pegboard.settings import CallSettings
from pegboard.sights import NO_TENANTS, Sights
from pegboard.spans import span_of_message
from pegboard.tools import BoundTool, Runner, too_slow, too_stubborn
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

SERVER_BUSY = -32000
"""The code of an error that says: not now."""

MAX_SUBSCRIPTIONS = 1000
SUBSCRIPTIONS_OF_ONE = 250
"""Most of them that one key has, so that none takes those of all others."""
ANNOUNCE_TIMEOUT = 1.0
LONGEST_URI = 1000

NO_TOOLS: Mapping[str, BoundTool] = MappingProxyType({})

_GREETING: ContextVar[InitializationOptions | None] = ContextVar("pegboard_greeting", default=None)
"""What a session is told that begins now; the SDK makes the answer to `initialize` without asking a handler."""

CHANGES: Mapping[str, tuple[ServerEvent, types.ServerNotification]] = {
    "tool_list": (ToolsListChanged(), types.ToolListChangedNotification()),
    "prompt_list": (PromptsListChanged(), types.PromptListChangedNotification()),
    "resource_list": (ResourcesListChanged(), types.ResourceListChangedNotification()),
}
"""What is announced when a list of a view is another one, on 2026-07-28 and before."""


class Endpoint:
    """Serves one offer in every protocol revision; it holds no connection and can serve any number of them."""

    def __init__(self, view: View, version: str, *, pools: Pools, results: Results, tracing: bool = True) -> None:
        self.sights = Sights(view)
        """What each caller sees here."""
        self.bus = InMemorySubscriptionBus()
        self.listen = ListenHandler(self.bus, max_subscriptions=MAX_SUBSCRIPTIONS)
        self._pools = pools
        self._results = results
        self._runner = Runner(results)
        self._calls = CallSettings()
        self._elsewhere: Mapping[str, BoundTool] = NO_TOOLS
        self._sessions: dict[object, ServerSession] = {}
        self._subscribed: Counter[Hashable] = Counter()
        self._choices = Choices()
        self.server = self._build_server(version)
        # In place of the SDK's, which costs 5 % of a call even when its span goes nowhere. Provisional API.
        self.server.middleware[:] = [span_of_message] if tracing else []

    @property
    def view(self) -> View:
        """All that is there to see now."""
        return self.sights.whole

    @property
    def offer(self) -> Offer:
        """What it serves now."""
        return self.sights.whole.offer

    def show(
        self,
        view: View,
        runner: Runner,
        calls: CallSettings,
        tenants: Mapping[str, Offer] = NO_TENANTS,
        elsewhere: Mapping[str, BoundTool] = NO_TOOLS,
    ) -> list[str]:
        """Serve this view from now on, to open sessions too; returns which lists are others now, to be announced.

        `tenants` is what is served to the callers of each tenant in place of the view's offer. `elsewhere` are the
        tools of the whole hub, so that the audit can tell a tool that is kept from somebody from one that is not there.
        """
        changed = self.sights.show(view, tenants)
        self._runner, self._calls, self._elsewhere = runner, calls, elsewhere
        self.server.title = view.offer.title
        if view.prompts or any(offer.prompts for offer in tenants.values()):
            self.server.add_request_handler("prompts/list", types.PaginatedRequestParams, self._list_prompts)
            self.server.add_request_handler("prompts/get", types.GetPromptRequestParams, self._get_prompt)
        return changed

    @asynccontextmanager
    async def greeting(self, principal: Principal | None) -> AsyncGenerator[None]:
        """Tell the sessions over `/mcp` that begin inside of it what this principal sees, and nothing of the rest."""
        token = _GREETING.set(await self._greeting(principal))
        try:
            yield
        finally:
            _GREETING.reset(token)

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

    async def serve(
        self,
        read: ReadStream[SessionMessage | Exception],
        write: WriteStream[SessionMessage],
        principal: Principal | None = None,
    ) -> None:
        """Serve one session of that principal over a pair of streams until the read side ends; cancels its calls then.

        Not `Server.run`, which would enter a lifespan for each session.
        """
        options = await self._greeting(principal)
        key = secrets.token_hex(16)
        try:
            await serve_dual_era_loop(self.server, read, write, lifespan_state={"key": key}, init_options=options)
        finally:
            self._sessions.pop(key, None)
            self._choices.leave(key)
            await self._results.leave(key)

    async def _greeting(self, principal: Principal | None) -> InitializationOptions:
        view = await self.sights.of(principal)
        changes = NotificationOptions(tools_changed=True, prompts_changed=True, resources_changed=True)
        options = self.server.create_initialization_options(changes)
        told = {"instructions": view.instructions, "capabilities": _capable_of(view, options.capabilities)}
        return options.model_copy(update=told)

    async def _discover(self, context: Context, _: types.RequestParams | None) -> types.DiscoverResult:
        """The same for clients of 2026-07-28."""
        view = await self._view(context)
        capabilities = self.server.get_capabilities(protocol_version=context.protocol_version)
        return types.DiscoverResult(
            supported_versions=list(MODERN_PROTOCOL_VERSIONS),
            capabilities=_capable_of(view, capabilities),
            instructions=view.instructions,
        )

    async def _listen(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Tell a client of changes until one of both has enough of it."""
        owner = id_of(principal_of(context))
        if owner is not None and self._subscribed[owner] >= SUBSCRIPTIONS_OF_ONE:
            raise MCPError(SERVER_BUSY, f"this key has {SUBSCRIPTIONS_OF_ONE} subscriptions here; end one of them")
        self._subscribed[owner] += 1
        try:
            return await self.listen(context, params)
        finally:
            self._subscribed[owner] -= 1
            self._subscribed = +self._subscribed  # without those who have none

    async def _remember(self, context: Context, _: types.NotificationParams) -> None:
        """Keep the way to a session, to tell it of changes; the oldest of too many is forgotten."""
        self._sessions[_session_of(context)] = context.session  # there is none of 2026-07-28 that would say so
        if len(self._sessions) > MAX_SUBSCRIPTIONS:
            del self._sessions[next(iter(self._sessions))]

    def _build_server(self, version: str) -> Server[dict[str, Any]]:
        hint = CacheHint(ttl_ms=CACHE_FOR_MS, scope="private")
        server = _Server(
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
            on_subscriptions_listen=self._listen,
        )
        server.add_request_handler("server/discover", types.RequestParams, self._discover)
        server.add_notification_handler("notifications/initialized", types.NotificationParams, self._remember)
        return server

    def takes_headers(self, name: Any) -> bool:
        """Whether a tool of this name wants arguments repeated in headers (`x-mcp-header`, 2026-07-28)."""
        tool = self.view.tools.get(name) if isinstance(name, str) else None
        return tool is not None and tool.takes_headers

    def _input_schema(self, name: str) -> Mapping[str, Any] | None:
        # The SDK walks a schema twice in each call to find out that it says nothing about headers.
        return self.view.tools[name].definition.input_schema if self.takes_headers(name) else None

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
        return await self.sights.of(principal_of(context))

    async def _call_tool(self, context: Context, params: types.CallToolRequestParams) -> Any:
        view, name, arguments = await self._view(context), params.name, params.arguments
        reads = name == CALL_READ_TOOL and view.offer.budget.read_twin
        if view.overflow is not None and (name == CALL_TOOL or reads):
            # From here on it is a call of the inner tool: its deadline, its hooks, its errors.
            name, arguments = view.overflow.read(arguments)
            if name not in (*view.tools, SEARCH_TOOLS):
                self._deny_tool(name, context)
                return error_result(view.overflow.nearest(name))
            if reads and name in view.tools and not view.tools[name].mark.read_only:
                return error_result(f"{name} does not only read; run it with {CALL_TOOL}")
        if view.overflow is not None and name == SEARCH_TOOLS:
            return result([text_block(view.overflow.search(arguments))])
        tool = view.tools.get(name)
        if tool is None:
            self._deny_tool(name, context)
            raise MCPError(types.INVALID_PARAMS, _unknown("tool", name, view.tools))
        call = self._call(context, tool, tool.mark.timeout, params)
        refusal = None if view is self.view else self._deny_place(tool, arguments, call, context)
        return refusal or await self._runner(tool, arguments, call)

    def _deny_tool(self, name: str, context: Context) -> None:
        """Write down that somebody asked for a tool that is there, and not for them, or not at this endpoint."""
        for reason, tools in (("scope", self._whole(context).tools), ("endpoint", self._elsewhere.values())):
            found = [tool for tool in tools if name == tool.name or name in tool.aliases]
            if found:
                self._deny(context, found, reason)
                return

    def _deny(
        self, context: Context, found: Sequence[BoundTool | BoundPrompt | BoundResource], reason: str = "scope"
    ) -> None:
        """Write down that the first of these was asked for, if there is one."""
        for bound in found[:1]:
            self._runner.denied(reason, self._call(context, bound))

    def _deny_place(
        self, tool: BoundTool, arguments: Mapping[str, Any] | None, call: Call[PluginSettings], context: Context
    ) -> Any:
        """Refuse, and write down, a call to an environment that is there, and not for them; as if it were not there."""
        named = tool.named_environment(arguments, call)
        whole = next((one for one in self._whole(context).tools if one.name == tool.name), tool)
        if not isinstance(named, str) or named in tool.environments.by_name or named not in whole.environments.by_name:
            return None
        call.environment = named
        self._runner.denied("environment", call)
        return error_result(str(tool.not_in(named, arguments)))

    def _whole(self, context: Context) -> Offer:
        """What there is for this caller's tenant, whatever the scopes are."""
        return self.sights.offer_to(principal_of(context))

    async def _get_prompt(self, context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        view = await self._view(context)
        prompt = view.prompts.get(params.name)
        if prompt is None:
            self._deny(context, [one for one in self._whole(context).prompts if one.name == params.name])
            raise MCPError(types.INVALID_PARAMS, _unknown("prompt", params.name, view.prompts))
        call = self._call(context, prompt)
        messages = await self._answer(params.arguments, call, partial(prompt.render, params.arguments, call))
        return types.GetPromptResult(description=prompt.definition.description, messages=messages)

    async def _read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        for resource in (await self._view(context)).offer.resources:
            values = resource.match(params.uri)
            if values is not None:
                call = self._call(context, resource)
                contents = await self._answer(values, call, partial(resource.read, params.uri, values, call))
                return types.ReadResourceResult(contents=[contents])
        self._deny(context, [one for one in self._whole(context).resources if one.match(params.uri) is not None])
        uri = params.uri[:LONGEST_URI]  # and not back all that somebody has sent
        raise MCPError(types.INVALID_PARAMS, f"there is no resource {uri!r} here", {"uri": uri})

    async def _answer(self, given: Mapping[str, Any] | None, call: Call[Any], work: Callable[[], Awaitable[T]]) -> T:
        """Run what has no error result of its own under the same rules as a tool: record, deadline, masking."""
        with self._runner.audit.call(call, given, read_only=True) as record:
            try:
                async with self._runner.limits.running(call.principal, call.plugin, call.deadline) as turn:
                    answer = await self._runner.overdue.run(call, turn, partial(_with_pools, call, work))
                if answer is not None:
                    record.outcome = "ok"
                    return answer
            except Abandoned:
                record.outcome = "timeout"
                raise MCPError(types.INTERNAL_ERROR, too_stubborn(call.tool, call)) from None
            except TooMuch as limit:
                record.refuse(limit.limit)
                raise MCPError(SERVER_BUSY, limit.message, {"retryAfter": limit.retry_after}) from None
            except PegboardError as error:
                raise MCPError(types.INVALID_PARAMS, self._runner.told(error, call)) from None
            except (MCPError, anyio.get_cancelled_exc_class()):
                raise
            except BaseException:  # noqa: BLE001 # what a plugin raises must not reach the client with its text
                told = self._runner.crashed(call.plugin, call.tool, "a crash", record)
                raise MCPError(types.INTERNAL_ERROR, told) from None
            record.outcome = "timeout"
            raise MCPError(types.INTERNAL_ERROR, too_slow(call.tool, call))

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
            hurried=seconds < (timeout or self._calls.deadline),
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
            sent=self._sent(bound.plugin, context, principal),
            seal=self._results.seal,
        )

    def _sent(self, plugin: str, context: Context, principal: Principal | None) -> Sent:
        """The credentials that came with this very request, be it a POST to a session that another one opened."""
        scope: Mapping[str, Any] = getattr(context.request, "scope", None) or {}
        return self._runner.credentials.sent(plugin, scope.get("headers", ()), is_known=principal is not None)

    def _seconds(self, context: Context, timeout: float | None) -> float:
        wanted: Any = (context.meta or {}).get(DEADLINE_KEY)
        if isinstance(wanted, int | float) and wanted > 0:
            return min(wanted, self._calls.max_deadline)
        return timeout or self._calls.deadline


async def _with_pools(call: Call[Any], work: Callable[[], Awaitable[T]]) -> T:
    with call.borrowing():
        call.settings = call.sent.over(call.settings)
        return await work()


class _Server(Server[dict[str, Any]]):
    """The SDK's server, which tells a session over `/mcp` what was put together for it."""

    def create_initialization_options(self, *args: Any, **kwargs: Any) -> InitializationOptions:
        return _GREETING.get() or super().create_initialization_options(*args, **kwargs)


def _capable_of(view: View, capabilities: types.ServerCapabilities) -> types.ServerCapabilities:
    """Without prompts for somebody who sees none: that there are some is none of their business."""
    return capabilities if view.prompts else capabilities.model_copy(update={"prompts": None})


def principal_of(context: Context | None) -> Principal | None:
    """Who sent this very request; `None` where the hub asks for no keys, and on standard input."""
    scope = getattr(getattr(context, "request", None), "scope", None)
    return scope.get(PRINCIPAL) if scope is not None else None


def _session_of(context: Context) -> Hashable | None:
    """What stands for the session: made by `serve`, or the client's header over `/mcp`; none on 2026-07-28 there.

    On 2026-07-28 nobody has looked whose session such a header names.
    """
    key: Hashable | None = context.lifespan_context.get("key")
    if key is not None or context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return key
    return getattr(context.request, "headers", {}).get("mcp-session-id")


async def _notify(session: ServerSession, notification: types.ServerNotification) -> None:
    with anyio.move_on_after(ANNOUNCE_TIMEOUT):
        await session.send_notification(notification)


def _only_page(params: types.PaginatedRequestParams | None) -> None:
    if params is not None and params.cursor is not None:
        raise MCPError(types.INVALID_PARAMS, "unknown cursor; this list has one page")


def _unknown(what: str, name: str, known: Mapping[str, Any]) -> str:
    hint = did_you_mean(name, known) or "the list has all there are"
    return f"Unknown {what}: {name[:100]!r}; {hint}"
