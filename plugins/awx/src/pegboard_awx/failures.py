"""What went wrong with AWX: its kind, and a sentence the caller can act on."""

from collections.abc import Mapping
from typing import Any, Literal

from pegboard import ToolError

Kind = Literal[
    "auth",
    "permission",
    "not_found",
    "validation",
    "conflict",
    "not_allowed_now",
    "unreachable",
    "timeout",
    "too_large",
    "policy",
]


class AwxError(ToolError):
    """AWX refused a request, or could not be asked.

    `message` says what happened and `hint` what to do; `str()` is both, as a sentence. `fields` are the reasons of
    AWX by field. `unsure` says that a request which writes may have been carried out although its answer was lost:
    look before you repeat it. `passes` says that asking again may help, after `retry_after` seconds where AWX says so.
    `is_away` says that nobody answered at all.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        fields: Mapping[str, Any] | None = None,
        unsure: bool = False,
        passes: bool = False,
        retry_after: float | None = None,
        is_away: bool = False,
    ) -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.kind: Kind = kind
        self.message = message
        self.hint = hint
        self.status = status
        self.fields = dict(fields or {})
        self.unsure = unsure
        self.passes = passes
        self.retry_after = retry_after
        self.is_away = is_away

    @property
    def data(self) -> dict[str, Any]:
        """The error as a value: kind, status, message, fields, hint."""
        return {
            "kind": self.kind,
            "status": self.status,
            "message": self.message,
            "fields": self.fields,
            "hint": self.hint,
        }
