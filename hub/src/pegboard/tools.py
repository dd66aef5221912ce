"""Tools as the hub serves them: a function bound to its plugin, and the one way every call takes."""

import inspect
import logging
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    Tool,
    ToolAnnotations,
)
from opentelemetry import trace

from pegboard.arguments import Arguments, InvalidArguments, signature_line
from pegboard.call import Call, NeedsConfirmation
from pegboard.environments import Environment, Environments
from pegboard.errors import PegboardError, PluginError, ToolError
from pegboard.fitting import shorten
from pegboard.functions import awaitable
from pegboard.metrics import Metrics
from pegboard.output import Output, Result, error_result
from pegboard.plugin import Function, Plugin, ToolMark, mark_of
from pegboard.results import Results
from pegboard.rows import Rows
from pegboard.security.audit import Audit, Record
from pegboard.security.limits import Limits, TooMuch
from pegboard.security.redaction import secret_names
from pegboard.settings import LimitSettings
from pegboard.validation import show

log = logging.getLogger(__name__)

AroundCall = Callable[..., AbstractAsyncContextManager[Any] | None]
"""A `hub_around_call` hook: takes `call`, returns what is entered around it."""
Answer = Result | InputRequiredResult

ENVIRONMENT = "environment"

LEAVE_TIMEOUT = 1.0
MOST_OF_AN_ERROR = 8000


