"""An endpoint: a path, a fixed list of tools, prompts and resources, and the one MCP server that answers for them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import anyio
import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.runner import serve_dual_era_loop
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage

from pegboard.call import Call
from pegboard.errors import PegboardError
from pegboard.plugin import PluginSettings
from pegboard.pools import Pools
from pegboard.prompts import BoundPrompt
from pegboard.resources import BoundResource
from pegboard.settings import CallSettings
from pegboard.tools import BoundTool, Runner, too_slow
from pegboard.validation import did_you_mean

T = TypeVar("T")
Context = ServerRequestContext[Any, Any]

DEADLINE_KEY = "pegboard/deadline"
"""In the `_meta` of a request: how many seconds this call may take."""

CACHE_FOR_MS = 300_000
"""How long clients of 2026-07-28 may keep a list; it changes only with the configuration, and that is announced."""

MAX_SUBSCRIPTIONS = 1000


@dataclass(frozen=True, slots=True)
class Offer:
    """What an endpoint serves: its name and text for people and models, and what can be called there."""

    name: str
    """`all`, a plugin, or `plugin/group`."""
    path: str
    """What stands before `/sse` and `/mcp`: empty for the whole hub, else `/plugin` or `/plugin/group`."""
    title: str
    instructions: str | None = None
    tools: Sequence[BoundTool] = ()
    prompts: Sequence[BoundPrompt] = ()
    resources: Sequence[BoundResource] = ()


class Endpoint:
    """Serves one offer in every protocol revision; it holds no connection and can serve any number of them."""

    def __init__(
        self, offer: Offer, version: str, *, calls: CallSettings, runner: Runner, pools: Pools, tracing: bool = True
    ) -> None:
        self.offer = offer
        self.listen = ListenHandler(InMemorySubscriptionBus(), max_subscriptions=MAX_SUBSCRIPTIONS)
        self._calls = calls
        self._runner = runner
        self._pools = pools
        self._tools = {tool.name: tool for tool in offer.tools}
        self._prompts = {prompt.name: prompt for prompt in offer.prompts}
        self._lists = _Lists.of(offer)
        self.server = self._build_server(version)
        if not tracing:
            # The SDK's span for every message costs 5 % of a call even when it goes nowhere. Provisional API.
            self.server.middleware.clear()

    async def serve(self, read: ReadStream[SessionMessage | Exception], write: WriteStream[SessionMessage]) -> None:
        """Serve one session over a pair of streams until the read side ends; cancels its calls then.

        Not `Server.run`, which would enter a lifespan for each session.
        """
        options = self.server.create_initialization_options(NotificationOptions())
        await serve_dual_era_loop(self.server, read, write, lifespan_state={}, init_options=options)

    def _build_server(self, version: str) -> Server[dict[str, Any]]:
        has_prompts, has_resources = bool(self.offer.prompts), bool(self.offer.resources)
        hint = CacheHint(ttl_ms=CACHE_FOR_MS, scope="private")
        return Server(
            f"pegboard {self.offer.name}",
            version=version,
            title=self.offer.title,
            instructions=self.offer.instructions,
            cache_hints={"tools/list": hint, "prompts/list": hint, "resources/list": hint, "server/discover": hint},
            # Without it the SDK runs the whole tools/list before each call (2026-07-28).
            get_tool_input_schema=self._input_schema,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,  # pyright: ignore[reportArgumentType] # a dict is a HandlerResult, too
            on_list_prompts=self._list_prompts if has_prompts else None,
            on_get_prompt=self._get_prompt if has_prompts else None,
            on_list_resources=self._list_resources if has_resources else None,
            on_list_resource_templates=self._list_templates if has_resources else None,
            on_read_resource=self._read_resource if has_resources else None,
            on_subscriptions_listen=self.listen,
        )

    def _input_schema(self, name: str) -> Mapping[str, Any] | None:
        tool = self._tools.get(name)
        return tool.definition.input_schema if tool is not None else None

    async def _list_tools(self, _: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        _only_page(params)
        return self._lists.tools

    async def _list_prompts(self, _: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        _only_page(params)
        return self._lists.prompts

    async def _list_resources(
        self, _: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        _only_page(params)
        return self._lists.resources

    async def _list_templates(
        self, _: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        _only_page(params)
        return self._lists.templates

    async def _call_tool(self, context: Context, params: types.CallToolRequestParams) -> Any:
        tool = self._tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, _unknown("tool", params.name, self._tools))
        call = self._call(context, tool, tool.mark.timeout, params.input_responses)
        return await self._runner(tool, params.arguments, call)

    async def _get_prompt(self, context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        prompt = self._prompts.get(params.name)
        if prompt is None:
            raise MCPError(types.INVALID_PARAMS, _unknown("prompt", params.name, self._prompts))
        call = self._call(context, prompt)
        messages = await self._answer(prompt.name, call, partial(prompt.render, params.arguments, call))
        return types.GetPromptResult(description=prompt.definition.description, messages=messages)

    async def _read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        for resource in self.offer.resources:
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
        answers: Mapping[str, Any] | None = None,
    ) -> Call[PluginSettings]:
        seconds = self._seconds(context, timeout)
        return Call(
            settings=bound.settings,
            plugin=bound.plugin,
            tool=bound.name,
            endpoint=self.offer.name,
            timeout=seconds,
            deadline=anyio.current_time() + seconds,
            pools=self._pools,
            request=context,
            answers=answers or {},
        )

    def _seconds(self, context: Context, timeout: float | None) -> float:
        wanted: Any = (context.meta or {}).get(DEADLINE_KEY)
        if isinstance(wanted, int | float) and wanted > 0:
            return min(wanted, self._calls.max_deadline)
        return timeout or self._calls.deadline


@dataclass(frozen=True, slots=True)
class _Lists:
    """The lists of an endpoint, built once: they are the same for the life of the process."""

    tools: types.ListToolsResult
    prompts: types.ListPromptsResult
    resources: types.ListResourcesResult
    templates: types.ListResourceTemplatesResult = field(repr=False)

    @classmethod
    def of(cls, offer: Offer) -> "_Lists":
        templates = [resource.define_template() for resource in offer.resources if resource.is_template]
        plain = [resource.define() for resource in offer.resources if not resource.is_template]
        return cls(
            tools=types.ListToolsResult(tools=[tool.definition for tool in offer.tools]),
            prompts=types.ListPromptsResult(prompts=[prompt.definition for prompt in offer.prompts]),
            resources=types.ListResourcesResult(resources=plain),
            templates=types.ListResourceTemplatesResult(resource_templates=templates),
        )


def _only_page(params: types.PaginatedRequestParams | None) -> None:
    if params is not None and params.cursor is not None:
        raise MCPError(types.INVALID_PARAMS, "unknown cursor; this list has one page")


def _unknown(what: str, name: str, known: Mapping[str, Any]) -> str:
    hint = did_you_mean(name, known) or "the list has all there are"
    return f"Unknown {what}: {name[:100]!r}; {hint}"
