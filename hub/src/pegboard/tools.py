"""Tools as the hub serves them: a function bound to its plugin, and the one way every call takes."""

import inspect
import logging
import math
import random
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

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
from pegboard.confirmations import Agreement, Confirmations, Unconfirmed, digest
from pegboard.environments import Environment, Environments
from pegboard.errors import BackendError, PegboardError, PluginError, ToolError
from pegboard.fitting import shorten
from pegboard.functions import awaitable
from pegboard.logs import tell_ended
from pegboard.metrics import Metrics
from pegboard.output import Output, Result, error_result
from pegboard.overdue import Abandoned, Overdue
from pegboard.plugin import Function, Plugin, ToolMark, mark_of
from pegboard.results import Results
from pegboard.rows import Rows
from pegboard.security.audit import Audit, Record
from pegboard.security.credentials import CredentialHeaders
from pegboard.security.limits import Limits, TooMuch
from pegboard.security.redaction import secret_names
from pegboard.settings import LimitSettings
from pegboard.validation import show

log = logging.getLogger(__name__)

AroundCall = Callable[..., AbstractAsyncContextManager[Any] | None]
"""A `hub_around_call` hook: takes `call`, returns what is entered around it."""
Answer = Result | InputRequiredResult

ENVIRONMENT = "environment"
CONFIRMATION = "confirmation"
CONFIRMATION_SCHEMA = {"type": "string", "description": "From a refusal, once your user agrees."}
HEADER_KEY = "x-mcp-header"
REFERENCES = frozenset({"$dynamicRef", "$ref"})
"""What a JSON schema refers to another one by."""