class BoundTool:
    """One tool of a loaded plugin: its definition for clients, and its function with everything a call needs.

    Raises `PluginError` for a function that cannot be a tool.
    """

    def __init__(
        self,
        plugin: Plugin,
        function: Function,
        environments: Environments,
        threads: anyio.CapacityLimiter,
        group: str | None,
    ) -> None:
        self.mark = mark_of(function)
        self.name = plugin.tool_name(function)
        self.aliases = plugin.aliases_of(self.name)
        self.plugin = plugin.name
        self.group = group
        self.groups = frozenset(found.name for found in plugin.groups if function in found.tools)
        self._arguments = Arguments(function)
        # A parameter of the function's own of that name is the function's business.
        self._chooses = not self.mark.everywhere and ENVIRONMENT not in self._arguments.schema["properties"]
        self.secret_names = secret_names(self._arguments.schema)
        self.writes = not (self.mark.read_only or self.mark.everywhere)
        self.is_withheld = self.writes and environments.writable() is None
        self.environments = (environments.writable() or environments) if self.writes else environments
        self._output = Output(function, self._arguments.returns)
        self._function = awaitable(function, threads)
        self._about = inspect.getdoc(function)
        self.definition = self._define()
        try:
            self.definition.model_dump_json()
        except ValueError as error:  # half a character, say, which would break the list for everybody
            raise PluginError(f"the tool {self.name} cannot be written as JSON: {error}") from error

    @property
    def description(self) -> str:
        """What a model reads; empty for a function without a docstring."""
        return self.definition.description or ""

    @property
    def input_schema(self) -> dict[str, Any]:
        """The schema of its arguments."""
        return self.definition.input_schema

    @property
    def priority(self) -> int:
        """How much it matters where a budget cannot list all."""
        return self.mark.priority

    @property
    def signature(self) -> str:
        """The tool in one line, for people and small models."""
        return signature_line(self.name, self.input_schema)

    @property
    def returns_rows(self) -> bool:
        """Whether its answers are lists, which may go on."""
        return self._output.is_list

    def within(self, name: str) -> "BoundTool":
        """The same tool in that environment only; the tool itself if it has none of that name."""
        return self._in(self.environments.within(name)) if name in self.environments.by_name else self

    def among(self, names: Sequence[str]) -> "BoundTool":
        """The same tool in these of its environments only."""
        return self if len(names) == len(self.environments.by_name) else self._in(self.environments.among(names))

    def _in(self, environments: Environments) -> "BoundTool":
        tool = copy(self)
        tool.environments = environments
        tool.definition = tool._define()
        return tool

    def environment(self, given: Mapping[str, Any] | None, call: Call[Any]) -> Environment:
        """The environment that the arguments name, else the session's choice, else the default.

        Raises `InvalidArguments`, also for a choice where this tool cannot be used: another place is nobody's wish.
        """
        name, by_whom = self.environments.default, ""
        if self._has_choice:
            named = (given or {}).get(ENVIRONMENT)
            chosen = call.chosen if named is None else None
            if chosen is not None:
                named, by_whom = chosen, ", which this session has chosen"
            name = name if named is None else named
        found = self.environments.by_name.get(name) if isinstance(name, str) else None
        if found is None:
            names = ", ".join(self.environments.by_name)
            problem = "required" if name is None else f"{self.name} cannot be used in {show(name)}{by_whom}"
            raise InvalidArguments(f"invalid arguments\n- environment: {problem}; there are {names}")
        return found

    def check(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """The arguments as the function wants them; raises `InvalidArguments` with the signature at its end."""
        if given and self._has_choice:
            given = {name: value for name, value in given.items() if name != ENVIRONMENT}
        try:
            return self._arguments.check(given)
        except InvalidArguments as error:
            raise InvalidArguments(f"{error}\n{self.signature}") from None

    async def run(self, arguments: dict[str, Any], call: Call[Any], results: Results) -> Result:
        """Call the function with checked arguments and return its result; whatever it raises passes through."""
        if self._arguments.call_parameter is not None:
            arguments[self._arguments.call_parameter] = call
        value = await self._function(**arguments)
        if isinstance(value, Rows):
            return await results.rows(value, call)
        return results.fit(self._output.convert(value), call, may_add=self._output.is_open)

    async def permit(self, given: Mapping[str, Any] | None, call: Call[Any]) -> None:
        """Ask the user first, where the operator wants that before a tool writes. Raises `ToolError` if they refuse."""
        if not self.writes or self.mark.confirms or call.writes != "confirm":
            return
        told = [(name, value) for name, value in (given or {}).items() if name not in self.secret_names]
        shown = ", ".join(f"{name}: {show(value)}" for name, value in told)
        where = f" in {call.environment}" if self._has_choice else ""
        await call.confirm(f"Run {self.name}{where} with {shown or 'no arguments'}?")

    @property
    def _has_choice(self) -> bool:
        return self._chooses and self.environments.has_choice

    def _schema(self) -> dict[str, Any]:
        schema = self._arguments.schema
        if not self._has_choice:
            return schema
        default = self.environments.default
        choice: dict[str, Any] = {"type": "string", "enum": list(self.environments.by_name)}
        properties = {
            **schema["properties"],
            ENVIRONMENT: choice if default is None else {**choice, "default": default},
        }
        required = [*schema.get("required", ()), *([ENVIRONMENT] if default is None else [])]
        return {**schema, "properties": properties, **({"required": required} if required else {})}

    def _define(self) -> Tool:
        return Tool(
            name=self.name,
            title=self.mark.title,
            description=self._about or None,
            input_schema=self._schema(),
            output_schema=self._output.schema,
            annotations=_annotations(self.mark),
        )


@dataclass(frozen=True, slots=True)
class Runner:
    """The way of every call: check, deadline, the hooks around it, the tool, and whatever it raises.

    A call always ends with an answer. Expected errors reach the client with their text; anything else is logged with
    a reference and reaches the client as that reference only. Cancellation of the caller passes through.
    """

    results: Results
    around: Sequence[AroundCall] = ()
    audit: Audit = field(default_factory=Audit)
    limits: Limits = field(default_factory=lambda: Limits(LimitSettings()))
    metrics: Metrics = field(default_factory=Metrics)

    async def __call__(self, tool: BoundTool, given: Mapping[str, Any] | None, call: Call[Any]) -> Answer:
        try:
            record = self.audit.call(call, given, secret_names=tool.secret_names, read_only=tool.mark.read_only)
        except ToolError as refusal:  # what cannot be recorded is not run, where the operator wants that
            return error_result(str(refusal))
        with record:
            try:
                async with self.limits.running(call.principal, tool.plugin):
                    record.answer = await self._answer(tool, given, call, record)
            except TooMuch as limit:
                self.metrics.limited(limit.limit)
                record.answer = error_result(limit.message)
            return record.answer

    async def _answer(
        self, tool: BoundTool, given: Mapping[str, Any] | None, call: Call[Any], record: Record
    ) -> Answer:
        try:
            call.enter(tool.environment(given, call))
            _trace(call)
            return await self._within_deadline(tool, tool.check(given), given, call, record)
        except PegboardError as error:
            return error_result(shorten(str(error), MOST_OF_AN_ERROR))
        except NeedsConfirmation as question:
            return _ask(question)
        except MCPError as error:
            if error.code == MISSING_REQUIRED_CLIENT_CAPABILITY:
                raise  # the protocol has an error for it, which tells the client what to declare
            return error_result(self.crashed(tool.plugin, tool.name, "a crash", record))
        except anyio.get_cancelled_exc_class():
            if anyio.current_effective_deadline() == -math.inf:
                raise
            return error_result(self.crashed(tool.plugin, tool.name, "a cancellation that nobody asked for", record))
        except BaseException:  # noqa: BLE001 # one call must not harm the others, also by a SystemExit or a Rust panic
            return error_result(self.crashed(tool.plugin, tool.name, "a crash", record))

    async def _within_deadline(
        self,
        tool: BoundTool,
        arguments: dict[str, Any],
        given: Mapping[str, Any] | None,
        call: Call[Any],
        record: Record,
    ) -> Result:
        with anyio.CancelScope(deadline=call.deadline):
            entered: list[AbstractAsyncContextManager[Any]] = []
            error: BaseException | None = None
            try:
                for hook in self.around:
                    await _enter(hook, call, entered)
                await tool.permit(given, call)
                return await tool.run(arguments, call, self.results)
            except BaseException as raised:
                error = raised
                raise
            finally:
                for manager in reversed(entered):
                    await _leave(manager, error)
        record.outcome = "timeout"
        return error_result(too_slow(tool.name, call))

    def denied(self, reason: str, call: Call[Any]) -> None:
        """Write down that a call was not let through."""
        self.audit.call(call, None, read_only=True).refuse(reason)

    def crashed(self, plugin: str, name: str, what: str, record: Record | None = None) -> str:
        """Log the exception being handled under a new reference; return what the client may read about it."""
        reference = secrets.token_hex(4)
        if record is not None:
            record.outcome, record.ref = "crash", reference
        log.exception("%s ended in %s, ref %s", name, what, reference, extra={"plugin": plugin, "tool": name})
        trace.get_current_span().set_attribute("pegboard.ref", reference)
        return f"internal error in {name}, ref {reference}; the hub's log has the details"


def too_slow(name: str, call: Call[Any]) -> str:
    """What the client reads when a call met its deadline."""
    return f"{name} did not finish in {call.timeout:.3g} s and was cancelled; ask for less at a time"


async def _enter(hook: AroundCall, call: Call[Any], entered: list[AbstractAsyncContextManager[Any]]) -> None:
    try:
        manager = hook(call=call)
        if manager is not None:
            await manager.__aenter__()
            entered.append(manager)
    except Exception:  # a hook of one plugin must not stop another plugin's call
        log.exception("a hub_around_call hook failed; the call goes on")


async def _leave(manager: AbstractAsyncContextManager[Any], error: BaseException | None) -> None:
    """Leave what a hook opened; it sees how the call ended and cannot change it, and has a second for it."""
    traceback = error.__traceback__ if error is not None else None
    with anyio.CancelScope(shield=True, deadline=anyio.current_time() + LEAVE_TIMEOUT):
        try:
            await manager.__aexit__(type(error) if error is not None else None, error, traceback)
        except Exception as failure:  # see above; passing the call's own exception on is no failure
            if failure is not error:
                log.exception("a hub_around_call hook failed; the call goes on")
        except anyio.get_cancelled_exc_class():
            # It passes on the call's own cancellation, which goes on without it.
            if error is None:
                raise


def _annotations(mark: ToolMark) -> ToolAnnotations | None:
    destructive = False if mark.read_only and mark.destructive is None else mark.destructive
    values = ToolAnnotations(
        read_only_hint=mark.read_only or None,
        destructive_hint=destructive,
        idempotent_hint=mark.idempotent,
        open_world_hint=mark.open_world,
    )
    return values if values.model_dump(exclude_none=True) else None


def _ask(question: NeedsConfirmation) -> InputRequiredResult:
    form = ElicitRequestFormParams(message=question.message, requested_schema={"type": "object", "properties": {}})
    return InputRequiredResult(input_requests={"confirm": ElicitRequest(params=form)}, request_state=question.state)


def _trace(call: Call[Any]) -> None:
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attributes(
            {
                "pegboard.plugin": call.plugin,
                "pegboard.endpoint": call.endpoint,
                "pegboard.environment": call.environment,
            }
        )
