"""Which tool call is running, for what is said meanwhile: in every task and every thread of the call."""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pegboard.call import Call

RUNNING: "ContextVar[Call[Any] | None]" = ContextVar("pegboard.call", default=None)
"""The call in whose context this is; `None` outside of calls, and in what outlives the call that opened it."""
