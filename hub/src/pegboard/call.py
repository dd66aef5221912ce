"""What one tool call may use."""

import logging
from collections.abc import Generator, Hashable, Mapping, MutableMapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

import anyio

from pegboard.backends import Trail
from pegboard.choices import Choices
from pegboard.confirmations import Agreement
from pegboard.environments import NOWHERE, Environment, Environments
from pegboard.errors import BackendError, ToolError
from pegboard.kinds import PoolKind
from pegboard.plugin import PluginSettings, Writes
from pegboard.pools import Pools
from pegboard.rows import Limits
from pegboard.seal import Seal
from pegboard.security.credentials import NOTHING_SENT, Sent
from pegboard.security.scopes import Scopes

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

S = TypeVar("S", bound=PluginSettings)
P = TypeVar("P")


HANDOVER = 2.0
"""Seconds a call keeps to put its answer together, when it stops waiting for something long."""


class NeedsConfirmation(Exception):  # noqa: N818 # not an error: the way a stateless call asks its client back
    """The client has to ask its user and call again (2026-07-28, "Multi Round-Trip Requests")."""

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.message = message
        self.state = state


@dataclass(eq=False)
class Call(Generic[S]):
    """One tool call: its settings, its way to pools, progress and the user. Live until the tool returns."""

    settings: S
    """The settings of the tool's plugin, for the environment of this call."""
    plugin: str
    tool: str
    endpoint: str
    timeout: float
    """How many seconds the call was given."""
    deadline: float
    """When it is cancelled, on the clock of `anyio.current_time()`."""
    hurried: bool = field(default=False, repr=False, kw_only=True)
    """Whether the client gave it less time than it would have had; that it was too little tells nothing of backends."""
    pools: Pools = field(repr=False)
    request: "ServerRequestContext[Any, Any] | None" = field(default=None, repr=False)
    environment: str = "default"
    environments: Environments = field(default=NOWHERE, repr=False)
    """Every environment this tool may be used in, by name, and which is the default. `within` goes to another one."""
    writes: Writes = "allow"
    """What the operator says about writing in this environment; where it is "deny", tools that write are not run."""
    limits: Limits = field(default_factory=Limits)
    """What the answer may take. The hub sees to it; a tool that knows them need not fetch what cannot be sent."""
    principal: str | None = None
    """Who calls: the id of the key or token, or `None` where the hub asks for none."""
    tenant: str | None = None
    """The tenant of who calls, if the operator has given them one."""
    scopes: Scopes | None = field(default=None, repr=False)
    """What who calls may do; `None` where everybody may do everything."""
    session: Hashable | None = field(default=None, repr=False)
    """What stands for the client's session, or `None` where the protocol has none."""
    choices: Choices | None = field(default=None, repr=False)
    """What sessions have chosen; `None` where the protocol has no sessions. `choose` and `chosen` are the way to it."""
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    state: str = field(default="", repr=False)
    """What the hub gave out with its question, and the client with the answer."""
    seal: Seal = field(default_factory=Seal, repr=False)
    agreement: Agreement = field(default=Agreement(""), repr=False)
    """What a user would agree to, and whether a second call can show that they do. `confirm` is the way to it."""

    sent: Sent = field(default=NOTHING_SENT, repr=False)
    """The credentials that came with the request; `settings` has those for this plugin in place of the hub's own."""

    trail: Trail = field(default_factory=Trail, repr=False)
    """The pools it has used, and whether the client has heard of it; the hub reads it at the end."""

    async def pool(self, kind: PoolKind[P], target: Hashable) -> P:
        """The shared pool of `kind` for `target`, opened now if nobody has yet.

        Raises `PoolError` if it cannot be had, at once while its backend is known not to answer; uncaught it reaches
        the client as a clear error. Do not close it.
        """
        return await self.pools.get(kind, target, self.trail, passing=bool(self.sent.secrets))

    def take_retry(self, target: Hashable = None) -> bool:
        """Whether a plugin that repeats its own reads may repeat one more to the pool of this target, or the last one.

        It is taken from the budget of the backend; with none left, raise what you have, as `BackendError` where it is
        one, with `again=False`.
        """
        return self.trail.take_retry(target)

    def may_repeat(self, error: BackendError) -> bool:
        """Whether the hub may run the tool once more that raised this; takes it from the budget of the backend.

        Not when the client has heard of the call already, nor when less than half of its time is left.
        """
        in_time = self.remaining > self.timeout / 2
        return error.again and not self.trail.told and in_time and self.trail.take_retry(error.target)

    @contextmanager
    def borrowing(self) -> Generator[None]:
        """Give back at the end what the block has borrowed, and tell the breakers how the backends did."""
        try:
            yield
        except BaseException as error:
            cancelled = isinstance(error, anyio.get_cancelled_exc_class())
            self.trail.end(error, late=cancelled and self.remaining == 0 and not self.hurried)
            raise
        self.trail.end(None, late=False)

    def enter(self, environment: Environment) -> None:
        """Move to another environment; the hub does so before the tool runs."""
        self.environment, self.writes = environment.name, environment.writes
        self.settings = self.sent.over(cast(S, environment.settings))

    def within(self, environment: str) -> Self:
        """The same call in another environment of its tool; raises `ToolError` where there is none of that name."""
        found = self.environments.by_name.get(environment)
        if found is None:
            names = ", ".join(self.environments.by_name)
            raise ToolError(f"{self.tool} cannot be used in an environment {environment!r}; there are {names}")
        call = copy(self)
        call.enter(found)
        return call

    @property
    def owner(self) -> str | None:
        """Who may go on with what this gives out: the same key with the same rights and credentials; else anybody."""
        if self.principal is None:
            return None
        credentials = self.seal.sign(*self.sent.marks) if self.sent.marks else ""
        return "\0".join((self.principal, self.tenant or "", str(self.scopes or ""), credentials))

    @property
    def may_operate(self) -> bool:
        """Whether who calls may see how the hub itself is: operators, and everybody where it asks for no keys."""
        return self.scopes is None or (self.scopes.may_operate and self.tenant is None)

    @property
    def chosen(self) -> str | None:
        """The environment that the session has chosen for this plugin, if it has."""
        if self.choices is None or self.session is None:
            return None
        return self.choices.of(self.session, self.plugin)

    def choose(self, environment: str) -> None:
        """Let the calls of this session to this plugin that name no environment go to that one from now on.

        Raises `ToolError` where there is none of that name, and on the stateless protocol (2026-07-28), where a call
        cannot depend on another one.
        """
        self.within(environment)
        if self.choices is None or self.session is None:
            raise ToolError(
                "this protocol has no session that could remember an environment; "
                f'give environment="{environment}" with each call, or use an endpoint of that environment'
            )
        self.choices.choose(self.session, self.plugin, environment)

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, at least 0."""
        return max(0.0, self.deadline - anyio.current_time())

    def waiting(self, seconds: float | None = None) -> anyio.CancelScope:
        """A scope for waiting on something long: it ends in time to answer with a handle, before the client gives up.

            with call.waiting() as waiting:
                return await finished(job)
            return {"job": job, "finished": False, "next": f"wait_for_job(job_id={job})"}

        It ends `HANDOVER` seconds before the call's deadline and, if they are fewer, after `seconds`; at once where the
        call has less time than that. Clients give up after 60 seconds mostly, so give such a tool a `timeout` below.
        """
        longest = max(0.0, self.remaining - HANDOVER)
        return anyio.move_on_after(longest if seconds is None else min(longest, seconds))

    @cached_property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger that names the plugin and the tool. Write no values a user typed at INFO or above."""
        logger = logging.getLogger(f"pegboard.plugins.{self.plugin}")
        return _CallLogger(logger, {"plugin": self.plugin, "tool": self.tool})

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Tell the client how far the call is; nothing is sent to one that did not ask. `progress` must grow."""
        if self.request is not None:
            self.trail.told = True
            await self.request.session.report_progress(progress, total, message)

    @property
    def asks_once(self) -> bool:
        """Whether the user's answer to `confirm` comes back to this very run of the tool.

        Where it does not, the tool is run again, and then has to ask the same: leave out what is never the same twice.
        """
        return self.request is None or (self._can_elicit and self.request.session.can_send_request)

    @property
    def _can_elicit(self) -> bool:
        capabilities = self.request.session.client_capabilities if self.request is not None else None
        return capabilities is not None and capabilities.elicitation is not None

    async def confirm(self, message: str, *, about: str | None = None) -> None:
        """Ask the user to agree, and return only if they do.

        The client asks by elicitation. Where it cannot, the call is refused with a token, and the model shows its user
        the message and calls again with that (`[calls] confirm_by_token`). There, and on the stateless protocol
        (2026-07-28), the tool is run once more from its start when the user has agreed, so confirm before the first
        effect; an answer counts for the same arguments and this very message, and when it is another by then, the user
        is asked again. `about` is what counts instead, where a message has parts that are never the same twice. Raises
        `ToolError` when the user refuses, does not answer within the call's time, or cannot be asked. Call it at most
        once per call.
        """
        request, self.trail.told = self.request, True
        effect = message if about is None else about
        question = (self.owner, self.tool, self.environment, self.agreement.arguments, effect)
        if request is None or not self._can_elicit:
            await self.agreement.require(self.tool, message, *question)
            return
        answer = self.answers.get("confirm")
        if not request.session.can_send_request:
            if answer is None or not self.seal.fits(self.state, *question):
                raise NeedsConfirmation(message, self.seal.sign(*question))
        else:
            answer = await request.session.elicit_form(
                message, {"type": "object", "properties": {}}, related_request_id=request.request_id
            )
        if getattr(answer, "action", None) != "accept":
            raise ToolError(f"the user did not confirm {self.tool}; nothing was done")


class _CallLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts plugin and tool before the message and on the record."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        extra = dict(self.extra or {})
        kwargs["extra"] = {**extra, **(kwargs.get("extra") or {})}
        return f"{extra['tool']}: {msg}", kwargs