JITTER = (0.05, 0.15)
"""Seconds until a read is run once more, never quite the same."""

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
        *,
        by_token: bool = True,
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
        self.writes = not (self.mark.read_only or self.mark.everywhere)
        is_asked = (self.writes or self.mark.confirms) and CONFIRMATION not in self._arguments.schema["properties"]
        self._by_token = by_token and is_asked
        own_secret: set[str] = {CONFIRMATION} if self._by_token else set()
        self.secret_names = secret_names(self._arguments.schema) | own_secret
        self._place(environments)
        self._output = Output(function, self._arguments.returns)
        self._function = awaitable(function, threads)
        self._about = inspect.getdoc(function)
        self.definition = self._define()
        try:
            self.takes_headers = HEADER_KEY in self.definition.model_dump_json()
        except ValueError as error:  # half a character, say, which would break the list for everybody
            raise PluginError(f"the tool {self.name} cannot be written as JSON: {error}") from error
        foreign = next(_foreign_references([self.input_schema, self._output.schema]), None)
        if foreign is not None:  # which the validators of some clients would fetch
            raise PluginError(f"the schema of the tool {self.name} refers to {show(foreign)}; write it out in place")

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

    def bound_to(self, environments: Environments) -> "BoundTool":
        """The same tool with other settings: those of a tenant."""
        tool = copy(self)
        tool._place(environments)
        definition = tool._define()
        if definition != self.definition:  # the very same is quickly compared, for each tenant and endpoint
            tool.definition = definition
        return tool

    def _place(self, environments: Environments) -> None:
        self.is_withheld = self.writes and environments.writable() is None
        self.environments = (environments.writable() or environments) if self.writes else environments

    def _in(self, environments: Environments) -> "BoundTool":
        tool = copy(self)
        tool.environments = environments
        tool.definition = tool._define()
        return tool

    def environment(self, given: Mapping[str, Any] | None, call: Call[Any]) -> Environment:
        """The environment that the arguments name, else the session's choice, else the default.

        Raises `InvalidArguments`, also for a choice where this tool cannot be used: another place is nobody's wish.
        """
        named = self.named_environment(given, call)
        name = self._place_unnamed() if named is None else named
        found = self.environments.by_name.get(name) if isinstance(name, str) else None
        if found is None:
            raise self.not_in(name, given)
        return found

    def _place_unnamed(self) -> str | None:
        """The environment of a call that cannot name one, or does not; one that only reads has to begin somewhere."""
        first = None if self._chooses or self.writes else next(iter(self.environments.by_name))
        return self.environments.default or first

    def named_environment(self, given: Mapping[str, Any] | None, call: Call[Any]) -> Any:
        """What the arguments name as the environment, else the session's choice; `None` where neither says one."""
        if not self._has_choice:
            return None
        named = (given or {}).get(ENVIRONMENT)
        return call.chosen if named is None else named

    def not_in(self, name: Any, given: Mapping[str, Any] | None) -> InvalidArguments:
        """The error for an environment where this tool cannot be used."""
        names = ", ".join(self.environments.by_name)
        by_whom = ", which this session has chosen" if (given or {}).get(ENVIRONMENT) is None else ""
        problem = "required" if name is None else f"{self.name} cannot be used in {show(name)}{by_whom}"
        return InvalidArguments(f"invalid arguments\n- environment: {problem}; there are {names}")

    def check(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """The arguments as the function wants them; raises `InvalidArguments` with the signature at its end."""
        try:
            return self._arguments.check(self._own(given))
        except InvalidArguments as error:
            raise InvalidArguments(f"{error}\n{self.signature}") from None

    def agreement(self, given: Mapping[str, Any] | None, confirmations: Confirmations | None) -> Agreement:
        """What a user would agree to, and whether a second call can show that they do."""
        if not (self.writes or self.mark.confirms):
            return Agreement("")
        token = (given or {}).get(CONFIRMATION) if self._by_token else None
        known = confirmations if self._by_token else None
        return Agreement(digest(self._own(given)), known, token if isinstance(token, str) else "")

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
        # The arguments count in any case, and in a message they stand as they were sent.
        await call.confirm(f"Run {self.name}{where} with {shown or 'no arguments'}?", about="run")

    def _own(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """The arguments that are the function's."""
        hubs = {ENVIRONMENT} if self._has_choice else set[str]()
        hubs |= {CONFIRMATION} if self._by_token else set[str]()
        return {name: value for name, value in (given or {}).items() if name not in hubs}

    @property
    def _has_choice(self) -> bool:
        return self._chooses and self.environments.has_choice

    def _schema(self) -> dict[str, Any]:
        schema = self._schema_with_choice()
        asks = self.writes and any(one.writes == "confirm" for one in self.environments.by_name.values())
        if not (self._by_token and asks):
            return schema
        return {**schema, "properties": {**schema["properties"], CONFIRMATION: CONFIRMATION_SCHEMA}}

    def _schema_with_choice(self) -> dict[str, Any]:
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
    credentials: CredentialHeaders = field(default_factory=CredentialHeaders)
    confirmations: Confirmations | None = None
    """Where a second call may confirm the first; `None` where the operator does not want that."""
    tells: bool = True
    """Whether the log has a line for each call."""
    overdue: Overdue = field(default_factory=Overdue)

    async def __call__(self, tool: BoundTool, given: Mapping[str, Any] | None, call: Call[Any]) -> Answer:
        try:
            record = self.audit.call(call, given, secret_names=tool.secret_names, read_only=tool.mark.read_only)
        except ToolError as refusal:  # what cannot be recorded is not run, where the operator wants that
            self.metrics.call(tool.plugin, tool.name, "denied", 0)
            return error_result(str(refusal))
        self.metrics.running += 1
        try:
            with record:
                record.answer = await self._in_turn(tool, given, call, record)
                return record.answer
        finally:
            self.metrics.running -= 1
            self._ended(call, record)

    async def _in_turn(
        self, tool: BoundTool, given: Mapping[str, Any] | None, call: Call[Any], record: Record
    ) -> Answer:
        try:
            async with self.limits.running(call.principal, tool.plugin, call.deadline) as turn:
                answer = await self.overdue.run(call, turn, partial(self._answer, tool, given, call, record))
        except TooMuch as limit:
            record.refuse(limit.limit)
            return error_result(limit.message)
        except Abandoned:
            record.outcome = "timeout"
            return error_result(too_stubborn(tool.name, call))
        if answer is None:
            record.outcome = "timeout"
            return error_result(too_slow(tool.name, call))
        return answer

    def _ended(self, call: Call[Any], record: Record) -> None:
        outcome = str(record.outcome)
        self.metrics.call(call.plugin, call.tool, outcome, record.seconds)
        if self.tells:
            tell_ended(call, outcome, record.seconds, record.ref)

    async def _answer(
        self, tool: BoundTool, given: Mapping[str, Any] | None, call: Call[Any], record: Record
    ) -> Answer:
        try:
            call.enter(tool.environment(given, call))
            call.agreement = tool.agreement(given, self.confirmations)
            _trace(call)
            return await self._within_hooks(tool, tool.check(given), given, call)
        except PegboardError as error:
            if isinstance(error, Unconfirmed) or isinstance(error.__cause__, Unconfirmed):
                record.outcome = "asked"
            return error_result(shorten(self.told(error, call), MOST_OF_AN_ERROR))
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

    async def _within_hooks(
        self, tool: BoundTool, arguments: dict[str, Any], given: Mapping[str, Any] | None, call: Call[Any]
    ) -> Result:
        entered: list[AbstractAsyncContextManager[Any]] = []
        error: BaseException | None = None
        try:
            for hook in self.around:
                await _enter(hook, call, entered)
            await tool.permit(given, call)
            with call.borrowing():
                return await self._run(tool, arguments, given, call)
        except BaseException as raised:
            error = raised
            raise
        finally:
            for manager in reversed(entered):
                await _leave(manager, error)

    async def _run(
        self, tool: BoundTool, arguments: dict[str, Any], given: Mapping[str, Any] | None, call: Call[Any]
    ) -> Result:
        """Run the tool; a second time if it only reads, its backend did not answer, and the budget allows it."""
        try:
            return await tool.run(arguments, call, self.results)
        except BackendError as error:
            if not (tool.mark.read_only and call.may_repeat(error)):
                raise
        call.log.info("its backend did not answer and is asked once more")
        trace.get_current_span().set_attribute("pegboard.retried", value=True)
        await anyio.sleep(random.uniform(*JITTER))  # noqa: S311 # spreads retries, keeps no secret
        return await tool.run(tool.check(given), call, self.results)  # what the tool did to its arguments is undone

    def told(self, error: PegboardError, call: Call[Any]) -> str:
        """What the client reads of an expected error: not the secrets a backend has repeated in what it said."""
        return call.sent.mask(self.audit.redactor.known(str(error)))

    def denied(self, reason: str, call: Call[Any]) -> None:
        """Write down that a call was not let through, and count it."""
        self.metrics.denied(reason)
        self.audit.call(call, None, read_only=True).refuse(reason)

    def crashed(self, plugin: str, name: str, what: str, record: Record | None = None) -> str:
        """Log the exception being handled under a new reference; return what the client may read about it."""
        reference = secrets.token_hex(4)
        if record is not None:
            record.outcome, record.ref = "crash", reference
        about = {"plugin": plugin, "tool": name, "ref": reference}
        log.exception("%s ended in %s, ref %s", name, what, reference, extra=about)
        trace.get_current_span().set_attribute("pegboard.ref", reference)
        return f"internal error in {name}, ref {reference}; the hub's log has the details"


def too_slow(name: str, call: Call[Any]) -> str:
    """What the client reads when a call met its deadline."""
    return f"{name} did not finish in {call.timeout:.3g} s and was cancelled; ask for less at a time"


def too_stubborn(name: str, call: Call[Any]) -> str:
    """What the client reads when a call goes on after its deadline."""
    return f"{name} did not finish in {call.timeout:.3g} s and cannot be cancelled; it was given up and may still run"


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


def _foreign_references(schema: Any) -> Iterator[str]:
    """Where a schema refers to that is not within itself."""
    if isinstance(schema, list):
        for item in cast(list[Any], schema):
            yield from _foreign_references(item)
    elif isinstance(schema, dict):
        for key, value in cast(dict[str, Any], schema).items():
            if key in REFERENCES and isinstance(value, str) and not value.startswith("#"):
                yield value
            yield from _foreign_references(value)


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
                **({"pegboard.principal": call.principal} if call.principal is not None else {}),
                **({"pegboard.tenant": call.tenant} if call.tenant is not None else {}),
            }
        )
